"""``steepest run``: an experiment of the user's own, from a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steepest.cli.verdicts import carry_out_and_show

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC.toml", help="The experiment.", show_default=False)]
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
    spec: SpecFile,
    settings: Settings = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder for pictures, data and claims, and for what is kept to continue from. "
            "Default: results/NAME.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The reduced form that the experiment defines.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the experiment that a TOML file describes; what the folder holds already is not computed again.

    Keys: name, title, data, norm, batch_size, momentum, variance_reduction, loss, schedule, steps, records,
    seed, gap, reference, bias, weights, figure, bound, claims, quick. Lists are grids. The paper's own
    experiments are such files.

    Exits with 0 only if every claim that the experiment names holds.

    For instance:

    - `steepest run my.toml`

    - `steepest run my.toml --set momentum=[0,0.9] --set norm=spectral`
    """
    from steepest.experiments import carry_out, load_experiment, parse_overrides

    experiment = load_experiment(spec, parse_overrides(settings or []))
    if quick:
        experiment = experiment.reduced()
    directory = output or Path("results") / experiment.name
    carry_out_and_show(
        experiment.name,
        lambda shown: carry_out(experiment, directory, progress=shown),
        directory,
        quiet=quiet,
        as_json=as_json,
    )
