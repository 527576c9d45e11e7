"""Proof that all pairs overlap, from dual weights that are positive at all of them and almost give A(q) = 0.

If A(q) is so small that a change of every weight by less than itself can remove it, dual weights with A(q) =
0 exactly exist and are positive everywhere: no weights have margins of one sign, but those whose margins are
all 0.
"""

from __future__ import annotations

import numpy as np

from steepest.maxmargin.certificates.products import product
from steepest.maxmargin.forms.pairs import towards

__all__ = ["all_overlap"]

_ENOUGH = 0.5
"""Share of a weight that the change may take: far from the 1 at which the proof would fail."""
_OF_SQUARES = 1e-14
"""Eigenvalues of squares below this fraction of the largest may be rounding."""


def all_overlap(Z: np.ndarray, y: np.ndarray, q: np.ndarray, uncertain: float = 0.0) -> bool:
    """Whether dual weights that are positive at every pair, with A(q) = 0 exactly, are sure to exist near q.

    Args:
        Z: features none of which the others determine, shape [n, r].
        y: class of each sample, shape [n].
        q: weights, shape [n, k], 0 at the true class and positive elsewhere.
        uncertain: by how much entries of Z may be off.

    >>> Z, y = np.array([[1.0], [2.0], [-1.0]]), np.array([0, 1, 1])
    >>> all_overlap(Z, y, np.array([[0.0, 0.5], [0.5, 0.0], [0.5, 0.0]]))
    True
    >>> all_overlap(Z, np.array([0, 0, 1]), np.array([[0.0, 0.5], [0.0, 0.5], [0.5, 0.0]]))
    False
    """
    wrong = y[:, None] != np.arange(q.shape[1])
    if not (q[wrong] > 0).all():
        return False
    # The rows of A but those of the first class, which are minus the sum of the others.
    T = towards(q, y)
    left, error = product(T.T, Z)
    rounded = 2.0**-52 * np.abs(Z) + uncertain
    left, error = left[1:], error[1:] + (np.abs(T).T @ rounded)[1:]
    # A change q_ic v_ic with A(q ∘ v) = A(q): the least v is no longer than |A(q)| over this singular value.
    squares = _gram_of_terms(Z, y, q, wrong)
    scale = np.sqrt(np.diagonal(squares))
    if (scale == 0).any():
        return False
    eigenvalues = np.linalg.eigvalsh(squares / np.outer(scale, scale))
    # Rounding of the squares and of their eigenvalues.
    smallest = eigenvalues[0] - (_OF_SQUARES * q.size + 8 * uncertain * len(scale)) * eigenvalues[-1]
    size = np.linalg.norm((np.abs(left) + error).ravel() / scale)
    return bool(smallest > 0 and size <= _ENOUGH * np.sqrt(smallest))


def _gram_of_terms(Z: np.ndarray, y: np.ndarray, q: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return Σ_ic q_ic² a_ic a_icᵀ for the columns a_ic of A without the first class."""
    r, k = Z.shape[1], q.shape[1]
    squares = np.where(wrong, q**2, 0.0)
    totals = squares.sum(axis=1)
    blocks = np.zeros((k - 1, r, k - 1, r))
    for a in range(1, k):
        for b in range(a, k):
            if a == b:
                factor = np.where(y == a, totals, squares[:, a])
            else:
                factor = -np.where(y == a, squares[:, b], 0.0) - np.where(y == b, squares[:, a], 0.0)
            block = (Z * factor[:, None]).T @ Z
            blocks[a - 1, :, b - 1] = block
            blocks[b - 1, :, a - 1] = block.T
    return blocks.reshape((k - 1) * r, (k - 1) * r)
