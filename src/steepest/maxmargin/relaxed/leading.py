"""Margins of pairs in coordinates where entries that dwarf all others are told from what they leave.

The margin of a pair is a row of numbers times the weights of all classes. Where rows with entries of 1e16 and
above contradict each other, as samples of two classes share a code, these margins leave a tiny weight alone:
one of the rows becomes a coordinate of its own, and is taken out of all others in doubled precision. That is
done class by class, so that other classes may weigh the feature as they like.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.optimize

from steepest.doubled import two_sum
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.conditioned import doubled_product, doubled_quotient

__all__ = ["Coordinates", "coordinates"]

_FAR = 2.0**18
"""Times that a row is larger than the smallest one from which its largest entries are all that counts."""
_NOISE = 2.0**-98
"""Of a product in doubled precision, and what is below it is nothing."""
_SWEEPS = 3
_FEASIBLE = 1e-9
_APART = 0.5


@dataclass(frozen=True)
class Coordinates:
    """Rows [s, N] of margins in coordinates v of the weights w = T v."""

    high: np.ndarray
    """The rows, shape [s, N]."""
    low: np.ndarray
    """What these round away."""
    noise: np.ndarray
    """Bound on the error of both."""
    exponents: np.ndarray
    """Powers of two by which weights of coordinates that are no rows were multiplied, shape [N]."""
    to_weights: np.ndarray
    """T, shape [N, N]."""
    pivots: tuple[tuple[int, int], ...] = ()
    """(row, column): the coordinate of the column is the margin of the row."""
    contradictory: tuple[tuple[int, int], ...] = ()
    """(row, column): what is in the column leaves a tiny weight alone, as the row and others contradict."""

    @property
    def tiny(self) -> list[int]:
        """Coordinates whose weights are next to nothing."""
        return [column for _, column in self.pivots]

    @property
    def regular(self) -> list[int]:
        """The others."""
        tiny = set(self.tiny)
        return [column for column in range(self.high.shape[1]) if column not in tiny]

    def levelled(self) -> Coordinates:
        """The same with the middle entry of each regular coordinate near 1, in rows whose largest is."""
        powers = np.zeros(self.high.shape[1], dtype=int)
        regular = self.regular
        if regular:
            powers[regular] = -_middle(self.high[:, regular])
        return replace(
            self,
            high=np.ldexp(self.high, powers),
            low=np.ldexp(self.low, powers),
            noise=np.ldexp(self.noise, powers),
            to_weights=np.ldexp(self.to_weights, powers),
            exponents=self.exponents + powers,
        )

    def eliminated(self, row: int, column: int) -> Coordinates:
        """The same with the margin of a row for the coordinate of a column."""
        high, low, noise, T = (each.copy() for each in (self.high, self.low, self.noise, self.to_weights))
        pivot = high[row, column], low[row, column]
        others = np.flatnonzero((high[row] != 0) & (np.arange(high.shape[1]) != column))
        ratio, rest = doubled_quotient(high[row, others], low[row, others], *pivot)
        product, error = doubled_product(high[:, column, None], low[:, column, None], ratio, rest)
        total, lost = two_sum(high[:, others], -product)
        noise[:, others] = np.maximum(noise[:, others], _NOISE * np.abs(product))
        high[:, others], low[:, others] = two_sum(total, lost + (low[:, others] - error))
        nothing = np.abs(high) <= noise
        high[nothing] = low[nothing] = 0.0
        high[:, column], low[:, column] = doubled_quotient(high[:, column], low[:, column], *pivot)
        high[row] = low[row] = 0.0
        high[row, column] = 1.0
        T[:, others] -= T[:, column, None] * ratio
        T[:, column] /= pivot[0]
        return replace(
            self, high=high, low=low, noise=noise, to_weights=T, pivots=(*self.pivots, (row, column))
        )


def coordinates(rows: np.ndarray, deadline: Deadline) -> Coordinates | None:
    """Return rows [s, N] in coordinates where no large entries contradict each other; None out of time.

    >>> rows = np.array([[1e20, 1.0], [-1e20, 2.0], [1.0, 1.0], [3.0, 1.0], [1.0, 2.0]])
    >>> found = coordinates(rows, Deadline())
    >>> sorted({row for row, _ in found.contradictory})
    [0, 1]
    >>> float(found.high[1, 1] / found.high[2, 1])  # what is left of the second row is 1 + 2 times the weight
    3.0
    """
    nothing = np.zeros_like(rows)
    T = np.eye(rows.shape[1])
    found = Coordinates(rows, nothing, nothing, np.zeros(rows.shape[1], dtype=int), T).levelled()
    for _ in range(rows.shape[1] + 1):
        clash = _clash(found.high, deadline)
        if clash is None or not len(clash):
            return found if clash is not None else None
        regular = found.regular
        entries = np.abs(found.high[clash])
        share = entries[:, regular] / entries.max(axis=1, keepdims=True)
        if not len(regular) or share.max() < 1.0 / _FAR:
            return None
        place = int(np.argmax(share.max(axis=0)))
        leads = share >= 1.0 / _FAR
        # A row that says least of other coordinates.
        others = np.delete(share, place, axis=1).max(axis=1, initial=0.0)
        ratio = np.where(leads[:, place], others / np.maximum(share[:, place], 1.0 / _FAR), np.inf)
        row = int(clash[np.argmin(ratio)])
        marked = {(int(clash[i]), regular[j]) for i, j in np.argwhere(leads).tolist()}
        contradictory = tuple(sorted(marked.union(found.contradictory)))
        found = replace(found.eliminated(row, regular[place]), contradictory=contradictory).levelled()
    return None


def _middle(entries: np.ndarray) -> np.ndarray:
    """Return the power of two of the middle entry of each column [c], in rows whose largest is near 1."""
    sizes = np.ma.array(np.frexp(entries)[1], mask=entries == 0)
    columns, rows = np.zeros(entries.shape[1], dtype=int), np.zeros(len(entries))
    for _ in range(_SWEEPS):
        largest = np.ma.max(sizes - columns, axis=1)
        rows = largest.filled(0)
        columns = np.asarray(np.ma.median(sizes - rows[:, None], axis=0).filled(0)).astype(int)
    # Rows are of the size that coordinates which are rows are of.
    return columns + int(np.median(rows[entries.any(axis=1)])) if entries.any() else columns


def _clash(rows: np.ndarray, deadline: Deadline) -> np.ndarray | None:
    """Return the rows whose largest entries contradict each other, of the smallest size where some do.

    Rows are taken in with their size, since a larger one may want no more than a sign of what smaller ones
    make tiny. None out of time.
    """
    sizes = np.abs(rows).max(axis=1)
    large = np.flatnonzero(sizes > _FAR * sizes[sizes > 0].min(initial=np.inf))
    levels = np.frexp(sizes[large])[1]
    order = np.argsort(levels, kind="stable")
    large, levels = large[order], levels[order]
    lead = rows[large] / sizes[large, None]
    lead[np.abs(lead) < 1.0 / _FAR] = 0.0
    ends = [*(np.flatnonzero(np.diff(levels) > 0) + 1).tolist(), len(large)] if len(large) else []
    for end in ends:
        without = _without_margin(lead[:end], deadline)
        if without is None:
            return None
        if without.any():
            return large[:end][without]
    return large[:0]


def _without_margin(rows: np.ndarray, deadline: Deadline) -> np.ndarray | None:
    """Return which rows are 0 for all weights for which none is negative, shape [s]."""
    if deadline.passed:
        return None
    count, unknowns = rows.shape
    options: dict[str, Any] = {"primal_feasibility_tolerance": _FEASIBLE}
    if np.isfinite(deadline.at):
        options["time_limit"] = deadline.remaining
    found: Any = scipy.optimize.linprog(
        np.append(np.zeros(unknowns), -np.ones(count)),
        np.concatenate([-rows, np.eye(count)], axis=1),
        np.zeros(count),
        bounds=[(None, None)] * unknowns + [(0.0, 1.0)] * count,
        method="highs",
        options=options,
    )
    return found.x[unknowns:] < _APART if found.status == 0 else None
