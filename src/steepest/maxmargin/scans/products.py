"""Products of weights and dual weights with the features of chosen pairs, in compiled loops.

They cost 2 d operations a pair where products of all classes with all samples cost 2 d k a sample.
"""

from __future__ import annotations

import numba
import numpy as np

from steepest.compilation import compiled_and_kept

__all__ = ["add_pairs", "pair_margins"]

_plain = numba.njit(nogil=True, error_model="numpy")


@_plain
def _dot(W, c, features, i):
    dense, values, columns, starts = features
    if dense.shape[0] > 0:
        # Of the library of linear algebra: sums in loops take three times as long.
        return np.dot(W[c], dense[i])
    total = W[c, 0] - W[c, 0]
    for place in range(starts[i], starts[i + 1]):
        total += W[c, columns[place]] * values[place]
    return total


@_plain
def _add_multiple(A, c, factor, features, i):
    dense, values, columns, starts = features
    if dense.shape[0] > 0:
        row, sums = dense[i], A[c]
        for column in range(row.shape[0]):
            sums[column] += factor * row[column]
    else:
        for place in range(starts[i], starts[i + 1]):
            A[c, columns[place]] += factor * values[place]


@compiled_and_kept
def pair_margins(features, labels, starts, classes, W, out):
    """Write the margins of the pairs of each sample, which are at ``starts[i]`` and on, into ``out``."""
    for i in range(labels.shape[0]):
        if starts[i] == starts[i + 1]:
            continue
        true = _dot(W, labels[i], features, i)
        for place in range(starts[i], starts[i + 1]):
            out[place] = true - _dot(W, classes[place], features, i)


@compiled_and_kept
def add_pairs(features, labels, starts, classes, dual, sums, out):
    """Add A of the pairs' dual weights, whose sums by sample are ``sums``, to ``out``."""
    for i in range(labels.shape[0]):
        if sums[i] == 0.0:
            continue
        _add_multiple(out, labels[i], sums[i], features, i)
        for place in range(starts[i], starts[i + 1]):
            if dual[place] != 0.0:
                _add_multiple(out, classes[place], -dual[place], features, i)
