"""What an experiment would cost, before anything starts: runs, batches, time and memory, as measured here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from steepest.descent import descend
from steepest.errors import SteepestWarning
from steepest.experiments.inputs import as_instance, as_path
from steepest.experiments.spec.cells import Cell, Margin, Problems, estimated_seconds, load_problems, resolve
from steepest.experiments.spec.experiment import Experiment
from steepest.experiments.store.netcdf import encoded
from steepest.experiments.store.results import cell_dataset, solution_from
from steepest.experiments.store.store import Store
from steepest.experiments.sweep.executors import Executor
from steepest.maxmargin import MaxMarginSolution, max_margin

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
    """Estimate for all its cells, with what measuring the records and writing the file took here."""


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
    processes: int
    """Processes that the cells would be spread over; 0 if this one computes them itself."""
    batches: tuple[Batch, ...]
    memory_bytes: int
    """Estimate of the largest cell's recorded weights and their measurement, which is what memory goes to."""

    @property
    def seconds(self) -> float:
        """Estimate of the whole time but for figures and claims, which take a few seconds each."""
        return self.margin_seconds + sum(batch.seconds for batch in self.batches)


def plan_experiment(experiment: Experiment, directory: Path | None = None) -> Plan:
    """Say what an experiment would compute, with measured estimates; nothing is written.

    Each kind of batch is run for a few steps, and one max margin of each data set and norm is solved (for at
    most ten seconds). ``directory`` is the folder of results whose cells need not be computed again.

    Raises:
        InvalidArgument: the experiment cannot be run on its data.
    """
    as_instance("experiment", experiment, Experiment, "give an Experiment, as load_experiment returns")
    if directory is not None:
        directory = as_path("directory", directory, "give the folder of results, or None")
    problems = load_problems(experiment)
    cells = resolve(experiment, problems)
    store = None if directory is None else Store(directory / "cells")
    missing = [cell for cell in cells if store is None or not store.path(cell.description()).exists()]
    seconds = sum(estimated_seconds(cell, problems) for cell in missing)
    processes = Executor().processes(len(missing), seconds)
    margins = _margins(missing, problems, store)
    solved = sum(margin.seconds for margin in margins)
    return Plan(
        experiment,
        len(cells),
        len(cells) - len(missing),
        sum(cell.runs for cell in missing),
        sum(cell.run_steps for cell in missing),
        sum(margin.count for margin in margins),
        solved / max(1, processes),
        processes,
        tuple(_batch(alike, problems, margins, max(1, processes)) for alike in _alike(missing)),
        max((_memory(cell, problems) for cell in missing), default=0),
    )


def _alike(cells: Iterable[Cell]) -> list[list[Cell]]:
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.data.name, cell.norm, cell.loss, cell.batch_size), []).append(cell)
    return list(groups.values())


def _batch(cells: list[Cell], problems: Problems, margins: Iterable[_Margins], workers: int) -> Batch:
    cell = cells[0]
    run_steps = sum(each.run_steps for each in cells)
    rate = _measured_rate(cell, problems)
    keeping = _seconds_to_keep(cell, problems, margins, rate) * len(cells) / min(workers, len(cells))
    return Batch(
        cell.data.name,
        cell.norm,
        cell.loss,
        cell.batch_size,
        len(cells),
        cell.runs * len(cells),
        rate,
        run_steps / rate + keeping,
    )


def _seconds_to_keep(cell: Cell, problems: Problems, margins: Iterable[_Margins], rate: float) -> float:
    """Return how long it takes to measure the records of a cell and to make its file."""
    solutions = {each.norm: each.solution for each in margins if each.data == cell.data.name}
    if not all(margin.norm in solutions for margin in cell.margins):
        return 0.0
    problem = problems[cell.data.name, cell.seed]
    steps = min(cell.steps, cell.records - 1)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteepestWarning)
        trajectories = descend(
            problem, cell.methods(1.0), steps, reference=solutions[cell.norm], records=range(steps + 1)
        )
    encoded(cell_dataset(cell, problem, solutions, trajectories))
    return max(0.0, time.perf_counter() - started - cell.runs * steps / rate)


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


@dataclass(frozen=True)
class _Margins:
    """The max margins of a data set in a norm, one a seed: how many are missing, and one of them."""

    data: str
    norm: str
    count: int
    solution: MaxMarginSolution

    @property
    def seconds(self) -> float:
        return self.count * self.solution.seconds


def _margins(cells: Iterable[Cell], problems: Problems, store: Store | None) -> list[_Margins]:
    alike: dict[tuple[str, str], dict[str, Margin]] = {}
    for margin in (margin for cell in cells for margin in cell.margins):
        alike.setdefault((margin.data.name, margin.norm), {})[margin.fingerprint] = margin
    return [_solved(list(margins.values()), problems, store) for margins in alike.values()]


def _solved(margins: list[Margin], problems: Problems, store: Store | None) -> _Margins:
    first = margins[0]
    found = None if store is None else store.load(first.description())
    problem = problems[first.data.name, first.seed]
    if found is None:
        solution = max_margin(problem, first.norm, first.gap, time_limit=_MARGIN_SECONDS, canonical=True)
    else:
        solution = solution_from(found, problem)
    missing = [each for each in margins if store is None or not store.path(each.description()).exists()]
    return _Margins(first.data.name, first.norm, len(missing), solution)


def _memory(cell: Cell, problems: Problems) -> int:
    # A record keeps its weights [k, d]; a measurement holds every pair's margin [n, k] beside them.
    problem = problems[cell.data.name, cell.seed]
    record = problem.n_classes * (problem.dimension + problem.samples) * _BYTES
    return cell.runs * cell.records * record
