"""The commands that there are, and what ``steepest`` says of itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from steepest import __version__
from steepest.cli.data import DataCommand
from steepest.cli.limits import limits
from steepest.cli.margin import margin
from steepest.cli.parts import parts
from steepest.cli.plan import plan
from steepest.cli.report import report
from steepest.cli.reproduce import reproduce
from steepest.cli.run import run
from steepest.cli.separability import separability
from steepest.cli.theory import theory

app = typer.Typer(
    name="steepest",
    help="Steepest descent in any norm: certified max margins and the experiments of the paper.",
    epilog=(
        "Exit codes: 0 done, 1 a claim failed or the data is not separable, 2 the arguments cannot be used, "
        "3 the run could not be finished, 130 interrupted by Ctrl-C, 143 by SIGTERM."
    ),
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"steepest {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    plugins: Annotated[
        list[str] | None,
        typer.Option(
            "--plugin",
            metavar="FILE",
            help="Load a .py file, or a module, that adds norms, data sets or other parts. May be repeated.",
            show_default=False,
        ),
    ] = None,
    version: bool = typer.Option(  # noqa: ARG001 - its callback answers
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    if plugins:
        _load(plugins)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _load(plugins: list[str]) -> None:
    from steepest.plugins import VARIABLE, load_plugin

    # Absolute, and in the environment, so that processes that are started load them wherever they run.
    places = [str(Path(each).resolve()) if each.endswith(".py") else each for each in plugins]
    for place in places:
        load_plugin(place)
    os.environ[VARIABLE] = os.pathsep.join([*filter(None, [os.environ.get(VARIABLE)]), *places])


app.command("limits", cls=DataCommand)(limits)
app.command("margin", cls=DataCommand)(margin)
app.command("parts")(parts)
app.command("plan")(plan)
app.command("report")(report)
app.command("reproduce")(reproduce)
app.command("run")(run)
app.command("separability", cls=DataCommand)(separability)
app.command("theory", cls=DataCommand)(theory)
