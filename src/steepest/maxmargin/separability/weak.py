"""Weights that separate some pairs and leave the others at a margin of exactly 0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.separability.conditioned import Conditioned
from steepest.maxmargin.separability.evidence import all_positive, relative_margins
from steepest.maxmargin.separability.exact import exact_margins, orthogonal_to
from steepest.maxmargin.separability.program import pair_columns
from steepest.maxmargin.separability.rational import in_all_features, rational_weights

__all__ = ["Weak", "weak_weights"]

_APART = 1e-6
"""Relative margins above this are positive whatever rounding did."""
_ROUNDING = 1e-13
"""Relative margins below this are 0 to rounding."""
_OF_RANK = 1e-9
_LARGEST_SYSTEM = 400_000
"""Unknowns times the square of the conditions of an exact elimination that takes a second or two."""
_MOST_EXACT = 3_000_000


@dataclass(frozen=True)
class Weak:
    """Weights without a negative margin."""

    weights: np.ndarray
    """W, shape [k, d]."""
    exact: tuple[tuple[Fraction, ...], ...] | None
    """The same as rational numbers, with margins of exactly 0 at the overlapped pairs; None: to rounding."""


def weak_weights(
    X: np.ndarray, y: np.ndarray, conditioned: Conditioned, V: np.ndarray, overlapped: np.ndarray
) -> Weak | None:
    """Return weights near V whose margins are 0 at the ``overlapped`` pairs and positive at all others.

    Args:
        X: features, shape [n, d].
        y: class of each sample, shape [n].
        conditioned: the same features, conditioned.
        V: weights of the conditioned features, shape [k, r], which do so up to rounding.
        overlapped: pairs (i, c), shape [p, 2], not all there are.
    """
    zero = np.zeros((len(y), len(V)), dtype=bool)
    zero[tuple(overlapped.T)] = True
    apart = ~zero
    apart[np.arange(len(y)), y] = False
    floats = conditioned.weights(V - V[0])
    affordable = len(overlapped) * max(1, len(conditioned.columns)) <= _MOST_EXACT
    for exact in _rational(X, y, conditioned, V - V[0], overlapped) if affordable else ():
        W = np.array([[float(each) for each in row] for row in exact])
        fractions = np.array(exact, dtype=object)
        if all_positive(X, y, W, fractions, apart) and not any(exact_margins(X, y, fractions, overlapped)):
            return Weak(W, exact)
    margins = relative_margins(X, y, floats)
    if (margins[apart] > _APART).all() and (np.abs(margins[zero]) <= _ROUNDING).all():
        return Weak(floats, None)
    return None


def _rational(
    X: np.ndarray, y: np.ndarray, conditioned: Conditioned, V: np.ndarray, overlapped: np.ndarray
) -> Iterator[tuple[tuple[Fraction, ...], ...]]:
    """Yield rational weights near V: rounded to few digits, then made orthogonal to the overlapped pairs."""
    k, d = len(V), X.shape[1]
    columns = conditioned.columns
    free = rational_weights(X, conditioned, V)
    if free is None:
        return
    yield in_all_features(free, columns, d)
    A = pair_columns(conditioned.features, y, k, overlapped).toarray()[conditioned.features.shape[1] :]
    factored: Any = scipy.linalg.qr(A, mode="r", pivoting=True, check_finite=False)
    triangle, order = factored
    pivots = np.abs(np.diag(triangle))
    rank = int(np.count_nonzero(pivots > _OF_RANK * pivots.max(initial=0.0)))
    if rank**2 * len(A) > _LARGEST_SYSTEM:
        return
    chosen = overlapped[np.sort(order[:rank])]
    rows = pair_columns(X[:, columns], y, k, chosen).toarray()[len(columns) :].T
    near = np.array([each for row in free[1:] for each in row], dtype=object)
    flat, r = orthogonal_to(rows, near), len(columns)
    parts = (flat[start : start + r] for start in range(0, len(flat), r))
    yield in_all_features([free[0], *parts], columns, d)
