"""``steepest run``: an experiment of the user's own, from a TOML file, or one that comes with steepest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steepest.cli import completion
from steepest.cli.options import AsJson, Quick, Quiet
from steepest.cli.places import Backend, Scheduler, Workers, executor
from steepest.cli.verdicts import carry_out_and_show

Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="A .toml file, or the name of an experiment that comes with steepest.",
        show_default=False,
        autocompletion=completion.experiments,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a key, such as momentum=[0,0.9] or data.0.scale=0.2. May be repeated.",
        show_default=False,
    ),
]


def run(
    spec: Spec,
    settings: Settings = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder for pictures, data and claims, and for what is kept to continue from. "
            "Default: results/NAME.",
        ),
    ] = None,
    quick: Quick = False,
    workers: Workers = None,
    backend: Backend = "auto",
    scheduler: Scheduler = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the experiment that a TOML file describes; what the folder holds already is not computed again.

    Ends with a table of the errors at the last step. Ctrl-C and SIGTERM keep what was computed; the same
    command goes on from there.

    Keys: name, title, plugins, data, norm, batch_size, momentum, momentum_kind, signal, loss, schedule,
    steps, records, seed, gap, reference, bias, naive, weights, figure, bound, claims, quick. Lists are grids.
    The paper's own experiments are such files; the page "Experiments as files" says what each key means.

    These come with steepest: exponential-loss (beside cross-entropy), other-norms (nuclear, entrywise-3,
    schatten-4), rates (prefactors against m and β), uneven-batches (that do not divide n), digits (real
    data), batch-one (beyond orthogonal data), long-run (300,000 steps, which tell a floor under the error
    from slow convergence), and figure1 to figure4.

    Exits with 1 if a claim that the experiment names is contradicted on data that it is about.

    For instance:

    - `steepest run my.toml`

    - `steepest run my.toml --set momentum=[0,0.9] --set norm=spectral`

    - `steepest run my.toml --backend dask --scheduler tcp://host:8786`

    - `steepest run other-norms --quick`
    """
    from steepest.experiments import carry_out, find_experiment, parse_overrides

    experiment = find_experiment(spec, parse_overrides(settings or []))
    if quick:
        experiment = experiment.reduced()
    place = executor(backend, workers, scheduler)
    directory = output or Path("results") / experiment.name
    carry_out_and_show(
        experiment.name,
        lambda shown: carry_out(experiment, directory, progress=shown, executor=place),
        directory,
        quiet=quiet,
        as_json=as_json,
        finals=True,
    )
