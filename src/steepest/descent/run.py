"""Running methods on a problem: many runs at once, recorded, resumable and interruptible."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import overload

import numpy as np
from threadpoolctl import threadpool_limits

from steepest.arrays import as_numpy
from steepest.descent.advice import warn_about
from steepest.descent.checkpoint import Checkpoint
from steepest.descent.engine import Engine, engine_for
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.descent.trajectory import Reference, Trajectory, measured
from steepest.errors import InvalidArgument
from steepest.geometry import norm
from steepest.problem import Classification

_CHECKPOINT_SECONDS = 30.0
_POLL_SECONDS = 0.1
_STRETCH_SECONDS = 0.5

Progress = Callable[[int, int], None]
"""Called with the number of run-steps done and the number there are."""

References = Reference | Mapping[str, Reference] | None


@overload
def descend(
    problem: Classification,
    methods: Method,
    steps: int,
    *,
    reference: References = None,
    records: int | Sequence[int] = 200,
    initial_weights: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Trajectory: ...
@overload
def descend(
    problem: Classification,
    methods: Iterable[Method],
    steps: int,
    *,
    reference: References = None,
    records: int | Sequence[int] = 200,
    initial_weights: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[Trajectory]: ...
def descend(
    problem: Classification,
    methods: Method | Iterable[Method],
    steps: int,
    *,
    reference: References = None,
    records: int | Sequence[int] = 200,
    initial_weights: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Trajectory | list[Trajectory]:
    """Run steepest descent from ``initial_weights`` (default 0) and return what was recorded on the way.

    Args:
        problem: the samples; tensors on a GPU are computed there.
        methods: one method, or many with their own norms, batch sizes, seeds and so on.
        steps: number of updates T of every run.
        reference: a max-margin solution, or a mapping from the name of a norm to its solution; gives
            trajectories their ``relative_margin_error`` and ``cosine``.
        records: about how many steps are recorded, log-spaced with 0, 1 and T among them; or the steps.
        initial_weights: W_0, shape [k, d].
        engine: "compiled" (numba, a run a core), "batched" (array API, runs together; GPUs), "reference"
            (plain), or "auto", which chooses by device and size. All take the same steps, to rounding.
        workers: threads that runs are spread over; by default the cores that the process may use.
        progress: called now and then with (run-steps done, run-steps in all).
        checkpoint: a directory. Runs save their state there every half minute and when interrupted; the
            same call goes on from it, with bit for bit the result of an uninterrupted run.

    Returns:
        One :class:`Trajectory`, or a list of them in the order of ``methods``. A run does not depend on
        what runs beside it. Ctrl-C ends all runs and returns what they recorded, with ``completed`` False.

    Raises:
        InvalidArgument: an argument outside these, or a batch size above the number of samples.

    Warns:
        SteepestWarning: momentum that must stall, or variance reduction that cannot hold.

    >>> import steepest as st
    >>> problem = st.datasets.gaussian(classes=3, samples_per_class=4, features=20, seed=1)
    >>> method = st.Method("spectral", batch_size=4, momentum=0.9, schedule=st.PolynomialDecay(0.3, 0.5))
    >>> trajectory = descend(problem, method, steps=100)
    >>> bool(0 < trajectory.normalized_margin[-1] < trajectory.upper_bound[-1])
    True
    """
    single = isinstance(methods, Method)
    chosen = _validated_methods(methods, problem)
    recorded_steps = _record_steps(steps, records)
    steps = int(recorded_steps[-1])
    start = _start_weights(problem, initial_weights)
    references = [_reference_for(reference, each, problem) for each in chosen]
    workers = _validated_workers(workers)
    for each, known in _without_repetition(chosen, references):
        warn_about(problem, each, steps, None if known is None else float(known.upper_bound))
    runs = [
        _Run(method, engine_for(problem, [method], engine), recorded_steps, State.start(start[None]), known)
        for method, known in zip(chosen, references, strict=True)
    ]
    for run in runs:
        run.restore(checkpoint, problem, start)
    sweep = _Sweep(
        problem, _grouped(runs), recorded_steps, sum(run.state.step for run in runs), len(runs) * steps
    )
    sweep.run(workers, progress)
    trajectories = [run.trajectory(problem) for run in runs]
    return trajectories[0] if single else trajectories


@dataclass
class _Run:
    """One run on its way: where it stands and what it has recorded."""

    method: Method
    engine: Engine
    steps: np.ndarray
    state: State
    reference: Reference | None
    weights: list[np.ndarray] = field(default_factory=list)
    truncated: list[int] = field(default_factory=list)
    file: Checkpoint | None = None
    saved: float = field(default_factory=time.monotonic)

    def restore(
        self, directory: str | os.PathLike[str] | None, problem: Classification, start: np.ndarray
    ) -> None:
        if directory is None:
            return
        self.file = Checkpoint.of(Path(directory), problem, self.method, self.steps, start, self.engine.name)
        if (found := self.file.load()) is not None:
            self.state, weights, truncated = found
            self.weights, self.truncated = list(weights), [int(each) for each in truncated]

    def record(self) -> None:
        if len(self.weights) < len(self.steps) and self.steps[len(self.weights)] == self.state.step:
            self.weights.append(as_numpy(self.state.weights)[0].copy())
            self.truncated.append(int(as_numpy(self.state.truncated)[0]))

    def save(self, *, at_once: bool = False) -> None:
        if self.file is not None and (at_once or time.monotonic() - self.saved >= _CHECKPOINT_SECONDS):
            self.file.save(self.state, np.stack(self.weights), np.asarray(self.truncated))
            self.saved = time.monotonic()

    def trajectory(self, problem: Classification) -> Trajectory:
        return measured(
            problem,
            self.method,
            self.steps[: len(self.weights)],
            np.stack(self.weights),
            np.asarray(self.truncated, dtype=np.int64),
            completed=len(self.weights) == len(self.steps),
            engine=self.engine.name,
            reference=self.reference,
        )


@dataclass
class _Sweep:
    """Groups of runs that advance together, spread over threads that compute without a lock."""

    problem: Classification
    groups: list[list[_Run]]
    steps: np.ndarray
    done: int
    total: int
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, workers: int, progress: Progress | None) -> None:
        # Small matrix products with several threads each collapse when runs already fill the cores.
        threads = max(1, workers // max(1, min(workers, len(self.groups))))
        with threadpool_limits(threads), ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._advance_group, group) for group in self.groups]
            try:
                pending = set(futures)
                while pending:
                    _, pending = wait(pending, timeout=_POLL_SECONDS)
                    if progress is not None:
                        progress(self.done, self.total)
                    if any(each.done() and each.exception() for each in futures):
                        break
            except KeyboardInterrupt:
                pass
            finally:
                self.stop.set()
            wait(futures)
        for each in futures:
            each.result()

    def _advance_group(self, group: list[_Run]) -> None:
        """Advance runs that stand at the same step to the end, or until they are told to stop."""
        engine, methods = group[0].engine, [run.method for run in group]
        state = stack([run.state for run in group]).like(self.problem.features)
        for run in group:
            run.record()
        stretch = 1
        for target in self.steps[self.steps > state.step]:
            while state.step < target and not self.stop.is_set():
                began = time.monotonic()
                until = min(int(target), state.step + stretch)
                advanced = engine.advance(self.problem, methods, state, until)
                with self.lock:
                    self.done += (until - state.step) * len(group)
                state = advanced
                # Long enough to cost nothing, short enough for Ctrl-C and the progress bar.
                stretch = _next_stretch(stretch, time.monotonic() - began)
            for index, run in enumerate(group):
                run.state = state.run(index)
                run.record()
                run.save()
            if self.stop.is_set():
                break
        for run in group:
            run.save(at_once=True)


def _next_stretch(stretch: int, seconds: float) -> int:
    if seconds < 0.5 * _STRETCH_SECONDS:
        return 2 * stretch
    return max(1, stretch // 2) if seconds > 2 * _STRETCH_SECONDS else stretch


def _grouped(runs: list[_Run]) -> list[list[_Run]]:
    """Return runs that the batched engine can advance together; every other run stands alone."""
    groups: dict[object, list[_Run]] = {}
    for index, run in enumerate(runs):
        method = run.method
        shared = (method.norm, method.batch_size, method.variance_reduction, method.loss, run.state.step)
        groups.setdefault(shared if run.engine.name == "batched" else index, []).append(run)
    return list(groups.values())


def _record_steps(steps: object, records: int | Sequence[int]) -> np.ndarray:
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 0:
        raise InvalidArgument("steps", steps, "give a whole number of at least 0")
    last = int(steps)
    if isinstance(records, Integral):
        if isinstance(records, bool) or records < 2:
            raise InvalidArgument("records", records, "give an integer of at least 2, or the steps to record")
        spaced = np.rint(np.geomspace(1, max(1, last), int(records) - 1)).astype(np.int64)
        return np.unique(np.concatenate([[0], spaced[spaced <= last], [last]]))
    given = np.asarray(records)
    if given.ndim != 1 or given.dtype.kind not in "iu" or np.any((given < 0) | (given > last)):
        raise InvalidArgument(
            "records", records, f"give a number of records, or whole steps from 0 to {last}"
        )
    return np.unique(np.concatenate([[0], given, [last]]).astype(np.int64))


def _start_weights(problem: Classification, initial: object) -> np.ndarray:
    if initial is None:
        return np.zeros((problem.n_classes, problem.dimension))
    weights = as_numpy(problem.weights_like_features(initial)).astype(np.float64)
    if weights.ndim != 2 or not np.all(np.isfinite(weights)):
        raise InvalidArgument(
            "initial_weights",
            initial,
            f"give finite weights of shape [{problem.n_classes}, {problem.dimension}]",
        )
    return weights


def _validated_methods(methods: object, problem: Classification) -> list[Method]:
    chosen = (
        [methods] if isinstance(methods, Method) else list(methods) if isinstance(methods, Iterable) else []
    )
    if not chosen or not all(isinstance(each, Method) for each in chosen):
        raise InvalidArgument("methods", methods, "give a steepest.Method, or a sequence of at least one")
    for each in chosen:
        each.batch_size_for(problem)
    return chosen


def _validated_workers(workers: object) -> int:
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(workers, bool) or not isinstance(workers, Integral) or workers < 1:
        raise InvalidArgument("workers", workers, "give an integer of at least 1")
    return int(workers)


def _reference_for(reference: References, method: Method, problem: Classification) -> Reference | None:
    if isinstance(reference, Mapping):
        by_name = {str(norm(name)): solution for name, solution in reference.items()}
        solution = by_name.get(str(method.norm))
        if solution is None:
            raise InvalidArgument("reference", sorted(by_name), f"add a solution for the norm {method.norm}")
    else:
        solution = reference
    expected = (problem.n_classes, problem.dimension)
    if solution is not None and tuple(solution.weights.shape) != expected:
        raise InvalidArgument(
            "reference", tuple(solution.weights.shape), f"give a solution with weights {expected}"
        )
    return solution


def _without_repetition(
    methods: list[Method], references: list[Reference | None]
) -> list[tuple[Method, Reference | None]]:
    """Return the methods that differ in more than their seed: one warning serves all seeds."""
    seen: dict[object, tuple[Method, Reference | None]] = {}
    for method, known in zip(methods, references, strict=True):
        shared = method.fingerprint().rsplit(" seed=", 1)[0]
        seen.setdefault(shared, (method, known))
    return list(seen.values())
