"""When a monitor measures: at steps that were chosen, or as often as a share of the time allows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from steepest.arguments import real_number, whole_number
from steepest.errors import InvalidArgument

__all__ = ["AtSteps", "Schedule", "WithinShare", "schedule_of"]


class Schedule(Protocol):
    """Says whether to measure before a step, and for how long."""

    def __call__(self, step: int, /, *, spent: float, elapsed: float, needed: float) -> float:
        """Return the seconds that a measurement may take now: 0 for none, infinity for what it needs.

        By the step's number, the seconds spent on measuring, those since the start, measuring included, and
        those that a measurement is expected to need.
        """
        ...


@dataclass(frozen=True)
class AtSteps:
    """Measure at certain steps, whatever that takes.

    >>> at = AtSteps(frozenset([0, 100]))
    >>> at(100), at(101)
    (inf, 0.0)
    """

    steps: frozenset[int]

    def __call__(self, step: int, **_: Any) -> float:
        """Return infinity at one of the steps."""
        return math.inf if step in self.steps else 0.0


@dataclass(frozen=True)
class Every:
    """Measure at every n-th step, the first included."""

    interval: int

    def __call__(self, step: int, **_: Any) -> float:
        """Return infinity at a multiple."""
        return math.inf if step % self.interval == 0 else 0.0


@dataclass(frozen=True)
class WithinShare:
    """Measure whenever that fits a share of the time of training.

    A measurement waits until the share, less what has been spent, is what it is expected to need, and takes
    no longer. So none comes before the first step.

    >>> within = WithinShare(0.05)
    >>> (
    ...     within(0, spent=0.0, elapsed=0.0, needed=0.0),
    ...     within(10, spent=1.0, elapsed=40.0, needed=1.0),
    ...     within(11, spent=1.0, elapsed=41.0, needed=1.0),
    ... )
    (0.0, 0.0, 1.0)
    """

    share: float

    def __call__(self, _step: int, /, *, spent: float, elapsed: float, needed: float) -> float:
        """Return what is left of the share of the seconds of training, if it is enough."""
        left = self.share * (elapsed - spent) - spent
        return left if left >= max(needed, _LEAST) else 0.0


_LEAST = 1e-3
"""Seconds below which a clock tells nothing."""


def schedule_of(every: object, share: object) -> Schedule:
    """Return the schedule of two arguments: steps, an interval or a function; else a share of the time.

    Raises:
        InvalidArgument: they say neither.
    """
    if every is None:
        remedy = "give the share of the time that measuring may take, above 0 and at most 1"
        return WithinShare(real_number("share", share, remedy, above=0.0, at_most=1.0))
    if callable(every):
        chosen = every
        return lambda step, **_: math.inf if chosen(step) else 0.0
    if isinstance(every, Iterable) and not isinstance(every, (str, bytes)):
        return AtSteps(frozenset(whole_number("every", step, 0) for step in every))
    remedy = (
        "give a number of steps, the steps themselves, a function of a step, or None for a share of the time"
    )
    if isinstance(every, str):
        raise InvalidArgument("every", every, remedy)
    return Every(whole_number("every", every, 1, remedy))
