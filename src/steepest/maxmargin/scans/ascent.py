"""Coordinate ascent in the dual of the Frobenius norm among chosen pairs, in compiled loops.

The ascent is that of ``first_order/coordinate.py``, with two changes for large data. A sample has a list of
the classes that are near it instead of all k, so that a step costs (1 + classes) d and not k d. And the dual
weights go on from where they were when pairs join, so that a round costs what is new in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from steepest.compilation import compiled_and_kept

__all__ = ["ChosenPairs", "Features", "sweep"]

_NEWTON_STEPS = 50
"""Far more than the number of classes that a step passes in practice."""
_plain = numba.njit(nogil=True, error_model="numpy")


class Features(NamedTuple):
    """Features of the chosen samples: rows of an array [m, d], or the three arrays of sparse rows.

    The other form is empty.
    """

    dense: np.ndarray
    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray


class ChosenPairs(NamedTuple):
    """Pairs (i, c) by sample: those of sample i are at ``starts[i]`` to ``starts[i + 1]``."""

    labels: np.ndarray
    """Class of each chosen sample, shape [m]."""
    squares: np.ndarray
    """‖x_i‖², shape [m]."""
    starts: np.ndarray
    """Shape [m + 1]."""
    classes: np.ndarray
    """c of every pair, shape [s]."""
    alpha: np.ndarray
    """Dual weights, shape [s]; changed in place."""
    margins: np.ndarray
    """Margins as they were last seen, shape [s]; changed in place."""


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
def _shift(wanted, count, total):
    """Return the s with s = Σ max(0, wanted - s) - total: Newton's method on a convex function."""
    s = 0.0
    for _ in range(_NEWTON_STEPS):
        value, slope = -total - s, -1.0
        for place in range(count):
            if wanted[place] > s:
                value += wanted[place] - s
                slope -= 1.0
        new = s - value / slope
        if abs(new - s) <= 1e-16 * abs(new) or new == s:
            return new
        s = new
    return s


@_plain
def _is_idle(pairs, place, far):
    """Whether a pair has no dual weight and, as last seen, stands far from the boundary."""
    return pairs.alpha[place] == 0.0 and pairs.margins[place] > far


@compiled_and_kept
def sweep(features, pairs, W, order, sweeps, far):
    """Go through the samples ``order``, ``sweeps`` times; α, margins and W change in place.

    W is A(α), or differs from it by what stays the same: then the nearest point to that with all margins at
    least 1 is sought. Pairs without dual weight whose margin was above ``far`` as last seen are left out.
    """
    most = 1
    for i in range(pairs.labels.shape[0]):
        most = max(most, pairs.starts[i + 1] - pairs.starts[i])
    wanted, places = np.empty(most), np.empty(most, dtype=np.int64)
    for _ in range(sweeps):
        for i in order:
            square, true, count = pairs.squares[i], pairs.labels[i], 0
            for place in range(pairs.starts[i], pairs.starts[i + 1]):
                if not _is_idle(pairs, place, far):
                    places[count] = place
                    count += 1
            if square == 0.0 or count == 0:
                continue
            logit, total = _dot(W, true, features, i), 0.0
            for turn in range(count):
                place = places[turn]
                margin = logit - _dot(W, pairs.classes[place], features, i)
                pairs.margins[place] = margin
                total += pairs.alpha[place]
                wanted[turn] = pairs.alpha[place] + (1.0 - margin) / square
            s = _shift(wanted, count, total)
            moved = 0.0
            for turn in range(count):
                place = places[turn]
                change = max(0.0, wanted[turn] - s) - pairs.alpha[place]
                pairs.alpha[place] += change
                moved += change
                _add_multiple(W, pairs.classes[place], -change, features, i)
            _add_multiple(W, true, moved, features, i)
