"""Batches of corrected gradients whose coefficients are recorded later: at a snapshot or when asked for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from steepest.descent.engines.compiled.kernels import all_equal, count_below, plain, power_of
from steepest.descent.engines.compiled.shared_scales import APART, count_kept_apart, seen

__all__ = ["Deferred", "defer", "note_even", "renewed_quickly"]

BATCHES, EVEN = range(2)
# Coefficients that are brought up to date by both of two steps at once stay below those of either alone.
_APART_AT_ONCE, _LARGE_AT_ONCE = 20.0, 1e8


class Deferred(NamedTuple):
    """Batches of one epoch in their order, each sample in one of them at most."""

    rows: np.ndarray
    """Coefficients of their gradients, shape [n, k], in units that each batch shares."""
    ends: np.ndarray
    """How many rows there are up to each batch, shape [n]."""
    units: np.ndarray
    factors: np.ndarray
    steps: np.ndarray
    counts: np.ndarray
    """How many batches there are, and whether all coefficients share a step and a scale, and so do those
    that they are compared with."""

    @classmethod
    def of(cls, samples: int, classes: int) -> Deferred:
        """Return space for an epoch."""
        return cls(
            np.empty((samples, classes)),
            np.zeros(samples, dtype=np.int64),
            np.zeros(samples),
            np.zeros(samples),
            np.zeros(samples, dtype=np.int64),
            np.zeros(2, dtype=np.int64),
        )


@plain
def defer(indices, step, factor, taken, deferred):
    """Put a batch down whose residuals were ``taken``; return False where it has to be recorded at once."""
    rows, ends, units, factors, steps, counts = deferred
    b, batch = indices.shape[0], counts[BATCHES]
    first = ends[batch - 1] if batch > 0 else 0
    if first + b > rows.shape[0] or count_kept_apart(taken[0], b) < b:
        return False
    _copy(rows, first, taken[0], b)
    ends[batch], units[batch], factors[batch], steps[batch] = first + b, taken[1][0], factor, step
    counts[BATCHES] = batch + 1
    return True


@plain
def _copy(rows, first, taken, b):
    written, read, start = rows.reshape(-1), taken.reshape(-1), first * rows.shape[1]
    for j in range(b * rows.shape[1]):
        written[start + j] = read[j]


@plain
def note_even(kept):
    """Note whether all coefficients share a scale, after all were brought up to one step."""
    scale, there = kept.scales[0, 0], kept.compared_scales[0, 0]
    even = min(scale, there) > -math.inf
    even = even and all_equal(kept.scales.reshape(-1), scale)
    even = even and all_equal(kept.compared_scales.reshape(-1), there)
    kept.deferred.counts[EVEN] = 1 if even else 0


@plain
def renewed_quickly(  # noqa: C901 (one pass over an epoch)
    labels, orders, first_epoch, batches, batch_size, step, taken, kept
):
    """Record an epoch and bring all coefficients up to a step, compared from there on with what was taken.

    Return False, without a change, where scales are not shared or far apart. The arithmetic is that of
    ``record`` and ``renew`` in terms.py, operation by operation.
    """
    rows, ends, units, factors, steps, counts = kept.deferred
    mantissas, compared, old, current = kept.mantissas, kept.compared, kept.old, kept.rows
    n, k = mantissas.shape
    count, since, beta = counts[BATCHES], kept.steps[0], kept.beta
    if counts[EVEN] == 0 or count == 0 or ends[count - 1] < n or count_kept_apart(taken[0], n) < n:
        return False
    scale, there = kept.scales[0, 0], kept.compared_scales[0, 0]
    if count_below(mantissas.reshape(-1), _LARGE_AT_ONCE) < n * k:
        return False
    for batch in range(count):
        _, decay_scale = power_of(beta, kept.head, kept.tail, steps[batch] + 1 - since)
        distance = (scale - max(units[batch], there)) + decay_scale
        if not (abs(units[batch] - there) < APART and distance < _APART_AT_ONCE):
            return False
    first = 0
    for batch in range(count):
        position, order = steps[batch] % batches, orders[steps[batch] // batches - first_epoch]
        decay, decay_scale = power_of(beta, kept.head, kept.tail, steps[batch] + 1 - since)
        gain = (1.0 - decay * math.exp(decay_scale)) / n
        top = max(units[batch], there)
        before = decay * math.exp((scale - top) + decay_scale)
        of_row, of_other = math.exp(units[batch] - top), math.exp(there - top)
        later, later_scale = power_of(beta, kept.head, kept.tail, step - (steps[batch] + 1))
        later_gain = (1.0 - later * math.exp(later_scale)) / n
        after = later * math.exp((top - there) + later_scale)
        b, start = ends[batch] - first, position * batch_size
        # Rows stand one behind the other for one loop over all of them.
        for i in range(b):
            for c in range(k):
                current[i, c] = mantissas[order[start + i], c]
                old[i, c] = compared[order[start + i], c]
        _recorded_and_settled(
            current, old, rows, b * k, first * k,
            before, gain, of_row, of_other, factors[batch], 1.0 - beta, after, later_gain,
        )  # fmt: skip
        for i in range(b):
            for c in range(k):
                mantissas[order[start + i], c] = current[i, c]
            mantissas[order[start + i], labels[order[start + i]]] = 0.0
        first = ends[batch]
    if scale != there:
        kept.scales[:] = there
    kept.steps[:] = step
    _times(taken[0], 1.0 * n, compared)
    for i in range(n):
        compared[i, labels[i]] = 0.0
    if taken[1][0] != there:
        kept.compared_scales[:] = taken[1][0]
    counts[BATCHES] = 0
    return True


@plain
def _recorded_and_settled(
    current, old, rows, count, start, before, gain, of_row, of_other, factor, share, after, later_gain
):
    numbers, others, added = current.reshape(-1), old.reshape(-1), rows.reshape(-1)
    for j in range(count):
        other = of_other * others[j]
        change = seen(of_row * added[start + j], -factor * other)
        averaged = seen(before * numbers[j], gain * other)
        averaged = seen(averaged, share * change)
        numbers[j] = seen(after * averaged, later_gain * others[j])


@plain
def _times(matrix, factor, out):
    read, written = matrix.reshape(-1), out.reshape(-1)
    for j in range(written.shape[0]):
        written[j] = factor * read[j]
