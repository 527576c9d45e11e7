"""Exact arithmetic on the few samples that decide: every float64 is a rational number, and so is every sum."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

__all__ = ["exact_margins", "exact_null_weights"]


def exact_margins(X: np.ndarray, y: np.ndarray, W: np.ndarray, pairs: np.ndarray) -> list[Fraction]:
    """Return the margins (e_{y_i} - e_c)ᵀ W x_i of pairs [p, 2], with no rounding.

    >>> X, W = np.array([[1e16, 1.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])
    >>> exact_margins(X, np.array([0]), W, np.array([[0, 1]]))
    [Fraction(1, 1)]
    """
    rows = [[Fraction(entry) for entry in row] for row in W.tolist()]
    margins = []
    for i, c in pairs.tolist():
        true, other = rows[y[i]], rows[c]
        terms = (
            (a - b) * Fraction(x) for a, b, x in zip(true, other, X[i].tolist(), strict=True) if x and a != b
        )
        margins.append(sum(terms, Fraction(0)))
    return margins


def exact_null_weights(columns: np.ndarray) -> list[Fraction] | None:
    """Return the positive q of sum 1 with ``columns`` q = 0, exactly; None unless it exists and is the only one.

    Args:
        columns: shape [m, s], of any rank; s - 1 where there is one q up to a factor.

    >>> exact_null_weights(np.array([[1.0, -3.0], [2.0, -6.0]]))
    [Fraction(3, 4), Fraction(1, 4)]
    >>> exact_null_weights(np.array([[1.0, -3.0], [2.0, -5.0]])) is None
    True
    """
    count = columns.shape[1]
    pivots: dict[int, list[int]] = {}
    for row in columns:
        if not row.any():
            continue
        left = _reduced(_whole_numbers(row), pivots)
        lead = next((j for j, entry in enumerate(left) if entry), None)
        if lead is None:
            continue
        if len(pivots) == count - 1:
            return None
        pivots[lead] = left
    if len(pivots) != count - 1:
        return None
    free = next(j for j in range(count) if j not in pivots)
    q = [Fraction(0)] * count
    q[free] = Fraction(1)
    for lead in sorted(pivots, reverse=True):
        row = pivots[lead]
        q[lead] = -sum((row[j] * q[j] for j in range(count) if j != lead and row[j]), Fraction(0)) / row[lead]
    if min(q) <= 0:
        return None
    total = sum(q)
    return [each / total for each in q]


def _whole_numbers(row: np.ndarray) -> list[int]:
    """Return a row times a power of two: whole numbers without rounding."""
    _, exponents = np.frexp(row[row != 0])
    shift = 53 - int(exponents.min())
    return [int(Fraction(entry) * (Fraction(2) ** shift)) for entry in row.tolist()]


def _reduced(row: list[int], pivots: dict[int, list[int]]) -> list[int]:
    """Return the row minus multiples of the pivot rows, without fractions and without common factors."""
    from math import gcd

    for lead in sorted(pivots):
        if row[lead]:
            pivot = pivots[lead]
            common = gcd(row[lead], pivot[lead])
            ours, theirs = pivot[lead] // common, row[lead] // common
            row = [ours * a - theirs * b for a, b in zip(row, pivot, strict=True)]
    common = gcd(*row)
    return [entry // common for entry in row] if common > 1 else row
