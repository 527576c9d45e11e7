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
    """Features of samples: rows of an array [m, d], or the arrays of sparse rows; the other is empty."""

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
def _dense_logits(W, true, classes, row, logits):
    """Write the logits of the true class, at the end, and of the given classes."""
    count = classes.shape[0]
    for place in range(count):
        # Of the library of linear algebra: sums in loops take three times as long.
        logits[place] = np.dot(W[classes[place]], row)
    logits[count] = np.dot(W[true], row)


@_plain
def _dense_change(W, true, classes, row, changes, moved):
    for place in range(classes.shape[0]):
        if changes[place] != 0.0:
            weights, factor = W[classes[place]], -changes[place]
            for column in range(row.shape[0]):
                weights[column] += factor * row[column]
    if moved != 0.0:
        weights = W[true]
        for column in range(row.shape[0]):
            weights[column] += moved * row[column]


@_plain
def _sparse_logits(W, true, classes, columns, values, logits):
    """The same for W [d, k], where the classes of a feature stand together: a miss of the cache for all."""
    count = classes.shape[0]
    logits[: count + 1] = 0.0
    for place in range(columns.shape[0]):
        weights, value = W[columns[place]], values[place]
        for turn in range(count):
            logits[turn] += weights[classes[turn]] * value
        logits[count] += weights[true] * value


@_plain
def _sparse_change(W, true, classes, columns, values, changes, moved):
    for place in range(columns.shape[0]):
        weights, value = W[columns[place]], values[place]
        for turn in range(classes.shape[0]):
            weights[classes[turn]] -= changes[turn] * value
        weights[true] += moved * value


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


@_plain
def _solve_sample(alpha, classes, logits, wanted, changes, level, square, stiffness, cap):
    """Set the α [k] of a sample to their optimum; return by how much they grow in all, and if any changed.

    Their changes are written into ``changes``.
    """
    count, total, largest = classes.shape[0], 0.0, 0.0
    for place in range(count):
        own = alpha[classes[place]]
        total += own
        wanted[place] = own + (level - (logits[count] - logits[place])) / square
    s = _shift(wanted, count, total, 1.0 + stiffness / square, cap)
    moved = 0.0
    for place in range(count):
        changes[place] = max(0.0, wanted[place] - s) - alpha[classes[place]]
        alpha[classes[place]] += changes[place]
        moved += changes[place]
        largest = max(largest, abs(changes[place]))
    return moved, largest > 0.0


@compiled_and_kept
def sweep(features, labels, squares, caps, alpha, W, level, stiffness, active, order):
    """Go through the active samples in an order; α [m, k], W and the level [1] change in place.

    W is A(α) plus what stays the same, [k, d], or of sparse features [d, k]; and the level is what stays the
    same less ``stiffness`` times Σα.
    """
    dense, values, columns, starts = features
    most = alpha.shape[1] + 1
    logits, wanted, changes = np.empty(most), np.empty(most), np.empty(most)
    for turn in order:
        i = active.rows[turn]
        classes = active.classes[active.starts[turn] : active.starts[turn + 1]]
        square, true = squares[i], labels[i]
        if square == 0.0 or classes.shape[0] == 0:
            continue
        if dense.shape[0] > 0:
            _dense_logits(W, true, classes, dense[i], logits)
        else:
            first, last = starts[i], starts[i + 1]
            _sparse_logits(W, true, classes, columns[first:last], values[first:last], logits)
        moved, changed = _solve_sample(
            alpha[i], classes, logits, wanted, changes, level[0], square, stiffness, caps[i]
        )
        if not changed:
            continue
        if dense.shape[0] > 0:
            _dense_change(W, true, classes, dense[i], changes, moved)
        else:
            first, last = starts[i], starts[i + 1]
            _sparse_change(W, true, classes, columns[first:last], values[first:last], changes, moved)
        level[0] -= stiffness * moved
