"""Closed forms of t₀, the step from which c₂(t) is bounded (Lemma C.15, equations C.15 and C.16)."""

from __future__ import annotations

import math

from steepest.errors import InvalidArgument
from steepest.schedules import Schedule
from steepest.theory.inputs import as_momentum, as_radius, as_schedule
from steepest.theory.steps import require_polynomial

__all__ = ["drift_start_bound"]


def drift_start_bound(schedule: Schedule, momentum: float, radius: float) -> float:
    """Return a closed-form T₀ with c₂(t) ≤ 16 β' R η_{⌈t/2⌉} / ((1-β)² η_t) for every t ≥ T₀.

    That is twice the head of :func:`~steepest.theory.drift_bound`, 4 · 2^a · 2R / (1-β)² · 2β' as t grows: by
    T₀ what is older than t/2 weighs no more than the rest. Write β' = (1+β)/2, λ = log(1/β') ≥ (1-β)/2,
    q = log(β'/β) ≥ 2(1-β)/(1+3β), since log(1+x) ≥ 2x/(2+x).

    - The first step J with 2R η_J ≤ q is at most J̄ = (2R η₀ / q)^{1/a} ≤ (R η₀ (1+3β)/(1-β))^{1/a}.
    - The growth before it, log P ≤ 2R Σ_{s<J} η_s, is at most Ḡ with

          a < 1:  Ḡ = 2R η₀ (1 + (J̄^{1-a} - 1)/(1-a))             (C.15)
          a = 1:  Ḡ = 2R η₀ (1 + log J̄)                           (C.16)

      and 0 where J̄ < 1. For J̄ ≥ 1 each is the integral bound of Σ_{s<J} (s+1)^{-a}.
    - For t ≥ 2J̄ the tail is at most P β'^{t/2} (2/(1-β) + J̄) and the head at least 8R β' η₀ (t+1)^{-a} /
      (1-β)². So tail ≤ head where λ t/2 - a log(t+1) ≥ K = Ḡ + log(2/(1-β) + J̄) - log(8R β' η₀/(1-β)²).
      By log x ≤ cx - 1 - log c with c = λ/(4a), a log(t+1) ≤ λ(t+1)/4 - a + a log(4a/λ), so that it holds
      from t = (4/λ) (K + a log(4a/λ) - a) + 1 on.

    T₀ is the larger of that and 2J̄. With β → 1 both are of the order (1-β)^{-1/a}, the second up to a
    logarithm: for a < 1 the paper's (C.15); for a = 1 of the order log(1/(1-β)) / (1-β) (C.16).

    Args:
        schedule: the step sizes η.
        momentum: β in [0, 1).
        radius: R, in units of the features.

    Raises:
        InvalidArgument: the schedule is not a :class:`~steepest.PolynomialDecay` with 0 < a ≤ 1.

    >>> from steepest import PolynomialDecay
    >>> from steepest.theory.drift import drift_bound
    >>> schedule = PolynomialDecay(0.1, 0.5)
    >>> drift_bound(schedule, 0.9, 1.0).start <= drift_start_bound(schedule, 0.9, 1.0) < 1e3
    True
    """
    schedule = require_polynomial(as_schedule(schedule))
    beta, radius = as_momentum(momentum), as_radius(radius)
    a, first = schedule.exponent, schedule.initial
    if not 0 < a <= 1:
        raise InvalidArgument("schedule", schedule, "give an exponent with 0 < exponent <= 1")
    if beta == 0:
        return 0.0
    faded, margin = 0.5 * (1.0 + beta), math.log1p((1.0 - beta) / (2.0 * beta))
    fading = -math.log1p(-0.5 * (1.0 - beta))
    log_contraction = math.log(2.0 * radius * first / margin) / a
    if log_contraction > 650:
        return math.inf
    contraction = math.exp(log_contraction)
    growth = _growth(2.0 * radius * first, contraction, a)
    excess = growth + math.log(2.0 / (1.0 - beta) + contraction)
    excess -= math.log(8.0 * radius * faded * first) - 2.0 * math.log1p(-beta)
    settled = 4.0 / fading * (excess + a * math.log(4.0 * a / fading) - a) + 1.0
    return max(2.0 * contraction, settled)


def _growth(moved: float, contraction: float, a: float) -> float:
    if contraction < 1.0:
        return 0.0
    integral = math.log(contraction) if a == 1 else (contraction ** (1.0 - a) - 1.0) / (1.0 - a)
    return moved * (1.0 + integral)
