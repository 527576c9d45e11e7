"""Limit directions of a method on a problem: closed forms where there are any, else the mean field's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Schatten, norm_label, same_norm
from steepest.problem import Classification
from steepest.theory.effective_margin import MethodLike
from steepest.theory.lemma_constants import LEMMA_CONSTANTS
from steepest.theory.limits.batches import Batches, every_batch
from steepest.theory.limits.fields import field_of, is_smoothed
from steepest.theory.limits.following import MOMENTA, WIDTH, followed, samples_of
from steepest.theory.limits.path import Path
from steepest.theory.limits.plan import Plan, planned
from steepest.theory.limits.pulls import LOG_RESIDUALS
from steepest.theory.limits.refinement import end_of, finer, finite_steps, sharper
from steepest.theory.limits.result import LimitDirection, LimitError, LimitPath
from steepest.theory.limits.single_samples import (
    constant_directions,
    has_constant_directions,
    single_sample_bias,
)
from steepest.theory.limits.uncertainty import scatter

__all__ = ["limit_direction", "limit_margin"]

_FAR, _FAR_SMOOTHED = 65536.0, 16384.0
"""A limit's path ends where R γ is so large: the error of a margin is about 1 / (R γ) there."""
_SPECTRAL = Schatten(np.inf)
_MOST_NUMBERS = 1 << 28
"""In an array: 2 GiB."""
_SOME = 200
"""Directions of samples that the scatter of a run is estimated from."""
_FULL_BATCH = ("svrg", "loopless-svrg", "saga")


def limit_direction(
    problem: Classification,
    method: MethodLike,
    at: float | None = None,
    *,
    margin: Any = None,
    batches: int | None = None,
    repeats: int = 3,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> LimitDirection:
    """Return the direction in which a method goes, or its weights at R = Σ η, predicted from the data.

    Steps of size η → 0 average over batches, so W follows the mean field dW/dR = F(W),
    F(W) = E_B[D(-∇L_B(W))] over uniformly random batches B (where b does not divide n the smaller last batch
    of an epoch counts with its share). Limit points of W_t / R_t are those of the differential inclusion
    dW̄/ds ∈ F̄(W̄) - W̄ (Benaïm, Hofbauer, Sorin 2005); which of them is reached the path from W = 0 selects.
    It is followed by implicit Euler steps; the limit's direction is F at its end.

    Closed forms come first:

    - the full batch, and gradients corrected by a reference (svrg; by the same argument saga and
      loopless-svrg): the max margin, in every norm;
    - batches of one with k = 2 in any norm, or any k in the max-norm: B of :func:`single_sample_bias`;
    - Frobenius with momentum of gradients, at any β > 0: the max margin. As R → ∞ the weights β^age of an
      epoch's samples matter less than their margins, so that every average sees the samples of smallest
      margin, and the offsets of these make up for its ages.

    The mean field itself is worked out in Frobenius and the max-norm, there with signs of a width that is
    then made smaller. With momentum it averages over the ages of samples at random moments. Momentum of the
    weights (heavy-ball) moves them as plain steps do, 1/(1-β) times as far.

    Args:
        problem: separable data.
        method: a :class:`steepest.Method`, or anything with its attributes. Of its step sizes only the error
            estimate at a given R makes use.
        at: R = Σ_{s<t} η_s of a run that the state is to be compared with; None for the limit.
        margin: γ as a number, or a max-margin solution in the method's norm; None solves for it here.
        batches: how many batches a sample of them has at least, where there are too many to take all;
            None takes 150 to 3,000, fewer where batches or weights are large.
        repeats: independent samples of batches, at least two; the result is their mean.
        seed: of these.
        progress: called with a short text at every step along a path.

    Raises:
        InvalidArgument: an argument that cannot be used, or data that is not known to be separable.

    >>> from steepest import Method
    >>> problem = Classification([[2.0, 1.0], [-1.0, 1.0], [-2.0, -3.0]], [0, 1, 1])
    >>> method = Method("max", batch_size=1)
    >>> found = limit_direction(problem, method)
    >>> found.kind, round(found.margin, 3), round(found.relative_error, 3)
    ('exact', 1.333, 0.467)
    """
    plan = planned(problem, method, at, margin, batches, repeats, seed, progress)
    closed = next(_closed_forms(plan), None)
    return closed if closed is not None else _mean_field(plan)


def limit_margin(
    problem: Classification, method: MethodLike, at: float | None = None, **settings: Any
) -> float:
    """Return the normalised margin of :func:`limit_direction`, in units of the features; beyond the paper.

    NaN where no direction is available; ``problem``, ``method``, ``at``, the further ``settings`` and the
    errors are the same.

    >>> from steepest import Method
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> method = Method("max", batch_size=1)
    >>> limit_margin(problem, method)
    2.0
    """
    return limit_direction(problem, method, at, **settings).margin


def _closed_forms(plan: Plan) -> Iterator[LimitDirection]:
    full = plan.batch_size == plan.problem.samples
    if plan.at is None and (full or plan.signal in _FULL_BATCH):
        yield _max_margin(plan, full=full)
    plain = plan.signal == "minibatch" and plan.kind in ("none", "heavy-ball")
    if plain and plan.batch_size == 1 and has_constant_directions(plan.problem, plan.norm):
        yield _single_samples(plan)
    if plan.at is None and plan.kind in MOMENTA and not is_smoothed(plan.norm) and _has_field(plan):
        yield _momentum_in_frobenius(plan)


def _max_margin(plan: Plan, *, full: bool) -> LimitDirection:
    analysed = plan.kind in ("none", "ema") and (full or plan.signal == "svrg")
    proven = analysed and LEMMA_CONSTANTS.of(plan.loss) is not None
    theorem = ("4.3" if plan.kind == "ema" else "4.1") if full else "4.6"
    what = "the full batch" if full else f"{plan.signal}, whose corrections leave the full gradient as η → 0,"
    why = f" (Theorem {theorem})" if proven else "; not proven here"
    status = f"{what} finds the max margin in every norm{why}"
    return plan.directed("exact" if proven else "predicted", status, _max_margin_weights(plan))


def _momentum_in_frobenius(plan: Plan) -> LimitDirection:
    status = (
        f"momentum {plan.momentum:g} of gradients in Frobenius: as R → ∞ only the samples of smallest margin "
        f"matter to every average, and the limit is the max margin; R has to be well above the length of an "
        f"epoch times log(1/β) over the gaps between margins"
    )
    return plan.directed("predicted", status, _max_margin_weights(plan))


def _max_margin_weights(plan: Plan) -> np.ndarray:
    if plan.solution is not None:
        return as_numpy(plan.solution.weights)
    from steepest.maxmargin import max_margin

    return as_numpy(max_margin(plan.problem, plan.norm).weights)


def _single_samples(plan: Plan) -> LimitDirection:
    found = single_sample_bias(plan.problem, plan.norm)
    if not np.any(found.B):
        return plan.result(
            "exact",
            "the directions of single samples cancel: weights stay bounded, without a limit direction",
        )
    ends = {True: "goes to 0", False: "does not go to 0", None: "is too close to call"}[found.separates]
    status = f"batches of one follow their mean direction B at any weights; the loss {ends}"
    if plan.at is None:
        return plan.directed("exact", status, found.B)
    state = plan.at / (1.0 - plan.momentum) * found.B
    some = slice(None, None, max(1, plan.problem.samples // _SOME))
    error = LimitError(steps=scatter(plan, constant_directions(plan.problem, plan.norm, some), state))
    return plan.directed("exact", status, found.B, weights=state, error=error)


def _has_field(plan: Plan) -> bool:
    return field_of(plan.problem, plan.norm, plan.loss, every_batch(1, 1)) is not None


def _missing(plan: Plan) -> str | None:
    """Return why the mean field is not available, or None."""
    k, d = plan.problem.n_classes, plan.problem.dimension
    if not _has_field(plan):
        worked_out = "the mean field is worked out in the frobenius and the max norm alone"
        if same_norm(plan.norm, _SPECTRAL):
            return (
                f"{worked_out}; in the spectral norm it jumps where parts of a batch's gradient e^(R gap) "
                f"times smaller tie, and no smoothing of that is known which leaves the limit alone"
            )
        return f"{worked_out}, and the derivative of the {norm_label(plan.norm)} norm's direction is missing"
    n = plan.problem.samples
    largest = max(plan.least * k * d, n * k * k, n * k * d if is_smoothed(plan.norm) else n * d)
    if largest > _MOST_NUMBERS:
        size = f"{n} samples, {k} classes and {d} features"
        return f"the mean field of {size} needs an array of {largest:.1g} numbers"
    if LOG_RESIDUALS.of(plan.loss) is None:
        return f"the loss {plan.loss.name} does not offer {LOG_RESIDUALS.name}"
    corrected = plan.signal != "minibatch" and plan.batch_size < plan.problem.samples
    if corrected and plan.signal not in _FULL_BATCH:
        return f"the signal {plan.signal} is not known to the mean field"
    if corrected:
        return f"at a given R {plan.signal} still depends on the ages of its corrections"
    if plan.kind not in ("none", "heavy-ball", *MOMENTA):
        return f"momentum of the kind {plan.kind} is not known to the mean field"
    return None


def _mean_field(plan: Plan) -> LimitDirection:
    reason = _missing(plan)
    if reason is not None:
        return plan.result("not available", reason)
    samples = list(samples_of(plan))
    far = _FAR_SMOOTHED if is_smoothed(plan.norm) else _FAR
    until = far / plan.margin if plan.at is None else plan.at
    if plan.kind == "heavy-ball" and plan.at is not None:
        until /= 1.0 - plan.momentum
    paths = [
        followed(plan, each, until, 2.0, WIDTH, f"sample {number} of {len(samples)}")
        for number, each in enumerate(samples, 1)
    ]
    if any(not len(each.lengths) for each in paths):
        return plan.result("not available", "Newton's method failed at the first step")
    ends = [end_of(plan, each) for each in paths]
    state = np.mean(ends, axis=0)
    spread = float(np.std([plan.error_of(each) for each in ends], ddof=1)) if len(ends) > 1 else 0.0
    state, width, last = sharper(plan, samples[0], paths[0], state, until)
    state, doubling = finer(plan, samples[0], paths[0], last, state, until)
    error = LimitError(spread, doubling, width, finite_steps(plan, samples[0], state, last, until))
    return plan.directed(
        "predicted",
        _told(samples, paths, until),
        state,
        error=error,
        weights=None if plan.at is None else state,
        path=_shown(plan, paths[0]),
    )


def _shown(plan: Plan, path: Path) -> LimitPath:
    return LimitPath(
        path.lengths,
        np.array([plan.error_of(each) for each in path.weights]),
        np.array([plan.error_of(each) for each in path.growths]),
    )


def _told(samples: list[Batches], paths: list[Path], until: float) -> str:
    many = len(samples[0].shares)
    unit = "batches" if samples[0].logs is None else "moments of the average"
    alone = samples[0].logs is None and len(samples) == 1
    over = f"all {many} batches" if alone else f"{len(samples)} samples of {many} {unit}"
    reached = min(float(each.lengths[-1]) for each in paths)
    text = f"mean field over {over}, followed to R = {reached:.4g}; a prediction, not a proof"
    if reached < until:
        text += f"; it stopped before R = {until:.4g}, where Newton's method no longer went on"
    return text
