"""Verdicts: supported, contradicted or undecided, from what claims measured on data sets.

A claim asks several things, such as one for each batch size. It is supported if every one of them is shown
(an intersection-union test, which needs no correction), contradicted if the opposite of one is shown, and
undecided otherwise. Both are corrected by Holm's method over all that one figure asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from steepest.experiments.claims.measurement import Asked, MeanTest, Measurement
from steepest.experiments.claims.statistics import (
    LEVEL,
    Interval,
    data_sets_needed,
    holm,
    mean_interval,
    p_above,
    p_below,
    p_equivalent,
)

__all__ = ["LEAST_DATA_SETS", "LONGER", "Effect", "Judged", "Outcome", "Verdict", "decide", "judge"]

LEAST_DATA_SETS = 10
"""Fewer data sets decide nothing about a mean over them."""

_AIC = 4.0
_FALLING = 0.1
"""What falls no faster than t^-0.1 does not fall."""


class Verdict(Enum):
    """What a check concludes; the values are the words that tables show."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"

    def __str__(self) -> str:
        return self.value


class Outcome(Enum):
    """How one thing that is asked came out; the values are the words that tables show."""

    SHOWN = "yes"
    REFUTED = "no"
    SLOW = "slow"
    """Not there at the last step, and still on its way: more steps are needed, not more data sets."""
    AWAY = "not yet"
    """Not there at the last step, and not nearing it: a longer run would tell, more data sets would not."""
    FLOOR = "floor"
    """Not there, and it will not be: the error has come to a floor."""
    OPEN = "open"

    def __str__(self) -> str:
        return self.value


LONGER = (Outcome.SLOW, Outcome.AWAY)
"""What more steps would tell, and more data sets would not."""


@dataclass(frozen=True)
class Effect:
    """The size of one thing that a claim asks, over data sets."""

    quantity: str
    where: str
    asked: str
    mean: float
    """For ratios the geometric mean."""
    low: float
    """Lower end of the 95 % interval of the mean."""
    high: float
    least: float
    largest: float
    on_its_side: int
    """Data sets whose own value is on the side that is asked for."""
    data_sets: int
    outcome: Outcome
    more_data_sets: int | None
    """How many more data sets would decide it; None where it is decided, or where they would not help."""
    p_value: float
    """Of what is asked, one-sided, without correction."""
    proven: bool = False
    """Whether it is asked of every data set, so that the mean says nothing."""


@dataclass(frozen=True)
class Judged:
    """One measurement with its p-values, before the correction for all that a figure asks."""

    measurement: Measurement
    p_for: float
    p_against: float
    interval: Interval
    slow: bool = False
    away: bool = False
    floor: bool = False


def judge(measurement: Measurement) -> Judged:
    """Return the p-values for and against what a measurement is asked to be."""
    test, values = measurement.test, measurement.values
    if test is None:
        return _judge_each(measurement)
    scaled = test.scaled(values)
    found = mean_interval(scaled)
    if len(values) < LEAST_DATA_SETS:
        return Judged(measurement, 1.0, 1.0, found)
    bound, opposite = (math.log(each) if test.ratio else each for each in (test.bound, test.opposite))
    if test.asked is not Asked.EQUIVALENT:
        beyond, behind = (p_above, p_below) if test.asked is Asked.ABOVE else (p_below, p_above)
        p_for = beyond(scaled, bound)
        # Shown, however small it is, it is not contradicted by being small.
        return Judged(measurement, p_for, 1.0 if p_for <= LEVEL else behind(scaled, opposite), found)
    return _judge_equivalence(measurement, test, scaled, bound, found)


def _judge_each(measurement: Measurement) -> Judged:
    # A proven bound has no error rate: one exception refutes it, an infinite value beyond it too. What is not
    # a number is neither an exception nor within the bounds.
    low, high, values = measurement.at_least, measurement.at_most, measurement.values
    broken = any(value < low or value > high for value in values)
    p_for = 0.0 if values and all(low <= value <= high for value in values) else 1.0
    return Judged(measurement, p_for, 0.0 if broken else 1.0, mean_interval(values))


def _judge_equivalence(
    measurement: Measurement, test: MeanTest, scaled: np.ndarray, bound: float, found: Interval
) -> Judged:
    side = -1.0 if found.mean < 0 else 1.0
    outside = p_above(side * scaled, bound)
    drift = [side * np.asarray(each) for each in test.drift]
    # On its way: the distance to 1 falls in every late stretch. Stuck: what is compared itself does not.
    slow = bool(drift) and outside <= LEVEL and all(p_below(each, 0.0) <= LEVEL for each in drift)
    stuck = max((p_above(each, -_FALLING) for each in test.trend), default=1.0)
    floor = False
    if test.floor is not None and outside <= LEVEL:
        shares, advantages = (np.asarray(each) for each in test.floor)
        floor = p_above(shares, 0.0) <= LEVEL and mean_interval(advantages).low > _AIC
    against = max(outside, 0.0 if floor else 1.0 if slow else stuck)
    return Judged(measurement, p_equivalent(scaled, bound), against, found, slow, outside <= LEVEL, floor)


def decide(claims: Sequence[Sequence[Judged]]) -> list[tuple[Verdict, tuple[Effect, ...]]]:
    """Return the verdict of each claim of one figure, corrected together, with its effects."""
    supports = holm([max((each.p_for for each in judged), default=1.0) for judged in claims])
    against = holm([each.p_against for judged in claims for each in judged])
    decided, start = [], 0
    for p_for, judged in zip(supports, claims, strict=True):
        own = against[start : start + len(judged)]
        start += len(judged)
        if any(p <= LEVEL for p in own):
            verdict = Verdict.CONTRADICTED
        else:
            verdict = Verdict.SUPPORTED if p_for <= LEVEL else Verdict.UNDECIDED
        # A part counts as shown at the level that its claim is held to.
        factor = p_for / worst if (worst := max((e.p_for for e in judged), default=1.0)) > 0 else 1.0
        effects = tuple(_effect(each, factor, p) for each, p in zip(judged, own, strict=True))
        decided.append((verdict, effects))
    return decided


def _effect(judged: Judged, factor: float, p_against: float) -> Effect:
    m, test, found = judged.measurement, judged.measurement.test, judged.interval
    outcome = _outcome(judged, factor, p_against)
    if test is None:
        within = sum(slack >= 0 for slack in m.slack)
        return Effect(
            m.quantity, m.where, m.bound, found.mean, found.low, found.high, min(m.values), max(m.values),
            within, len(m.values), outcome, None, judged.p_for, proven=True,
        )  # fmt: skip
    shown = test.shown
    return Effect(
        m.quantity,
        m.where,
        test.words,
        shown(found.mean),
        shown(found.low),
        shown(found.high),
        min(m.values),
        max(m.values),
        int(np.sum(_on_side(m.values, test))),
        len(m.values),
        outcome,
        _more(test, found) if outcome is Outcome.OPEN else None,
        judged.p_for,
    )


def _outcome(judged: Judged, factor: float, p_against: float) -> Outcome:
    if p_against <= LEVEL:
        return Outcome.FLOOR if judged.floor else Outcome.REFUTED
    if judged.p_for * factor <= LEVEL:
        return Outcome.SHOWN
    if judged.slow:
        return Outcome.SLOW
    return Outcome.AWAY if judged.away else Outcome.OPEN


def _on_side(values: Sequence[float], test: MeanTest) -> np.ndarray:
    taken = np.asarray(values, float)
    if test.asked is Asked.ABOVE:
        return taken > test.bound
    if test.asked is Asked.BELOW:
        return taken < test.bound
    return (taken > 1 / test.bound) & (taken < test.bound)


def _more(test: MeanTest, found: Interval) -> int | None:
    if not math.isfinite(found.mean):
        return None
    if found.count < 2:
        return LEAST_DATA_SETS - found.count
    smallest = math.log(test.smallest) if test.ratio else test.smallest
    needed = data_sets_needed(found.deviation, smallest)
    if needed <= found.count:
        # The interval is as narrow as the smallest effect, and the bound lies in it: as many as resolve that.
        bound = math.log(test.bound) if test.ratio else test.bound
        distance = abs((abs(found.mean) if test.asked is Asked.EQUIVALENT else found.mean) - bound)
        needed = data_sets_needed(found.deviation, max(distance, 1e-6))
    return max(needed, LEAST_DATA_SETS, found.count + 1) - found.count
