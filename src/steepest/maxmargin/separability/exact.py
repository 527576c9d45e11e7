"""Exact arithmetic on the few samples that decide: every float64 is a rational number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np
import scipy.linalg

__all__ = [
    "Echelon",
    "are_multiples",
    "exact_margins",
    "exact_null_weights",
    "exact_solution",
    "whole_numbers",
    "with_products",
]


def whole_numbers(row: Sequence[float] | np.ndarray) -> list[int]:
    """Return a row of floats times a power of two: whole numbers, without rounding.

    >>> whole_numbers(np.array([0.5, -3.0, 0.0])), whole_numbers(np.array([2.0**900, 2.0**898]))
    ([1, -6, 0], [4, 1])
    """
    parts = [float(entry).as_integer_ratio() for entry in row]
    common = max((below for _, below in parts), default=1)
    whole = [above * (common // below) for above, below in parts]
    divisor = gcd(*whole)
    if divisor > 1:
        # Only powers of two are taken out, so that rows of one scale stay of one scale up to these.
        power = divisor & -divisor
        return [entry // power for entry in whole]
    return whole


def are_multiples(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether one row is a positive multiple of the other, neither being zero.

    >>> are_multiples(np.array([1.0, 3.0]), np.array([0.5, 1.5]))
    True
    >>> are_multiples(np.array([1.0, 3.0]), np.array([0.1, 0.3]))  # 0.3 is not three times 0.1 in floats
    False
    """
    first = int(np.argmax(a != 0))
    if not (a[first] and b[first] and (a[first] > 0) == (b[first] > 0)):
        return False
    left, right = whole_numbers(a), whole_numbers(b)
    return all(x * right[first] == z * left[first] for x, z in zip(left, right, strict=True))


def exact_margins(X: np.ndarray, y: np.ndarray, W: np.ndarray, pairs: np.ndarray) -> list[Fraction]:
    """Return the margins (e_{y_i} - e_c)ᵀ W x_i of pairs [p, 2], with no rounding.

    Args:
        X: features, shape [n, d].
        y: class of each sample, shape [n].
        W: weights, shape [k, d], floats or fractions.
        pairs: shape [p, 2].

    >>> X, W = np.array([[1e16, 1.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])
    >>> exact_margins(X, np.array([0]), W, np.array([[0, 1]]))
    [Fraction(1, 1)]
    """
    rows = [[Fraction(entry) for entry in row] for row in W.tolist()]
    differences: dict[tuple[int, int], tuple[list[tuple[int, int]], int]] = {}
    margins = []
    for i, c in pairs.tolist():
        true = int(y[i])
        if (true, c) not in differences:
            terms = [(j, a - b) for j, (a, b) in enumerate(zip(rows[true], rows[c], strict=True)) if a != b]
            common = lcm(*(term.denominator for _, term in terms)) if terms else 1
            differences[true, c] = [(j, int(term * common)) for j, term in terms], common
        terms, common = differences[true, c]
        parts = [(weight, *X[i, j].item().as_integer_ratio()) for j, weight in terms]
        below = max((each for _, _, each in parts), default=1)
        total = sum(weight * above * (below // each) for weight, above, each in parts)
        margins.append(Fraction(total, below * common))
    return margins


def exact_null_weights(columns: np.ndarray) -> list[Fraction] | None:
    """Return the positive q of sum 1 with ``columns`` q = 0, exactly; None unless there is just one.

    Args:
        columns: shape [m, s], of any rank; s - 1 where there is one q up to a factor.

    >>> exact_null_weights(np.array([[1.0, -3.0], [2.0, -6.0]]))
    [Fraction(3, 4), Fraction(1, 4)]
    >>> exact_null_weights(np.array([[1.0, -3.0], [2.0, -5.0]])) is None
    True
    """
    count = columns.shape[1]
    columns = columns[columns.any(axis=1)]
    rows = [whole_numbers(row) for row in columns]
    chosen = _independent(columns)
    q = _null_vector([rows[i] for i in chosen]) if len(chosen) == count - 1 else None
    if q is None:
        return None
    q = [-each for each in q] if q[0] < 0 else q
    if min(q) <= 0 or any(sum(a * b for a, b in zip(row, q, strict=True)) for row in rows):
        return None
    total = sum(q)
    return [Fraction(each, total) for each in q]


def _independent(columns: np.ndarray) -> list[int]:
    """Return rows that span all of them, as far as floats can tell: exact arithmetic has the last word."""
    if not len(columns):
        return []
    sizes = np.frexp(np.max(np.abs(columns), axis=1))[1]
    with np.errstate(under="ignore"):
        scaled = np.ldexp(columns, -sizes[:, None])
    factored: Any = scipy.linalg.qr(scaled.T, mode="r", pivoting=True, check_finite=False)
    triangle, order = factored
    pivots = np.abs(np.diag(triangle))
    # A pivot that is but rounding is for _null_vector to refuse.
    return order[: min(int(np.count_nonzero(pivots)), columns.shape[1] - 1)].tolist()


def _null_vector(rows: list[list[int]]) -> list[int] | None:
    """Return the whole numbers q with ``rows`` [m, m + 1] q = 0; None unless unique up to a factor.

    Elimination without fractions (Bareiss, Math. Comp. 22, 1968): every entry is a determinant of the rows,
    and every division leaves no rest.
    """
    rows, m, before = [list(row) for row in rows], len(rows), 1
    order = list(range(m + 1))
    for step in range(m):
        place = next(((i, j) for i in range(step, m) for j in range(step, m + 1) if rows[i][j]), None)
        if place is None:
            return None
        i, j = place
        rows[step], rows[i] = rows[i], rows[step]
        if j != step:
            order[step], order[j] = order[j], order[step]
            for row in rows:
                row[step], row[j] = row[j], row[step]
        pivot, tail = rows[step][step], rows[step][step + 1 :]
        for row in rows[step + 1 :]:
            factor = row[step]
            row[step + 1 :] = [
                (pivot * a - factor * b) // before for a, b in zip(row[step + 1 :], tail, strict=True)
            ]
            row[step] = 0
        before = pivot
    q = [0] * m + [before]
    for step in reversed(range(m)):
        row = rows[step]
        q[step] = -sum(a * b for a, b in zip(row[step + 1 :], q[step + 1 :], strict=True)) // row[step]
    found = [0] * (m + 1)
    for position, each in zip(order, q, strict=True):
        found[position] = each
    return found


class Echelon:
    """Rows of whole numbers, reduced as they come, without fractions."""

    def __init__(self) -> None:
        self.pivots: dict[int, list[int]] = {}
        """Rows by the place of their first entry that is not 0."""

    def take(self, row: list[int]) -> bool:
        """Take a row in, unless those before determine it; say whether it was taken."""
        left = _reduced(row, self.pivots)
        lead = next((j for j, entry in enumerate(left) if entry), None)
        if lead is None:
            return False
        self.pivots[lead] = left
        return True

    def orthogonal(self, count: int) -> list[list[int]]:
        """Return a basis of the vectors of ``count`` whole numbers that are orthogonal to all rows.

        >>> echelon = Echelon()
        >>> echelon.take([2, 4, 0]), echelon.take([1, 2, 0]), echelon.orthogonal(3)
        (True, False, [[-2, 1, 0], [0, 0, 1]])
        """
        found = []
        for free in range(count):
            if free not in self.pivots:
                known = {j: Fraction(int(j == free)) for j in range(count) if j not in self.pivots}
                vector = _solved(self.pivots, known, count)
                common = lcm(*(each.denominator for each in vector))
                found.append([int(each * common) for each in vector])
        return found


def with_products(
    rows: np.ndarray, products: Sequence[Fraction], near: Sequence[Fraction]
) -> list[Fraction] | None:
    """Return a vector [m] of given products with ``rows`` [s, m], exactly; None where there is none.

    What these leave free is taken from ``near`` [m].

    >>> with_products(np.array([[1.0, 3.0]]), [Fraction(0)], [Fraction(-3), Fraction(2)])
    [Fraction(-6, 1), Fraction(2, 1)]
    """
    pivots: dict[int, list[int]] = {}
    for row, product in zip(rows.tolist(), products, strict=True):
        parts = [*map(Fraction, row), -product]
        common = lcm(*(part.denominator for part in parts))
        left = _reduced([int(part * common) for part in parts], pivots)
        lead = next((j for j, entry in enumerate(left) if entry), None)
        if lead is not None:
            pivots[lead] = left
    if len(near) in pivots:
        return None
    known = {j: each for j, each in enumerate(near) if j not in pivots} | {len(near): Fraction(1)}
    return _solved(pivots, known, len(near) + 1)[:-1]


def exact_solution(square: np.ndarray, right: list[list[Fraction]]) -> list[list[Fraction]] | None:
    """Return the x with ``square`` [m, m] x = b for each b [m] of ``right``, exactly; None if singular.

    >>> exact_solution(np.array([[2.0, 0.0], [1.0, 4.0]]), [[Fraction(1), Fraction(0)]])
    [[Fraction(1, 2), Fraction(-1, 8)]]
    """
    m = len(square)
    pivots: dict[int, list[int]] = {}
    for i, row in enumerate(square.tolist()):
        # b is carried along as further columns, minus the multiple of the row that it is.
        parts = [Fraction(each) for each in row] + [-b[i] for b in right]
        common = lcm(*(part.denominator for part in parts))
        left = _reduced([int(part * common) for part in parts], pivots)
        lead = next((j for j, entry in enumerate(left[:m]) if entry), None)
        if lead is None:
            return None
        pivots[lead] = left
    known = ({m + j: Fraction(int(j == which)) for j in range(len(right))} for which in range(len(right)))
    return [_solved(pivots, each, m + len(right))[:m] for each in known]


def _solved(pivots: dict[int, list[int]], known: dict[int, Fraction], count: int) -> list[Fraction]:
    """Return the vector of given free entries that is orthogonal to rows in echelon form."""
    q = [known.get(j, Fraction(0)) for j in range(count)]
    for lead in sorted(pivots, reverse=True):
        row = pivots[lead]
        rest = sum((row[j] * q[j] for j in range(lead + 1, count) if row[j] and q[j]), Fraction(0))
        q[lead] = -rest / row[lead]
    return q


def _reduced(row: list[int], pivots: dict[int, list[int]]) -> list[int]:
    """Return the row minus multiples of the pivot rows, without fractions and without common factors."""
    for lead in sorted(pivots):
        if row[lead]:
            pivot = pivots[lead]
            common = gcd(row[lead], pivot[lead])
            ours, theirs = pivot[lead] // common, row[lead] // common
            row = [ours * a - theirs * b for a, b in zip(row, pivot, strict=True)]
    common = gcd(*row)
    return [entry // common for entry in row] if common > 1 else row
