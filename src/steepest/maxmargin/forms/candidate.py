"""What a solver hands on to be certified, and the deadline that it is given."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from steepest.maxmargin.forms.watch import Watch

__all__ = ["Candidate", "Deadline", "Pace"]


@dataclass(frozen=True)
class Candidate:
    """Weights and dual weights that a solver proposes; nothing is believed of them until certified."""

    weights: np.ndarray
    """Shape of the reduced problem's unknowns, of any size."""
    dual: np.ndarray
    """Shape [n, k], non-negative, of any positive sum."""
    iterations: int
    method: str
    free: np.ndarray | None = None
    """Weights of the free features beside them, shape [k, f]; None where there are none."""


@dataclass(frozen=True)
class Deadline:
    """The moment after which a solver stops with what it has."""

    at: float = float("inf")
    watch: Watch | None = None
    """What is told how far a solver has come, and may stop it before."""
    whole: bool = True
    """Whether bounds are those of the whole computation, not of a part of it or in another form."""

    @classmethod
    def after(cls, seconds: float | None, watch: Watch | None = None) -> Deadline:
        """The deadline that many seconds from now; None is never."""
        return cls(watch=watch) if seconds is None else cls(time.perf_counter() + seconds, watch)

    @property
    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.at - time.perf_counter())

    @property
    def passed(self) -> bool:
        """Whether no time is left, or the computation was stopped."""
        return time.perf_counter() >= self.at or self.stopped

    @property
    def of_part(self) -> Deadline:
        """The same deadline for a part of the computation, or for another form of it."""
        return replace(self, whole=False)

    @property
    def stopped(self) -> bool:
        """Whether whoever watches, or Ctrl-C, stopped the computation."""
        return self.watch is not None and self.watch.stopped

    def certified(self, margin: float, upper_bound: float) -> None:
        """Say what bounds are certified, to whoever watches."""
        if self.watch is not None and self.whole:
            self.watch.certified(margin, upper_bound)

    def tell(self, method: str, iterations: int, gap: float) -> None:
        """Say how far a solver has come, to whoever watches."""
        if self.watch is not None:
            self.watch.tell(method, iterations, gap)


@dataclass
class Pace:
    """Whether a deadline leaves time for another iteration, where iterations may take many seconds."""

    deadline: Deadline
    began: float = field(default_factory=time.perf_counter)
    """When the iteration at work began."""
    longest: float = 0.0
    """Seconds of the longest iteration so far."""

    def allows(self) -> bool:
        """Whether an iteration as long as the longest so far would end in time; called before each of them.

        >>> Pace(Deadline()).allows(), Pace(Deadline.after(0.0)).allows()
        (True, False)
        """
        now = time.perf_counter()
        self.longest, self.began = max(self.longest, now - self.began), now
        return not self.deadline.passed and self.deadline.remaining >= self.longest
