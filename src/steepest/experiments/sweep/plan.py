"""What an experiment would cost, before anything starts: runs, batches, time and memory, as measured here.

Measuring takes about half a minute whatever the grid: of a grid that would take longer, the kinds of run that
matter most are timed, and the others are estimated from those.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Generic, TypeVar

from steepest.experiments.inputs import Announce, as_instance, as_path, as_progress
from steepest.experiments.spec.cells import Cell, Margin, cells_of
from steepest.experiments.spec.experiment import Experiment
from steepest.experiments.spec.resolved import Problems, made
from steepest.experiments.store.solutions import solution_from
from steepest.experiments.store.store import Store
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.sweep.memory import free_memory, in_words
from steepest.experiments.sweep.timing import Cost, measured_cost
from steepest.maxmargin import MaxMarginSolution, max_margin
from steepest.problem import Classification

__all__ = ["Batch", "Plan", "plan_experiment"]

_DATA_SECONDS, _MARGINS_SECONDS, _RUNS_SECONDS = 5.0, 10.0, 15.0
"""How long data sets are made, max margins solved and runs timed; the first of each whatever it takes."""


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
    """On all cores of this machine, with the runs of one cell side by side."""
    seconds: float
    """Estimate for all its cells, with what measuring the records and writing the file took here."""
    measured: bool
    """Whether it was timed; otherwise it is estimated from those that were, by the size of a step."""


@dataclass(frozen=True)
class Plan:
    """What there is to do, and what it costs on this machine."""

    experiment: Experiment
    """What is planned."""
    cells: int
    """Files of results, each of the runs that are computed together."""
    stored: int
    """Cells that the folder holds already."""
    runs: int
    """Runs to compute."""
    run_steps: int
    """Updates in those runs."""
    margins: int
    """Max margins to certify."""
    margin_seconds: float
    """Estimate for those, from those that were solved here."""
    processes: int
    """Processes that the cells would be spread over; 0 if this one computes them itself."""
    batches: tuple[Batch, ...]
    """Runs of one kind, which take one time a step."""
    memory_bytes: int
    """Estimate of the largest cell's recorded weights, which is what memory goes to."""
    free_bytes: int | None
    """Memory that is free on this machine now; None where it cannot be told."""
    unseen: int
    """Data sets that were not made: taken to be as large as the others, with nothing of them stored."""

    @property
    def fits(self) -> bool:
        """Whether the largest cell fits into the memory that is free, as far as that is known."""
        return self.free_bytes is None or self.memory_bytes <= self.free_bytes

    @property
    def seconds(self) -> float:
        """Estimate of the whole time but for figures and claims, which take a few seconds each."""
        return self.margin_seconds + sum(batch.seconds for batch in self.batches)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know before starting, a sentence each."""
        said = []
        at_once, free = self.memory_bytes * max(1, self.processes), self.free_bytes
        if not self.fits:
            said.append(
                f"memory will not do: the largest cell records {in_words(self.memory_bytes)}, and "
                f"{in_words(free or 0)} are free; take fewer records, momenta or signals at a time"
            )
        elif free is not None and at_once > free:
            said.append(
                f"memory will not do for {self.processes} cells at once, which record up to "
                f"{in_words(at_once)}, and {in_words(free)} are free; run with fewer workers"
            )
        if untimed := sum(not batch.measured for batch in self.batches):
            said.append(
                f"{untimed:,} of {len(self.batches):,} kinds of run were not timed, since there are many; "
                "they are estimated from the others by the size of a step"
            )
        if self.unseen:
            said.append(
                f"{self.unseen:,} data sets were not made, since there are many; they are taken to be as "
                "large as the others, with nothing of them stored"
            )
        return tuple(said)


def plan_experiment(
    experiment: Experiment, directory: Path | None = None, tell: Announce | None = None
) -> Plan:
    """Say what an experiment would compute, with measured estimates; nothing is written.

    Of each kind a few runs take a few steps, and one max margin of each data set and norm is solved, for
    about half a minute in all; what is left then is estimated (:attr:`Plan.warnings` say so). ``directory``
    is the folder of results whose cells need not be computed again. ``tell`` is called with what is being
    measured, how much is and how much there is.

    Raises:
        InvalidArgument: the experiment cannot be run on its data.

    >>> data = {"kind": "gaussian", "classes": 2, "samples_per_class": 3, "features": 8}
    >>> tiny = Experiment(name="tiny", data=[data], norm=["max"], batch_size=[1, "full"], steps=20, records=5)
    >>> plan = plan_experiment(tiny)
    >>> plan.cells, plan.runs, plan.run_steps, plan.fits
    (2, 2, 40, True)
    """
    as_instance("experiment", experiment, Experiment, "give an Experiment, as load_experiment returns")
    if directory is not None:
        directory = as_path("directory", directory, "give the folder of results, or None")
    told: Announce = as_progress(tell, "tell") or (lambda *_: None)
    work = _work(experiment, None if directory is None else Store(directory / "cells"), told)
    cells = sum(kind.count for kind in work.kinds)
    processes = Executor().processes(cells, sum(kind.first.seconds * kind.count for kind in work.kinds))
    solved = _solved(work, told)
    typical = median([solution.seconds for solution in solved.values()] or [0.0])
    solving = sum(
        each.count * (known.seconds if (known := solved.get(_place(each.first))) else typical)
        for each in work.margins
    )
    return Plan(
        experiment,
        work.cells,
        work.cells - cells,
        sum(kind.first.runs * kind.count for kind in work.kinds),
        sum(kind.first.run_steps * kind.count for kind in work.kinds),
        sum(each.count for each in work.margins),
        solving / max(1, processes),
        processes,
        _batches(work, solved, max(1, processes), told),
        max((kind.first.memory_bytes for kind in work.kinds), default=0),
        free_memory(),
        work.unseen,
    )


Item = TypeVar("Item", Cell, Margin)
Place = tuple[str, str]
"""A data set and a norm."""


@dataclass(frozen=True)
class _Kind(Generic[Item]):
    """Cells, or max margins, that differ in their seed alone: one, and how many are to be computed."""

    first: Item
    count: int


@dataclass(frozen=True)
class _Work:
    """What there is to compute, counted; data sets of further seeds are made only as far as time allows."""

    problems: Problems
    cells: int
    kinds: Sequence[_Kind[Cell]]
    margins: Sequence[_Kind[Margin]]
    store: Store | None
    unseen: int

    def problem(self, item: Cell | Margin) -> Classification:
        return self.problems[item.data.name, item.seed]


def _work(experiment: Experiment, store: Store | None, tell: Announce) -> _Work:
    started = time.monotonic()
    problems: dict[tuple[str, int], Classification] = {}
    seeds: list[int] = []
    for seed in experiment.seed:
        if seeds:
            if time.monotonic() - started > _DATA_SECONDS:
                break
            tell(f"making the data of seed {seed}", len(seeds), len(experiment.seed))
        drawn = tuple(data for data in experiment.data if seed in data.seeds_of(experiment.seed))
        problems |= made(experiment.model_copy(update={"seed": (seed,), "data": drawn}))
        seeds.append(seed)
    unseen = len(experiment.seed) - len(seeds)
    cells = cells_of(experiment.model_copy(update={"seed": tuple(seeds)}), problems)

    def is_missing(item: Cell | Margin) -> bool:
        return store is None or not store.path(item.description()).exists()

    missing = {id(cell) for cell in cells if is_missing(cell)}
    kinds = [kind for kind in _kinds(cells, lambda cell: id(cell) in missing, unseen) if kind.count]
    # Cells of other batch sizes share a max margin; those of cells that are stored are not needed.
    margins = {
        (*_place(margin), margin.fingerprint): margin
        for cell in cells
        if unseen or id(cell) in missing
        for margin in cell.margins
    }
    return _Work(
        problems,
        len(cells) + unseen * sum(cell.seed == seeds[0] for cell in cells),
        kinds,
        _kinds(margins.values(), is_missing, unseen),
        store,
        unseen * len(experiment.data),
    )


def _kinds(items: Iterable[Item], is_missing: Callable[[Item], bool], unseen: int) -> list[_Kind[Item]]:
    groups: dict[object, list[Item]] = {}
    for item in items:
        more = (item.loss, item.batch_size) if isinstance(item, Cell) else ()
        groups.setdefault((item.data.name, item.norm, *more), []).append(item)
    counts = [(group, [each for each in group if is_missing(each)]) for group in groups.values()]
    # What further seeds add is what the first one has.
    return [_Kind((missing or group)[0], len(missing) + unseen) for group, missing in counts]


def _solved(work: _Work, tell: Announce) -> dict[Place, MaxMarginSolution]:
    """Return one max margin of each data set and norm, stored or solved, as far as time allows."""
    until = time.monotonic() + _MARGINS_SECONDS
    solved: dict[Place, MaxMarginSolution] = {}
    for each in work.margins:
        margin, problem, left = each.first, work.problem(each.first), until - time.monotonic()
        tell(margin.label, len(solved), len(work.margins))
        found = None if work.store is None else work.store.load(margin.description())
        if found is not None:
            solved[_place(margin)] = solution_from(found, problem)
        elif left > 0:
            solved[_place(margin)] = max_margin(
                problem, margin.norm, margin.gap, time_limit=left, canonical=True
            )
    return solved


def _place(margin: Margin) -> Place:
    return margin.data.name, margin.norm


def _batches(
    work: _Work, solved: Mapping[Place, MaxMarginSolution], workers: int, tell: Announce
) -> tuple[Batch, ...]:
    until = math.inf
    timed: dict[int, Cost] = {}
    # What takes most of the time is to be known best.
    for place in sorted(range(len(work.kinds)), key=lambda place: -work.kinds[place].first.seconds):
        if time.monotonic() > until:
            break
        cell = work.kinds[place].first
        tell(cell.label, len(timed), len(work.kinds))
        solutions = {margin.norm: solved.get(_place(margin)) for margin in cell.margins}
        timed[place] = measured_cost(cell, work.problem(cell), solutions)
        # The first one compiles what all of them run.
        until = min(until, time.monotonic() + _RUNS_SECONDS)
    typical = _typical([(work.kinds[place].first, cost) for place, cost in timed.items()])
    return tuple(
        _batch(kind, timed.get(place) or typical(kind.first), workers, place in timed)
        for place, kind in enumerate(work.kinds)
    )


def _typical(timed: Sequence[tuple[Cell, Cost]]) -> Callable[[Cell], Cost]:
    """Return how to estimate what was not timed: as many times its rough guess as in the median of others."""
    guesses = [(cell.run_steps / cost.rate) / cell.seconds for cell, cost in timed]
    keeping = [cost.keeping / (cell.runs * cell.kept_records) for cell, cost in timed]
    return lambda cell: Cost(
        cell.run_steps / (median(guesses) * cell.seconds), median(keeping) * cell.runs * cell.kept_records
    )


def _batch(kind: _Kind[Cell], cost: Cost, workers: int, measured: bool) -> Batch:
    cell = kind.first
    steps = cell.run_steps * kind.count / cost.rate
    keeping = cost.keeping * kind.count / min(workers, kind.count)
    return Batch(
        cell.data.name,
        cell.norm,
        cell.loss,
        cell.batch_size,
        kind.count,
        cell.runs * kind.count,
        cost.rate,
        steps + keeping,
        measured,
    )
