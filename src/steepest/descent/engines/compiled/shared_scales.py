"""Coefficients of an average whose rows share a scale: there they are ordinary sums, a few additions each."""

from __future__ import annotations

import math

import numpy as np

from steepest.descent.engines.compiled.kernels import (
    LARGEST_SIZE,
    LEAST_SIZE,
    all_equal,
    finite,
    inlined,
    plain,
    power_of,
    vectorised,
)
from steepest.signals.numbers import HIDDEN

__all__ = [
    "APART",
    "LARGE_ENTRY",
    "add_quickly",
    "corrected_quickly",
    "count_kept_apart",
    "found_quickly",
    "reference_of",
    "seen",
    "settled_quickly",
]

_CLAMPED = math.exp(-650.0)
"""Residuals below this part of the largest may be what kernels do not keep apart."""
APART = 46.0
"""Rows move to a new reference where what is added to them has grown or shrunk by e^46."""
_LARGE_ROW, LARGE_ENTRY = 1e100, 1e20
_SERIAL, _STEP, _SCALE = range(3)


def reference_of(scales: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the reference of a run, its number, step and scale, and of each sample the one it stands in.

    It is read off the coefficients, so that a run that was cut goes on to the last bit as one that was not.
    """
    reference, references = np.asarray([0.0, -math.inf, 0.0]), np.full(len(steps), -1, dtype=np.int64)
    shared = np.isfinite(scales[:, 0]) & (scales == scales[:, :1]).all(axis=1)
    if shared.any():
        newest = np.flatnonzero(shared)[np.argmax(steps[shared])]
        reference[_STEP], reference[_SCALE] = steps[newest], scales[newest, 0]
        references[shared & (steps == steps[newest]) & (scales[:, 0] == scales[newest, 0])] = 0
    return reference, references


@plain
def add_quickly(
    labels, indices, taken, units, mantissas, scales, steps, references, reference, beta, head, tail, step
):
    """Average the first samples of a batch, as long as their coefficients share a scale; return how many.

    The others are left to :func:`~steepest.descent.engines.compiled.terms.record`. ``taken`` [b, k] are the
    coefficients of a signal without corrections, in units of ``units``, the same for the whole batch.
    Coefficients are those of a step and in units of a scale, the reference, that lasts for many steps: what
    is added grows beside them by 1 / β a step instead.
    """
    b = count_kept_apart(taken, indices.shape[0])
    age = step + 1 - reference[_STEP]
    growth = ((units[0] - reference[_SCALE]) - age * head) - age * tail
    # With β = 0 nothing lasts for longer than a step.
    if beta == 0.0 or not abs(growth) < APART:
        reference[_SERIAL] += 1.0
        reference[_STEP], reference[_SCALE] = step + 1, units[0]
        growth = 0.0
    serial = int(reference[_SERIAL])
    new = (1.0 - beta) * math.exp(growth)
    # A batch of all samples is in order.
    if b == mantissas.shape[0] and all_equal(references, serial):
        _add_all(mantissas, new, taken)
        for i in range(b):
            mantissas[i, labels[i]] = 0.0
        return b
    for i in range(b):
        sample = indices[i]
        if references[sample] != serial:
            if not _moved(mantissas, scales, steps, reference, beta, head, tail, sample):
                references[sample] = -1
                return i
            references[sample] = serial
        # Rows are handed to no function: that would cost more than the sums.
        for c in range(taken.shape[1]):
            mantissas[sample, c] += new * taken[i, c]
        mantissas[sample, labels[sample]] = 0.0
    return b


@plain
def _add_all(target, factor, matrix):
    entries, added = target.reshape(-1), matrix.reshape(-1)
    for j in range(entries.shape[0]):
        entries[j] += factor * added[j]


@plain
def count_kept_apart(taken, b):
    """Return how many rows come before the first with a coefficient that kernels may not keep apart."""
    # At the true class stands minus the sum of the others.
    if _count_clamped(taken, 0, b) == 0:
        return b
    for i in range(b):
        if _count_clamped(taken, i, i + 1) > 0:
            return i
    return b


@finite
def _count_clamped(rows, first, stop):
    count = 0
    for i in range(first, stop):
        for c in range(rows.shape[1]):
            count += 1 if abs(rows[i, c]) <= _CLAMPED else 0
    return count


@plain
def _moved(mantissas, scales, steps, reference, beta, head, tail, sample):
    """Express the coefficients of a sample in those of a reference; return False where they do not fit."""
    scale = scales[sample, 0]
    if _count_unlike(scales, sample, scale) > 0:
        return False
    factor = 0.0
    if scale > -math.inf:
        age = int(reference[_STEP]) - steps[sample]
        decay, decay_scale = power_of(beta, head, tail, age)
        distance = (scale - reference[_SCALE]) + decay_scale
        if distance > APART:
            return False
        # Entries that underflow are far below those that are added, at least e^-650 each.
        factor = decay * math.exp(distance)
        if _largest(mantissas, sample) * factor > _LARGE_ROW:
            return False
    _scale_row(mantissas, sample, factor)
    steps[sample] = int(reference[_STEP])
    scales[sample, :] = reference[_SCALE]
    return True


@finite
def _largest(rows, i):
    largest = 0.0
    for c in range(rows.shape[1]):
        largest = max(largest, abs(rows[i, c]))
    return largest


@plain
def _count_unlike(scales, i, scale):
    count = 0
    for c in range(scales.shape[1]):
        count += 1 if scales[i, c] != scale else 0
    return count


@vectorised
def _scale_row(rows, i, factor):
    for c in range(rows.shape[1]):
        rows[i, c] *= factor


@inlined
def seen(one, other):
    """Return the sum of two numbers, or 0 if its rounding hides it."""
    total = one + other
    return total if abs(total) > HIDDEN * (abs(one) + abs(other)) else 0.0


@inlined
def _exponential(exponent):
    # Scales are alike as a rule.
    return 1.0 if exponent == 0.0 else math.exp(exponent)


@inlined
def settled_quickly(mantissas, scales, compared, compared_scales, sample, decay, decay_scale, gain):
    """Bring a sample's coefficients up to a step; return False, without a change, where scales differ.

    They are decay · e^decay_scale times what they were, plus gain times what its gradients are compared with.
    """
    scale, top = scales[sample, 0], compared_scales[sample, 0]
    unlike, largest = 0, 0.0
    for c in range(mantissas.shape[1]):
        unlike += 1 if scales[sample, c] != scale else 0
        unlike += 1 if compared_scales[sample, c] != top else 0
        largest = max(largest, abs(mantissas[sample, c]))
    distance = (scale - top) + decay_scale if scale > -math.inf else -math.inf
    quickly = unlike == 0 and top > -math.inf and distance < APART and largest < LARGE_ENTRY
    if quickly:
        kept = decay * math.exp(distance)
        for c in range(mantissas.shape[1]):
            mantissas[sample, c] = seen(kept * mantissas[sample, c], gain * compared[sample, c])
            scales[sample, c] = top
    return quickly


@inlined
def found_quickly(
    mantissas, scales, compared, compared_scales, found, found_scales, sample, decay, decay_scale, gain
):
    """Write what :func:`settled_quickly` would make of a sample's coefficients; False where scales differ.

    It has what :func:`~steepest.descent.engines.compiled.terms.plus` would have, to the last bit.
    """
    scale, there = scales[sample, 0], compared_scales[sample, 0]
    unlike, largest, least = 0, 0.0, math.inf
    for c in range(mantissas.shape[1]):
        unlike += 1 if scales[sample, c] != scale else 0
        unlike += 1 if compared_scales[sample, c] != there else 0
        size, other = abs(decay * mantissas[sample, c]), abs(gain * compared[sample, c])
        largest = max(largest, size, other)
        least = min(least, size if size > 0.0 else math.inf, other if other > 0.0 else math.inf)
    here = scale + decay_scale
    # Scales that are finite, near, and entries that no sum takes out of their range.
    quickly = unlike == 0 and abs(here - there) < APART and gain > 0.0
    quickly = quickly and largest < LARGEST_SIZE and least > LEAST_SIZE
    if quickly:
        top = max(here, there)
        of_one, of_other = _exponential(here - top), _exponential(there - top)
        for c in range(mantissas.shape[1]):
            one, other = decay * mantissas[sample, c], gain * compared[sample, c]
            total = seen(one * of_one, other * of_other)
            found[sample, c] = total
            found_scales[sample, c] = top if total != 0.0 else -math.inf
            # A number alone keeps its own scale.
            if one == 0.0:
                found[sample, c], found_scales[sample, c] = other, there
            if other == 0.0:
                found[sample, c], found_scales[sample, c] = one, here
    return quickly


@inlined
def corrected_quickly(
    mantissas, scales, compared, compared_scales, rows, row_scales, old, old_scales, sample, i,
    decay, decay_scale, gain, factor, beta, replaces,
):  # fmt: skip
    """Record row i of a batch for a sample, as :func:`~steepest.descent.engines.compiled.terms.record` does.

    Return False, without a change, where its coefficients, what they are compared with, or the row do not
    share a scale each, or these are far apart: no entry then underflows beside another.
    """
    scale, there, here = scales[sample, 0], compared_scales[sample, 0], row_scales[i, 0]
    unlike, largest = 0, 0.0
    for c in range(mantissas.shape[1]):
        unlike += 1 if scales[sample, c] != scale else 0
        unlike += 1 if compared_scales[sample, c] != there else 0
        unlike += 1 if row_scales[i, c] != here else 0
        largest = max(largest, abs(mantissas[sample, c]))
    top = max(here, there)
    distance = (scale - top) + decay_scale if scale > -math.inf else -math.inf
    quickly = unlike == 0 and abs(here - there) < APART and distance < APART and largest < LARGE_ENTRY
    if quickly:
        kept, of_row, of_other = (
            decay * _exponential(distance),
            _exponential(here - top),
            _exponential(there - top),
        )
        for c in range(mantissas.shape[1]):
            new, other = rows[i, c], compared[sample, c]
            old[i, c], old_scales[i, c] = other, there
            if replaces:
                compared[sample, c], compared_scales[sample, c] = new / factor, here
            change = seen(of_row * new, -factor * (of_other * other))
            before = seen(kept * mantissas[sample, c], gain * (of_other * other))
            mantissas[sample, c] = seen(before, (1.0 - beta) * change)
            rows[i, c] = change
            scales[sample, c], row_scales[i, c] = top, top
    return quickly
