"""The best bounds so far, with the weights and the dual weights that attain them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from steepest.arrays import Array

__all__ = ["CUTOFFS", "Best", "relative_gap"]

CUTOFFS = (1e-3, 1e-4, 1e-6, 1e-8, 1e-10)
"""Relative sizes below which dual weights are left out, where the gap holds without them: most at first."""


def relative_gap(lower: float, upper: float) -> float:
    """Return (upper - lower) / upper; 0 where the upper bound is 0, so that exact zeros are a closed gap.

    >>> relative_gap(3.0, 4.0), relative_gap(0.0, 0.0)
    (0.25, 0.0)
    """
    return (upper - lower) / upper if upper > 0.0 else 0.0


@dataclass
class Best:
    """Weights of the best lower bound and dual weights of the best upper bound; they may be of two points.

    >>> best = Best("W", "q")
    >>> best.take_weights("better W", 3.0), best.take_weights("worse W", 2.0), best.take_dual("better q", 4.0)
    (True, False, True)
    >>> best.weights, best.dual, best.relative_gap, best.within(0.1)
    ('better W', 'better q', 0.25, False)
    """

    weights: Array
    dual: Array
    lower: float = -math.inf
    upper: float = math.inf

    @property
    def relative_gap(self) -> float:
        """(upper - lower) / upper."""
        return relative_gap(self.lower, self.upper)

    def within(self, gap: float) -> bool:
        """Whether the bounds are as near as that: both finite, or the upper one not positive."""
        return self.relative_gap <= gap

    def take_weights(self, weights: Array, lower: float) -> bool:
        """Keep weights of a lower bound if it is better, and say whether it is."""
        better = lower > self.lower
        if better:
            self.weights, self.lower = weights, lower
        return better

    def take_dual(self, dual: Array, upper: float) -> bool:
        """Keep dual weights of an upper bound if it is better, and say whether it is."""
        better = upper < self.upper
        if better:
            self.dual, self.upper = dual, upper
        return better
