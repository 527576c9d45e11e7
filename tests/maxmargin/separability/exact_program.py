"""What weights tell apart, by a simplex method in rational numbers: independent of the library."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def separable(X, y):
    """Say whether some weights give every sample's class the highest score, by Gordan's alternative.

    They do if and only if no q >= 0 of sum 1 has A(q) = 0.
    """
    columns = pair_columns(X, y)
    conditions = len(columns[0])
    return not is_combination(
        [[*column, Fraction(1)] for column in columns], [Fraction(0)] * conditions + [Fraction(1)]
    )


def kind(X, y):
    """Return the name of the kind of separation.

    By Stiemke's alternative weights tell no pairs apart if and only if some q > 0 has A(q) = 0.
    """
    if separable(X, y):
        return "SEPARABLE"
    columns = pair_columns(X, y)
    left = [-sum(column[i] for column in columns) for i in range(len(columns[0]))]
    return "NOT_SEPARABLE" if is_combination(columns, left) else "WEAKLY_SEPARABLE"


def no_soft_margin(X, y, caps):
    """Say whether dual weights of sum 1 have A(q) = 0, of which no sample has more than its cap."""
    columns, n = pair_columns(X, y, scaled=False), len(X)
    pairs = [i for i in range(n) for _ in range(int(max(y)))]
    zero, unit = [Fraction(0)] * len(columns[0]), np.eye(n, dtype=int)
    full = [
        [*column, *map(Fraction, unit[i].tolist()), Fraction(1)]
        for column, i in zip(columns, pairs, strict=True)
    ]
    slacks = [[*zero, *map(Fraction, row.tolist()), Fraction(0)] for row in unit]
    return is_combination([*full, *slacks], [*zero, *caps, Fraction(1)])


def pair_columns(X, y, *, scaled=True):
    """Return a column of A for every pair (i, c), without the rows of the last class."""
    y = np.unique(y, return_inverse=True)[1]
    k, d = int(y.max()) + 1, X.shape[1]
    columns = []
    for i, row in enumerate(X.tolist()):
        whole = [Fraction(entry) for entry in row]
        size = (max(map(abs, whole)) or Fraction(1)) if scaled else Fraction(1)
        for c in range(k):
            if c != y[i]:
                column = [Fraction(0)] * (k * d)
                for j, entry in enumerate(whole):
                    column[y[i] * d + j] += entry / size
                    column[c * d + j] -= entry / size
                columns.append(column[: (k - 1) * d])
    return columns


def is_combination(columns, right):
    """Say whether some p >= 0 has Σ p_j columns_j = right, by phase one with Bland's rule."""
    signs = [1 if each >= 0 else -1 for each in right]
    rows = [[sign * column[i] for column in columns] + [abs(right[i])] for i, sign in enumerate(signs)]
    basis = [-1] * len(rows)
    while True:
        artificial = [row for row, b in zip(rows, basis, strict=True) if b < 0]
        if not any(row[-1] for row in artificial):
            return True
        worth = [j for j in range(len(columns)) if sum(row[j] for row in artificial) > 0]
        if not worth:
            return False
        entering = worth[0]
        rising = [i for i, row in enumerate(rows) if row[entering] > 0]
        leaving = min(rising, key=lambda i: (rows[i][-1] / rows[i][entering], basis[i]))
        pivot = rows[leaving] = [each / rows[leaving][entering] for each in rows[leaving]]
        used = [j for j, each in enumerate(pivot) if each]
        for i, row in enumerate(rows):
            factor = row[entering]
            if i != leaving and factor:
                for j in used:
                    row[j] -= factor * pivot[j]
        basis[leaving] = entering
