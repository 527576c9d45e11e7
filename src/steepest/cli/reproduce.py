"""``steepest reproduce``: a figure of the paper, with its claims checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steepest.cli import completion
from steepest.cli.options import AsJson, Quiet
from steepest.cli.places import Backend, Scheduler, Workers, executor
from steepest.cli.verdicts import carry_out_and_show
from steepest.errors import InvalidArgument


def reproduce(
    figure: Annotated[
        str,
        typer.Argument(
            metavar="FIGURE",
            help="A figure of the paper: figure1 to figure4, or all.",
            show_default=False,
            autocompletion=completion.figures,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder for pictures, data and claims, and for what is kept to continue from. "
            "Default: results/FIGURE.",
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A reduced form: fewer batch sizes and one seed, which decides little."),
    ] = False,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Seeds of data and shuffling, such as 0,1,2. Default: the experiment's own."
        ),
    ] = None,
    bound: Annotated[
        bool,
        typer.Option(
            "--bound", help="Draw the theory's margin bound and the predicted slope over the errors."
        ),
    ] = False,
    workers: Workers = None,
    backend: Backend = "auto",
    scheduler: Scheduler = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the experiment of a FIGURE of the paper, draw it, and check what the paper says of it.

    Writes the figure (PNG and PDF), the data (NetCDF) and a table of the figure's claims: supported,
    contradicted or undecided, with the size of the effect over data sets. Interrupted and started again, it
    goes on where it stopped.

    Exits with 1 if a claim is contradicted on the paper's kind of data; undecided ones, and other data,
    are shown.

    For instance:

    - `steepest reproduce figure1`

    - `steepest reproduce figure1 --bound`

    - `steepest reproduce figure1 --seeds 7,8,9 --output other-seeds`
    """
    from steepest.experiments import reproduce as run

    directory = output or Path("results") / figure
    place = executor(backend, workers, scheduler)
    chosen = None if seeds is None else _parsed_seeds(seeds)
    carry_out_and_show(
        figure,
        lambda shown: run(
            figure, directory, quick=quick, seeds=chosen, bound=bound, progress=shown, executor=place
        ),
        directory,
        quiet=quiet,
        as_json=as_json,
    )


def _parsed_seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidArgument(
            "seeds", text, "give integers with commas between them, such as 0,1,2"
        ) from error
