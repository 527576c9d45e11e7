"""SAGA's coefficients: the table has the rows of every batch until the next epoch, which records them.

What a batch is compared with stays where it is as long as it is not recorded, so that a step puts down its
number alone.
"""

from __future__ import annotations

import math

from steepest.descent.engines.compiled.deferred import BATCHES
from steepest.descent.engines.compiled.kernels import inlined, plain, power_of
from steepest.descent.engines.compiled.shared_scales import APART, LARGE_ENTRY, count_kept_apart, seen
from steepest.descent.engines.compiled.terms import record
from steepest.signals.saga import TERM, UNIT

__all__ = ["put_down", "record_table", "table_totals"]

_UNIT, _LEFT_OUT = math.exp(UNIT), math.exp(-80.0 - UNIT)


@plain
def put_down(b, step, factor, table, deferred):
    """Put a step's batch down; return False where its coefficients have to be recorded at once."""
    _, ends, _, factors, steps, counts = deferred
    if count_kept_apart(table.new_rows, b) < b:
        return False
    batch = counts[BATCHES]
    ends[batch] = b + (ends[batch - 1] if batch > 0 else 0)
    factors[batch], steps[batch] = factor, step
    counts[BATCHES] = batch + 1
    return True


@plain
def record_table(data, orders, first_epoch, batches, batch_size, leaves, table, kept):
    """Record the batches that were put down.

    Where it ``leaves`` them, the rows of the last batch stand afterwards where
    :func:`~steepest.descent.engines.compiled.terms.record` leaves them.
    """
    _, ends, _, factors, steps, counts = kept.deferred
    first, count = 0, counts[BATCHES]
    counts[BATCHES] = 0
    for batch in range(count):
        step, factor = steps[batch], factors[batch]
        order, start = orders[step // batches - first_epoch], (step % batches) * batch_size
        indices = order[start : start + ends[batch] - first]
        first = ends[batch]
        if leaves and batch == count - 1:
            _rows_of_table(data[2], indices, factor, table, kept)
            record(data, indices, 0, step, True, True, factor, kept)
        else:
            _record_batch(data, indices, step, factor, table, kept)


@plain
def _rows_of_table(labels, indices, factor, table, kept):
    for i in range(indices.shape[0]):
        sample = indices[i]
        for c in range(kept.rows.shape[1]):
            kept.rows[i, c], kept.row_scales[i, c] = factor * table.rows[sample, c], table.scales[sample]
        kept.rows[i, labels[sample]] = 0.0


@plain
def _record_batch(data, indices, step, factor, table, kept):
    labels, n = data[2], kept.mantissas.shape[0]
    last, decay, decay_scale, gain = -1, 1.0, 0.0, 0.0
    for i in range(indices.shape[0]):
        sample = indices[i]
        age = step + 1 - kept.steps[sample]
        if age != last:
            last = age
            decay, decay_scale = power_of(kept.beta, kept.head, kept.tail, age)
            gain = (1.0 - decay * math.exp(decay_scale)) / n
        if _recorded_quickly(
            kept.mantissas, kept.scales, kept.compared, kept.compared_scales, table.rows, table.scales,
            sample, labels[sample], decay, decay_scale, gain, factor, kept.beta,
        ):  # fmt: skip
            kept.steps[sample], kept.references[sample] = step + 1, -1
        else:
            _rows_of_table(labels, indices[i : i + 1], factor, table, kept)
            record(data, indices[i : i + 1], 0, step, True, True, factor, kept)


@inlined
def _recorded_quickly(
    mantissas, scales, compared, compared_scales, rows, row_scales, sample, label,
    decay, decay_scale, gain, factor, beta,
):  # fmt: skip
    """Record a row of the table: the arithmetic of ``corrected_quickly``, operation by operation.

    Return False, without a change, where it would.
    """
    scale, there, here = scales[sample, 0], compared_scales[sample, 0], row_scales[sample]
    unlike, largest = 0, 0.0
    for c in range(mantissas.shape[1]):
        unlike += 1 if scales[sample, c] != scale else 0
        unlike += 1 if compared_scales[sample, c] != there else 0
        largest = max(largest, abs(mantissas[sample, c]))
    top = max(here, there)
    distance = (scale - top) + decay_scale if scale > -math.inf else -math.inf
    quickly = unlike == 0 and abs(here - there) < APART and distance < APART and largest < LARGE_ENTRY
    if quickly:
        kept = decay * math.exp(distance)
        of_row = 1.0 if here == top else math.exp(here - top)
        of_other = 1.0 if there == top else math.exp(there - top)
        for c in range(mantissas.shape[1]):
            new, other = factor * rows[sample, c], of_other * compared[sample, c]
            compared[sample, c] = new / factor
            change = seen(of_row * new, -factor * other)
            before = seen(kept * mantissas[sample, c], gain * other)
            mantissas[sample, c] = seen(before, (1.0 - beta) * change)
        mantissas[sample, label], compared[sample, label] = 0.0, 0.0
        if scale != top:
            for c in range(mantissas.shape[1]):
                scales[sample, c] = top
        if there != here:
            for c in range(mantissas.shape[1]):
                compared_scales[sample, c] = here
    return quickly


@plain
def table_totals(b, factor, length, before_rounding, before_terms, table, kept, totals):
    """Write sums of absolute coefficients of SAGA's signal in units of e^scale; return scale, rounding.

    The rows of the batch are added to those that the next signals are compared with; what they replace is
    taken out by :func:`~steepest.descent.engines.compiled.terms.total_compared`.
    """
    new_rows, new_scales, old_rows, old_scales = table[5:9]
    sizes, (n, k) = kept.compared_sizes, kept.mantissas.shape
    base = kept.compared_scale[0]
    top = base
    for i in range(b):
        top = max(top, new_scales[i], old_scales[i])
    if top > base:
        down = math.exp(base - top)
        for c in range(k):
            sizes[c] *= down
        kept.compared_scale[0] = top
    for c in range(k):
        totals[c] = sizes[c]
    for i in range(b):
        # Scales are alike as a rule. The true class has the sum of the others, with a sign.
        new = 1.0 if new_scales[i] == top else math.exp(new_scales[i] - top)
        old = factor if old_scales[i] == top else factor * math.exp(old_scales[i] - top)
        whole, part = factor * new, new / n
        for c in range(k):
            size = abs(new_rows[i, c])
            totals[c] += whole * size + old * abs(old_rows[i, c])
            sizes[c] += part * size
    largest = 0.0
    for c in range(k):
        largest = max(largest, totals[c])
    made = math.log(n + TERM) + before_terms
    lost = math.exp(before_rounding - top) / _UNIT + math.exp(made - top)
    # Kernels leave out rows below e^-80 of the largest.
    return top, lost + largest * length * _LEFT_OUT
