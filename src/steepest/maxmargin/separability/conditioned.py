"""The same question in features that a solver can tell apart: scaled, freed of offsets and of what repeats.

Weights separate X if and only if they separate diag(r) X T, mapped through T, for any positive r and invertible T.
So rows and columns are scaled by powers of two, and where columns are nearly dependent (dates beside a column of
ones, codes of 1e16 for missing values) they are eliminated from each other in doubled precision: what 1.7e9 + t
and a column of ones have in common goes, and t keeps all its digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from steepest.doubled import two_sum

__all__ = ["Conditioned", "condition"]

_SWEEPS = 3
_WELL_CONDITIONED = 1e-4
"""Smallest ratio of pivots of a QR factorisation at which columns are left as they are."""
_INDEPENDENT = 2.0**-96
"""What is left of a column below this fraction of it is rounding, in doubled precision."""
_MOST_OPERATIONS = 4e9
_SPLIT = 2.0**27 + 1.0


@dataclass(frozen=True)
class Conditioned:
    """Features Z whose rows are positive multiples of those of X T, and the way back."""

    features: np.ndarray
    """Z, shape [n, r], with entries of at most 1."""
    columns: np.ndarray
    """The r features of X that no other of these determines, shape [r]."""
    factors: np.ndarray
    """What each of these features is multiplied by, powers of two, shape [r]."""
    upper: np.ndarray | None
    """Triangular U, shape [r, r], with the scaled features equal to rows of Z times U; None for the identity."""
    dimension: int
    """Features of X, d."""

    def weights(self, V: np.ndarray) -> np.ndarray:
        """Return W [k, d] whose margins in X have the signs of those of V [k, r] in Z, but for rounding."""
        scaled = V
        if self.upper is not None:
            scaled = scipy.linalg.solve_triangular(self.upper, V.T, check_finite=False).T
        W = np.zeros((len(V), self.dimension))
        W[:, self.columns] = scaled * self.factors
        return W


def condition(X: np.ndarray) -> Conditioned:
    """Return the features X [n, d] conditioned; no row of X may be zero.

    >>> dates = np.array([[1.7e9, 1.0], [1.7e9 + 1, 1.0], [1.7e9 + 2, 1.0]])
    >>> Z = condition(dates).features
    >>> bool(np.linalg.cond(Z) < 10)
    True
    """
    used = np.flatnonzero(X.any(axis=0))
    Z, factors = _equilibrated(X[:, used])
    triangle, order = scipy.linalg.qr(Z, mode="r", pivoting=True, check_finite=False)[-2:]
    pivots = np.abs(np.diag(triangle))
    if len(pivots) == len(used) and pivots.min() >= _WELL_CONDITIONED * pivots.max():
        return Conditioned(Z, used, factors, None, X.shape[1])
    n, d = Z.shape
    if float(n) * d * min(n, d) > _MOST_OPERATIONS:
        kept = np.sort(order[: int(np.count_nonzero(pivots > 1e-14 * pivots.max()))])
        return Conditioned(Z[:, kept], used[kept], factors[kept], None, X.shape[1])
    lower, upper, chosen = _eliminated(Z)
    rows = np.max(np.abs(lower), axis=1, keepdims=True)
    return Conditioned(lower / rows, used[chosen], factors[chosen], upper, X.shape[1])


def _equilibrated(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return X with rows and columns multiplied by powers of two, and the columns' factors."""
    factors = np.ones(X.shape[1])
    for _ in range(_SWEEPS):
        rows = _power_of_two(np.max(np.abs(X), axis=1))
        X = X / rows[:, None]
        columns = _power_of_two(np.max(np.abs(X), axis=0))
        X, factors = X / columns, factors / columns
    return X / _power_of_two(np.max(np.abs(X), axis=1))[:, None], factors


def _power_of_two(sizes: np.ndarray) -> np.ndarray:
    return np.exp2(np.ceil(np.log2(sizes)))


def _eliminated(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (L, U, columns) with X[:, columns] = L U: Gaussian elimination of columns with complete pivoting.

    Every step runs in doubled precision, so that what is left of two columns that agree in ten digits still has
    more digits than a float64.
    """
    high, low = X.copy(), np.zeros_like(X)
    sizes = np.max(np.abs(X), axis=0)
    free = np.ones(X.shape[1], dtype=bool)
    chosen: list[int] = []
    multiples = np.zeros((min(X.shape), X.shape[1]))
    pieces: list[np.ndarray] = []
    for step in range(min(X.shape)):
        left = np.where(free, np.max(np.abs(high), axis=0), 0.0)
        column = int(np.argmax(left))
        if left[column] <= _INDEPENDENT * sizes[column]:
            break
        row = int(np.argmax(np.abs(high[:, column])))
        pivot = high[row, column], low[row, column]
        free[column] = False
        chosen.append(column)
        pieces.append(high[:, column] / high[row, column])
        multiples[step, column] = high[row, column]
        others = np.flatnonzero(free)
        ratio, rest = _quotient(high[row, others], low[row, others], *pivot)
        multiples[step, others] = high[row, others]
        product, error = _product(high[:, column, None], low[:, column, None], ratio, rest)
        total, lost = two_sum(high[:, others], -product)
        high[:, others], low[:, others] = two_sum(total, lost + (low[:, others] - error))
        high[row, others] = low[row, others] = 0.0
        left_over = np.max(np.abs(high[:, others]), axis=0, initial=0.0)
        gone = others[left_over <= _INDEPENDENT * sizes[others]]
        free[gone] = False
    columns = np.array(chosen)
    return np.stack(pieces, axis=1), multiples[: len(chosen)][:, columns], columns


def _product(
    a: np.ndarray, a_low: np.ndarray, b: np.ndarray, b_low: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (a + a_low) (b + b_low) as two numbers."""
    product = a * b
    a_head, b_head = _SPLIT * a, _SPLIT * b
    a_head, b_head = a_head - (a_head - a), b_head - (b_head - b)
    a_tail, b_tail = a - a_head, b - b_head
    error = a_tail * b_tail - (((product - a_head * b_head) - a_tail * b_head) - a_head * b_tail)
    return product, error + (a * b_low + a_low * b)


def _quotient(a: np.ndarray, a_low: np.ndarray, b: float, b_low: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (a + a_low) / (b + b_low) as two numbers."""
    ratio = a / b
    product, error = _product(ratio, np.zeros_like(ratio), np.asarray(b), np.asarray(b_low))
    return ratio, ((a - product) - error + a_low) / b
