"""Margin bounds: how close the theory puts margin(W_t) / ‖W_t‖ to ρ (Theorems 4.1, 4.3 and 4.6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from steepest.arguments import switch
from steepest.arrays import as_numpy
from steepest.problem import Classification
from steepest.theory.alignment import alignment_along
from steepest.theory.descent_lemma import descent_errors_of
from steepest.theory.effective_margin import (
    Constants,
    EffectiveMargin,
    MethodLike,
    Setting,
    effective_margin_of,
    margin_value,
    setting,
)
from steepest.theory.inputs import as_steps, require_parts
from steepest.theory.loss_lemmas import log_total_odds, loss_deficit
from steepest.theory.steps import step_sizes


class TrajectoryLike(Protocol):
    """What a bound reads of a run; :class:`steepest.Trajectory` is one."""

    @property
    def method(self) -> Any: ...  # noqa: D102
    @property
    def steps(self) -> np.ndarray: ...  # noqa: D102
    @property
    def weights(self) -> np.ndarray: ...  # noqa: D102
    @property
    def log_loss(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class UnnormalizedBound:
    """A lower bound on the margin itself, see :func:`unnormalized_margin_bound`; arrays have shape [r]."""

    effective_margin: EffectiveMargin
    """ρ and what it is made of."""
    steps: np.ndarray
    """Updates done."""
    floor: np.ndarray
    """What margin(W_t) cannot be below; -inf where the theory says nothing."""
    start: float
    """The step that the last bound counts from; infinite if there is none."""


@dataclass(frozen=True)
class MarginBound:
    """A lower bound on the normalised margin, proven from a method's settings, or from a run's losses."""

    effective_margin: EffectiveMargin
    """ρ and what it is made of."""
    steps: np.ndarray
    """Updates done, shape [r]."""
    floor: np.ndarray
    """What margin(W_t) / ‖W_t‖ cannot be below, shape [r]; -inf where the theory says nothing."""
    start: float
    """t₁, the first step from which the bound counts; infinite if that is not among the steps."""

    @property
    def gap(self) -> np.ndarray:
        """The same as an upper bound on ρ - margin(W_t) / ‖W_t‖, shape [r]; infinite where there is none."""
        return self.effective_margin.value - self.floor


_READ = ("method", "steps", "log_loss", "weights")


def margin_bound(
    problem: Classification,
    trajectory: TrajectoryLike,
    margin: Any,
    constants: Constants = "sharp",
    *,
    measured_noise: bool = False,
) -> MarginBound:
    """Return the margin bound a posteriori: with the losses that a run has measured.

    With ρ the effective margin and δ_s the errors of the descent lemma, ``constants="paper"`` is

        ρ - margin(W_t) / ‖W_t‖ ≤ [ρ Σ_{s<t₁} η_s + Σ_{t₁≤s<t} η_s (ρ min(1, nL_s/2) + δ_s)] / Σ_{s<t} η_s

    where t₁ is the first record from which on L ≤ log 2 / n (exponential loss: L < 1/n, and no middle sum).
    (A run from W_0 ≠ 0 adds ‖W_0‖ to each sum that starts at 0.) It multiplies L_{s+1} ≤ L_s exp(-η_s (ρ
    G_s/L_s - δ_s)) over s, with e^{-margin} ≤ nL / log 2 at the end.

    ``"sharp"`` needs neither t₁ nor the middle sum. Let Y = log(e^{nL} - 1), so that margin ≥ -Y (Lemma C.8).
    Since nG ≥ 1 - e^{-nL} (Lemma C.7), a step with δ_s ≤ ρ takes y = nL to at most y - c (1 - e^{-y}), with
    c = η_s (ρ - δ_s). That is a step of Euler's method for y' = -(1 - e^{-y}), whose solutions are convex,
    so it ends below the solution, along which Y falls by exactly c. Hence for every r with δ_s ≤ ρ from r on

        margin(W_t) ≥ Σ_{r≤s<t} η_s (ρ - δ_s) - log(e^{nL_r} - 1),

    divided by the measured ‖W_t‖ instead of Σ η. Exponential loss: log nL_r in place of log(e^{nL_r} - 1).
    Other losses bring Y in their lemma constants.
    The first such record and the first of those from t₁ on serve as r; the better is taken.

    Args:
        problem: the data of the run.
        trajectory: the run, as :func:`steepest.descend` returns it.
        margin: γ as a number, or a max-margin solution in the method's norm.
        constants: ``"sharp"`` or ``"paper"``, see :func:`~steepest.theory.effective_margin`.
        measured_noise: replace ρ at a step by :func:`measured_alignment` there where that is larger (sharp
            constants alone); of use where records are dense.

    With ρ ≤ 0 the theorems say nothing: the floor is -inf, except with measured noise.

    >>> import steepest as st
    >>> problem = st.Classification([[1.0], [-1.0]], [0, 1])
    >>> trajectory = st.descend(problem, st.Method("max", schedule=st.PolynomialDecay(0.2, 0.5)), steps=1000)
    >>> bound = margin_bound(problem, trajectory, margin=2.0)
    >>> bool(1.8 < bound.floor[-1] <= trajectory.normalized_margin[-1] <= 2.0)
    True
    """
    numbers, rho, steps, log_loss = _run(problem, trajectory, margin, constants)
    switch("measured_noise", measured_noise)
    horizon = int(steps[-1])
    sizes, errors = step_sizes(numbers.schedule, horizon), descent_errors_of(numbers, horizon)
    if numbers.sharp:
        gains = sizes * (np.full(horizon, rho.value) - errors)
        if measured_noise:
            alignment = alignment_along(
                problem, numbers, trajectory.method.batch_size, steps, np.asarray(trajectory.weights)
            )
            gains = np.maximum(gains, sizes * (alignment - errors))
        lengths = as_numpy(numbers.norm(np.asarray(trajectory.weights)))
        floor, start = _sharp_floor(numbers, steps, log_loss, gains, lengths)
        if rho.vacuous and not measured_noise:
            floor, start = np.full(len(steps), -np.inf), math.inf
    else:
        offset = float(numbers.norm(np.asarray(trajectory.weights)[0]))
        floor, start = _paper_floor(numbers, rho, steps, log_loss, sizes, errors, offset)
    return MarginBound(rho, steps, floor, start)


def unnormalized_margin_bound(
    problem: Classification, trajectory: TrajectoryLike, margin: Any, constants: Constants = "sharp"
) -> UnnormalizedBound:
    """Return a lower bound on margin(W_t) itself (Lemmas D.3, E.3, F.3 and G.3), with a run's losses.

    The descent lemma reads L_{s+1} ≤ L_s (1 - η_s (ρ - δ_s) G_s/L_s) ≤ L_s exp(-η_s (ρ G_s/L_s - δ_s)), by
    G ≤ L. From t₁, where nL ≤ log 2 and so e^{-margin} ≤ nL / log 2 (Lemma C.8), ``constants="paper"`` is

        margin(W_t) ≥ Σ_{t₁≤s<t} η_s (ρ G_s/L_s - δ_s),    G_s/L_s ≥ 1 - min(1, nL_s/2)  (Lemma C.7)

    with δ_s = α η_s (D.3, F.3) or 4R β^{s+1} + α_s η_s (E.3, G.3). The paper bounds Σ 4R β^{s+1} η_s by 4R η₀
    β / (1-β); here it is summed. Exponential loss: G/L = 1 and t₁ is the first record with L < 1/n.

    Sharper than the paper, ``"sharp"``: with Y = log(e^{nL} - 1) as in :func:`margin_bound`

        margin(W_t) ≥ Σ_{r≤s<t} η_s (ρ - δ_s) - Y_r

    for the better of the first record r with δ ≤ ρ from r on and the first of those from t₁ on: G/L is gone
    and -Y_r, which is positive past t₁, is kept. Divided by ‖W_t‖ it is ``margin_bound``'s floor.

    Args:
        problem: the data.
        trajectory: a run, with its losses.
        margin: γ as a number, or a max-margin solution in the method's norm.
        constants: "sharp", "paper" or "fan".

    >>> import steepest as st
    >>> problem = st.Classification([[1.0], [-1.0]], [0, 1])
    >>> run = st.descend(problem, st.Method("max", schedule=st.PolynomialDecay(0.2, 0.5)), steps=1000)
    >>> bound = unnormalized_margin_bound(problem, run, margin=2.0)
    >>> bool(22 < bound.floor[-1] <= run.margin[-1] < 25)
    True
    """
    numbers, rho, steps, log_loss = _run(problem, trajectory, margin, constants)
    horizon = int(steps[-1])
    sizes, errors = step_sizes(numbers.schedule, horizon), descent_errors_of(numbers, horizon)
    nothing = UnnormalizedBound(rho, steps, np.full(len(steps), -np.inf), math.inf)
    if rho.vacuous:
        return nothing
    if numbers.sharp:
        found = _proven_margins(numbers, steps, log_loss, sizes * (rho.value - errors))
        later = [(r, np.where(steps[r] < steps, reached, -np.inf)) for r, reached in found]
        floor, start = _better(later, steps)
        return UnnormalizedBound(rho, steps, floor, start)
    first = _first_separated(numbers, log_loss)
    if first >= len(steps):
        return nothing
    deficits = _deficits_between(numbers, rho, steps, log_loss, sizes, errors)
    gained = _sums(sizes * (rho.value * (1.0 - deficits) - errors))
    start = int(steps[first])
    floor = np.where(steps >= start, gained[steps] - gained[start], -np.inf)
    return UnnormalizedBound(rho, steps, floor, float(start))


def predicted_margin_bound(
    problem: Classification,
    method: MethodLike,
    margin: Any,
    steps: np.ndarray,
    constants: Constants = "sharp",
) -> MarginBound:
    """Return the margin bound a priori: from the settings alone, before anything is run, starting at W_0 = 0.

    Let t_A be the first step from which on δ_s ≤ ρ (paper: ρ/2). Until then the loss grows by at most
    η_s min(2R, δ_s - ρ) a step (Lemma C.6, and the descent lemma with G ≤ 1), from L_0 = log k
    (cross-entropy). Then:

    - ``"sharp"``: the bound of :func:`margin_bound` with r = t_A and the loss bounded as said.
    - ``"paper"``: L falls by (ρ/2) η_s G_s, so G ≤ 1/(2n) at some step before t₁, the first with
      Σ_{t_A≤s<t₁} η_s ≥ (4n/ρ) L_{t_A}; there L ≤ log 2 / n (Lemma C.7), and it stays so. From then on
      nL_s ≤ e^{-(ρ/2) Σ_{t₁≤u<s} η_u}.

    Exponential loss: log(nL) starts at log n(k-1), changes by at most η_s min(2R, δ_s - ρ), and t₁ is the
    first step with Σ_{t_A≤s<t₁} η_s ≥ (2/ρ) log(n L_{t_A}). Pairwise logistic loss: L_0 = (k-1) log 2 and
    G ≤ k-1, otherwise as cross-entropy.

    ``steps`` are the t at which to bound, in increasing order; the cost is proportional to the largest. Where
    t_A lies beyond it the floor is -inf, and :func:`~steepest.theory.thresholds` says how far it is.

    Args:
        problem: the data.
        method: norm, batch size, momentum, variance reduction, loss and schedule.
        margin: γ as a number, or a max-margin solution in the method's norm.
        steps: t at which to bound, increasing, shape [r].
        constants: "sharp", "paper" or "fan".

    >>> from steepest import Method, PolynomialDecay
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> method = Method("max", schedule=PolynomialDecay(0.2, 0.5))
    >>> predicted_margin_bound(problem, method, 2.0, np.array([100, 10_000])).gap.round(3)
    array([0.415, 0.048])
    """
    numbers = setting(problem, method, constants)
    rho = effective_margin_of(numbers, margin_value(margin, numbers.norm))
    steps = as_steps(steps)
    horizon = int(steps[-1])
    sizes, errors = step_sizes(numbers.schedule, horizon), descent_errors_of(numbers, horizon)
    nothing = MarginBound(rho, steps, np.full(len(steps), -np.inf), math.inf)
    goal = rho.value if numbers.sharp else 0.5 * rho.value
    first = _start_of_descent(errors, goal)
    if rho.vacuous or first >= horizon:
        return nothing
    growth = float(np.sum(sizes[:first] * np.clip(errors[:first] - rho.value, 0.0, 2.0 * numbers.radius)))
    sums = _sums(sizes)
    lemmas = numbers.lemmas
    log_loss = lemmas.log_loss_after(numbers.n_classes, growth)
    if numbers.sharp:
        gained = _sums(sizes * (rho.value - errors))
        odds = float(log_total_odds(numbers.loss, log_loss, numbers.samples))
        reached = gained[steps] - gained[first] - odds
        return MarginBound(rho, steps, _ratio(reached, sums[steps], steps > first), float(first))
    if lemmas.proxy_is_loss:
        needed = 2.0 / rho.value * float(log_total_odds(numbers.loss, log_loss, numbers.samples))
    else:
        small = lemmas.separating_total / lemmas.separating_ratio
        needed = 2.0 * numbers.samples / (small * rho.value) * math.exp(log_loss)
    start = int(np.searchsorted(sums, sums[first] + needed * (1 + 1e-12)))
    if start >= horizon:
        return nothing
    # At t₁ the total loss is at most log 2 < 1, and from there on its logarithm falls.
    fading = -0.5 * rho.value * np.maximum(sums[:-1] - sums[start], 0.0)
    deficits = lemmas.deficit_of(fading, sharp=False)
    return MarginBound(
        rho, steps, _paper_ratio(rho, steps, start, sums, sizes, deficits, errors), float(start)
    )


def _run(
    problem: Classification, trajectory: TrajectoryLike, margin: Any, constants: Constants
) -> tuple[Setting, EffectiveMargin, np.ndarray, np.ndarray]:
    """Return what a bound reads of a run: its setting, ρ, the recorded steps and the losses there."""
    require_parts("trajectory", trajectory, _READ, "give a run, as steepest.descend returns it")
    numbers = setting(problem, trajectory.method, constants)
    rho = effective_margin_of(numbers, margin_value(margin, numbers.norm))
    return numbers, rho, np.asarray(trajectory.steps), np.asarray(trajectory.log_loss, dtype=float)


def _sharp_floor(
    numbers: Setting, steps: np.ndarray, log_loss: np.ndarray, gains: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, float]:
    found = _proven_margins(numbers, steps, log_loss, gains)
    normalized = [(anchors, _ratio(reached, lengths, steps[anchors] < steps)) for anchors, reached in found]
    return _better(normalized, steps)


def _better(found: Sequence[tuple[np.ndarray, np.ndarray]], steps: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the largest of the floors and the step that the last one counts from."""
    floor, start = np.full(len(steps), -np.inf), math.inf
    for anchors, candidate in found:
        if np.isfinite(candidate[-1]) and candidate[-1] >= floor[-1]:
            start = float(steps[anchors[-1]])
        floor = np.maximum(floor, candidate)
    return floor, start


def _proven_margins(
    numbers: Setting, steps: np.ndarray, log_loss: np.ndarray, gains: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for each way to choose r, its index at every record and Σ gains - Y_r there."""
    odds = log_total_odds(numbers.loss, log_loss, numbers.samples)
    gained = _sums(np.maximum(gains, 0.0))
    # For each record: the first one after the last step before it that may have raised the loss.
    raised = np.concatenate([[-1], np.where(gains < 0, np.arange(len(gains)), -1)])
    last_raised = np.maximum.accumulate(raised)[steps]
    earliest = np.searchsorted(steps, last_raised + 1)
    separated = np.maximum(earliest, _first_separated(numbers, log_loss))
    return [
        (anchors, gained[steps] - gained[steps[anchors]] - odds[anchors])
        for anchors in (earliest, np.minimum(separated, len(steps) - 1))
    ]


def _paper_floor(
    numbers: Setting,
    rho: EffectiveMargin,
    steps: np.ndarray,
    log_loss: np.ndarray,
    sizes: np.ndarray,
    errors: np.ndarray,
    offset: float,
) -> tuple[np.ndarray, float]:
    nothing = np.full(len(steps), -np.inf)
    # The records alone decide: the proof needs L ≤ log 2 / n at t₁ and at t, and L_s in the middle sum.
    first = _first_separated(numbers, log_loss)
    if rho.vacuous or first >= len(steps):
        return nothing, math.inf
    deficits = _deficits_between(numbers, rho, steps, log_loss, sizes, errors)
    start = int(steps[first])
    floor = _paper_ratio(rho, steps, start, _sums(sizes) + offset, sizes, deficits, errors)
    return floor, float(start)


def _deficits_between(
    numbers: Setting,
    rho: EffectiveMargin,
    steps: np.ndarray,
    log_loss: np.ndarray,
    sizes: np.ndarray,
    errors: np.ndarray,
) -> np.ndarray:
    """Return a bound on 1 - G_s/L_s at every step s, from the losses at the records."""
    segment = np.searchsorted(steps, np.arange(len(sizes)), side="right") - 1
    # Between records the loss falls where δ ≤ ρ; elsewhere log L rises by at most 2R η (Lemma C.6).
    rises = np.where(errors > rho.value, 2.0 * numbers.radius * sizes, 0.0)
    since = _sums(rises)
    between = log_loss[segment] + since[:-1] - since[steps[segment]]
    return loss_deficit(numbers.loss, between, numbers.samples, sharp=False)


def _paper_ratio(
    rho: EffectiveMargin,
    steps: np.ndarray,
    start: int,
    sums: np.ndarray,
    sizes: np.ndarray,
    deficits: np.ndarray,
    errors: np.ndarray,
) -> np.ndarray:
    lost = _sums(sizes * (rho.value * deficits + errors))
    numerator = rho.value * sums[start] + lost[steps] - lost[start]
    proven = steps > start
    with np.errstate(invalid="ignore"):
        return np.where(proven, rho.value - numerator / np.where(proven, sums[steps], 1.0), -np.inf)


def _first_separated(numbers: Setting, log_loss: np.ndarray) -> int:
    # Index of the first record from which on every loss is small enough to classify all samples correctly.
    limit = math.log(numbers.lemmas.separating_total) - math.log(numbers.samples)
    above = np.flatnonzero(log_loss > limit)
    return int(above[-1]) + 1 if len(above) else 0


def _start_of_descent(errors: np.ndarray, goal: float) -> int:
    above = np.flatnonzero(errors > goal)
    return int(above[-1]) + 1 if len(above) else 0


def _sums(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values)])


def _ratio(reached: np.ndarray, lengths: np.ndarray, proven: np.ndarray) -> np.ndarray:
    # A negative margin over a length that may be smaller would not be a bound.
    useful = proven & (reached > 0) & (lengths > 0)
    return np.where(useful, reached / np.where(useful, lengths, 1.0), -np.inf)
