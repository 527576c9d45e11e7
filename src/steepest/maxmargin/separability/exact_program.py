"""Gordan's alternative in rational numbers: dual weights with A(q) = 0 or weights that separate, always one.

Phase one of the simplex method looks for q ≥ 0 of sum 1 with A(q) = 0, and Bland's rule keeps it from going
in circles (Bland, Mathematics of Operations Research 2, 1977). Where it ends with a part of the sum that is
left, its prices are weights that give every pair a positive margin. Codes of 1e16 and 1e20 in several
features have dual weights that a program in floats takes for 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.program import pair_columns

__all__ = ["Decided", "decide_exactly", "is_small_enough"]

_MOST_NUMBERS, _MOST_CONDITIONS = 20_000, 40
"""Numbers of the columns, and sums that are to vanish, that take some seconds at worst."""
_MOST_PIVOTS = 500


@dataclass(frozen=True)
class Decided:
    """One of the two: dual weights of pairs, or weights that separate."""

    dual: dict[int, Fraction] | None
    """Positive dual weights by the number of their pair, of sum 1, with A(q) = 0 exactly."""
    weights: tuple[tuple[Fraction, ...], ...] | None
    """Weights [k, d], of which all margins are positive."""


def is_small_enough(X: np.ndarray, classes: int) -> bool:
    """Whether features X [n, d] are few enough for an exact program."""
    conditions = (classes - 1) * X.shape[1]
    return conditions <= _MOST_CONDITIONS and len(X) * (classes - 1) * conditions <= _MOST_NUMBERS


def decide_exactly(
    X: np.ndarray, y: np.ndarray, classes: int, pairs: np.ndarray, deadline: Deadline
) -> Decided | None:
    """Return dual weights of ``pairs`` [p, 2] with A(q) = 0 or weights that separate them; None out of time.

    >>> X, pairs = np.array([[1e20, 1.0], [1e20, 2.0]]), np.array([[0, 1], [1, 0]])
    >>> decide_exactly(X, np.array([0, 1]), 2, pairs, Deadline()).weights
    ((Fraction(3, 200000000000000000000), Fraction(-1, 1)), (Fraction(0, 1), Fraction(0, 1)))
    """
    d = X.shape[1]
    matrix = pair_columns(X, y, classes, pairs).toarray()[: (classes - 1) * d].T
    columns, units = [], []
    for row in matrix.tolist():
        parts = [Fraction(entry) for entry in row]
        # Positive multiples of columns change which have weight by nothing, and the sum comes last.
        unit = max(map(abs, parts), default=Fraction(0)) or Fraction(1)
        units.append(unit)
        columns.append([(j, part / unit) for j, part in enumerate(parts) if part] + [(len(row), Fraction(1))])
    m = (classes - 1) * d + 1
    inverse = [[Fraction(int(i == j)) for j in range(m)] for i in range(m)]
    basis, values = list(range(-m, 0)), [Fraction(0)] * (m - 1) + [Fraction(1)]
    for _ in range(_MOST_PIVOTS):
        if deadline.passed:
            return None
        artificial = [i for i in range(m) if basis[i] < 0]
        if not any(values[i] for i in artificial):
            scaled = {b: value / units[b] for b, value in zip(basis, values, strict=True) if b >= 0 and value}
            total = sum(scaled.values())
            return Decided({b: value / total for b, value in scaled.items()}, None)
        prices = [sum((inverse[i][j] for i in artificial), Fraction(0)) for j in range(m)]
        entering = next((j for j, column in enumerate(columns) if _product(prices, column) > 0), None)
        if entering is None:
            weights = [tuple(-each for each in prices[c * d : (c + 1) * d]) for c in range(classes - 1)]
            return Decided(None, (*weights, (Fraction(0),) * d))
        _pivot(inverse, basis, values, columns[entering], entering)
    return None


def _pivot(
    inverse: list[list[Fraction]],
    basis: list[int],
    values: list[Fraction],
    column: Sequence[tuple[int, Fraction]],
    entering: int,
) -> None:
    """Bring a column into the basis; all change in place."""
    change = [_product(row, column) for row in inverse]
    rising = [i for i, each in enumerate(change) if each > 0]
    leaving = min(rising, key=lambda i: (values[i] / change[i], basis[i]))
    pivot = change[leaving]
    inverse[leaving] = [each / pivot for each in inverse[leaving]]
    values[leaving] /= pivot
    for i, factor in enumerate(change):
        if i != leaving and factor:
            pairs = zip(inverse[i], inverse[leaving], strict=True)
            inverse[i] = [a - factor * b if b else a for a, b in pairs]
            values[i] -= factor * values[leaving]
    basis[leaving] = entering


def _product(row: Sequence[Fraction], column: Sequence[tuple[int, Fraction]]) -> Fraction:
    return sum((row[j] * each for j, each in column if row[j]), Fraction(0))
