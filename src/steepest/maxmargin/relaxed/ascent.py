"""Coordinate ascent in the dual of soft margins with free weights: one sample at a time, in compiled loops.

Over dual weights α of sum T, each sample's within its cap, ½‖A(α)‖² is to be least, with A(α) = 0 in the free
features. The equations are met by multipliers (Bertsekas, Constrained Optimization and Lagrange Multiplier
Methods, 1982, chapter 2): the level r of the margins is that of Σα = T, and free weights are those of
A(α) = 0. Between two changes of the multipliers, which others make, the α of a sample are solved for exactly
while the others stand still, among the classes that are active for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from steepest.compilation import compiled_and_kept

__all__ = ["Active", "Features", "sweep"]

_NEWTON_STEPS = 50
"""Far more than the number of classes that a step passes in practice."""
_plain = numba.njit(nogil=True, error_model="numpy")


class Features(NamedTuple):
    """Features of samples: rows of an array [m, d], or the three arrays of sparse rows; the other is empty."""

    dense: np.ndarray
    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray


class Active(NamedTuple):
    """The samples that sweeps visit, and their classes: those of the j-th at ``starts[j]`` and on."""

    rows: np.ndarray
    """Index of each sample, shape [a]."""
    starts: np.ndarray
    """Shape [a + 1]."""
    classes: np.ndarray
    """The classes that may have dual weight, those that have some among them, shape [s]."""


@_plain
def _dot(W, c, features, i):
    dense, values, columns, starts = features
    if dense.shape[0] > 0:
        # Of the library of linear algebra: sums in loops take three times as long.
        return np.dot(W[c], dense[i])
    total = 0.0
    for place in range(starts[i], starts[i + 1]):
        total += W[c, columns[place]] * values[place]
    return total


@_plain
def _add_multiple(W, c, factor, features, i):
    if factor == 0.0:
        return
    dense, values, columns, starts = features
    if dense.shape[0] > 0:
        row, weights = dense[i], W[c]
        for column in range(row.shape[0]):
            weights[column] += factor * row[column]
    else:
        for place in range(starts[i], starts[i + 1]):
            W[c, columns[place]] += factor * values[place]


@_plain
def _shift(wanted, count, total, ratio, cap):
    """Return the s with s = ratio (S(s) - total), or where S(s) is above the cap that with S(s) = cap.

    S(s) = Σ max(0, wanted - s) is convex and falls: Newton's method on each in turn.
    """
    s = 0.0
    for _ in range(_NEWTON_STEPS):
        value, slope = -ratio * total - s, -1.0
        for turn in range(count):
            if wanted[turn] > s:
                value += ratio * (wanted[turn] - s)
                slope -= ratio
        new = s - value / slope
        if abs(new - s) <= 1e-16 * abs(new) or new == s:
            break
        s = new
    for _ in range(_NEWTON_STEPS):
        value, slope = -cap, 0.0
        for turn in range(count):
            if wanted[turn] > s:
                value += wanted[turn] - s
                slope -= 1.0
        if value <= 1e-16 * cap or slope == 0.0:
            break
        s -= value / slope
    return s


@compiled_and_kept
def sweep(features, labels, squares, caps, alpha, W, level, stiffness, active, order):
    """Go through the active samples in an order; α [m, k], W [k, d] and the level [1] change in place.

    W is A(α) plus what stays the same, and the level what stays the same less ``stiffness`` times Σα.
    """
    most = 1
    for turn in range(active.rows.shape[0]):
        most = max(most, active.starts[turn + 1] - active.starts[turn])
    wanted = np.empty(most)
    for turn in order:
        i, start = active.rows[turn], active.starts[turn]
        square, true, count = squares[i], labels[i], active.starts[turn + 1] - start
        if square == 0.0 or count == 0:
            continue
        logit, total = _dot(W, true, features, i), 0.0
        for place in range(count):
            c = active.classes[start + place]
            margin = logit - _dot(W, c, features, i)
            total += alpha[i, c]
            wanted[place] = alpha[i, c] + (level[0] - margin) / square
        s = _shift(wanted, count, total, 1.0 + stiffness / square, caps[i])
        moved = 0.0
        for place in range(count):
            c = active.classes[start + place]
            change = max(0.0, wanted[place] - s) - alpha[i, c]
            alpha[i, c] += change
            moved += change
            _add_multiple(W, c, -change, features, i)
        _add_multiple(W, true, moved, features, i)
        level[0] -= stiffness * moved
