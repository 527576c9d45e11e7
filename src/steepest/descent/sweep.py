"""Many runs on their way at once: spread over threads, recorded, saved, and ended early by Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from steepest.arrays import as_numpy
from steepest.descent.checkpoint import Checkpoint
from steepest.descent.engine import Engine
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.descent.trajectory import Reference, Trajectory, measured
from steepest.problem import Classification

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
        reference: Reference | None,
    ):
        self.problem, self.method, self.engine, self.steps = problem, method, engine, steps
        self.reference = reference
        self.start = start
        self.state = State.start(start[None])
        self.weights: list[np.ndarray] = []
        self.truncated: list[int] = []
        self.file: Checkpoint | None = None
        self.saved = time.monotonic()

    def keep_in(self, directory: Path) -> None:
        """Go on from this run's file in the directory, if there is one, and save there from now on."""
        self.file = Checkpoint.of(
            directory, self.problem, self.method, self.steps, self.start, self.engine.name
        )
        if (found := self.file.load()) is not None:
            self.state, weights, truncated = found
            self.weights, self.truncated = list(weights), [int(each) for each in truncated]

    def record(self, weights: np.ndarray, truncated: int) -> None:
        """Keep the weights [k, d] of the present step if it is the next one to record."""
        if len(self.weights) < len(self.steps) and self.steps[len(self.weights)] == self.state.step:
            self.weights.append(weights.copy())
            self.truncated.append(truncated)

    def save(self) -> None:
        """Write the run's file, if it keeps one."""
        if self.file is not None:
            self.file.save(self.state, np.stack(self.weights), np.asarray(self.truncated))
            self.saved = time.monotonic()

    def trajectory(self) -> Trajectory:
        """Return what was recorded so far, measured."""
        return measured(
            self.problem,
            self.method,
            self.steps[: len(self.weights)],
            np.stack(self.weights),
            np.asarray(self.truncated, dtype=np.int64),
            completed=len(self.weights) == len(self.steps),
            engine=self.engine.name,
            reference=self.reference,
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
        # Small matrix products with several threads each collapse when runs already fill the cores.
        threads = max(1, workers // min(workers, len(groups)))
        with threadpool_limits(threads), ThreadPoolExecutor(workers) as pool:
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
        engine, methods = group[0].engine, [run.method for run in group]
        state = stack([run.state for run in group]).like(self.problem.features)
        stretch = _first_stretch(self.problem, methods)
        self._hand_over(group, state)
        for target in group[0].steps[group[0].steps > state.step]:
            while state.step < target and not self._stop.is_set():
                began = time.monotonic()
                until = min(int(target), state.step + stretch)
                advanced = engine.advance(self.problem, methods, state, until)
                with self._lock:
                    self._done += (until - state.step) * len(group)
                state = advanced
                # Long enough to cost nothing, short enough for Ctrl-C and the progress bar.
                stretch = _next_stretch(stretch, time.monotonic() - began)
                if state.step == target or began - group[0].saved >= _CHECKPOINT_SECONDS:
                    self._hand_over(group, state)
        self._hand_over(group, state)
        for run in group:
            run.save()
        return [(run, run.trajectory()) for run in group]

    @staticmethod
    def _hand_over(group: list[Run], state: State) -> None:
        """Give each run its part of the state, to record and now and then to save."""
        weights, truncated = as_numpy(state.weights), as_numpy(state.truncated)
        for index, run in enumerate(group):
            run.state = state.run(index)
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
        shared = (method.norm, method.batch_size, method.variance_reduction, method.loss, run.state.step)
        groups.setdefault(shared if run.engine.name == "batched" else index, []).append(run)
    return list(groups.values())
