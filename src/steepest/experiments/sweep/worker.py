"""What one worker does: a max margin or a cell, unless the store has it or someone else is at it."""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from steepest.descent import descend
from steepest.errors import CheckpointWarning, RunError, SteepestError, SteepestWarning
from steepest.experiments.spec.cells import Cell, Margin
from steepest.experiments.store.solutions import solution_dataset, solution_from
from steepest.experiments.store.store import Store, key_of
from steepest.experiments.sweep.measure import cell_dataset
from steepest.maxmargin import MaxMarginSolution, max_margin
from steepest.plugins import load_plugin
from steepest.problem import Classification

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Caught", "Done", "Ending", "Item", "NotSeparable", "become_a_worker", "caught_warnings", "work"]

Item = Cell | Margin

Tell = Callable[[int], None]
"""Called with the run-steps done so far; raises KeyboardInterrupt where the worker is to stop."""

_PROBLEMS_KEPT, _SOLUTIONS_KEPT = 4, 12
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 10.0
"""How long a worker whose sweep is gone may take to save what it has."""


class NotSeparable(RunError):
    """A data set of an experiment has no positive margin, so there is nothing to converge to."""


class Ending(Enum):
    """What came of an item."""

    FINISHED = "it is in the store"
    BUSY = "another process is at it"
    STOPPED = "it was told to stop; what it had is saved"
    FAILED = "it raised an error"
    LOST = "its worker died"


@dataclass(frozen=True)
class Caught:
    """A warning on its way from a worker to the user."""

    message: Warning
    category: type[Warning]
    filename: str
    line: int


@dataclass(frozen=True)
class Done:
    """What came of an item, in a form that can go from one process to another."""

    ending: Ending
    dataset: xr.Dataset | None = None
    """The result of a cell that is finished."""
    computed: bool = False
    """Whether it was computed now, rather than found."""
    error: Exception | None = None
    details: str = ""
    """The traceback of an error that is no error of the user's."""
    caught: tuple[Caught, ...] = field(default=())


# Warnings are caught, and threads limited, for a whole process: a worker with several threads (Dask's have
# them) takes one item after the other, and spreads the runs of each over its threads. Linear algebra outside
# of these gets one thread everywhere, so that results do not depend on the place, to the last bit.
_one_at_a_time = threading.Lock()


def work(
    item: Item, directory: Path, tell: Tell, threads: int, patient: bool, plugins: tuple[str, ...] = ()
) -> Done:
    """Return what came of an item, never raising: its result is in the store when it is finished.

    Where another process holds the item, a patient call waits for it and one that is not returns at once.
    ``plugins`` are loaded first: what they register is known by name alone.
    """
    with _one_at_a_time, threadpool_limits(1), caught_warnings() as caught:
        done = _Worker(Store(directory), tell, threads, plugins).do(item, patient)
    return replace(done, caught=tuple(caught))


def become_a_worker(parent: int) -> None:
    """Prepare a process that a sweep has started on this machine, and that is to end with the sweep's."""
    # A terminal sends Ctrl-C to every process, and a scheduler SIGTERM; the sweep tells its workers to stop
    # by itself, and they save what they have.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    # A cell stops by itself and is saved; what has nothing to save is not waited for.
    _one_at_a_time.acquire(timeout=_GRACE_SECONDS)
    os._exit(1)


@contextmanager
def caught_warnings() -> Iterator[list[Caught]]:
    """Yield a list that is filled, at the end, with all warnings that were given meanwhile."""
    told: list[Caught] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
    for each in caught:
        message = each.message if isinstance(each.message, Warning) else each.category(each.message)
        told.append(Caught(message, each.category, each.filename, each.lineno))


@dataclass(frozen=True)
class _Worker:
    store: Store
    tell: Tell
    threads: int
    plugins: tuple[str, ...]

    def do(self, item: Item, patient: bool) -> Done:
        try:
            for plugin in self.plugins:
                load_plugin(plugin)
            with self.store.claimed(item.description(), self._wait if patient else None) as ours:
                if not ours:
                    return Done(Ending.BUSY)
                return self._cell(item) if isinstance(item, Cell) else self._margin(item)
        except KeyboardInterrupt:
            return Done(Ending.STOPPED)
        except SteepestError as error:
            return Done(Ending.FAILED, error=error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sweep has to learn of it
            reason = " ".join(str(error).split())
            told = RunError(f"{item.label}: {type(error).__name__}: {reason}")
            return Done(Ending.FAILED, error=told, details=traceback.format_exc())

    def _wait(self) -> None:
        self.tell(0)

    def _margin(self, margin: Margin) -> Done:
        if self.store.load(margin.description()) is not None:
            return Done(Ending.FINISHED)
        self._certify(margin, _problem(margin))
        return Done(Ending.FINISHED, computed=True)

    def _cell(self, cell: Cell) -> Done:
        found = self.store.load(cell.description())
        if found is not None:
            return Done(Ending.FINISHED, found)
        problem = _problem(cell)
        solutions = {margin.norm: self._solution(margin, problem) for margin in cell.margins}
        dataset = self._descend(cell, problem, solutions)
        if dataset is None:
            return Done(Ending.STOPPED)
        self.store.save(cell.description(), dataset)
        return Done(Ending.FINISHED, dataset, computed=True)

    def _solution(self, margin: Margin, problem: Classification) -> MaxMarginSolution:
        with self.store.claimed(margin.description(), self._wait):
            found = self.store.load(margin.description())
            return self._certify(margin, problem) if found is None else _known(margin, found, problem)

    def _certify(self, margin: Margin, problem: Classification) -> MaxMarginSolution:
        solution = max_margin(problem, margin.norm, margin.gap, canonical=True)
        where = f"{margin.data.name} (seed {margin.seed})"
        if not solution.margin > 0:
            raise NotSeparable(f"{where} has no positive margin in the {margin.norm} norm: {solution.status}")
        if solution.relative_gap > margin.gap:
            warnings.warn(
                f"the max margin of {where} in the {margin.norm} norm is certified to "
                f"{solution.relative_gap:.1e} only, not to {margin.gap:.1e}; errors below that say nothing",
                SteepestWarning,
                stacklevel=2,
            )
        found = solution_dataset(solution)
        self.store.save(margin.description(), found)
        # As a later call will find it, so that both measure the same to the last bit.
        return _known(margin, found, problem)

    def _descend(
        self, cell: Cell, problem: Classification, solutions: Mapping[str, MaxMarginSolution]
    ) -> xr.Dataset | None:
        solution = solutions[cell.norm]
        with caught_warnings() as caught:
            trajectories = descend(
                problem,
                cell.methods(solution.upper_bound),
                cell.steps,
                reference=solution,
                records=cell.records,
                workers=self.threads,
                progress=lambda done, _: self.tell(done),
                checkpoint=self.store.checkpoint(cell.description()),
            )
        about_settings = [each for each in caught if _is_about_settings(each.category)]
        for each in caught:
            if each not in about_settings:
                warnings.warn_explicit(each.message, each.category, each.filename, each.line)
        if not all(run.completed for run in trajectories):
            return None
        notes = "\n".join(str(each.message) for each in about_settings)
        return cell_dataset(cell, problem, solutions, trajectories).assign_attrs(notes=notes)


def _is_about_settings(category: type[Warning]) -> bool:
    # What happens to checkpoints belongs to one computation, and not to its result.
    return issubclass(category, SteepestWarning) and not issubclass(category, CheckpointWarning)


_recent: OrderedDict[str, Classification] = OrderedDict()
_solutions: OrderedDict[str, MaxMarginSolution] = OrderedDict()


def _known(margin: Margin, found: xr.Dataset, problem: Classification) -> MaxMarginSolution:
    """Return the solution that a dataset holds; the last few are kept, with their sets of optima."""
    key, fresh = key_of(margin.description()), solution_from(found, problem)
    kept = _solutions.setdefault(key, fresh)
    # Another folder may hold another solution of the same problem, from another version or machine.
    if not (np.array_equal(kept.weights, fresh.weights) and np.array_equal(kept.dual, fresh.dual)):
        _solutions[key] = fresh
    _solutions.move_to_end(key)
    while len(_solutions) > _SOLUTIONS_KEPT:
        _solutions.popitem(last=False)
    return _solutions[key]


def _problem(item: Item) -> Classification:
    """Return the samples of an item; those of the last few are kept, by their hash.

    Raises:
        RunError: the data is not what it was when the sweep began.
    """
    if item.fingerprint not in _recent:
        problem = item.data.load(item.seed)
        if problem.fingerprint != item.fingerprint:
            raise RunError(
                f"{item.label}: the samples differ from those with which the sweep began "
                f"(on {platform.node()})"
            )
        _recent[item.fingerprint] = problem
    _recent.move_to_end(item.fingerprint)
    while len(_recent) > _PROBLEMS_KEPT:
        _recent.popitem(last=False)
    return _recent[item.fingerprint]
