"""Products of weights and dual weights with the features of chosen pairs, in compiled loops.

They cost 2 d operations a pair where products of all classes with all samples cost 2 d k a sample. Weights
are [k, d] beside dense features, and [d, k] beside sparse ones: there the classes of a feature stand side by
side, so that a miss of the cache serves them all.
"""

from __future__ import annotations

from functools import partial

import numba
import numpy as np

from steepest.compilation import REORDERING, compiled_and_kept

__all__ = ["MANY", "add_pairs", "add_sparse_pairs", "pair_margins", "sparse_pair_margins", "sparse_pair_sum"]

MANY = 8
"""Of samples with pairs in more than one class in so many, all classes are added at once."""
_plain = numba.njit(nogil=True, error_model="numpy", fastmath=set(REORDERING))
_kept = partial(compiled_and_kept, reorders=True)


@_plain
def _dot(W, c, X, i):
    total = W.dtype.type(0.0)
    for column in range(X.shape[1]):
        total += W[c, column] * X[i, column]
    return total


@_kept
def pair_margins(X, labels, starts, classes, W, out):
    """Write the margins of the pairs of each sample, which are at ``starts[i]`` and on, into ``out``."""
    for i in range(labels.shape[0]):
        if starts[i] == starts[i + 1]:
            continue
        true = _dot(W, labels[i], X, i)
        for place in range(starts[i], starts[i + 1]):
            out[place] = true - _dot(W, classes[place], X, i)


@_kept
def add_pairs(X, labels, starts, classes, dual, out):
    """Add A of the pairs' dual weights to ``out``."""
    for i in range(labels.shape[0]):
        total = dual.dtype.type(0.0)
        for place in range(starts[i], starts[i + 1]):
            factor, c = dual[place], classes[place]
            total += factor
            if factor != 0.0:
                for column in range(X.shape[1]):
                    out[c, column] -= factor * X[i, column]
        if total != 0.0:
            c = labels[i]
            for column in range(X.shape[1]):
                out[c, column] += total * X[i, column]


@_plain
def _logits(features, i, W, logits):
    """Write the logits of all classes of row i: four entries at a time, so that sums stay in registers."""
    values, columns, rows = features
    k = W.shape[1]
    logits[:] = 0.0
    entry, end = rows[i], rows[i + 1]
    while entry + 4 <= end:
        first, second = W[columns[entry]], W[columns[entry + 1]]
        third, fourth = W[columns[entry + 2]], W[columns[entry + 3]]
        a, b = values[entry], values[entry + 1]
        c, d = values[entry + 2], values[entry + 3]
        for turn in range(k):
            logits[turn] += a * first[turn] + b * second[turn] + c * third[turn] + d * fourth[turn]
        entry += 4
    while entry < end:
        row, value = W[columns[entry]], values[entry]
        for turn in range(k):
            logits[turn] += value * row[turn]
        entry += 1


@_kept
def sparse_pair_margins(features, labels, starts, classes, W, out):
    """The same of sparse features: their values, columns and the starts of rows; and W [d, k]."""
    values, columns, rows = features
    k = W.shape[1]
    logits = np.zeros(k, W.dtype)
    for i in range(labels.shape[0]):
        first, last, true = starts[i], starts[i + 1], labels[i]
        if first == last:
            continue
        if MANY * (last - first) >= k:
            _logits(features, i, W, logits)
        else:
            logits[:] = 0.0
            for entry in range(rows[i], rows[i + 1]):
                column, value = columns[entry], values[entry]
                logits[true] += value * W[column, true]
                for place in range(first, last):
                    logits[classes[place]] += value * W[column, classes[place]]
        for place in range(first, last):
            out[place] = logits[true] - logits[classes[place]]


@_kept
def add_sparse_pairs(features, labels, starts, classes, dual, out):
    """Add A of the pairs' dual weights to ``out``, of shape [d, k]: row by row, in their classes alone."""
    values, columns, rows = features
    for i in range(labels.shape[0]):
        first, last, true = starts[i], starts[i + 1], labels[i]
        total = out.dtype.type(0.0)
        for place in range(first, last):
            total += dual[place]
        if total == 0.0:
            continue
        for entry in range(rows[i], rows[i + 1]):
            column, value = columns[entry], values[entry]
            out[column, true] += value * total
            for place in range(first, last):
                out[column, classes[place]] -= value * dual[place]


@_kept
def sparse_pair_sum(by_column, labels, starts, classes, dual, towards, out):
    """Write A of the pairs' dual weights into ``out`` [d, k]: column by column, in all classes.

    ``by_column`` has values, rows and the starts of columns. What dual weights are towards each class is
    written into ``towards`` [m, k]: it is smaller than A, and read at random in its place.
    """
    towards[:] = 0.0
    for i in range(labels.shape[0]):
        for place in range(starts[i], starts[i + 1]):
            towards[i, classes[place]] -= dual[place]
            towards[i, labels[i]] += dual[place]
    for column in range(out.shape[0]):
        _logits(by_column, column, towards, out[column])
