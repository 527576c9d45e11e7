"""``steepest plan``: what an experiment would compute and cost, before anything starts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli.options import AsJson, Quick
from steepest.cli.output import print_json
from steepest.cli.run import Settings, Spec
from steepest.cli.terminal import progress

if TYPE_CHECKING:
    from steepest.experiments import Plan


def plan(
    spec: Spec,
    settings: Settings = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder of results, whose cells are not computed again. Default: results/NAME.",
        ),
    ] = None,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Print how many runs an experiment has, how they batch, and a measured estimate of time and memory.

    Times a few steps of each kind of run and one max margin of each data set and norm; writes nothing.

    For instance:

    - `steepest plan my.toml --set seed=[0,1,2,3]`
    """
    from steepest.experiments import find_experiment, parse_overrides, plan_experiment

    experiment = find_experiment(spec, parse_overrides(settings or []))
    if quick:
        experiment = experiment.reduced()
    with progress("kinds") as tell:
        found = plan_experiment(experiment, output or Path("results") / experiment.name, tell)
    if as_json:
        print_json(_summary(found))
    else:
        typer.echo(_text(found))


def _summary(plan: Plan) -> dict[str, Any]:
    return {
        "experiment": plan.experiment.name,
        "cells": plan.cells,
        "stored": plan.stored,
        "runs": plan.runs,
        "run_steps": plan.run_steps,
        "margins": plan.margins,
        "margin_seconds": plan.margin_seconds,
        "processes": plan.processes,
        "seconds": plan.seconds,
        "memory_bytes": plan.memory_bytes,
        "free_bytes": plan.free_bytes,
        "warnings": list(plan.warnings),
        "batches": [asdict(batch) for batch in plan.batches],
    }


def _text(plan: Plan) -> str:
    rows = [("data", "norm", "loss", "b", "cells", "runs", "run-steps/s", "time")]
    rows += [
        (
            batch.data,
            batch.norm,
            batch.loss,
            str(batch.batch_size),
            str(batch.cells),
            str(batch.runs),
            f"{batch.run_steps_per_second:,.0f}",
            _duration(batch.seconds) if batch.measured else f"~ {_duration(batch.seconds)}",
        )
        for batch in plan.batches
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place < 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    to_compute = f"{plan.cells - plan.stored} cells to compute"
    runs = f"{plan.runs:,} runs of {plan.experiment.steps:,} steps in {to_compute}"
    memory = f"memory for the largest cell about {plan.memory_bytes / 1e6:,.0f} MB"
    where = f"in {plan.processes} processes" if plan.processes else "in one process"
    facts = [
        f"{plan.experiment.name}: {runs} ({plan.stored} are there already)",
        f"{plan.margins} max margins to certify, about {_duration(plan.margin_seconds)}",
        f"about {_duration(plan.seconds)} in all {where} on this machine, figures not counted; {memory}",
    ]
    return "\n".join([*lines, "", *facts, *plan.warnings] if plan.batches else facts)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
