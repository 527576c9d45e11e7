"""Hard margins in polyhedral norms as a linear program in whole numbers, for a few samples that floats fail.

    minimise ‖A(q)‖_*   over   q ≥ 0, Σ q = 1, A(q) = 0 in free features

With the unit ball {L x : B x ≤ b, l ≤ x ≤ u} the dual norm is the least b·μ + u·ν - l·ω of Bᵀ μ + ν - ω =
Lᵀ A(q), which is one program with q; the prices of its conditions are weights. Codes of 1e16 that samples of
some classes share leave differences of weights that no program in floats sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import all_pairs
from steepest.maxmargin.forms.whole_simplex import Column, least_cost
from steepest.maxmargin.peers.linear_balls import LinearBall
from steepest.maxmargin.separability.exact import Echelon, exact_margins, whole_numbers

__all__ = ["ExactMargin", "best_free", "exact_margin", "is_small_enough"]

_MOST_CONDITIONS, _MOST_WORK = 60, 2_000_000
"""Conditions, and their square times the columns, of a program that takes a second."""


@dataclass(frozen=True)
class ExactMargin:
    """The max margin and what attains it on both sides, without rounding."""

    value: Fraction
    weights: list[list[Fraction]]
    """Those that the norm measures, [k][p]."""
    free: list[list[Fraction]]
    """Those of free features, [k][f]; 0 for the last class, and for features that others determine."""
    dual: dict[tuple[int, int], Fraction]
    """Positive dual weights by their pair (i, c)."""
    method = "program in whole numbers"

    @property
    def upper_bound(self) -> float:
        """The max margin as a float, rounded up."""
        nearest = float(self.value)
        return nearest if Fraction(nearest) >= self.value else float(np.nextafter(nearest, np.inf))


def is_small_enough(samples: int, classes: int, features: int, free: int, parts: int) -> bool:
    """Whether the program takes a second or so, for a ball of so many parts x.

    >>> is_small_enough(40, 4, 4, 1, 32), is_small_enough(1797, 10, 64, 0, 640)
    (True, False)
    """
    conditions = parts + (classes - 1) * free + 1
    columns = samples * (classes - 1) + 2 * classes * features
    return conditions <= _MOST_CONDITIONS and conditions**2 * columns <= _MOST_WORK


def exact_margin(
    X: np.ndarray,
    y: np.ndarray,
    ball: LinearBall,
    free: np.ndarray,
    deadline: Deadline,
    alike: Mapping[tuple[int, int], int | None] | None = None,
    small: Mapping[int, int] | None = None,
) -> ExactMargin | None:
    """Return the max margin of features X [n, p] beside free ones [n, f]; None where it has no bound.

    Args:
        X: features whose weights are in the ball.
        y: labels, shape [n], of the classes 0, 1, ... k - 1 of the ball's shape.
        ball: the unit ball of weights of shape (k, p), in whole numbers.
        free: features whose weights are not.
        deadline: when to give up: then None too.
        alike: for weights (class, feature) the class whose weight theirs is to be, or None for 0.
        small: for features a power e of two, whose weights are to be of at most 2^-e besides.

    >>> from steepest.maxmargin.peers.linear_balls import box
    >>> X, y = np.array([[1e16, 1.0], [1e16, 3.0]]), np.array([0, 1])
    >>> found = exact_margin(X, y, box((2, 2)), np.ones((2, 1)), Deadline())
    >>> found.value, found.weights[1]
    (Fraction(2, 1), [Fraction(-1, 1), Fraction(1, 1)])
    """
    p = X.shape[1]
    k = ball.lift.shape[0] // p
    parts = _Parts.of(ball, p, {} if alike is None else alike)
    places = _independent(free)
    f, conditions = len(places), parts.count + (k - 1) * len(places) + 1
    pairs = all_pairs(y, k).tolist()
    rows = [whole_numbers(row) for row in np.concatenate([X, free[:, places], np.ones((len(X), 1))], axis=1)]
    columns: list[Column] = []
    for i, c in pairs:
        row, total = rows[i], {}
        for a, sign in ((int(y[i]), 1), (c, -1)):
            for j in range(p):
                for part, of_weight in parts.of_weights[a * p + j]:
                    total[part] = total.get(part, 0) + sign * of_weight * row[j]
            if a < k - 1:
                for j in range(f):
                    total[parts.count + a * f + j] = sign * row[p + j]
        total[conditions - 1] = row[-1]
        columns.append([(place, entry) for place, entry in total.items() if entry])
    powers = {} if small is None else {j: max(0, power) for j, power in small.items()}
    unit = max(powers.values(), default=0)
    costs = [0] * len(columns) + [each << unit for each in parts.costs]
    columns += parts.columns
    for j, power in powers.items():
        for a in range(k):
            entries = parts.of_weights[a * p + j]
            columns += [[(part, sign * s) for part, s in entries] for sign in (1, -1)]
            costs += [1 << (unit - power)] * 2
    found = least_cost(columns, costs, conditions, deadline)
    if found is None:
        return None
    x = [-each / 2**unit for each in found.prices]
    zero = Fraction(0)
    W = [
        [sum((s * x[part] for part, s in parts.of_weights[a * p + j]), zero) for j in range(p)]
        for a in range(k)
    ]
    B = [[zero] * free.shape[1] for _ in range(k)]
    for a in range(k - 1):
        for place, j in enumerate(places):
            B[a][j] = x[parts.count + a * f + place]
    dual = {
        tuple(pairs[j]): each * rows[pairs[j][0]][-1] for j, each in found.solution.items() if j < len(pairs)
    }
    return ExactMargin(found.value / 2**unit, W, B, dual)


def best_free(
    X: np.ndarray, y: np.ndarray, W: np.ndarray, free: np.ndarray, deadline: Deadline
) -> list[list[Fraction]] | None:
    """Return the free weights [k][f] of the largest smallest margin beside weights W [k, p]; or None.

    >>> X, W = np.array([[1.0], [3.0]]), np.array([[-1.0], [1.0]])
    >>> best_free(X, np.array([0, 1]), W, np.ones((2, 1)), Deadline())
    [[Fraction(4, 1)], [Fraction(0, 1)]]
    """
    k, places = len(W), _independent(free)
    f, conditions = len(places), (k - 1) * len(places) + 1
    pairs = all_pairs(y, k)
    margins = exact_margins(X, y, W, pairs)
    common = lcm(*(each.denominator for each in margins))
    columns: list[Column] = []
    costs = []
    for (i, c), each in zip(pairs.tolist(), margins, strict=True):
        row = whole_numbers(np.append(free[i, places], 1.0))
        column = [
            (a * f + j, sign * row[j])
            for a, sign in ((int(y[i]), 1), (c, -1))
            if a < k - 1
            for j in range(f)
            if row[j]
        ]
        columns.append([*column, (conditions - 1, row[-1])])
        costs.append(int(each * common) * row[-1])
    found = least_cost(columns, costs, conditions, deadline)
    if found is None:
        return None
    B = [[Fraction(0)] * free.shape[1] for _ in range(k)]
    for a in range(k - 1):
        for place, j in enumerate(places):
            B[a][j] = -found.prices[a * f + place] / common
    return B


def _independent(free: np.ndarray) -> list[int]:
    """Free features [n, f] that are no combination of those before them."""
    echelon = Echelon()
    return [j for j, column in enumerate(free.T) if echelon.take(whole_numbers(column))]


@dataclass(frozen=True)
class _Parts:
    """The parts x of a ball's weights, of which some may be one."""

    count: int
    of_weights: list[list[tuple[int, int]]]
    """Which parts a weight is the sum of, with their signs."""
    columns: list[Column]
    """Of the multipliers μ, ν and ω."""
    costs: list[int]

    @classmethod
    def of(cls, ball: LinearBall, p: int, alike: Mapping[tuple[int, int], int | None]) -> _Parts:
        """The parts of a ball whose weights have p features."""
        lift: Any = sparse.csr_array(ball.lift)
        rows: Any = sparse.csr_array(ball.rows)
        own = [_entries(lift, w) for w in range(lift.shape[0])]
        joined = list(range(lift.shape[1]))
        for (a, j), other in alike.items():
            for place, (part, _) in enumerate(own[a * p + j]):
                joined[part] = -1 if other is None else own[other * p + j][place][0]
        kept = sorted(set(joined) - {-1})
        number = {part: place for place, part in enumerate(kept)}
        of_part = [number.get(joined[part], -1) for part in range(len(joined))]
        columns: list[Column] = []
        costs: list[int] = []

        def take(entries: list[tuple[int, int]], cost: float) -> None:
            sums: dict[int, int] = {}
            for part, entry in entries:
                if of_part[part] >= 0:
                    sums[of_part[part]] = sums.get(of_part[part], 0) - entry
            columns.append(list(sums.items()))
            costs.append(int(cost))

        for r in range(rows.shape[0]):
            take(_entries(rows, r), ball.right[r])
        low, high = ball.bounds
        for part in kept:
            if np.isfinite(high):
                take([(part, 1)], high)
            if np.isfinite(low):
                take([(part, -1)], -low)
        of_weights = [[(of_part[part], s) for part, s in each if of_part[part] >= 0] for each in own]
        return cls(len(kept), of_weights, columns, costs)


def _entries(matrix: Any, row: int) -> list[tuple[int, int]]:
    """The entries of a row of whole numbers, each with its column."""
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return [(int(j), int(v)) for j, v in zip(matrix.indices[part], matrix.data[part], strict=True)]
