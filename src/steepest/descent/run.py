"""Running methods on a problem: many runs at once, recorded, resumable and interruptible."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import overload

import numpy as np

from steepest.arrays import as_numpy
from steepest.descent.advice import warn_about
from steepest.descent.engines.choice import engine_for
from steepest.descent.method import Method
from steepest.descent.sweep import Progress, Run, Sweep
from steepest.descent.trajectory import Solution, Trajectory
from steepest.errors import InvalidArgument
from steepest.geometry import norm
from steepest.problem import Classification

Solutions = Solution | Mapping[str, Solution] | None


@overload
def descend(
    problem: Classification,
    methods: Method,
    steps: int,
    *,
    reference: Solutions = None,
    records: int | Sequence[int] = 200,
    initial_weights: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    stop_at_gap: float | None = None,
) -> Trajectory: ...
@overload
def descend(
    problem: Classification,
    methods: Iterable[Method],
    steps: int,
    *,
    reference: Solutions = None,
    records: int | Sequence[int] = 200,
    initial_weights: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    stop_at_gap: float | None = None,
) -> list[Trajectory]: ...
def descend(
    problem: Classification,
    methods: Method | Iterable[Method],
    steps: int,
    *,
    reference: Solutions = None,
    records: int | Sequence[int] = 200,
    initial_weights: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    stop_at_gap: float | None = None,
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
        stop_at_gap: a run ends at the first record whose normalised margin is certified to be within this
            fraction of the max margin: margin(W_t)/‖W_t‖ ≥ (1 - gap) · upper_bound, with no solver.

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
    stop_at_gap = _validated_gap(stop_at_gap)
    for each, known in _without_repetition(chosen, references):
        warn_about(problem, each, steps, None if known is None else float(known.upper_bound))
    runs = [
        Run(problem, method, engine_for(problem, method, engine), recorded_steps, start, known, stop_at_gap)
        for method, known in zip(chosen, references, strict=True)
    ]
    if checkpoint is not None:
        for run in runs:
            run.keep_in(Path(checkpoint))
    trajectories = Sweep(problem, runs).finish(workers, progress)
    return trajectories[0] if single else trajectories


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


def _validated_gap(gap: object) -> float | None:
    if gap is None:
        return None
    if isinstance(gap, bool) or not isinstance(gap, Real) or not 0 < float(gap) < 1:
        raise InvalidArgument("stop_at_gap", gap, "give a fraction between 0 and 1, such as 1e-3, or None")
    return float(gap)


def _reference_for(reference: Solutions, method: Method, problem: Classification) -> Solution | None:
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
    methods: list[Method], references: list[Solution | None]
) -> list[tuple[Method, Solution | None]]:
    """Return the methods that differ in more than their seed: one warning serves all seeds."""
    seen: dict[object, tuple[Method, Solution | None]] = {}
    for method, known in zip(methods, references, strict=True):
        seen.setdefault(replace(method, seed=0).fingerprint(), (method, known))
    return list(seen.values())
