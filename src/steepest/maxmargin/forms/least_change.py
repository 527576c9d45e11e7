"""Dual weights put right: the least relative change that makes given sums of them vanish."""

from __future__ import annotations

import numpy as np

__all__ = ["least_change"]

_OF_GRAM = 1e-7
"""Relative size below which directions of B are rounding where the squares of B are worked with."""
_SMALL = 5e7
"""Multiplications up to which a singular value decomposition of B takes a second or less."""


def least_change(terms: np.ndarray, cutoff: float = _OF_GRAM) -> np.ndarray:
    """Return the v of least size with B v = B 1 for the terms B, shape [m, s], of sums that are to vanish.

    With weights q and B = A diag(q), the weights q (1 - v) have A q = 0. Directions in which B is smaller
    than ``cutoff`` times its largest singular value are left alone; a large B allows no less than 1e-7.

    >>> q = np.array([0.5, 0.25, 0.25])
    >>> A = np.array([[1.0, -1.0, 0.0]])
    >>> (q * (1.0 - least_change(A * q))).round(9)
    array([0.3 , 0.3 , 0.25])
    """
    if terms.size * min(terms.shape) <= _SMALL:
        _, sizes, rows = np.linalg.svd(terms, full_matrices=False)
        rows = rows[sizes > cutoff * sizes[0]]
        return rows.T @ rows.sum(axis=1)
    wide = terms.shape[0] <= terms.shape[1]
    squares, vectors = np.linalg.eigh(terms @ terms.T if wide else terms.T @ terms)
    kept = squares > max(cutoff, _OF_GRAM) ** 2 * squares[-1]
    vectors = vectors[:, kept]
    if wide:
        return terms.T @ (vectors @ ((vectors.T @ terms.sum(axis=1)) / squares[kept]))
    return vectors @ vectors.sum(axis=0)
