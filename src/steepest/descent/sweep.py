"""Many runs on their way at once: spread over threads, recorded, saved, and ended early by Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from steepest.arrays import as_numpy
from steepest.descent.alignment import AlignmentRecorder
from steepest.descent.checkpoint import Checkpoint
from steepest.descent.engines.choice import Engine
from steepest.descent.known_residuals import require_known_residuals
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.descent.trajectory import Solution, Trajectory, certified_margins, measured
from steepest.geometry.facts import norm_key
from steepest.problem import Classification
from steepest.threads import linear_algebra_threads

_CHECKPOINT_SECONDS = 30.0
_POLL_SECONDS = 0.1
_STRETCH_SECONDS = 0.5
_FIRST_MULTIPLICATIONS = 4_000_000

Progress = Callable[[int, int], None]
"""Called with the number of run-steps done and the number there are."""


class Run:
    """One run on its way: where it stands, what it has recorded, and the file that keeps both."""

    def __init__(
        self,
        problem: Classification,
        method: Method,
        engine: Engine,
        steps: np.ndarray,
        start: np.ndarray,
        reference: Solution | None,
        stop_at_gap: float | None = None,
        *,
        alignment: bool = False,
    ):
        self.problem, self.method, self.engine, self.steps = problem, method, engine, steps
        self.reference = reference
        self.stop_at_gap = stop_at_gap
        self.upper_bound = np.inf
        self.certified = False
        self.start = start
        self.state = State.start(problem, method, problem.weights_like_features(start[None]))
        self.alignment = AlignmentRecorder(problem, method) if alignment else None
        if self.alignment is not None:
            self.alignment.add(start)
        self.weights: list[np.ndarray] = []
        self.truncated: list[int] = []
        self.file: Checkpoint | None = None
        self.saved = time.monotonic()

    def keep_in(self, directory: Path) -> None:
        """Go on from this run's file in the directory, if there is one, and save there from now on."""
        self.file = Checkpoint.of(
            directory,
            self.problem,
            self.method,
            self.steps,
            self.start,
            self.engine.name,
            alignment=self.alignment is not None,
        )
        if (found := self.file.load(self.state)) is not None:
            state, weights, truncated, alignment = found
            self.state = state.with_terms(self.problem, self.method)
            if self.alignment is not None:
                self.alignment.restore(alignment)
            self.weights, self.truncated = list(weights), [int(each) for each in truncated]
            self._check_gap(weights)

    @property
    def ended(self) -> bool:
        """Whether the run reached its last step, or the gap that was asked for."""
        return self.certified or len(self.weights) == len(self.steps)

    @property
    def next_record(self) -> int:
        """The step at which the run is to be recorded next."""
        return int(self.steps[len(self.weights)])

    def record(self, weights: np.ndarray, truncated: int) -> None:
        """Keep the weights [k, d] of the present step if it is the next one to record."""
        if not self.ended and self.next_record == self.state.step:
            self.weights.append(weights.copy())
            self.truncated.append(truncated)
            self._check_gap(weights[None])

    def _check_gap(self, recorded: np.ndarray) -> None:
        if self.stop_at_gap is not None:
            margins, upper_bounds = certified_margins(self.problem, self.method, recorded)
            self.upper_bound = min(self.upper_bound, float(np.min(upper_bounds)))
            self.certified = float(margins[-1]) >= (1 - self.stop_at_gap) * self.upper_bound

    def save(self) -> None:
        """Write the run's file, if it keeps one."""
        if self.file is not None:
            alignment = {} if self.alignment is None else self.alignment.arrays()
            self.file.save(self.state, np.stack(self.weights), np.asarray(self.truncated), alignment)
            self.saved = time.monotonic()

    def trajectory(self) -> Trajectory:
        """Return what was recorded so far, measured; an interrupted run adds where it stands."""
        steps, weights, truncated = list(self.steps[: len(self.weights)]), self.weights, self.truncated
        if self.state.step > steps[-1]:
            steps = [*steps, self.state.step]
            weights = [*weights, as_numpy(self.state.weights)[0]]
            truncated = [*truncated, int(as_numpy(self.state.truncated)[0])]
        return measured(
            self.problem,
            self.method,
            np.asarray(steps, dtype=np.int64),
            np.stack(weights),
            np.asarray(truncated, dtype=np.int64),
            completed=self.ended,
            engine=self.engine.name,
            reference=self.reference,
            alignment=None if self.alignment is None else self.alignment.finished(),
        )


@dataclass
class Sweep:
    """Runs of one problem, advanced in groups that threads take on; engines compute without the lock."""

    problem: Classification
    runs: list[Run]
    _done: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def finish(self, workers: int, progress: Progress | None) -> list[Trajectory]:
        """Advance all runs to their end, or to where Ctrl-C meets them, and return their trajectories."""
        groups = _grouped(self.runs)
        total = sum(int(run.steps[-1]) for run in self.runs)
        self._done = sum(run.state.step for run in self.runs)
        threads = max(1, workers // min(workers, len(groups)))
        most = max(len(group) for group in groups) * self.problem.multiplications
        with linear_algebra_threads(threads, most), ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._finish_group, group) for group in groups]
            try:
                self._watch(futures, lambda: progress(self._done, total) if progress is not None else None)
            except KeyboardInterrupt:
                # What the runs recorded is worth more than the traceback: they stop and hand it over.
                pass
            finally:
                self._stop.set()
            by_run = {id(run): each for future in futures for run, each in future.result()}
        return [by_run[id(run)] for run in self.runs]

    @staticmethod
    def _watch(futures: Sequence[Future], report: Callable[[], None]) -> None:
        pending = set(futures)
        while pending:
            finished, pending = wait(pending, timeout=_POLL_SECONDS)
            report()
            if any(each.exception() for each in finished):
                return

    def _finish_group(self, group: list[Run]) -> list[tuple[Run, Trajectory]]:
        """Advance runs that stand at the same step to their end, or until they are told to stop."""
        engine = group[0].engine
        self._hand_over(group, stack([run.state for run in group]).like(self.problem.features))
        stretch = _first_stretch(self.problem, [run.method for run in group])
        while (active := [run for run in group if not run.ended]) and not self._stop.is_set():
            methods = [run.method for run in active]
            state = stack([run.state for run in active])
            target = active[0].next_record
            while state.step < target and not self._stop.is_set():
                began = time.monotonic()
                # What every step did can be seen at every step alone.
                watched = [(index, run.alignment) for index, run in enumerate(active) if run.alignment]
                until = min(target, state.step + (1 if watched else stretch))
                advanced = engine.advance(self.problem, methods, state, until)
                self._count((until - state.step) * len(active))
                state = advanced
                for index, alignment in watched:
                    alignment.add(as_numpy(state.weights)[index])
                # Long enough to cost nothing, short enough for Ctrl-C and the progress bar.
                stretch = _next_stretch(stretch, time.monotonic() - began)
                if began - active[0].saved >= _CHECKPOINT_SECONDS:
                    self._hand_over(active, state)
            self._hand_over(active, state)
            self._count(sum(int(run.steps[-1]) - run.state.step for run in active if run.ended))
        for run in group:
            run.save()
        return [(run, run.trajectory()) for run in group]

    def _count(self, run_steps: int) -> None:
        with self._lock:
            self._done += run_steps

    def _hand_over(self, group: list[Run], state: State) -> None:
        """Give each run its part of the state, to record and now and then to save."""
        weights, truncated = as_numpy(state.weights), as_numpy(state.truncated)
        for index, run in enumerate(group):
            run.state = state.run(index)
            require_known_residuals(self.problem, weights[index], run.state.step)
            run.record(weights[index], int(truncated[index]))
            if time.monotonic() - run.saved >= _CHECKPOINT_SECONDS:
                run.save()


def _first_stretch(problem: Classification, methods: Sequence[Method]) -> int:
    """Return a number of steps that surely takes less than a tenth of a second."""
    batch = max(each.batch_size_for(problem) for each in methods)
    return 1 + _FIRST_MULTIPLICATIONS // (len(methods) * batch * problem.n_classes * problem.dimension)


def _next_stretch(stretch: int, seconds: float) -> int:
    if seconds < 0.5 * _STRETCH_SECONDS:
        return 2 * stretch
    return max(1, stretch // 2) if seconds > 2 * _STRETCH_SECONDS else stretch


def _grouped(runs: list[Run]) -> list[list[Run]]:
    """Return runs that the batched engine can advance together; every other run stands alone."""
    groups: dict[object, list[Run]] = {}
    for index, run in enumerate(runs):
        method = run.method
        shared = (
            norm_key(method.norm),
            method.batch_size,
            method.signal,
            method.momentum_kind,
            method.loss,
            method.rank_cutoff,
            method.partial_batch,
            method.momentum > 0,
            run.state.step,
        )
        groups.setdefault(shared if run.engine.name == "batched" else index, []).append(run)
    return list(groups.values())
