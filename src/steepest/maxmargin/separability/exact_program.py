"""Separability in rational numbers: which pairs weights tell apart, and which they cannot, without rounding.

Gordan's alternative holds for any set of pairs: there are dual weights q ≥ 0 of sum 1 with A(q) = 0, or
weights that give all of them a positive margin. Phase one of the simplex method finds which, in whole numbers
(:mod:`whole_simplex`). The pairs that have dual weight have a margin of 0 for all weights without a
negative one. So the same is asked again of the weights that give them 0, until the other pairs, if any are
left, have a positive margin. Codes of 1e16 and 1e20 in several features, or samples that differ by a last
digit, have dual weights that a program in floats takes for 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

import numpy as np

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.whole_simplex import Column, feasible_vertex
from steepest.maxmargin.separability.exact import Echelon
from steepest.maxmargin.separability.exponents import row_and_column_exponents

__all__ = ["Decided", "decide_exactly", "is_small_enough"]

_MOST_CONDITIONS, _MOST_WORK = 40, 32_000_000
"""Sums that are to vanish, and their square times the numbers of the columns, that take some seconds."""
_MOST_SAMPLES = 20_000
"""Rows that are brought to whole numbers in a second."""


@dataclass(frozen=True)
class Decided:
    """The split of all pairs, and what shows it."""

    overlapped: np.ndarray
    """Pairs whose margin is 0 for all weights without negative margins, shape [p, 2]."""
    dual: dict[tuple[int, int], Fraction]
    """Positive dual weights by their pair, of sum 1, with A(q) = 0 exactly; none if no pair is overlapped."""
    weights: tuple[tuple[Fraction, ...], ...]
    """Weights [k, d] whose margins are 0 at the overlapped pairs and positive at all others."""
    free: np.ndarray
    """Which weights, less those of the first class, margins of 0 at the overlapped pairs leave free, among
    weights of independent features, shape [k, d]."""
    columns: np.ndarray
    """The features that are no combination of those before them, ascending."""


def is_small_enough(X: np.ndarray, classes: int) -> bool:
    """Whether features X [n, d] are few enough for an exact program."""
    conditions = (classes - 1) * X.shape[1]
    if conditions > _MOST_CONDITIONS or len(X) > _MOST_SAMPLES:
        return False
    return len(np.unique(X, axis=0)) * (classes - 1) * conditions**3 <= _MOST_WORK


def decide_exactly(X: np.ndarray, y: np.ndarray, classes: int, deadline: Deadline) -> Decided | None:
    """Return what weights of features X [n, d] tell apart, in rational arithmetic; None out of time.

    >>> X = np.array([[1e20, 1.0], [1e20, 2.0], [1e20, 2.0]])
    >>> found = decide_exactly(X, np.array([0, 1, 1]), 2, Deadline())
    >>> len(found.overlapped), found.weights[1]
    (0, (Fraction(0, 1), Fraction(0, 1)))
    >>> found = decide_exactly(X, np.array([0, 1, 0]), 2, Deadline())
    >>> found.overlapped.tolist(), sorted(found.dual.items())
    ([[1, 0], [2, 1]], [((1, 0), Fraction(1, 2)), ((2, 1), Fraction(1, 2))])
    """
    data = _Whole.of(X, y)
    d = len(data.columns)
    conditions = (classes - 1) * d
    pairs = [(group, c) for group in range(len(data.rows)) for c in range(classes) if c != data.labels[group]]
    columns = [_pair_column(data.rows[group], data.labels[group], c, classes, d) for group, c in pairs]
    overlapped: set[int] = set()
    dual: dict[int, Fraction] = {}
    zero = Echelon()
    basis = [[int(i == j) for j in range(conditions)] for i in range(conditions)]
    while True:
        seen = {j: _within(basis, columns[j]) for j in range(len(pairs)) if j not in overlapped}
        overlapped.update(j for j, column in seen.items() if not column)
        left = [j for j, column in seen.items() if column]
        if not left:
            V = [0] * conditions
            break
        found = _alternative([seen[j] for j in left], len(basis), deadline)
        if found is None:
            return None
        support, prices = found
        if prices is not None:
            V = [sum(a * b[j] for a, b in zip(prices, basis, strict=True)) for j in range(conditions)]
            break
        assert support is not None
        dual = dual or {left[j]: each for j, each in support.items()}
        for j in support:
            overlapped.add(left[j])
            zero.take(_filled(columns[left[j]], conditions))
        basis = zero.orthogonal(conditions)
    if overlapped and not dual:
        dual = {min(overlapped): Fraction(1)}
    return data.decided(pairs, sorted(overlapped), dual, V, basis, classes)


@dataclass(frozen=True)
class _Whole:
    """Features as whole numbers, equal samples of one class together."""

    columns: np.ndarray
    """Features that are no combination of those before them."""
    exponents: np.ndarray
    """Powers of two that these were divided by."""
    rows: list[list[int]]
    """Samples without their common factors."""
    labels: list[int]
    members: list[list[tuple[int, Fraction]]]
    """Samples of each row, and what they are as multiples of it."""
    dimension: int

    @classmethod
    def of(cls, X: np.ndarray, y: np.ndarray) -> _Whole:
        """Features [n, d] with labels [n]."""
        sizes, exponents = row_and_column_exponents(X)
        mantissas, powers = np.frexp(X)
        powers = powers - sizes[:, None] - exponents
        places: dict[tuple[int, tuple[int, ...]], int] = {}
        rows: list[list[int]] = []
        labels: list[int] = []
        members: list[list[tuple[int, Fraction]]] = []
        for i, (row, power) in enumerate(zip(mantissas, powers, strict=True)):
            whole, factor = _primitive(row, power)
            place = places.setdefault((int(y[i]), tuple(whole)), len(rows))
            if place == len(rows):
                rows.append(whole)
                labels.append(int(y[i]))
                members.append([])
            members[place].append((i, factor * Fraction(2) ** int(sizes[i])))
        independent = Echelon()
        distinct = list(dict.fromkeys(map(tuple, rows)))
        columns = [j for j in range(X.shape[1]) if independent.take([row[j] for row in distinct])]
        rows = [[row[j] for j in columns] for row in rows]
        return cls(np.array(columns, dtype=int), exponents[columns], rows, labels, members, X.shape[1])

    def decided(
        self,
        pairs: Sequence[tuple[int, int]],
        overlapped: Iterable[int],
        dual: dict[int, Fraction],
        V: Sequence[int],
        basis: Sequence[Sequence[int]],
        classes: int,
    ) -> Decided:
        """Return what was found of the rows for the samples that were given."""
        r = len(self.columns)
        weights = [[Fraction(0)] * self.dimension for _ in range(classes)]
        for c in range(classes - 1):
            for place, (j, power) in enumerate(
                zip(self.columns.tolist(), self.exponents.tolist(), strict=True)
            ):
                weights[c][j] = V[c * r + place] / Fraction(2) ** power
        free = np.zeros((classes, self.dimension), dtype=bool)
        for direction in basis:
            moves = np.array([*direction, *[0] * r], dtype=object).reshape(classes, r)
            free[:, self.columns] |= (moves != moves[0]).astype(bool)
        q: dict[tuple[int, int], Fraction] = {}
        for place, each in dual.items():
            group, c = pairs[place]
            i, factor = self.members[group][0]
            q[i, c] = each / factor
        total = sum(q.values())
        of_samples = sorted(
            (i, pairs[place][1]) for place in overlapped for i, _ in self.members[pairs[place][0]]
        )
        return Decided(
            np.array(of_samples, dtype=np.int64).reshape(-1, 2),
            {pair: each / total for pair, each in q.items()},
            tuple(map(tuple, weights)),
            free,
            self.columns,
        )


def _primitive(mantissas: np.ndarray, powers: np.ndarray) -> tuple[list[int], Fraction]:
    """Return whole numbers without a common factor, and what they are to be multiplied by."""
    whole = [int(each) for each in np.ldexp(mantissas, 53)]
    used = [int(power) for each, power in zip(whole, powers, strict=True) if each]
    if not used:
        return whole, Fraction(1)
    least = min(used)
    whole = [each << (int(power) - least) if each else 0 for each, power in zip(whole, powers, strict=True)]
    common = gcd(*whole)
    return [each // common for each in whole], common * Fraction(2) ** (least - 53)


def _pair_column(row: Sequence[int], true: int, other: int, classes: int, d: int) -> Column:
    """The entries of A(q) for the dual weight of one pair, without those of the last class."""
    signs = [(c, sign) for c, sign in ((true, 1), (other, -1)) if c < classes - 1]
    return [(c * d + j, sign * entry) for c, sign in signs for j, entry in enumerate(row) if entry]


def _filled(column: Column, count: int) -> list[int]:
    found = [0] * count
    for place, entry in column:
        found[place] = entry
    return found


def _within(basis: Sequence[Sequence[int]], column: Column) -> Column:
    """What a column is to weights that are combinations of a basis, without a common factor."""
    products = [sum(direction[place] * entry for place, entry in column) for direction in basis]
    common = gcd(*products)
    return [(place, each // common) for place, each in enumerate(products) if each]


def _alternative(
    columns: Sequence[Column], conditions: int, deadline: Deadline
) -> tuple[dict[int, Fraction] | None, list[int] | None] | None:
    """Return positive multiples of columns that add up to 0, or weights of positive product with all columns.

    None out of time.
    """
    # The sum comes last; positive multiples of columns change which have weight by nothing.
    whole = [
        [*column, (conditions, 1 << max(abs(entry) for _, entry in column).bit_length())]
        for column in columns
    ]
    vertex = feasible_vertex(whole, conditions + 1, deadline)
    if vertex is None:
        return None
    if vertex.feasible:
        return vertex.solution, None
    return None, [-each for each in vertex.prices_of_artificial[:-1]]
