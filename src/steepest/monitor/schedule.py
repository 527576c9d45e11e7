"""When a monitor measures: at steps that were chosen, or as often as a share of the time allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from steepest.arguments import real_number, whole_number
from steepest.errors import InvalidArgument

__all__ = ["AtSteps", "Schedule", "WithinShare", "schedule_of"]


class Schedule(Protocol):
    """Says whether to measure before a step."""

    def __call__(self, step: int, *, spent: float, elapsed: float) -> bool:
        """Whether to, by the step's number, the seconds spent on measuring and those since the start."""
        ...


@dataclass(frozen=True)
class AtSteps:
    """Measure at certain steps, whatever that takes.

    >>> at = AtSteps(frozenset([0, 100]))
    >>> at(100), at(101)
    (True, False)
    """

    steps: frozenset[int]

    def __call__(self, step: int, **_: Any) -> bool:
        """Whether the step is one of them."""
        return step in self.steps


@dataclass(frozen=True)
class Every:
    """Measure at every n-th step, the first included."""

    interval: int

    def __call__(self, step: int, **_: Any) -> bool:
        """Whether the step's number is a multiple."""
        return step % self.interval == 0


@dataclass(frozen=True)
class WithinShare:
    """Measure before the first step, and then whenever measuring has taken less than a share of the time.

    After a measurement of c seconds at a share s the next waits until c / s seconds have passed, so that
    measurements but the last take at most that share of the whole.

    >>> within = WithinShare(0.05)
    >>> (
    ...     within(0, spent=0.0, elapsed=0.0),
    ...     within(10, spent=1.0, elapsed=19.0),
    ...     within(11, spent=1.0, elapsed=20.0),
    ... )
    (True, False, True)
    """

    share: float

    def __call__(self, step: int, *, spent: float, elapsed: float) -> bool:
        """Whether the seconds spent are at most the share of those since the start."""
        return step == 0 or spent <= self.share * elapsed


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
        return lambda step, **_: bool(chosen(step))
    if isinstance(every, Iterable) and not isinstance(every, (str, bytes)):
        return AtSteps(frozenset(whole_number("every", step, 0) for step in every))
    remedy = (
        "give a number of steps, the steps themselves, a function of a step, or None for a share of the time"
    )
    if isinstance(every, str):
        raise InvalidArgument("every", every, remedy)
    return Every(whole_number("every", every, 1, remedy))
