"""The directions in which a fit without a maximum may run off, and the split of all pairs within them.

Pairs of large probability overlap, if the fit is right: no weights without a negative margin give them a
positive one. They leave few directions, and a program over these is small where one over all weights takes
minutes: pixels that are 0 but in samples of a few classes leave some dozens of some hundreds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.likelihood import Fit
from steepest.maxmargin.separability.program import Split, pair_columns, raised

__all__ = ["split_by_likelihood"]

_LARGE = (1e-3, 1e-6)
"""Probabilities above these are tried in turn as those of pairs that overlap: what a maximum leaves of pairs
far from the boundary, and what margins have that run off slowly, is often smaller."""
_OF_RANK = 1e-10
_ZERO = 1e-8
"""Margins of directions, of features of at most 1, below this are rounding; so are their entries."""
_APART = 0.5
_MOST_ENTRIES = 20_000_000
_MOST_PROGRAM = 2_000_000
"""Numbers of a program that takes a second or two."""


def split_by_likelihood(Z: np.ndarray, y: np.ndarray, fit: Fit, deadline: Deadline) -> Split | None:
    """Return the split of pairs if those of large probability overlap; None where it would take long.

    Whether they do is for the multipliers to show: the probabilities of what cannot be separated.

    Args:
        Z: conditioned features, shape [n, r].
        y: class of each sample, shape [n].
        fit: where Newton's method ended on them.
        deadline: when to stop.

    >>> from steepest.maxmargin.separability.likelihood import fit_likelihood
    >>> Z, y = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 1.0]]), np.array([0, 1, 1])
    >>> fit = fit_likelihood(Z, y, 2, Deadline())
    >>> split = split_by_likelihood(Z, y, fit, Deadline())
    >>> split.inseparable.tolist(), split.weights.round(6).tolist()
    ([[0, 1], [1, 0]], [[0.0, 0.0], [0.0, 1.0]])
    """
    n, k = fit.probabilities.shape
    r = Z.shape[1]
    wrong = y[:, None] != np.arange(k)
    before = -1
    for large in _LARGE:
        pairs = np.argwhere(wrong & (fit.probabilities > large))
        if deadline.passed or not len(pairs) or len(pairs) * 2 * r > _MOST_ENTRIES:
            continue
        directions = _directions(pair_columns(Z, y, k, pairs)[r:]).reshape(k - 1, r, -1)
        if directions.shape[2] == before:
            continue
        before = directions.shape[2]
        margins, places = _margins(Z, y, directions)
        if margins.size > _MOST_PROGRAM:
            continue
        found = raised(margins, deadline)
        if found is None:
            continue
        V, levels, _ = found
        apart = np.zeros((n, k), dtype=bool)
        apart[tuple(places[levels > _APART].T)] = True
        inseparable = np.argwhere(wrong & ~apart)
        W = np.concatenate([np.zeros((1, r)), directions @ V])
        return Split(W, inseparable, fit.probabilities[tuple(inseparable.T)])
    return None


def _directions(A: Any) -> np.ndarray:
    """Return a basis [m, f] of the weights with margins of 0 at the pairs of the columns of A [m, p].

    Every one has an entry of 1 where the others have 0, so that weights of few features stay such.
    """
    sizes, vectors = np.linalg.eigh((A @ A.T).toarray())
    basis = vectors[:, sizes <= _OF_RANK * sizes[-1]]
    if not basis.shape[1]:
        return basis
    factored: Any = scipy.linalg.qr(basis.T, mode="r", pivoting=True, check_finite=False)
    order = factored[1][: basis.shape[1]]
    basis = np.linalg.solve(basis[order].T, basis.T).T
    return np.where(np.abs(basis) <= _ZERO, 0.0, basis)


def _margins(Z: np.ndarray, y: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return margins [p, f] of directions [k - 1, r, f], and the pairs [p, 2] at which they are not all 0."""
    n, (others, _, f) = len(y), directions.shape
    scores = np.zeros((n, others + 1, f))
    for c in range(others):
        scores[:, c + 1] = Z @ directions[c]
    margins = scores[np.arange(n), y][:, None] - scores
    places = np.argwhere((np.abs(margins) > _ZERO).any(axis=2))
    return margins[tuple(places.T)], places
