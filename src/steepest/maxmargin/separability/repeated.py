"""The shortest evidence that no weights separate: a sample at zero, or one point with two labels."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np

from steepest.maxmargin.separability.evidence import Null
from steepest.maxmargin.separability.exact import are_multiples

__all__ = ["nearly_repeated_sample", "neighbours", "repeated_sample"]

_NEAR = 1e-11
"""Multiples of a sample are found by a product, whose rounding is a few last digits."""
_SAME = 8 * np.finfo(np.float64).eps
"""Multiples of a sample differ by two divisions and what rounded the data: a few last digits."""
_MOST = 10_000
"""Pairs of samples that are compared exactly."""


def repeated_sample(
    X: np.ndarray, y: np.ndarray, classes: int, candidates: np.ndarray | None = None
) -> Null | None:
    """Return dual weights with A(q) = 0 exactly, where one point or a multiple of it has two labels.

    Only exact multiples count.

    Args:
        X: features, shape [n, d].
        y: class of each sample, shape [n].
        classes: number of classes.
        candidates: what :func:`neighbours` gives, where that is known already.

    >>> found = repeated_sample(np.array([[1.0, 3.0], [1.0, 1.0], [2.0, 6.0]]), np.array([0, 1, 1]), 2)
    >>> found.pairs.tolist(), found.exact
    ([[0, 1], [2, 0]], (Fraction(2, 3), Fraction(1, 3)))
    """
    zero = ~X.any(axis=1)
    if zero.any():
        i = int(np.argmax(zero))
        return Null(np.array([[i, (y[i] + 1) % classes]]), np.ones(1), (Fraction(1),))
    for i, j in neighbours(X, y) if candidates is None else candidates:
        if are_multiples(X[i], X[j]):
            parts = [Fraction(float(np.abs(X[each]).max())) for each in (j, i)]
            exact = tuple(each / sum(parts) for each in parts)
            values = np.array([float(each) for each in exact])
            return Null(np.array([[i, y[j]], [j, y[i]]]), values, exact)
    return None


def nearly_repeated_sample(X: np.ndarray, candidates: np.ndarray) -> bool:
    """Whether one point or a multiple of it has two labels but for rounding, which may tell them apart.

    Args:
        X: features, shape [n, d], no row zero.
        candidates: pairs of samples of two labels, shape [m, 2], as :func:`neighbours` gives them.

    >>> X = np.array([[0.1, 0.3, 0.7], [0.1 * 3, 0.3 * 3, 0.7 * 3]])
    >>> (
    ...     nearly_repeated_sample(X, np.array([[0, 1]])),
    ...     nearly_repeated_sample(X + [1, 0, 0], np.array([[0, 1]])),
    ... )
    (True, False)
    """
    for i, j in candidates:
        # In units of each entry: what is small beside others is no rounding of them.
        a, b = X[i] / np.abs(X[i]).max(), X[j] / np.abs(X[j]).max()
        if (np.abs(a - b) <= _SAME * np.abs(a)).all():
            return True
    return False


@lru_cache(maxsize=8)
def _direction(features: int) -> np.ndarray:
    direction = np.random.default_rng(0).normal(size=features)
    direction.setflags(write=False)
    return direction


def neighbours(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return pairs of samples of two labels that may be multiples of each other, shape [m, 2].

    One product with X and no copy of it: multiples of a sample, each divided by its largest entry, have the
    same place along any direction.
    """
    largest = np.maximum(X.max(axis=1), -X.min(axis=1))
    # Columns of one size, so that none hides what others tell apart.
    sizes = np.maximum(X.max(axis=0), -X.min(axis=0))
    direction = np.ldexp(
        _direction(X.shape[1]), np.where(sizes > 0, np.minimum(-np.frexp(sizes)[1], 1000), 0)
    )
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        along = X @ direction / largest
        order = np.argsort(along, kind="stable")
        first, second = order[:-1], order[1:]
        near = along[second] - along[first] <= _NEAR * np.abs(along[second])
    return np.column_stack([first, second])[near & (y[first] != y[second])][:_MOST]
