"""Dual weights of many pairs whose A(q) is made zero to rounding, without a matrix over the pairs."""

from __future__ import annotations

import numpy as np

from steepest.maxmargin.certificates.products import accurate_product
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.separability.conditioned import Conditioned
from steepest.maxmargin.separability.evidence import ROUNDING, Null, relative_residual
from steepest.maxmargin.separability.pair_squares import Blocks, PairSquares

__all__ = ["many_null_weights"]

_SMALL = (0.0, 1e-9, 1e-6, 1e-3)
"""Shares of the largest below which dual weights are taken for what is left of 0, in turn."""
_CORRECTIONS = 6
_SHARE = 1e-7
_MOST_GRADIENTS = 300
_ACCURATE = 20_000
"""Samples whose sums are made in doubled precision in some seconds: beyond, plain ones are as good."""


def many_null_weights(
    X: np.ndarray, y: np.ndarray, conditioned: Conditioned, q: np.ndarray, deadline: Deadline
) -> Null | None:
    """Return dual weights near q, at no other pairs, whose A(q) is rounding in every column, or None.

    As :func:`~steepest.maxmargin.separability.evidence.zero_to_rounding`, for pairs and features whose matrix
    would not fit: the least relative changes of q, by conjugate gradients.

    Args:
        X: features, shape [n, d].
        y: class of each sample, shape [n].
        conditioned: the same features, conditioned.
        q: dual weights of those, shape [n, k].
        deadline: when to give up.

    >>> from steepest.maxmargin.separability.conditioned import condition
    >>> X, y = np.array([[1.0], [2.0], [-1.0]]), np.array([0, 1, 1])
    >>> q = np.array([[0.0, 0.6], [0.3, 0.0], [0.0, 0.0]])
    >>> found = many_null_weights(X, y, condition(X), q, Deadline())
    >>> found.pairs.tolist(), found.values.round(6).tolist()
    ([[0, 1], [1, 0]], [0.666667, 0.333333])
    """
    if not conditioned.sure:
        return None
    before = -1
    for small in _SMALL:
        kept = np.where(q > small * q.max(), q, 0.0)
        count = np.count_nonzero(kept)
        if count == before or deadline.passed:
            continue
        before = count
        rows = np.flatnonzero(kept.any(axis=1))
        found = _corrected(conditioned.features[rows], y[rows], kept[rows], deadline)
        if found is None:
            continue
        in_X = conditioned.dual(rows, found)
        in_X = in_X / in_X.sum()
        if not (in_X[found > 0] > 0).all() or relative_residual(X[rows], y[rows], in_X) > ROUNDING:
            continue
        places = np.argwhere(in_X > 0)
        pairs = np.column_stack([rows[places[:, 0]], places[:, 1]])
        return Null(pairs, in_X[tuple(places.T)], None)
    return None


def _corrected(Z: np.ndarray, y: np.ndarray, q: np.ndarray, deadline: Deadline) -> np.ndarray | None:
    """Return q (1 - v) [n, k] of the least Σ q v² with an A of rounding in every column of Z; or None."""
    q = q / q.max()
    lengths = np.linalg.norm(Z, axis=0)
    Q = Z / np.where(lengths > 0, lengths, 1.0)
    squares = PairSquares(Q, y, q)
    blocks = Blocks.of(squares)
    positive = q > 0
    for _ in range(_CORRECTIONS):
        T = towards(q, y)
        left = accurate_product(T.T, Z)[0] if len(Z) <= _ACCURATE else T.T @ Z
        terms = np.abs(T).T @ np.abs(Z)
        if (np.abs(left) <= ROUNDING * terms).all():
            return q
        if deadline.passed:
            return None
        right = left / np.where(lengths > 0, lengths, 1.0)
        V, _ = squares.solved(right, blocks, _SHARE, _MOST_GRADIENTS, deadline, grounded=True)
        logits = Q @ V.T
        change = logits[np.arange(len(y)), y][:, None] - logits
        if (change[positive] >= 1.0).any():
            return None
        q = q * (1.0 - change)
    return None
