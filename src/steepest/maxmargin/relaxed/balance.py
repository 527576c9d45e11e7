"""Dual weights that meet the conditions of a relaxed max margin exactly, or are known to be near such."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.forms.worst import within_caps
from steepest.maxmargin.relaxed.exact_dual import dense, exact_dual, solved_exactly
from steepest.maxmargin.relaxed.repair import nearest_within
from steepest.maxmargin.relaxed.terms import Shares, Terms

__all__ = ["Correction", "feasible_dual"]

_BITS = 52
"""Dual weights are multiples of 2^-52 of their sum where they have to balance: sums of them are exact."""
_ROOM = 1e-12
"""Share of a cap that is left free, beside the roundings of a sample, for what balancing may add to it."""
_SLACK = 1e-6
"""A sample whose dual weights are below its cap by less than this share of it is at its cap."""
_CORRECTIONS = 3
"""Each gains all but a few digits."""
_MOST_HELD = 500
"""Samples at their caps whose pairs may make up for each other, which is an equation each."""
_FOR_A_SUM, _LEAST_MOVED = 10, 2000
"""Dual weights below their caps that are enough to move for each sum that is to vanish, and beside."""
_MOST_REPAIRED = 100_000
"""Dual weights of a linear program that takes a second."""
_ADDED = 1e-13
"""What balancing may add to the sum of dual weights before they are divided by it and balanced again."""
_LEFT = 1e-9, 1e-7
"""Shares of the largest dual weight below which others may be zeros of a solver, in the order of trying."""
_UNIT = 2.0**-53


@dataclass(frozen=True)
class Correction:
    """A bound on the difference between given dual weights and exact ones that meet all conditions."""

    relative: float = 0.0
    """Of every dual weight, in relation to it."""
    pairs: np.ndarray | None = None
    """Pairs (i, c) that are changed by more, shape [s, 2]."""
    sizes: np.ndarray | None = None
    """By how much at most, shape [s]."""

    @property
    def lost(self) -> float:
        """Most by which the sum of the dual weights may fall."""
        return 0.0 if self.sizes is None else float(self.sizes.sum()) * (1 + 1e-9)

    def of_terms(self, sizes: np.ndarray, y: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Most by which A(q) may change, shape [k, p], for features of absolute values ``sizes`` [m, p]."""
        return (1 + 1e-9) * (self.of_pairs(q, y).T @ sizes)

    def of_pairs(self, q: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Most by which dual weights, and at the true class their sums, may change, shape [m, k]."""
        T = np.zeros_like(q)
        if self.relative:
            T += self.relative * q
        if self.pairs is not None and self.sizes is not None:
            np.add.at(T, tuple(self.pairs.T), self.sizes)
        T[np.arange(len(T)), y] = T.sum(axis=1)
        return T


def feasible_dual(
    q: np.ndarray,
    y: np.ndarray,
    free: np.ndarray,
    terms: Terms,
    deadline: Deadline,
    *,
    moved: bool = True,
) -> tuple[np.ndarray, Correction] | None:
    """Return dual weights near q with a bound on what is left to exact ones; None where none are near.

    Args:
        q: dual weights, shape [m, k], non-negative, 0 at the true class, of positive sum.
        y: labels, shape [m].
        free: all free features, shape [m, f], the intercept's ones first.
        terms: the conditions.
        deadline: when such a program is to stop.
        moved: whether a linear program may look for dual weights farther away where none are near.
    """
    q = q / q.sum()
    found = _feasible(q, y, free, terms)
    for cutoff in _LEFT if terms.columns else ():
        # What a solver leaves of a weight that is 0 may be all there is to balance a class with.
        if found is None:
            found = _feasible(np.where(q >= cutoff * q.max(), q, 0.0), y, free, terms)
    if found is not None and not found[0].any():
        return None
    if found is None and moved and terms.caps is not None and q.size <= _MOST_REPAIRED:
        repaired = nearest_within(q, y, free, terms.caps, deadline)
        found = None if repaired is None else _feasible(repaired, y, free, terms)
    if found is None and terms.shares is not None and terms.caps is not None:
        found = _without_room(q, y, free, terms.caps, terms.shares, deadline)
    return found


def _without_room(
    q: np.ndarray, y: np.ndarray, free: np.ndarray, caps: np.ndarray, shares: Shares, deadline: Deadline
) -> tuple[np.ndarray, Correction] | None:
    """The same where conditions leave no room, as caps that all samples are at: in rational arithmetic."""
    for near in _near(q, y, free, caps, deadline):
        exact = exact_dual(near, y, free, shares.caps)
        if exact is not None:
            return dense(exact, q.shape), Correction(relative=2.0**-52)
    return None


def _near(
    q: np.ndarray, y: np.ndarray, free: np.ndarray, caps: np.ndarray, deadline: Deadline
) -> Iterator[np.ndarray]:
    near = within_caps(q, y, caps)
    yield _least_corrected(near, y, free, caps)
    if q.size <= _MOST_REPAIRED:
        repaired = nearest_within(near, y, free, caps, deadline, room=0.0)
        if repaired is not None:
            yield repaired


def _feasible(
    q: np.ndarray, y: np.ndarray, free: np.ndarray, terms: Terms
) -> tuple[np.ndarray, Correction] | None:
    if terms.caps is not None:
        tight = terms.caps.sum() <= 1.0 + 2 * _ROOM
        room = _ROOM + 2.0**-_BITS * q.shape[1] / terms.caps
        q = within_caps(q, y, terms.caps if tight else terms.caps * (1.0 - room))
        if tight and free.shape[1] == 0:
            # All samples are at their caps, which the exact weights are in rows that are scaled by rounding.
            return q, Correction(relative=float(np.abs(q.sum(axis=1) / terms.caps - 1.0).max()) + 8 * _UNIT)
    if terms.intercept:
        q = _balanced(q, y, terms.caps)
        if q.sum() > 1.0 + _ADDED:
            q = _balanced(q / q.sum(), y, terms.caps)
    if terms.columns:
        return _corrected(_least_corrected(q, y, free, terms.caps), y, free, terms)
    if terms.caps is None:
        return q, Correction()
    inside = _within(q.sum(axis=1), float(q.sum()), terms.caps)
    return (q, Correction()) if inside else None


def _least_corrected(q: np.ndarray, y: np.ndarray, free: np.ndarray, caps: np.ndarray | None) -> np.ndarray:
    """Change dual weights by the least relative amount until A(q) is rounding in ``free``.

    Samples at their caps keep their sums, so that only those of several pairs take part.
    """
    k = q.shape[1]
    full = np.zeros(len(q), dtype=bool) if caps is None else q.sum(axis=1) >= caps * (1.0 - _SLACK)
    held = np.flatnonzero(full & (np.count_nonzero(q, axis=1) > 1))[:_MOST_HELD]
    moving = ~full
    moving[held] = True
    pairs, below = np.argwhere((q > 0) & moving[:, None]), np.argwhere((q > 0) & ~full[:, None])
    enough = _FOR_A_SUM * k * free.shape[1] + _LEAST_MOVED
    if len(below) > enough:
        held, pairs = held[:0], below[np.linspace(0, len(below) - 1, enough).astype(np.int64)]
    if not len(pairs):
        return q
    scaled = free / _sizes(free)
    columns = _columns(scaled, y, k, pairs)
    sums = (pairs[:, 0] == held[:, None]).astype(float)
    for _ in range(_CORRECTIONS):
        values = q[tuple(pairs.T)]
        whole = (towards(q, y).T @ scaled)[: k - 1].ravel()
        left = np.concatenate([whole, np.zeros(len(held))])
        change = np.linalg.lstsq(np.concatenate([columns, sums]) * values, left, rcond=1e-12)[0]
        q = q.copy()
        q[tuple(pairs.T)] = np.maximum(values * (1.0 - change), 0.0)
    return q


def _sizes(free: np.ndarray) -> np.ndarray:
    return np.maximum(np.max(np.abs(free), axis=0), np.finfo(float).tiny)


def _within(rows: np.ndarray, total: float, caps: np.ndarray, added: np.ndarray | float = 0.0) -> bool:
    """Whether row sums are within their caps with certainty."""
    return bool((rows * (1 + 1e-14) + added <= caps * total * (1 - 1e-14)).all())


def _balanced(q: np.ndarray, y: np.ndarray, caps: np.ndarray | None) -> np.ndarray:
    """Whole multiples of one unit, of which exactly as many leave each class as come to it."""
    k = q.shape[1]
    if not q.any():
        return q
    whole = np.rint(q * (2.0**_BITS / q.sum()))
    index = np.arange(len(y))
    leaves = np.bincount(y, whole.sum(axis=1), minlength=k)
    surplus = leaves - whole.sum(axis=0)
    # The class of most dual weight stands between the others: a little is added to one pair for each.
    root = int(np.argmax(leaves))
    for a in range(k):
        if a == root or surplus[a] == 0:
            continue
        start, end = (root, a) if surplus[a] > 0 else (a, root)
        members = index[y == start]
        if len(members):
            rows = whole[members].sum(axis=1)
            room = rows if caps is None else caps[members] * whole.sum() - rows
            # Rather to a sample that has dual weight already, which leaves the support as it is.
            held = np.where(rows > 0, room, -np.inf)
            place = np.argmax(held if held.max() >= 2 * abs(surplus[a]) else room)
            whole[members[place], end] += abs(surplus[a])
        else:
            # A class without samples can be left by nothing, so nothing may come to it.
            whole[:, a] = 0.0
            return _balanced(whole, y, caps)
    return whole * 2.0**-_BITS


def _corrected(
    q: np.ndarray, y: np.ndarray, free: np.ndarray, terms: Terms
) -> tuple[np.ndarray, Correction] | None:
    """Find the exact change of a few dual weights that makes A(q) vanish in the free features."""
    k = q.shape[1]
    pairs = np.argwhere(q > 0)
    if not len(pairs):
        return None
    values = q[tuple(pairs.T)]
    columns = _columns(free / _sizes(free), y, k, pairs)
    found: Any = scipy.linalg.qr(columns * values, mode="r", pivoting=True, check_finite=False)
    triangle, order = found[-2:]
    pivots = np.abs(np.diag(triangle))
    basis = order[: int(np.count_nonzero(pivots > 1e-10 * pivots.max(initial=0.0)))]
    change = _exact_change(free, y, q, pairs[basis])
    if change is None:
        return None
    sizes = np.array([float(abs(each)) * (1 + 1e-12) for each in change])
    if (sizes > values[basis]).any():
        return None
    if terms.caps is not None:
        added = np.zeros(len(q))
        np.add.at(added, pairs[basis, 0], sizes)
        if not _within(q.sum(axis=1), float(q.sum()) - float(sizes.sum()), terms.caps, added):
            return None
    return q, Correction(pairs=pairs[basis], sizes=sizes)


def _columns(free: np.ndarray, y: np.ndarray, k: int, pairs: np.ndarray) -> np.ndarray:
    """Return the matrix [(k - 1) f, s] from dual weights of pairs to A(q) of all classes but the last."""
    i, c = pairs.T
    classes = np.eye(k)[:, : k - 1]
    rows = (classes[y[i]] - classes[c])[:, :, None] * free[i][:, None, :]
    return rows.reshape(len(pairs), (k - 1) * free.shape[1]).T


def _exact_change(free: np.ndarray, y: np.ndarray, q: np.ndarray, basis: np.ndarray) -> list[Fraction] | None:
    """Return the changes of the dual weights of ``basis`` that make A(q) zero, in rational arithmetic."""
    k, f = q.shape[1], free.shape[1]
    left = [[Fraction(0)] * f for _ in range(k)]
    for i, c in np.argwhere(q > 0).tolist():
        weight = Fraction(float(q[i, c]))
        for j, entry in enumerate(free[i].tolist()):
            if entry:
                term = weight * Fraction(entry)
                left[y[i]][j] += term
                left[c][j] -= term
    system = [
        [_entry(free, y, pair, a, j) for pair in basis] + [-left[a][j]]
        for a in range(k - 1)
        for j in range(f)
    ]
    return solved_exactly(system, len(basis))


def _entry(free: np.ndarray, y: np.ndarray, pair: np.ndarray, a: int, j: int) -> Fraction:
    i, c = pair
    return Fraction(float(free[i, j])) * ((1 if y[i] == a else 0) - (1 if c == a else 0))
