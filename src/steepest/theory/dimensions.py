"""What the number of features costs: the paper's bounds beside those with a factor d (Fan et al., 2025)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from steepest.arguments import whole_number
from steepest.errors import InvalidArgument
from steepest.problem import Classification
from steepest.schedules import PolynomialDecay
from steepest.theory.descent_lemma import closed_form_error
from steepest.theory.effective_margin import (
    EffectiveMargin,
    MethodLike,
    Setting,
    effective_margin_of,
    margin_value,
    setting,
)
from steepest.theory.steps import require_polynomial, step_sum
from steepest.theory.thresholds import thresholds_of

__all__ = ["DimensionRow", "dimension_comparison", "settled_gap"]

_DIMENSIONS = (10, 32, 100, 316, 1000, 3162, 10_000)


@dataclass(frozen=True)
class DimensionRow:
    """The thresholds and the margin bound of the full batch with momentum, at one number of features d."""

    features: int
    """d."""
    paper_start: float
    """t₁ with the paper's constants: it does not depend on d."""
    fan_start: float
    """t₁ with drift and start-up of momentum times d."""
    step: float
    """The step t at which the gaps are bounded, the same for all rows."""
    paper_gap: float
    """A bound on (ρ - margin(W_t)/‖W_t‖) / ρ with the paper's constants; at least 1 says nothing."""
    fan_gap: float
    """The same with Fan et al.'s."""


def dimension_comparison(
    problem: Classification,
    method: MethodLike,
    margin: Any,
    features: Iterable[int] = _DIMENSIONS,
    step: float | None = None,
) -> tuple[DimensionRow, ...]:
    """Return t₁ and the margin bound for several d at fixed R, γ, n, k, β and step sizes.

    The problem gives R, γ, n and k; only d varies, as it does where features are added that leave R = max
    ‖x‖₁ as it is. Both columns use the paper's constants; Fan et al.'s multiply the drift of momentum and
    its start-up by d (see ``descent_errors``). By default t is 100 times the larger t₁ of the last row.

    Raises:
        InvalidArgument: not the full batch with momentum, a schedule other than
            :class:`~steepest.PolynomialDecay` with 0 < a ≤ 1, or numbers of features below 1.

    >>> import steepest as st
    >>> problem = st.Classification([[1.0], [-1.0]], [0, 1])
    >>> method = st.Method("max", momentum=0.9, schedule=st.PolynomialDecay(0.1, 0.5))
    >>> rows = dimension_comparison(problem, method, 2.0, [10, 1000])
    >>> rows[0].paper_start == rows[1].paper_start, rows[1].fan_start > 100 * rows[0].fan_start
    (True, True)
    """
    fan = setting(problem, method, "fan")
    schedule = require_polynomial(fan.schedule)
    if fan.momentum == 0:
        raise InvalidArgument("momentum", 0.0, "give a momentum above 0: without it d enters nowhere")
    if not 0 < schedule.exponent <= 1:
        raise InvalidArgument("schedule", schedule, "give an exponent with 0 < exponent <= 1")
    sizes = [whole_number("features", each, 1) for each in features]
    paper = replace(fan, constants="paper")
    rho = effective_margin_of(paper, margin_value(margin, paper.norm))
    found = [(d, replace(fan, features=d)) for d in sizes]
    starts = [thresholds_of(each, rho).separation for _, each in found]
    first = thresholds_of(paper, rho).separation
    finite = [start for start in [first, *starts] if math.isfinite(start)]
    at = 100.0 * max(finite, default=math.inf) if step is None else float(step)
    paper_gap = settled_gap(paper, rho, first, at)
    return tuple(
        DimensionRow(d, first, start, at, paper_gap, settled_gap(each, rho, start, at))
        for (d, each), start in zip(found, starts, strict=True)
    )


def settled_gap(numbers: Setting, rho: EffectiveMargin, start: float, step: float) -> float:
    """Return a closed-form bound on (ρ - margin(W_t)/‖W_t‖) / ρ at t = ``step`` > t₁ = ``start``.

    The paper's bound is [ρ S(t₁) + Σ_{t₁≤s<t} η_s (ρ min(1, nL_s/2) + δ_s)] / S(t), with S(t) = Σ_{s<t} η_s.
    From t₁ on nL_s/2 ≤ ½ e^{-(ρ/2)(S(s) - S(t₁))}, whose sum with weights η_s is at most ½ (η_{t₁} + 2/ρ) (a
    left sum of a decreasing function). The closed form of δ_s decreases, so over [u, 2u) the sum of η_s δ_s
    is at most δ_u (S(2u) - S(u)). Infinite before t₁.
    """
    schedule = numbers.schedule
    assert isinstance(schedule, PolynomialDecay)
    if rho.vacuous or not math.isfinite(start) or step <= start:
        return math.inf
    lost = rho.value * step_sum(schedule, start) + 0.5 * (rho.value * float(schedule(start)) + 2.0)
    here = start
    while here < step:
        there = min(step, math.floor(max(here + 1.0, 1.25 * here)))
        lost += closed_form_error(numbers, here) * (step_sum(schedule, there) - step_sum(schedule, here))
        here = there
    return lost / (rho.value * step_sum(schedule, step))
