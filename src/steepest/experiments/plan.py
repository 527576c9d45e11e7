"""What an experiment would cost, before anything starts: runs, batches, time and memory, as measured here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from steepest.descent import descend
from steepest.errors import SteepestWarning
from steepest.experiments.cells import Cell, Problems, load_problems, margin_description, resolve
from steepest.experiments.spec import Experiment
from steepest.experiments.store import Store
from steepest.maxmargin import max_margin

__all__ = ["Batch", "Plan", "plan_experiment"]

_PROBE_SECONDS = 0.2
_FIRST_PROBE = 64
_MARGIN_SECONDS = 10.0
_BYTES = 8


@dataclass(frozen=True)
class Batch:
    """Cells of one data set, norm, loss and batch size: one for each seed, equal in cost."""

    data: str
    norm: str
    loss: str
    batch_size: int
    cells: int
    """Cells to compute; those in the store are left out."""
    runs: int
    """Runs in those cells."""
    run_steps_per_second: float
    """Measured here, on all cores, with the runs of one cell side by side."""
    seconds: float
    """Estimate for all its cells."""


@dataclass(frozen=True)
class Plan:
    """What there is to do, and what it costs on this machine."""

    experiment: Experiment
    cells: int
    stored: int
    """Cells that the folder holds already."""
    runs: int
    """Runs to compute."""
    run_steps: int
    """Updates in those runs."""
    margins: int
    """Max margins to certify."""
    margin_seconds: float
    """Estimate for those, from one measured for each data set and norm."""
    batches: tuple[Batch, ...]
    memory_bytes: int
    """Estimate of the largest cell's recorded weights and their measurement, which is what memory goes to."""

    @property
    def seconds(self) -> float:
        """Estimate of the whole time."""
        return self.margin_seconds + sum(batch.seconds for batch in self.batches)


def plan_experiment(experiment: Experiment, directory: Path | None = None) -> Plan:
    """Say what an experiment would compute, with measured estimates; nothing is written.

    Each kind of batch is run for a few steps, and one max margin of each data set and norm is solved (for at
    most ten seconds). ``directory`` is the folder of results whose cells need not be computed again.

    Raises:
        InvalidArgument: the experiment cannot be run on its data.
    """
    problems = load_problems(experiment)
    cells = resolve(experiment, problems)
    store = None if directory is None else Store(directory / "cells")
    missing = [cell for cell in cells if store is None or not store.path(cell.description()).exists()]
    margins, margin_seconds = _margins(missing, problems, store)
    return Plan(
        experiment,
        len(cells),
        len(cells) - len(missing),
        sum(len(cell.momenta) * len(cell.variance_reduction) for cell in missing),
        sum(cell.run_steps for cell in missing),
        margins,
        margin_seconds,
        tuple(_batch(alike, problems) for alike in _alike(missing)),
        max((_memory(cell, problems) for cell in missing), default=0),
    )


def _alike(cells: Iterable[Cell]) -> list[list[Cell]]:
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.data.name, cell.norm, cell.loss, cell.batch_size), []).append(cell)
    return list(groups.values())


def _batch(cells: list[Cell], problems: Problems) -> Batch:
    cell = cells[0]
    run_steps = sum(each.run_steps for each in cells)
    rate = _measured_rate(cell, problems)
    runs = len(cell.momenta) * len(cell.variance_reduction) * len(cells)
    return Batch(
        cell.data.name, cell.norm, cell.loss, cell.batch_size, len(cells), runs, rate, run_steps / rate
    )


def _measured_rate(cell: Cell, problems: Problems) -> float:
    problem = problems[cell.data.name, cell.seed]
    methods = cell.methods(margin=1.0)

    def timed(steps: int) -> float:
        started = time.perf_counter()
        descend(problem, methods, steps, records=2)
        return time.perf_counter() - started

    with warnings.catch_warnings():
        # The margin is not known yet, so that what descend would say of these step sizes means nothing.
        warnings.simplefilter("ignore", SteepestWarning)
        timed(1)  # loads the engine
        steps = min(_FIRST_PROBE, cell.steps)
        # Twice as many each time, until they take long enough to be timed.
        while (seconds := timed(steps)) < _PROBE_SECONDS and steps < cell.steps:
            steps = min(2 * steps, cell.steps)
    return len(methods) * steps / seconds


def _margins(cells: Iterable[Cell], problems: Problems, store: Store | None) -> tuple[int, float]:
    wanted: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        description = margin_description(cell.fingerprint, cell.norm, cell.gap)
        if store is None or not store.path(description).exists():
            alike = wanted.setdefault((cell.data.name, cell.norm), [])
            if cell.fingerprint not in {each.fingerprint for each in alike}:
                alike.append(cell)
    count, seconds = 0, 0.0
    for alike in wanted.values():
        cell = alike[0]
        solution = max_margin(
            problems[cell.data.name, cell.seed],
            cell.norm,
            cell.gap,
            time_limit=_MARGIN_SECONDS,
            canonical=True,
        )
        count += len(alike)
        seconds += solution.seconds * len(alike)
    return count, seconds


def _memory(cell: Cell, problems: Problems) -> int:
    # A record keeps its weights [k, d]; a measurement holds every pair's margin [n, k] beside them.
    problem = problems[cell.data.name, cell.seed]
    record = problem.n_classes * (problem.dimension + problem.samples) * _BYTES
    return len(cell.momenta) * len(cell.variance_reduction) * cell.records * record
