"""Sums of step sizes Σ_{s<t} η_s, for any t: theory's thresholds lie far beyond what can be run."""

from __future__ import annotations

import math

import numpy as np

from steepest.errors import InvalidArgument
from steepest.schedules import PolynomialDecay, Schedule

_DIRECT = 4096


def step_sizes(schedule: Schedule, steps: int) -> np.ndarray:
    """Return η_0, ..., η_{steps-1}."""
    return np.broadcast_to(np.asarray(schedule(np.arange(steps)), dtype=float), (steps,))


def step_sum(schedule: PolynomialDecay, steps: float) -> float:
    """Return Σ_{s < steps} η_s, directly for few steps and by the Euler-Maclaurin formula for many.

    The formula's error is below 1e-14 relative from 4096 steps on. ``steps`` may be as large as 1e300.

    >>> round(step_sum(PolynomialDecay(1.0, 1.0), 4), 6)
    2.083333
    """
    a = schedule.exponent
    if steps <= _DIRECT:
        return float(step_sizes(schedule, int(steps)).sum())
    head = float(step_sizes(PolynomialDecay(1.0, a), _DIRECT).sum())
    first, last = float(_DIRECT), float(steps)
    integral = math.log(last / first) if a == 1 else (last ** (1 - a) - first ** (1 - a)) / (1 - a)
    ends = 0.5 * (last**-a - first**-a)
    slopes = -a / 12 * (last ** (-a - 1) - first ** (-a - 1))
    return schedule.initial * (head + integral + ends + slopes)


def steps_until_sum(schedule: PolynomialDecay, start: float, total: float) -> float:
    """Return the smallest whole number t with Σ_{start ≤ s < t} η_s ≥ total; infinite if there is none.

    >>> steps_until_sum(PolynomialDecay(1.0, 0.5), start=0, total=1.7)
    2.0
    """
    if total <= 0:
        return float(start)
    target = step_sum(schedule, start) + total
    high = max(start, 1.0)
    while step_sum(schedule, high) < target:
        high *= 2.0
        if high > 1e300:
            return math.inf
    low = float(start)
    while high - low > max(1.0, 1e-15 * high):
        middle = math.floor(0.5 * (low + high))
        if step_sum(schedule, middle) >= target:
            high = middle
        else:
            low = middle
    return float(math.ceil(high))


def steps_until_size(schedule: PolynomialDecay, size: float) -> float:
    """Return the smallest whole number t with η_t ≤ size; infinite if there is none.

    >>> steps_until_size(PolynomialDecay(1.0, 0.5), 0.1)
    99.0
    """
    if schedule.initial <= size:
        return 0.0
    if schedule.exponent == 0 or size <= 0:
        return math.inf
    logarithm = math.log(schedule.initial / size) / schedule.exponent
    if logarithm > 650:
        return math.inf
    step = max(0.0, math.ceil(math.exp(logarithm) * (1 - 1e-12)) - 1.0)
    while float(schedule(step)) > size:
        step = max(step + 1.0, math.nextafter(step, math.inf))
    return step


def require_polynomial(schedule: object) -> PolynomialDecay:
    """Return the schedule, or raise InvalidArgument if it is not of the family that closed forms know."""
    if not isinstance(schedule, PolynomialDecay):
        raise InvalidArgument("schedule", schedule, "give a PolynomialDecay: closed forms exist for it alone")
    return schedule
