"""Values, directions and singular triples in mpmath with 50 digits: the independent truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

DIGITS = 50

Matrix = Any
"""A matrix of mpmath, whose type is made at run time."""


def _sign(x):
    return (x > 0) - (x < 0)


def length(values, p):
    """Return the p-norm of numbers, for a Fraction p or infinity."""
    moduli = [abs(mpmath.mpf(v)) for v in values]
    if p == float("inf"):
        return max(moduli)
    p = mpmath.mpf(p.numerator) / p.denominator
    return mpmath.fsum(m**p for m in moduli if m) ** (1 / p)


def direction(values, p):
    """Return the steepest-descent direction of a vector, 1 < p < infinity, by the textbook formula."""
    values = [mpmath.mpf(v) for v in values]
    q = p / (p - 1)
    size = length(values, q)
    power = mpmath.mpf(q.numerator - q.denominator) / q.denominator
    return [_sign(v) * (abs(v) / size) ** power if v else mpmath.mpf(0) for v in values]


def as_matrix(S: np.ndarray) -> Matrix:
    """Return a float matrix as it is stored."""
    return mpmath.matrix(np.asarray(S, dtype=np.float64).tolist())


@dataclass(frozen=True)
class SingularTriples:
    """The rows of ``left`` and ``right`` are the exact singular vectors of ``values``, largest first."""

    left: Matrix
    values: list
    right: Matrix

    @classmethod
    def of(cls, matrix: Matrix) -> SingularTriples:
        """Return the singular triples of an mpmath matrix."""
        with mpmath.workdps(DIGITS):
            if matrix.rows <= matrix.cols:
                left, values, right = mpmath.svd_r(matrix.T)
                return cls(right, list(values), left.T)
            left, values, right = mpmath.svd_r(matrix)
            return cls(left.T, list(values), right)

    def relative(self) -> np.ndarray:
        """Return σᵢ/σ₁."""
        return np.array([float(v / self.values[0]) for v in self.values])

    def errors_of_polar(self, D: Matrix) -> np.ndarray:
        """Return for each i the larger of ‖uᵢᵀ D - vᵢᵀ‖ and ‖D vᵢ - uᵢ‖."""
        with mpmath.workdps(DIGITS):
            rows, columns = self.left * D - self.right, D * self.right.T - self.left.T
            return np.array(
                [
                    float(max(mpmath.norm(list(rows[i, :])), mpmath.norm(list(columns[:, i]))))
                    for i in range(len(self.values))
                ]
            )


def harm_of_rounding(S: np.ndarray, exact: SingularTriples, eps: float, generator) -> np.ndarray:
    """Return for each i how far random relative changes of the entries by up to eps move the factor."""
    magnified = 1000  # changes this much larger stay in the linear range and clear of the 50 digits
    harm = np.zeros(len(exact.values))
    with mpmath.workdps(DIGITS):
        for _ in range(3):
            changed = as_matrix(S)
            for place in np.ndindex(*S.shape):
                changed[place] *= 1 + mpmath.mpf(generator.uniform(-1, 1)) * magnified * eps
            triples = SingularTriples.of(changed)
            harm = np.maximum(harm, exact.errors_of_polar(triples.left.T * triples.right) / magnified)
    return harm
