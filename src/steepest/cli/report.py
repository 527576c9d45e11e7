"""``steepest report``: a folder of results as one page for the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli.options import AsJson
from steepest.cli.output import print_json
from steepest.cli.terminal import waiting
from steepest.cli.verdicts import claim_in_json

if TYPE_CHECKING:
    from steepest.experiments import Page


def report(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The folder that reproduce or run wrote, finished or not.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Where the page goes. Default: DIR/report.html."),
    ] = None,
    limits: Annotated[
        bool,
        typer.Option(
            "--limits",
            help="Draw the errors that are predicted of mini-batches without momentum; takes up to minutes.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write everything that a folder of results holds into one HTML page, which opens without a network.

    Claims with their verdicts, curves to choose from with the theory's bound and predicted slope over them,
    final values over batch size and momentum, data sets, certified margins, settings and versions. A file of
    the folder that is damaged is named on standard error and left out.

    Exits with 0 once the page is written, whatever the claims on it came to.

    For instance:

    - `steepest report results/figure1`

    - `steepest report results --output everything.html`
    """
    from steepest.experiments import write_page

    with waiting(f"Reading {directory}"):
        page = write_page(directory, output, predicted=limits)
    if as_json:
        print_json(_summary(page))
    else:
        typer.echo(_text(page))


def _summary(page: Page) -> dict[str, Any]:
    return {
        "output": str(page.path),
        "experiments": [
            {
                "name": each.name,
                "folder": str(each.folder),
                "runs": each.runs,
                "cells": len(each.cells),
                "cells_missing": each.missing,
                "claims": [claim_in_json(claim) for claim in each.claims],
            }
            for each in page.experiments
        ],
    }


def _text(page: Page) -> str:
    from steepest.experiments.claims.shown import verdict_counts

    lines = []
    for each in page.experiments:
        facts = [
            f"{each.runs:,} runs",
            verdict_counts(each.claims) or "no claims to check",
            *([f"unfinished, {_counted(each.missing)} missing"] if each.missing else []),
        ]
        lines.append(f"{each.name}: {'; '.join(facts)}")
    return "\n".join([*lines, f"wrote {page.path}"])


def _counted(cells: int) -> str:
    return "1 cell is" if cells == 1 else f"{cells} cells are"
