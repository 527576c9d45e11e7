"""Weights that separate some pairs and leave the others at a margin of exactly 0, or of next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.separability.conditioned import Conditioned
from steepest.maxmargin.separability.evidence import all_positive, relative_margins
from steepest.maxmargin.separability.exact import exact_margins, with_products
from steepest.maxmargin.separability.program import pair_columns
from steepest.maxmargin.separability.rational import (
    in_all_features,
    in_range,
    nearest_floats,
    rational_weights,
)

__all__ = ["Weak", "separating_weights", "weak_weights"]

_APART = 1e-6
"""Relative margins above this are positive whatever rounding did."""
_ROUNDING = 1e-13
"""Relative margins below this are 0 to rounding."""
_OF_RANK = 1e-9
_LARGEST_SYSTEM = 400_000
"""Unknowns times the square of the conditions of an exact elimination that takes a second or two."""
_MOST_EXACT = 3_000_000
_MOST_DOUBTFUL = 40
"""Conditions of an exact elimination that is quick whatever the unknowns."""
_LITTLE = Fraction(1, 2**80)


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
        W = nearest_floats(in_range(exact))
        fractions = np.array(exact, dtype=object)
        if all_positive(X, y, W, fractions, apart) and not any(exact_margins(X, y, fractions, overlapped)):
            return Weak(W, exact)
    if not np.isfinite(floats).all():
        return None
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
    moved = _moved(X, y, free, columns, chosen, [Fraction(0)] * len(chosen))
    if moved is not None:
        yield in_all_features(moved, columns, d)


def separating_weights(
    X: np.ndarray, y: np.ndarray, conditioned: Conditioned, V: np.ndarray, doubtful: np.ndarray
) -> tuple[tuple[Fraction, ...], ...] | None:
    """Return rational weights near V with all margins positive, though those of few pairs may be rounding.

    Args:
        X: features, shape [n, d].
        y: class of each sample, shape [n].
        conditioned: the same features, conditioned.
        V: weights of the conditioned features, shape [k, r], with positive margins at the other pairs.
        doubtful: pairs (i, c) that V leaves at margins of 0 to rounding, shape [p, 2].
    """
    k, d, columns = len(V), X.shape[1], conditioned.columns
    free = rational_weights(X, conditioned, V - V[0]) if len(doubtful) <= _MOST_DOUBTFUL else None
    if free is None:
        return None
    largest = max(abs(each) for row in free for each in row)
    sizes = np.abs(X[np.ix_(doubtful[:, 0], columns)]).max(axis=1).tolist()
    # So little that the other margins stay positive: samples that differ by rounding ask for huge weights.
    products = [_LITTLE * (largest or Fraction(1)) * Fraction(each) for each in sizes]
    moved = _moved(X, y, free, columns, doubtful, products)
    if moved is None:
        return None
    exact = in_all_features(moved, columns, d)
    W = nearest_floats(in_range(exact))
    pairs = y[:, None] != np.arange(k)
    return exact if all_positive(X, y, W, np.array(exact, dtype=object), pairs) else None


def _moved(
    X: np.ndarray,
    y: np.ndarray,
    W: list[list[Fraction]],
    columns: np.ndarray,
    pairs: np.ndarray,
    margins: list[Fraction],
) -> list[list[Fraction]] | None:
    """Return weights near W [k][r], zero for the first class, that have given margins at some pairs."""
    r = len(columns)
    rows = pair_columns(X[:, columns], y, len(W), pairs).toarray()[r:].T
    flat = with_products(rows, margins, [each for row in W[1:] for each in row])
    if flat is None:
        return None
    return [W[0], *(flat[start : start + r] for start in range(0, len(flat), r))]
