"""The options that say where an experiment is computed; ``run`` and ``reproduce`` share them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from steepest.experiments import Executor

Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many cells are computed at once. Default: the cores there are, or the whole cluster.",
        show_default=False,
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="threads (in this process), loky (processes on this machine), dask or ray (a cluster whose "
        "workers share DIR), or auto, which takes threads or loky.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="The Dask scheduler, such as tcp://host:8786, or the Ray cluster. Default: what Dask or Ray is "
        "set up for.",
        show_default=False,
    ),
]


def executor(backend: str, workers: int | None, scheduler: str | None) -> Executor:
    """Return the executor that the options name."""
    from steepest.experiments import Executor

    return Executor(backend, workers, scheduler)
