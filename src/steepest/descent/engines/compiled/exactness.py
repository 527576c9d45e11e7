"""Where the compiled loop's sums are not certain, and spectral directions of terms."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from steepest.descent.engines.compiled.gradient import residual_rows
from steepest.descent.engines.compiled.kernels import allocating, count_below, inlined, plain
from steepest.descent.engines.compiled.norms import COLUMNS, ENTRYWISE, MAX, ROWS
from steepest.descent.engines.graded_kernels import graded_singular

__all__ = [
    "Space",
    "add_totals",
    "doubtful",
    "factor_of",
    "graded_direction",
    "graded_direction_of",
    "graded_signs",
    "least_part",
    "suspicious",
]


class Space(NamedTuple):
    """Scratch space for the terms of a signal."""

    rows: np.ndarray
    scales: np.ndarray
    logs: np.ndarray
    lefts: np.ndarray
    which: np.ndarray
    totals: np.ndarray

    @classmethod
    def of(cls, samples: int, batch_size: int, classes: int, *, signs: bool, singular: bool) -> Space:
        """Return space for what signs or singular values take, or next to none where neither is asked for."""
        n = samples if signs or singular else 1
        terms = (samples + 2 * batch_size) * (classes - 1) if singular else 1
        return cls(
            np.empty((n, classes)),
            np.empty(n),
            np.empty(max(terms, n * classes)),
            np.empty((terms, classes)),
            np.empty(terms, dtype=np.int64),
            np.zeros((4, classes)),
        )


_SIGN, _DIGITS = 1e-12, 1e-6
_LEAST = math.exp(-600.0)
_CLAMPED = math.exp(-680.0)
_FARTHEST, _TINY, _EVEN = -700.0, 1e-280, 1e250


def least_part(kind: int, power: float) -> float:
    """Return the part of its terms above which an entry is certain; 0 where no entry needs to be."""
    if kind == MAX:
        return _SIGN
    return _DIGITS if kind in (COLUMNS, ROWS) or (kind == ENTRYWISE and power < 1.0) else 0.0


@plain
def suspicious(sums, least, signal):
    """Whether :func:`doubtful` is worth asking, for a gradient by rows: some entry is small.

    ``least`` is the part of its terms above which an entry is certain, times the largest feature; the sums
    are those that the gradient left.
    """
    # One pass over all entries settles it as a rule: rows are seldom far apart.
    most, fewest = 0.0, np.inf
    for c in range(sums.shape[1]):
        most, fewest = max(most, sums[0, c]), min(fewest, sums[0, c])
    if fewest > _LEAST and not count_below(signal.reshape(-1), least * most):
        return False
    for c in range(signal.shape[0]):
        if not sums[0, c] > _LEAST or count_below(signal[c], least * sums[0, c]):
            return True
    return False


@plain
def _doubtful_entries(kind, least, X, largest, indices, work, signal):
    """Whether the direction may hang on what the rounding of some entry of a gradient has hidden.

    The gradient is the last that was written with ``work``, over ``indices``.
    """
    residuals, sums = work[0], work[7]
    if indices.shape[0] == 1:
        # Entries are single products; kernels keep coefficients of one sample apart to e^-700.
        return kind != MAX and _smallest_coefficient(residuals) < _LEAST
    for c in range(signal.shape[0]):
        total = sums[0, c]
        if not total > _LEAST:
            return True
        bound = least * total * largest
        for j in range(signal.shape[1]):
            if not abs(signal[c, j]) > bound and _hidden(X, indices, work, least, signal, c, j):
                return True
    return False


@plain
def _doubtful_corrected(least, X, largest, everything, totals, signal):
    """The same for a sum of several gradients; ``totals`` [k] are the sums of their absolute coefficients."""
    for c in range(signal.shape[0]):
        if not totals[c] > _LEAST:
            return True
        bound = least * totals[c] * largest
        for j in range(signal.shape[1]):
            if not abs(signal[c, j]) > bound and _any_feature(X, everything, j):
                return True
    return False


@plain
def _smallest_coefficient(residuals):
    smallest, largest = math.inf, 0.0
    for c in range(residuals.shape[1]):
        smallest = min(smallest, abs(residuals[0, c]))
        largest = max(largest, abs(residuals[0, c]))
    return smallest / largest if largest > 0.0 else 0.0


@plain
def _hidden(X, indices, work, least, signal, c, j):
    """Whether an entry is no larger than what it may have lost; one without a term has lost nothing."""
    residuals, chosen, sums = work[0], work[3], work[7]
    size = 0.0
    for i in range(int(sums[1, 0])):
        size += abs(residuals[i, c] * X[chosen[i], j])
    if size > 0.0:
        return abs(signal[c, j]) <= least * size * sums[1, 1]
    return _any_feature(X, indices, j)


@plain
def _any_feature(X, indices, j):
    present = False
    for i in indices:
        present |= X[i, j] != 0.0
    return present


@plain
def _pair_terms(data, indices, W, factor, work, rows, scales, logs, lefts, which, at):
    """Write the terms of factor · Σ_i ∇ℓ_i(W) behind the first ``at``; return their new number.

    It is -1 where residuals of one sample span more than kernels keep apart. ``rows`` and ``scales`` are
    scratch space for a batch.
    """
    labels = data[2]
    residual_rows(data, indices, W, work, rows, scales)
    sign, size = (1.0, math.log(factor)) if factor > 0.0 else (-1.0, math.log(-factor))
    for i in range(indices.shape[0]):
        label = labels[indices[i]]
        for c in range(rows.shape[1]):
            if c == label:
                continue
            if not rows[i, c] > _CLAMPED * -rows[i, label]:
                return -1
            logs[at] = math.log(rows[i, c]) + (scales[i] + size)
            for other in range(rows.shape[1]):
                lefts[at, other] = 0.0
            lefts[at, c], lefts[at, label] = sign, -sign
            which[at] = indices[i]
            at += 1
    return at


@allocating
def _graded_schatten(power, logs, lefts, which, X, out):
    """Write the direction of a Schatten norm of the sum of some terms into ``out`` [k, d]."""
    top = -np.inf
    for p in range(logs.shape[0]):
        top = max(top, logs[p])
    u, values, v = graded_singular(logs - top, lefts, which, X)
    rank = values.shape[0]
    weights = np.empty(rank)
    total = 0.0
    for r in range(rank):
        weights[r] = math.exp(power * (values[r] - values[0]))
        total += weights[r] * math.exp(values[r] - values[0])
    scale = total ** (-power / (1.0 + power))
    out[:] = 0.0
    for r in range(rank):
        for i in range(out.shape[0]):
            weight = scale * weights[r] * u[r, i]
            for j in range(out.shape[1]):
                out[i, j] += weight * v[r, j]


@plain
def doubtful(
    kind, least, data, corrected, indices, everything, work, space, here, there, full, scale, signal
):
    """Whether the direction of a signal may hang on an entry that rounding has hidden.

    ``least`` is :func:`least_part` of the norm.
    ``here``, ``there``, ``full`` and ``scale`` are the log-scales of the gradients of a corrected signal,
    whose sums of coefficients are the first three rows of the totals, and of the signal.
    """
    if not corrected:
        return _doubtful_entries(kind, least, data[0], data[4], indices, work, signal)
    add_totals(space.totals, here, there, full, scale)
    return _doubtful_corrected(least, data[0], data[4], everything, space.totals[3], signal)


@plain
def add_totals(totals, here, there, full, scale):
    """Write into the last row what the absolute coefficients of the parts of a signal add up to."""
    if scale == -math.inf:
        totals[3] = math.inf
        return
    first, second, third = math.exp(here - scale), math.exp(there - scale), math.exp(full - scale)
    for c in range(totals.shape[1]):
        totals[3, c] = totals[0, c] * first + totals[1, c] * second + totals[2, c] * third


@plain
def graded_signs(least, data, indices, W, factor, work, sums, space, signal, out):
    """Write a gradient into ``out`` with the signs that its rounding hides made of their terms.

    Return False where an entry's terms cancel so far that their sum has no certain sign either. ``factor``
    is that of the sum; ``sums`` [2, k] are those that the gradient left.
    """
    rows, scales, logs = space.rows, space.scales, space.logs
    k, b = signal.shape[0], indices.shape[0]
    residual_rows(data, indices, W, work, rows, scales)
    for i in range(b):
        # At a sample's class stands the sum of the others.
        others = abs(rows[i, data[2][indices[i]]])
        for c in range(k):
            size = abs(rows[i, c])
            if not size > _CLAMPED * others:
                return False
            logs[i * k + c] = math.log(size) + scales[i]
    sign = 1.0 if factor > 0.0 else -1.0
    for c in range(k):
        bound = least * sums[0, c] * data[4] if sums[0, c] > _LEAST else math.inf
        for j in range(signal.shape[1]):
            out[c, j] = signal[c, j]
            if not abs(signal[c, j]) > bound:
                total, size = _entry(data[0], indices, rows, scales, logs, c, j)
                if size == 0.0:
                    out[c, j] = 0.0
                elif size > _TINY and abs(total) > least * size:
                    out[c, j] = math.copysign(1.0, sign * total)
                else:
                    return False
    return True


@plain
def _entry(X, indices, rows, scales, logs, c, j):
    """Return an entry of a gradient and what the sizes of its terms add up to, in units of the largest."""
    k, top, at = rows.shape[1], -math.inf, 0
    for i in range(indices.shape[0]):
        if X[indices[i], j] != 0.0 and logs[i * k + c] > top:
            top, at = logs[i * k + c], i
    total, size = 0.0, 0.0
    if top == -math.inf:
        return total, size
    for i in range(indices.shape[0]):
        x = X[indices[i], j]
        if x != 0.0 and logs[i * k + c] - top > _FARTHEST:
            # Differences of scales are exact where sizes are near each other; logarithms are not.
            term = rows[i, c] * x * math.exp(scales[i] - scales[at])
            total += term
            size += abs(term)
        elif abs(x) > _EVEN * abs(X[indices[at], j]):
            # Of such uneven features the logarithms of coefficients say too little.
            return 0.0, math.inf
    # What is too small for an ordinary number is not nothing.
    return total, max(size, _TINY)


@plain
def graded_direction(
    power, data, corrected, indices, everything, W, snapshot, factor, whole, work, space, out
):
    """Write the Schatten direction of a signal from its terms; return False where they are not to be had.

    ``factor`` and ``whole`` are those of sums over the batch and over all samples.
    """
    rows, scales, logs, lefts, which, _ = space
    count = 0
    for part in range(3 if corrected else 1):
        # One call for all parts: each would be compiled anew.
        chosen = everything if part == 2 else indices
        weight = factor if part == 0 else (-factor if part == 1 else whole)
        at = W if part == 0 else snapshot
        count = _pair_terms(data, chosen, at, weight, work, rows, scales, logs, lefts, which, count)
        if count < 0:
            return False
    _graded_schatten(power, logs[:count], lefts[:count], which[:count], data[0], out)
    return True


@plain
def graded_direction_of(power, data, kept, space, out):
    """Write the Schatten direction of the coefficients that were found; False where they are not all."""
    _, _, logs, lefts, which, _ = space
    if kept.carries:
        return False
    labels, count = data[2], 0
    for i in range(kept.found.shape[0]):
        for c in range(kept.found.shape[1]):
            value = kept.found[i, c]
            if value == 0.0:
                continue
            logs[count] = math.log(abs(value)) + kept.found_scales[i, c]
            sign = 1.0 if value > 0.0 else -1.0
            for other in range(lefts.shape[1]):
                lefts[count, other] = 0.0
            lefts[count, c], lefts[count, labels[i]] = sign, -sign
            which[count] = i
            count += 1
    if count == 0:
        return False
    _graded_schatten(power, logs[:count], lefts[:count], which[:count], data[0], out)
    return True


@inlined
def factor_of(takes_means, indices, weighted):
    """Return the factor of a sum over a batch."""
    return 1.0 / indices.shape[0] if takes_means else weighted
