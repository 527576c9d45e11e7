"""Weights as rational numbers: where offsets are large, floats have too few digits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import permutations

import numpy as np

from steepest.maxmargin.separability.conditioned import Conditioned
from steepest.maxmargin.separability.exact import exact_solution

__all__ = ["as_floats", "in_all_features", "in_range", "nearest_floats", "rational_weights"]

_SNAP = 1e-7
"""Weights that differ by less than this share of the largest are meant to be equal, and may be 0."""
_MOST_FEATURES = 40
"""Of an exact system of equations that takes a second."""
_MULTIPLES = (1, 3, 5, 7, 9, 11, 13)
"""Of weights, which round otherwise: one may have the digits that another lacks."""
_MOST_CLASSES = 6
"""Of which every two are tried with twice the digits."""
_RANGE, _LARGEST = 1000, 1022
"""Powers of two within which floats keep all their digits, with some room, and below which they end."""


def rational_weights(X: np.ndarray, conditioned: Conditioned, V: np.ndarray) -> list[list[Fraction]] | None:
    """Return weights [k][r] of ``conditioned.columns`` near those of V [k, r]; None where it would take long.

    What V is almost equal in two classes, or almost 0, is made so.
    """
    if conditioned.upper is None:
        powers = [Fraction(2) ** exponent for exponent in conditioned.exponents.tolist()]
        return [
            [Fraction(each) * power for each, power in zip(row, powers, strict=True)]
            for row in _rounded(V).tolist()
        ]
    assert conditioned.pivots is not None
    if len(conditioned.pivots) > _MOST_FEATURES:
        return None
    # Weights are given by the scores of the samples that were eliminated with, which have all their digits.
    scores = _rounded(V @ conditioned.features[conditioned.pivots].T)
    sizes = [Fraction(2) ** exponent for exponent in conditioned.rows[conditioned.pivots].tolist()]
    right = [
        [Fraction(each) * size for each, size in zip(row, sizes, strict=True)] for row in scores.tolist()
    ]
    return exact_solution(X[np.ix_(conditioned.pivots, conditioned.columns)], right)


def in_all_features(
    rows: list[list[Fraction]], columns: np.ndarray, dimension: int
) -> tuple[tuple[Fraction, ...], ...]:
    """Return weights of all features, 0 at those that are no columns, the largest near 1 in size."""
    largest = max((abs(each) for row in rows for each in row), default=Fraction(0))
    size = Fraction(1) if largest == 0 else Fraction(2) ** _exponent(largest)
    full = [[Fraction(0)] * dimension for _ in rows]
    for target, row in zip(full, rows, strict=True):
        for j, each in zip(columns.tolist(), row, strict=True):
            target[j] = each / size
    return tuple(tuple(row) for row in full)


def as_floats(W: tuple[tuple[Fraction, ...], ...]) -> Iterator[np.ndarray]:
    """Yield weights [k, d] of floats, which are several multiples of W rounded.

    Of two classes only the difference counts, which two floats hold with twice the digits. Of more, that
    is so of the differences between any two of them.
    """
    W = in_range(W)
    for a, b in permutations(range(len(W)), 2):
        rows = [[each - base for each, base in zip(row, W[a], strict=True)] for row in W]
        floats = nearest_floats(rows)
        floats[a] = [
            _float(Fraction(h) - each) if np.isfinite(h) else h
            for h, each in zip(floats[b].tolist(), rows[b], strict=True)
        ]
        yield floats
        if len(W) == 2 or len(W) > _MOST_CLASSES:
            break
    for multiple in _MULTIPLES:
        yield nearest_floats([[multiple * each for each in row] for row in W])


def nearest_floats(rows: Sequence[Sequence[Fraction]]) -> np.ndarray:
    """Return rational numbers rounded to floats, which are infinite beyond their range.

    >>> nearest_floats([[Fraction(1, 3), Fraction(2) ** 2000]]).tolist()
    [[0.3333333333333333, inf]]
    """
    return np.array([[_float(each) for each in row] for row in rows])


def in_range(W: Sequence[Sequence[Fraction]]) -> tuple[tuple[Fraction, ...], ...]:
    """Return weights times a power of two that brings them into the range of floats, if one does."""
    sizes = [_exponent(each) for row in W for each in row if each]
    if not sizes or (max(sizes) <= _RANGE and min(sizes) >= -_RANGE):
        return tuple(map(tuple, W))
    power = Fraction(2) ** -max((max(sizes) + min(sizes)) // 2, max(sizes) - _LARGEST)
    return tuple(tuple(each * power for each in row) for row in W)


def _float(value: Fraction) -> float:
    if value and _exponent(value) > _LARGEST:
        return math.inf if value > 0 else -math.inf
    return float(value)


def _rounded(W: np.ndarray) -> np.ndarray:
    unit = _SNAP * max(float(np.max(np.abs(W), initial=0.0)), np.finfo(float).tiny)
    unit = 2.0 ** np.floor(np.log2(unit))
    return np.round(W / unit) * unit


def _exponent(value: Fraction) -> int:
    return value.numerator.bit_length() - value.denominator.bit_length()
