"""What a solver hands on to be certified, and the deadline that it is given."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

__all__ = ["Candidate", "Deadline"]


@dataclass(frozen=True)
class Candidate:
    """Weights and dual weights that a solver proposes; nothing is believed of them until certified."""

    weights: np.ndarray
    """Shape of the reduced problem's unknowns, of any size."""
    dual: np.ndarray
    """Shape [n, k], non-negative, of any positive sum."""
    iterations: int
    method: str


@dataclass(frozen=True)
class Deadline:
    """The moment after which a solver stops with what it has."""

    at: float = float("inf")

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """The deadline that many seconds from now; None is never."""
        return cls() if seconds is None else cls(time.perf_counter() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.at - time.perf_counter())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return time.perf_counter() >= self.at
