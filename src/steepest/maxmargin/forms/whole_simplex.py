"""The simplex method in whole numbers, for small linear programs whose numbers floats cannot tell apart.

Every entry is a determinant, so that no division leaves a rest (Edmonds, Journal of Research of the NBS 71B,
1967); the lexicographic rule keeps the method from going in circles, whatever column enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from steepest.maxmargin.forms.candidate import Deadline

__all__ = ["Column", "Optimum", "Vertex", "feasible_vertex", "least_cost"]

Column = list[tuple[int, int]]
"""The entries of a column that are not 0, each with its row."""


class Vertex:
    """A basic solution x ≥ 0 of A x = e, of conditions the last of which is 1 and all others 0.

    Columns not yet brought in are artificial ones, one for each condition, with numbers below 0.
    """

    def __init__(self, columns: Sequence[Column], conditions: int):
        self.columns = columns
        self.inverse = [[int(i == j) for j in range(conditions)] for i in range(conditions)]
        """The inverse of the basis times ``below``; its last column is the solution."""
        self.below = 1
        self.basis = [-1] * conditions
        self.sizes = [max((abs(entry) for _, entry in column), default=1) for column in columns]

    @property
    def artificial(self) -> list[int]:
        """Rows of the basis that no column was brought into."""
        return [i for i, j in enumerate(self.basis) if j < 0]

    @property
    def feasible(self) -> bool:
        """Whether all conditions are met."""
        return not any(self.inverse[i][-1] for i in self.artificial)

    @property
    def solution(self) -> dict[int, Fraction]:
        """The entries of x that are not 0."""
        rows = zip(self.basis, self.inverse, strict=True)
        return {j: Fraction(row[-1], self.below) for j, row in rows if j >= 0 and row[-1]}

    @property
    def prices_of_artificial(self) -> list[int]:
        """The prices of the conditions at which only artificial columns cost anything."""
        return self.prices([int(j < 0) for j in self.basis])

    def prices(self, costs: Sequence[int]) -> list[int]:
        """Prices of the conditions times ``below``, for the costs of the basis' rows."""
        rows = [(cost, row) for cost, row in zip(costs, self.inverse, strict=True) if cost]
        return [sum(cost * row[j] for cost, row in rows) for j in range(len(self.inverse))]

    def worth(self, prices: Sequence[int], costs: Sequence[int] | None = None) -> list[int]:
        """What every column is worth beyond its cost, times ``below``."""
        paid = [0] * len(self.columns) if costs is None else [each * self.below for each in costs]
        return [_product(prices, column) - cost for column, cost in zip(self.columns, paid, strict=True)]

    def best(self, worth: Sequence[int]) -> int | None:
        """The column worth most relative to its size; None where none is worth more than 0."""
        found, most, size = None, 0, 1
        for j, (each, own) in enumerate(zip(worth, self.sizes, strict=True)):
            if each * size > most * own:
                found, most, size = j, each, own
        return found

    def bring_in(self, entering: int) -> bool:
        """Bring a column in; whether there was one to leave."""
        change = [_product(row, self.columns[entering]) for row in self.inverse]
        leaving = -1
        for i, each in enumerate(change):
            if each > 0 and (leaving < 0 or self._before(i, leaving, change)):
                leaving = i
        if leaving < 0:
            return False
        pivot, kept = change[leaving], self.inverse[leaving]
        for i, factor in enumerate(change):
            if i != leaving:
                row = self.inverse[i]
                self.inverse[i] = [
                    (pivot * a - factor * b) // self.below for a, b in zip(row, kept, strict=True)
                ]
        self.basis[leaving], self.below = entering, pivot
        return True

    def _before(self, i: int, other: int, change: Sequence[int]) -> bool:
        """Whether a row over its change comes first in lexicographic order, the solution's entry first."""
        a, b = self.inverse[i], self.inverse[other]
        for x, z in zip((a[-1], *a), (b[-1], *b), strict=True):
            left, right = x * change[other], z * change[i]
            if left != right:
                return left < right
        return False


@dataclass(frozen=True)
class Optimum:
    """The least cost of x ≥ 0 with A x = e, and the prices that show it to be the least."""

    value: Fraction
    solution: dict[int, Fraction]
    """The entries of x that are not 0."""
    prices: tuple[Fraction, ...]
    """Of the conditions: no column is worth more than its cost."""


def feasible_vertex(columns: Sequence[Column], conditions: int, deadline: Deadline) -> Vertex | None:
    """Return a vertex that meets all conditions, or one that is not feasible if none does; None out of time.

    Where it is not feasible, the prices of its artificial rows are worth no more than 0 in any column.

    >>> vertex = feasible_vertex([[(0, 1), (1, 1)], [(0, -3), (1, 1)]], 2, Deadline())
    >>> vertex.feasible, sorted(vertex.solution.items())
    (True, [(0, Fraction(3, 4)), (1, Fraction(1, 4))])
    """
    vertex = Vertex(columns, conditions)
    while not deadline.passed:
        entering = None if vertex.feasible else vertex.best(vertex.worth(vertex.prices_of_artificial))
        if entering is None:
            return vertex
        vertex.bring_in(entering)
    return None


def least_cost(
    columns: Sequence[Column], costs: Sequence[int], conditions: int, deadline: Deadline
) -> Optimum | None:
    """Return the least cost of x ≥ 0 with A x = e; None where there is none, or out of time.

    >>> found = least_cost([[(0, 2)], [(0, 3)]], [3, 4], 1, Deadline())
    >>> found.value, found.solution, found.prices
    (Fraction(4, 3), {1: Fraction(1, 3)}, (Fraction(4, 3),))
    """
    vertex = feasible_vertex(columns, conditions, deadline)
    if vertex is None or not vertex.feasible:
        return None
    while not deadline.passed:
        # Artificial columns that are left cost more than any multiple of what the others do.
        high, low = (
            vertex.prices_of_artificial,
            vertex.prices([costs[j] if j >= 0 else 0 for j in vertex.basis]),
        )
        of_high, of_low = vertex.worth(high), vertex.worth(low, costs)
        alike = [each if above == 0 else 0 for each, above in zip(of_low, of_high, strict=True)]
        entering = vertex.best(of_high)
        entering = vertex.best(alike) if entering is None else entering
        if entering is None:
            enough = max(
                (Fraction(b, -a) for a, b in zip(of_high, of_low, strict=True) if a < 0 < b), default=0
            )
            solution = vertex.solution
            value = sum((costs[j] * each for j, each in solution.items()), Fraction(0))
            prices = tuple((b + enough * a) / Fraction(vertex.below) for a, b in zip(high, low, strict=True))
            return Optimum(value, solution, prices)
        if not vertex.bring_in(entering):
            return None
    return None


def _product(row: Sequence[int], column: Column) -> int:
    return sum(row[place] * entry for place, entry in column)
