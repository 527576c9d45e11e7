"""How a command shows what an experiment came to, and the exit code that goes with it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from shutil import get_terminal_size
from textwrap import TextWrapper
from typing import TYPE_CHECKING, Any

import typer

from steepest.cli.exits import DONE, INTERRUPTED, NEGATIVE, Told
from steepest.cli.finals import final_table
from steepest.cli.output import print_json
from steepest.cli.terminal import progress

if TYPE_CHECKING:
    from steepest.experiments import ClaimResult, Report
    from steepest.experiments.inputs import Announce


def carry_out_and_show(
    name: str,
    carry_out: Callable[[Announce | None], Report],
    directory: Path,
    *,
    quiet: bool,
    as_json: bool,
    finals: bool = False,
) -> None:
    """Run an experiment under a progress display, print what it came to, and exit with its code.

    ``finals`` adds a table of the errors at the last step.
    """
    from steepest.experiments.sweep.sweep import NotSeparable

    try:
        with nullcontext() if quiet else progress("run-steps") as shown:
            report = carry_out(shown)
    except NotSeparable as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(NEGATIVE) from error
    if as_json:
        print_json(_summary(name, report))
    else:
        if finals and report.final_errors:
            typer.echo("\n".join([*final_table(report.final_errors), ""]))
        typer.echo(_text(name, report, directory))
    if report.interrupted:
        raise typer.Exit(Told(INTERRUPTED))
    raise typer.Exit(DONE if report.holds else NEGATIVE)


def _summary(name: str, report: Report) -> dict[str, Any]:
    return {
        "figure": name,
        "holds": report.holds,
        "interrupted": report.interrupted,
        "cells_computed": report.computed,
        "cells_reused": report.reused,
        "claims": [claim_in_json(claim) for claim in report.claims],
        "final_errors": [
            {
                **each.run,
                "median": each.median,
                "least": each.least,
                "largest": each.largest,
                "seeds": each.seeds,
            }
            for each in report.final_errors
        ],
        "files": [str(file) for file in report.files],
        "notes": list(report.notes),
    }


def _text(name: str, report: Report, directory: Path) -> str:
    from steepest.experiments.claims.shown import verdict_counts

    width = max(get_terminal_size().columns, 40)
    rows = [row for claim in report.claims for row in _claim_rows(claim)]
    rows += [("note", note) for note in report.notes]
    rows += [("wrote", str(file)) for file in report.files]
    if report.computed + report.reused:
        rows.append(("one page", f"steepest report {shlex.quote(str(directory))}"))
    # A path broken in two could not be copied.
    wrapper = TextWrapper(width, subsequent_indent=" " * 14, break_long_words=False, break_on_hyphens=False)
    lines = [wrapper.fill(f"{word:<14}{text}") for word, text in rows]
    if report.interrupted:
        return "\n".join([*lines, f"{name}: interrupted; the same command goes on where it stopped"])
    if not report.claims:
        return "\n".join([*lines, f"{name}: no claims to check"])
    return "\n".join([*lines, f"{name}: {verdict_counts(report.claims)}"])


def claim_in_json(claim: ClaimResult) -> dict[str, Any]:
    """Return a claim with its verdict and the effects that it rests on, for JSON."""
    return {name: value for name, value in asdict(claim).items() if name != "measurements"}


def _claim_rows(claim: ClaimResult) -> list[tuple[str, str]]:
    rows = [(str(claim.verdict), f"{claim.name}: {claim.about}"), ("", f"{claim.reason}.")]
    return rows + [("", f"noted: {remark}") for remark in claim.remarks]
