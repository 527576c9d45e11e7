"""What an experiment would cost, before anything starts: runs, batches, time and memory, as measured here.

A plan takes seconds, whatever the grid: a few runs stand for all of a kind, and once half a minute has gone
    into
measuring, what is left is told from what was measured and the number of multiplications.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from steepest.descent import descend
from steepest.errors import InvalidArgument, SteepestWarning
from steepest.experiments.inputs import as_instance, as_path
from steepest.experiments.spec.cells import Cell, Margin, Problems, estimated_seconds, load_problems, resolve
from steepest.experiments.spec.experiment import Experiment
from steepest.experiments.store.netcdf import encoded
from steepest.experiments.store.results import solution_from
from steepest.experiments.store.store import Store
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.sweep.measure import cell_dataset
from steepest.maxmargin import MaxMarginSolution, max_margin
from steepest.maxmargin.forms.candidate import Deadline

__all__ = ["Batch", "Plan", "plan_experiment"]

_PROBE_SECONDS = 0.2
_FIRST_PROBE = 64
_MARGIN_SECONDS = 10.0
_BYTES = 8
_BUDGET_SECONDS = 30.0
"""Seconds of measuring after which the rest is told from what was measured."""
_PROBE_RUNS, _PROBE_RECORDS = 8, 200
"""Runs and records that stand for those of a cell with more."""

Tell = Callable[[str, int, int], None]
"""Called with what is being measured, how many kinds are done and how many there are."""


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
    measured: bool = True
    """Whether such runs were timed; otherwise the estimate is that of others, by multiplications."""


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
    free_bytes: int | None = None
    """Memory that is free on this machine now; None where it does not tell."""

    @property
    def fits(self) -> bool:
        """Whether the largest cell fits into the memory that is free, as far as that is known."""
        return self.free_bytes is None or self.memory_bytes <= self.free_bytes

    @property
    def seconds(self) -> float:
        """Estimate of the whole time but for figures and claims, which take a few seconds each."""
        return self.margin_seconds + sum(batch.seconds for batch in self.batches)


def plan_experiment(experiment: Experiment, directory: Path | None = None, tell: Tell | None = None) -> Plan:
    """Say what an experiment would compute, with measured estimates; nothing is written.

    Each kind of batch is run for a few steps, and one max margin of each data set and norm is solved (for at
    most ten seconds), until half a minute has gone into it; the rest is estimated. ``directory`` is the
    folder of results whose cells need not be computed again, and ``tell`` is called as measuring goes on.

    Raises:
        InvalidArgument: the experiment cannot be run on its data.
    """
    as_instance("experiment", experiment, Experiment, "give an Experiment, as load_experiment returns")
    if directory is not None:
        directory = as_path("directory", directory, "give the folder of results, or None")
    if tell is not None and not callable(tell):
        raise InvalidArgument("tell", tell, "give a function of a text and two whole numbers, or None")
    problems = load_problems(experiment)
    cells = resolve(experiment, problems)
    store = None if directory is None else Store(directory / "cells")
    missing = [cell for cell in cells if store is None or not store.path(cell.description()).exists()]
    seconds = sum(estimated_seconds(cell, problems) for cell in missing)
    processes = Executor().processes(len(missing), seconds)
    budget = Deadline.after(_BUDGET_SECONDS)
    kinds = _alike(missing)
    report = tell or (lambda _what, _done, _all: None)
    margins = _margins(missing, problems, store, budget, report)
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
        _batches(kinds, problems, margins, max(1, processes), budget, report),
        max((_memory(cell, problems) for cell in missing), default=0),
        _free_memory(),
    )


def _alike(cells: Iterable[Cell]) -> list[list[Cell]]:
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.data.name, cell.norm, cell.loss, cell.batch_size), []).append(cell)
    return list(groups.values())


def _batches(
    kinds: list[list[Cell]],
    problems: Problems,
    margins: Sequence[_Margins],
    workers: int,
    budget: Deadline,
    tell: Tell,
) -> tuple[Batch, ...]:
    """Return the batches in the order of their cells, the most expensive measured first."""
    expected = [sum(estimated_seconds(cell, problems) for cell in cells) for cells in kinds]
    batches: dict[int, Batch] = {}
    for done, place in enumerate(sorted(range(len(kinds)), key=lambda place: -expected[place])):
        tell("timing a few steps of each kind of run", done, len(kinds))
        if batches and budget.passed:
            # What was measured beside what was expected of it, for what was not.
            share = sum(each.seconds for each in batches.values()) / sum(expected[each] for each in batches)
            run_steps = sum(cell.run_steps for cell in kinds[place])
            seconds = share * expected[place]
            batches[place] = _batch(kinds[place], run_steps / max(seconds, 1e-9), seconds, measured=False)
        else:
            batches[place] = _measured(kinds[place], problems, margins, workers)
    return tuple(batches[place] for place in range(len(kinds)))


def _measured(cells: list[Cell], problems: Problems, margins: Iterable[_Margins], workers: int) -> Batch:
    cell = _few_runs(cells[0])
    run_steps = sum(each.run_steps for each in cells)
    rate = _measured_rate(cell, problems)
    keeping = _seconds_to_keep(cell, problems, margins, rate)
    keeping *= cells[0].runs / cell.runs * cells[0].records / cell.records
    keeping *= len(cells) / min(workers, len(cells))
    return _batch(cells, rate, run_steps / rate + keeping, measured=True)


def _few_runs(cell: Cell) -> Cell:
    """Return a cell of a few of its runs and records, which stand for all."""
    signals = cell.signals[:_PROBE_RUNS]
    momenta = cell.momenta[: max(1, _PROBE_RUNS // len(signals))]
    return replace(cell, signals=signals, momenta=momenta, records=min(cell.records, _PROBE_RECORDS))


def _batch(cells: list[Cell], rate: float, seconds: float, *, measured: bool) -> Batch:
    cell = cells[0]
    return Batch(
        cell.data.name,
        cell.norm,
        cell.loss,
        cell.batch_size,
        len(cells),
        cell.runs * len(cells),
        rate,
        seconds,
        measured,
    )


def _seconds_to_keep(cell: Cell, problems: Problems, margins: Iterable[_Margins], rate: float) -> float:
    """Return how long it takes to measure the records of a cell and to make its file."""
    known = {each.norm: each.solution for each in margins if each.data == cell.data.name}
    solutions = {norm: solution for norm, solution in known.items() if solution is not None}
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
    solution: MaxMarginSolution | None
    """None where the time for measuring was over before."""
    seconds: float
    """Estimate for all that are missing."""


def _margins(
    cells: Iterable[Cell], problems: Problems, store: Store | None, budget: Deadline, tell: Tell
) -> list[_Margins]:
    alike: dict[tuple[str, str], dict[str, Margin]] = {}
    for margin in (margin for cell in cells for margin in cell.margins):
        alike.setdefault((margin.data.name, margin.norm), {})[margin.fingerprint] = margin
    solved: list[_Margins] = []
    for margins in alike.values():
        tell("one max margin of each data set and norm", len(solved), len(alike))
        typical = float(np.mean([each.seconds / max(1, each.count) for each in solved])) if solved else 0.0
        solved.append(_solved(list(margins.values()), problems, store, budget, typical))
    return solved


def _solved(
    margins: list[Margin], problems: Problems, store: Store | None, budget: Deadline, typical: float
) -> _Margins:
    first = margins[0]
    found = None if store is None else store.load(first.description())
    problem = problems[first.data.name, first.seed]
    solution: MaxMarginSolution | None = None
    if found is not None:
        solution = solution_from(found, problem)
    elif not budget.passed:
        limit = min(_MARGIN_SECONDS, max(1.0, budget.remaining))
        solution = max_margin(problem, first.norm, first.gap, time_limit=limit, canonical=True)
    missing = [each for each in margins if store is None or not store.path(each.description()).exists()]
    seconds = len(missing) * (typical if solution is None else solution.seconds)
    return _Margins(first.data.name, first.norm, len(missing), solution, seconds)


def _free_memory() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _memory(cell: Cell, problems: Problems) -> int:
    # A record keeps its weights [k, d]; a measurement holds every pair's margin [n, k] beside them.
    problem = problems[cell.data.name, cell.seed]
    record = problem.n_classes * (problem.dimension + problem.samples) * _BYTES
    return cell.runs * cell.records * record
