"""How long the theory needs: t₀, the start of descent and t₁, by closed forms that reach beyond any run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from steepest.errors import InvalidArgument
from steepest.problem import Classification
from steepest.theory.descent_lemma import closed_form_error
from steepest.theory.drift import drift_bound
from steepest.theory.effective_margin import (
    Constants,
    EffectiveMargin,
    MethodLike,
    Setting,
    effective_margin_of,
    margin_value,
    setting,
)
from steepest.theory.loss_lemmas import log_total_odds
from steepest.theory.steps import require_polynomial, step_sum, steps_until_sum


@dataclass(frozen=True)
class Thresholds:
    """Steps from which the theory's statements hold; infinite where they never do."""

    drift: float
    """t₀: c₂(t) is below its closed form from here on (Lemma C.15); 0 without momentum."""
    descent: float
    """t_A: every later step lowers the loss, by at least (ρ/2) η_t G_t."""
    separation: float
    """t₁: every later iterate classifies every sample correctly (Lemmas D.2, E.2, F.2, G.2)."""


def thresholds(
    problem: Classification, method: MethodLike, margin: Any, constants: Constants = "sharp"
) -> Thresholds:
    """Return the thresholds t₀, t_A and t₁ of a method on a problem, started at W_0 = 0.

    t_A is the first step with (closed form of δ_t) ≤ ρ/2; the closed forms decrease, so it lasts. By then
    the loss is at most L_A = log k + 2R Σ_{s<t_A} η_s (Lemma C.6). Summing the descent lemma from t_A,
    Σ η_s G_s ≤ (2/ρ) L_A, so G ≤ 1/(2n) at some step before

        t₁ = first t with Σ_{t_A≤s<t} η_s ≥ (4n/ρ) L_A,

    where L ≤ 2 log 2 · G ≤ log 2 / n (Lemma C.7), and it stays so. Sharp constants need only
    Σ η_s ≥ (2/ρ) log(e^{n L_A} - 1), since log(e^{nL} - 1) falls by (ρ/2) η_s (see ``margin_bound``).
    For the exponential loss log L falls by (ρ/2) η_s from log L_A = log(k-1) + 2R Σ_{s<t_A} η_s on, to below
    log 1/n. The pairwise logistic loss has L_A = (k-1) (log 2 + 2R Σ_{s<t_A} η_s), and then goes on as
    cross-entropy. With ρ ≤ 0 both are infinite.

    They are worst cases, often astronomical: a run's own t₁ is ``margin_bound(...).start``.

    Raises:
        InvalidArgument: the schedule is not a :class:`~steepest.PolynomialDecay`.

    >>> from steepest import Method, PolynomialDecay
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> method = Method("max", schedule=PolynomialDecay(0.2, 0.5))
    >>> thresholds(problem, method, margin=2.0)
    Thresholds(drift=0.0, descent=0.0, separation=12.0)
    """
    numbers = setting(problem, method, constants)
    return thresholds_of(numbers, effective_margin_of(numbers, margin_value(margin, numbers.norm)))


def thresholds_of(numbers: Setting, rho: EffectiveMargin) -> Thresholds:
    """Return the thresholds for the numbers of a setting and its effective margin."""
    schedule = require_polynomial(numbers.schedule)
    try:
        drift = drift_bound(schedule, numbers.momentum, numbers.radius).start
    except InvalidArgument:
        return Thresholds(math.inf, math.inf, math.inf)
    descent = math.inf if rho.vacuous else _first_below(numbers, 0.5 * rho.value, drift)
    if math.isinf(descent):
        return Thresholds(drift, math.inf, math.inf)
    moved = 2.0 * numbers.radius * step_sum(schedule, descent)
    lemmas = numbers.lemmas
    log_loss = lemmas.log_loss_after(numbers.n_classes, moved)
    if not numbers.sharp and not lemmas.proxy_is_loss:
        small = lemmas.separating_total / lemmas.separating_ratio
        needed = 2.0 * numbers.samples / (small * rho.value) * math.exp(log_loss)
    else:
        needed = 2.0 / rho.value * float(log_total_odds(numbers.loss, log_loss, numbers.samples))
    return Thresholds(drift, descent, steps_until_sum(schedule, descent, needed))


def _first_below(numbers: Setting, goal: float, first: float) -> float:
    low, high = first, max(first, 1.0)
    if closed_form_error(numbers, low) <= goal:
        return low
    while closed_form_error(numbers, high) > goal:
        low, high = high, 2.0 * high
        if high > 1e300:
            return math.inf
    while high - low > max(1.0, 1e-15 * high):
        middle = math.floor(0.5 * (low + high))
        if closed_form_error(numbers, middle) <= goal:
            high = middle
        else:
            low = middle
    return float(high)
