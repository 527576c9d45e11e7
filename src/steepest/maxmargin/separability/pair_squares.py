"""Normal equations of pairs, Σ w_ic a_ic a_icᵀ V = B, without the matrix, which has (k r)² entries.

Conjugate gradients, preconditioned by the matrix's blocks of one class each: of nearly dependent features,
such as pixels, they take care within a class, and what is left between classes takes some dozens of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import towards

__all__ = ["Blocks", "PairSquares"]

_RIDGE = 1e-12
_MOST_NUMBERS = 20_000_000
"""In factors of a block for every class: of more, all classes share one."""
_LONGER = 100.0


@dataclass(frozen=True)
class PairSquares:
    """The map V -> Σ w_ic a_ic a_icᵀ V of V [k, r], where a_icᵀ V = (e_{y_i} - e_c)ᵀ V z_i."""

    Z: np.ndarray
    """Features of the samples of positive weight, shape [s, r]."""
    y: np.ndarray
    """Their classes, shape [s]."""
    weights: np.ndarray
    """w, shape [s, k], 0 at the true class."""

    @classmethod
    def of(cls, Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> PairSquares:
        """The squares of samples [n], of which those of positive weight are taken."""
        rows = np.flatnonzero(weights.any(axis=1))
        return cls(Z[rows], y[rows], weights[rows])

    def times(self, V: np.ndarray) -> np.ndarray:
        """Return the product with V [k, r].

        >>> squares = PairSquares(np.array([[2.0]]), np.array([0]), np.array([[0.0, 1.0]]))
        >>> squares.times(np.array([[1.0], [0.0]])).tolist()
        [[4.0], [-4.0]]
        """
        logits = self.Z @ V.T
        margins = logits[np.arange(len(self.y)), self.y][:, None] - logits
        return towards(margins * self.weights, self.y).T @ self.Z

    def solved(
        self,
        right: np.ndarray,
        blocks: Blocks,
        share: float,
        most: int,
        deadline: Deadline,
        *,
        grounded: bool = False,
    ) -> tuple[np.ndarray, int]:
        """Return V with a residual of about ``share`` of the right side [k, r], and the steps taken.

        After ``most`` steps, or out of time, V is what was reached. ``grounded`` keeps the first class at the
        origin, which a common shift allows: more steps, to residuals that are rounding.
        """
        V = np.zeros_like(right)
        # The rows of one class are minus the sum of the others, but for rounding.
        kept = np.ones((len(right), 1))
        kept[0] = 0.0 if grounded else 1.0
        left = right * kept
        ahead = blocks.solve(left)
        size = first = float(np.vdot(left, ahead))
        direction = ahead
        for step in range(most):
            if not size > share**2 * first or deadline.passed:
                return V, step
            image = self.times(direction)
            curvature = float(np.vdot(direction, image))
            if not curvature > 0.0:
                return V, step
            V = V + size / curvature * direction
            left = left - size / curvature * image * kept
            ahead = blocks.solve(left)
            before, size = size, float(np.vdot(left, ahead))
            direction = ahead + size / before * direction
        return V, most


@dataclass(frozen=True)
class Blocks:
    """Factors of the blocks of one class each, by which equations are preconditioned."""

    factors: list[tuple[np.ndarray, Any]]
    """Of every class, or one of their sum."""
    shares: np.ndarray
    """What they are multiplied by for each class, shape [k]."""

    @classmethod
    def of(cls, squares: PairSquares) -> Blocks:
        """The blocks of squares."""
        k, r = squares.weights.shape[1], squares.Z.shape[1]
        of_class = squares.weights.copy()
        of_class[np.arange(len(squares.y)), squares.y] = squares.weights.sum(axis=1)
        if k * r * r <= _MOST_NUMBERS:
            return cls([_factor(squares.Z, w) for w in of_class.T], np.ones(k))
        totals = of_class.sum(axis=0)
        shares = np.maximum(totals / max(float(totals.sum()), 1e-300), 1e-6 / k)
        return cls([_factor(squares.Z, of_class.sum(axis=1))], shares)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Return the solution for the blocks alone, of a right side [k, r].

        >>> squares = PairSquares(np.array([[2.0]]), np.array([0]), np.array([[0.0, 1.0]]))
        >>> Blocks.of(squares).solve(np.array([[4.0], [-4.0]])).round(6).tolist()
        [[1.0], [-1.0]]
        """
        if len(self.factors) == 1:
            return _solve(self.factors[0], right) / self.shares[:, None]
        return np.stack([_solve(*each) for each in zip(self.factors, right, strict=True)])


def _factor(Z: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return the scales of features and the factor of the block, both sides of it divided by these."""
    used = np.flatnonzero(weights)
    rows = Z[used] * np.sqrt(weights[used])[:, None]
    squares = rows.T @ rows
    scales = np.sqrt(squares.diagonal())
    scales[scales == 0] = 1.0
    squares /= np.outer(scales, scales)
    ridge = _RIDGE
    while True:
        squares[np.diag_indices(len(squares))] += ridge
        try:
            return scales, scipy.linalg.cho_factor(squares, check_finite=False)
        except np.linalg.LinAlgError:
            # Rounding of dependent features: the preconditioner need not be the matrix itself.
            ridge *= _LONGER


def _solve(factor: tuple[np.ndarray, Any], right: np.ndarray) -> np.ndarray:
    scales, lower = factor
    return scipy.linalg.cho_solve(lower, (right / scales).T, check_finite=False).T / scales
