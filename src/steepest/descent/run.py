"""Running methods on a problem: many runs at once, recorded, resumable and interruptible."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import overload

import numpy as np

from steepest.arguments import folder_path, real_number, switch, whole_number
from steepest.arrays import as_numpy, plain_array
from steepest.descent.advice import warn_about
from steepest.descent.engines.choice import engine_for
from steepest.descent.method import Method
from steepest.descent.sweep import Progress, Run, Sweep
from steepest.descent.trajectory import Solution, Trajectory, as_reference
from steepest.errors import InvalidArgument
from steepest.geometry import norm, norm_label, same_norm
from steepest.geometry.facts import norm_key
from steepest.problem import Classification, as_problem
from steepest.schedules import step_sizes
from steepest.threads import available_cores

Solutions = Solution | Mapping[str, Solution] | None


_MOST_STEPS = 2**53
"""Up to here float64, in which step sizes are worked out, tells steps apart."""
_MOST_RECORDS = 10**7


@overload
def descend(
    problem: Classification,
    methods: Method,
    steps: int,
    *,
    reference: Solutions = None,
    records: int | Sequence[int] = 200,
    initial_weights: object = None,
    sample_weight: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    stop_at_gap: float | None = None,
    alignment: bool = False,
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
    sample_weight: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    stop_at_gap: float | None = None,
    alignment: bool = False,
) -> list[Trajectory]: ...
def descend(
    problem: Classification,
    methods: Method | Iterable[Method],
    steps: int,
    *,
    reference: Solutions = None,
    records: int | Sequence[int] = 200,
    initial_weights: object = None,
    sample_weight: object = None,
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    stop_at_gap: float | None = None,
    alignment: bool = False,
) -> Trajectory | list[Trajectory]:
    """Run steepest descent from ``initial_weights`` (default 0) and return what was recorded on the way.

    Args:
        problem: the samples; tensors on a GPU are computed there.
        methods: one method, or many with their own norms, batch sizes, seeds and so on.
        steps: number of updates T of every run.
        reference: a max-margin solution of this problem in the norm of the methods, or a mapping from the
            name of a norm to its solution; gives trajectories their ``relative_margin_error`` and ``cosine``.
        records: about how many steps are recorded, log-spaced with 0, 1 and T among them; or the steps.
        initial_weights: W_0, shape [k, d].
        sample_weight: weights of the samples in the loss, shape [n], as
            :meth:`steepest.Classification.weighted` takes them; margins and certificates know none.
        engine: "compiled" (numba, a run a core), "batched" (array API, runs together; GPUs), "reference"
            (plain), or "auto", which chooses by device and size. All take the same steps, to rounding, at
            any loss: what of a signal or an average rounding hides is taken from its terms.
        workers: threads that runs are spread over; by default the cores that the process may use.
        progress: called now and then with (run-steps done, run-steps in all).
        checkpoint: a directory. Runs save their state there every half minute and when interrupted; the
            same call goes on from it, with bit for bit the result of an uninterrupted run.
        stop_at_gap: a run ends at the first record whose normalised margin is certified to be within this
            fraction of the max margin: margin(W_t)/‖W_t‖ ≥ (1 - gap) · upper_bound, with no solver.
        alignment: keep in ``Trajectory.alignment`` how far every step went against the full gradient, for
            :func:`steepest.theory.realised_bound`; costs a full gradient a step, some 100 times a compiled
            step of a small batch. Without it that bound takes the recorded steps as they are, at no cost to
            the run and one full gradient a record afterwards.

    Returns:
        One :class:`Trajectory`, or a list of them in the order of ``methods``. A run does not depend on
        what runs beside it. Ctrl-C ends all runs and returns what they recorded, with ``completed`` False.

    Raises:
        InvalidArgument: an argument outside these, a batch size above the number of samples, or a reference
            of another norm or of other data.
        InvalidData: features so large that logits pass 2^62, where residuals are no longer known.
        MissingCapability: engine="compiled", and something that a method is made of has no compiled code.

    Warns:
        SteepestWarning: momentum that must stall, or variance reduction that cannot hold.

    >>> import steepest as st
    >>> problem = st.datasets.gaussian(classes=3, samples_per_class=4, features=20, seed=1)
    >>> method = st.Method("spectral", batch_size=4, momentum=0.9, schedule=st.PolynomialDecay(0.3, 0.5))
    >>> trajectory = descend(problem, method, steps=100)
    >>> bool(0 < trajectory.normalized_margin[-1] < trajectory.upper_bound[-1])
    True
    """
    problem = as_problem(problem)
    if sample_weight is not None:
        problem = problem.weighted(sample_weight)
    single = isinstance(methods, Method)
    chosen = _validated_methods(methods, problem)
    recorded_steps = _record_steps(steps, records)
    for each in chosen:
        step_sizes(each.schedule, recorded_steps)
    steps = int(recorded_steps[-1])
    start = _start_weights(problem, initial_weights)
    references = [_reference_for(reference, each, problem) for each in chosen]
    workers = available_cores() if workers is None else whole_number("workers", workers, 1)
    stop_at_gap = _validated_gap(stop_at_gap)
    folder = None if checkpoint is None else folder_path("checkpoint", checkpoint)
    if progress is not None and not callable(progress):
        raise InvalidArgument("progress", progress, "give a function of two whole numbers, or None")
    for each, known in _without_repetition(chosen, references):
        warn_about(problem, each, steps, None if known is None else float(known.upper_bound))
    runs = [
        Run(
            problem,
            method,
            engine_for(problem, method, engine),
            recorded_steps,
            start,
            known,
            stop_at_gap,
            alignment=switch("alignment", alignment),
        )
        for method, known in zip(chosen, references, strict=True)
    ]
    if folder is not None:
        for run in runs:
            run.keep_in(folder)
    trajectories = Sweep(problem, runs).finish(workers, progress)
    return trajectories[0] if single else trajectories


def _record_steps(steps: object, records: int | Sequence[int]) -> np.ndarray:
    last = whole_number("steps", steps, 0)
    if last > _MOST_STEPS:
        raise InvalidArgument("steps", steps, f"give at most {_MOST_STEPS} steps")
    if isinstance(records, Integral):
        if isinstance(records, bool) or records < 2:
            raise InvalidArgument("records", records, "give an integer of at least 2, or the steps to record")
        if int(records) > _MOST_RECORDS:
            raise InvalidArgument("records", records, f"give at most {_MOST_RECORDS}: each holds weights")
        spaced = np.rint(np.geomspace(1, max(1, last), int(records) - 1)).astype(np.int64)
        return np.unique(np.concatenate([[0], spaced[spaced <= last], [last]]))
    given = as_numpy(plain_array(records, "records"))
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


def _validated_gap(gap: object) -> float | None:
    remedy = "give a fraction between 0 and 1, such as 1e-3, or None"
    return None if gap is None else real_number("stop_at_gap", gap, remedy, above=0, below=1)


def _reference_for(reference: Solutions, method: Method, problem: Classification) -> Solution | None:
    if isinstance(reference, Mapping):
        by_name = {str(norm(name)): solution for name, solution in reference.items()}
        solution = by_name.get(str(method.norm))
        if solution is None:
            remedy = f"add a solution for the norm {norm_label(method.norm)}"
            raise InvalidArgument("reference", sorted(by_name), remedy)
    else:
        solution = reference
    if solution is None:
        return None
    checked = as_reference(solution, (problem.n_classes, problem.dimension), problem.fingerprint)
    if not same_norm(checked.norm, method.norm):
        wanted, given = norm_label(method.norm), norm_label(checked.norm)
        remedy = f"give one in the {wanted} norm, or compare the trajectory afterwards by its against()"
        raise InvalidArgument("reference", f"a solution in the {given} norm", remedy)
    return checked


def _without_repetition(
    methods: list[Method], references: list[Solution | None]
) -> list[tuple[Method, Solution | None]]:
    """Return the methods that differ in more than their seed: one warning serves all seeds."""
    seen: dict[object, tuple[Method, Solution | None]] = {}
    for method, known in zip(methods, references, strict=True):
        seen.setdefault((norm_key(method.norm), replace(method, seed=0).settings()), (method, known))
    return list(seen.values())
