"""What a max-margin computation returns: weights, both bounds, their evidence and a status."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np

from steepest.geometry import Norm

__all__ = ["MaxMarginSolution", "Status"]


class Status(Enum):
    """How a max-margin computation ended; the values are the messages."""

    SOLVED = "solved: the certified relative gap is within the one asked for"
    NOT_SEPARABLE = "not separable: certified by dual weights q with A(q) = 0 to rounding"
    GAP_NOT_REACHED = "gap not reached within the limit: these are the best certified bounds so far"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class MaxMarginSolution:
    """A certified max margin: γ = max_{‖W‖ ≤ 1} min_{i, c ≠ y_i} (e_{y_i} - e_c)ᵀ W x_i.

    Both bounds were computed from (``weights``, ``dual``) in the original data, with rounding accounted
    for: ``margin`` ≤ γ ≤ ``upper_bound`` holds whatever the solver did. Arrays are NumPy arrays.
    """

    norm: Norm
    """The norm whose unit ball the weights are in."""
    weights: np.ndarray
    """W, shape [k, d], of norm 1; zeros where no weights with a positive margin are known."""
    margin: float
    """Lower bound on γ, attained by ``weights``; 0 where these are zero. In units of the features."""
    upper_bound: float
    """‖A(q)‖_* of ``dual``, an upper bound on γ."""
    relative_gap: float
    """(upper_bound - margin) / upper_bound; 0 where both are 0."""
    dual: np.ndarray
    """q, shape [n, k]: non-negative, of sum 1, zero at the true class and away from the support."""
    separable: bool | None
    """True: ``margin`` > 0. False: ``dual`` certifies that no weights separate the data. None: undecided."""
    seconds: float
    """Wall-clock time of the computation."""
    iterations: int
    """Iterations of the method that gave the solution."""
    method: str
    """The method that gave the solution."""
    status: Status = field(default=Status.SOLVED)
    """How the computation ended."""

    @cached_property
    def support(self) -> np.ndarray:
        """Pairs (i, c) with dual weight, shape [s, 2], int64, ordered by sample."""
        return np.argwhere(self.dual > 0).astype(np.int64)

    def __repr__(self) -> str:
        return (
            f"MaxMarginSolution({self.norm}: {self.margin:.12g} <= max margin <= {self.upper_bound:.12g}, "
            f"relative gap {self.relative_gap:.1e}, {self.method}, {self.iterations} iterations, "
            f"{self.seconds:.2f} s; {self.status.name.lower().replace('_', ' ')})"
        )
