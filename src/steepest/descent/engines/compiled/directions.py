"""Compiled steepest-descent directions: one matrix, every norm of the family, no allocation in a step.

Singular values come from a row-pivoted LQ factorisation S = P L Q followed by one-sided Jacobi rotations
of the small triangular factor (Drmač and Veselić, SIAM J. Matrix Anal. Appl. 29, 2008). On the graded
matrices that gradients are, this is at least as accurate as LAPACK's SVD, faster for some tens of classes,
and free of the thread pools that collapse when many small factorisations run side by side.
"""

from __future__ import annotations

import math

import numpy as np

from steepest.descent.engines.averages import CERTAIN_RATIO
from steepest.descent.engines.compiled.kernels import (
    add_multiple,
    allocating,
    copy_row,
    dot,
    finite,
    largest_entry,
    plain,
    scale_into,
    sum_of_squares,
    vectorised,
)
from steepest.descent.engines.compiled.norms import (
    COLUMNS,
    ENTRYWISE,
    FROBENIUS,
    MAX,
    ROWS,
    SUM,
)

DOUBTFUL = 2

_ORTHOGONAL = 4.0 * 2.0**-52
_EPS = 2.0**-52
_SWEEPS = 40


def direction_work(k: int, d: int) -> tuple[np.ndarray, ...]:
    """Return scratch space for signals [k, d]: rows, basis, triangle, rotations, core, and two transposed."""
    small, large = min(k, d), max(k, d)
    return (*np.zeros((2, small, large)), *np.zeros((3, small, small)), *np.zeros((2, d, k)))


@plain
def direction(kind, power, across, signal, out, work, cutoff, rank, least):
    """Write D(S) of the signal [k, d] into ``out``; return 1 if a real singular value was cut off, else 0.

    Singular values at or below ``cutoff`` times the largest are left out. With a rank above 0, the largest
    that the signal's terms allow, it returns DOUBTFUL where not so many are certain and above ``least``,
    for a direction that small ones change.

    The numbers are those of the norm's :class:`~steepest.descent.engines.compiled.norms.DirectionCode`, whose
    factor is left to the step size. The signal is of order one, as scaled mantissas are.
    """
    if kind == MAX:
        _sign(signal, out)
        return 0
    if kind == FROBENIUS:
        size = math.sqrt(sum_of_squares(signal))
        scale_into(signal, 1.0 / size if size > 0.0 else 0.0, out)
        return 0
    peak = largest_entry(signal)
    if peak == 0.0:
        out[:] = 0.0
        return 0
    if kind == SUM:
        _first_largest(signal, peak, out)
        return 0
    if kind == ENTRYWISE:
        _entrywise(signal, peak, power, out)
        return 0
    if kind == ROWS:
        _by_rows(signal, peak, power, across, out)
        return 0
    if kind == COLUMNS:
        # A view of the transposed would be another type, and compile everything again.
        turned, written = work[5], work[6]
        for i in range(signal.shape[0]):
            for j in range(signal.shape[1]):
                turned[j, i] = signal[i, j]
        _by_rows(turned, peak, power, across, written)
        for i in range(signal.shape[0]):
            for j in range(signal.shape[1]):
                out[i, j] = written[j, i]
        return 0
    return _schatten(power, signal, out, work, cutoff, rank, least)


@plain
def _sign(signal, out):
    entries, signs = signal.reshape(-1), out.reshape(-1)
    for j in range(entries.shape[0]):
        signs[j] = (1.0 if entries[j] > 0.0 else 0.0) - (1.0 if entries[j] < 0.0 else 0.0)


@plain
def _first_largest(signal, peak, out):
    out[:] = 0.0
    for i in range(signal.shape[0]):
        for j in range(signal.shape[1]):
            if abs(signal[i, j]) == peak:
                out[i, j] = 1.0 if signal[i, j] > 0.0 else -1.0
                return


@plain
def _entrywise(signal, peak, power, out):
    # With a = |S| / peak: D = sign(S) a^(q-1) / ‖a‖_q^(q-1), and (q-1) / q = 1 / p = 1 / (1 + 1/power).
    total = 0.0
    for i in range(signal.shape[0]):
        total += _weighed(signal, i, peak, power, out)
    scale_into(out, _over_length(total, power), out)


@plain
def _weighed(signal, i, unit, power, out):
    """Write sign · a^power for the entries of a row, a their moduli over a unit; return Σ a^(1 + power)."""
    if power == 1.0:
        return _in_units(signal, i, unit, out)
    if power == 0.5:
        return _square_roots(signal, i, unit, out)
    total = 0.0
    for j in range(signal.shape[1]):
        ratio = abs(signal[i, j]) / unit
        weight = ratio**power if ratio > 0.0 else 0.0
        total += weight * ratio
        out[i, j] = weight if signal[i, j] > 0.0 else -weight
    return total


# Reciprocals of rows as small as numbers can be are infinite: these divide.
@finite
def _in_units(signal, i, unit, out):
    total = 0.0
    for j in range(signal.shape[1]):
        ratio = signal[i, j] / unit
        total += ratio * ratio
        out[i, j] = ratio
    return total


@finite
def _square_roots(signal, i, unit, out):
    total = 0.0
    for j in range(signal.shape[1]):
        ratio = abs(signal[i, j]) / unit
        weight = math.sqrt(ratio)
        total += weight * ratio
        out[i, j] = math.copysign(weight, signal[i, j])
    return total


@plain
def _over_length(total, power):
    """Return (Σ a^q)^(-power / q), q = 1 + power: powers take as long as the sums of a short row."""
    return 1.0 / math.sqrt(total) if power == 1.0 else total ** (-power / (1.0 + power))


@allocating
def _by_rows(signal, peak, power, across, out):
    """Write each row's own direction times its share: the direction of the rows' dual sizes across them."""
    sizes = np.empty(signal.shape[0])
    largest = 0.0
    for i in range(signal.shape[0]):
        sizes[i] = _row_direction(signal, i, peak, power, out)
        largest = max(largest, sizes[i])
    _vector_direction(sizes, largest, across)
    for i in range(signal.shape[0]):
        for j in range(signal.shape[1]):
            out[i, j] *= sizes[i]


@plain
def _row_direction(signal, i, peak, power, out):
    """Write the direction of row i into ``out``; return its dual size over the largest entry of all."""
    top, first = 0.0, 0
    for j in range(signal.shape[1]):
        size = abs(signal[i, j])
        if size > top:
            top, first = size, j
    if top == 0.0 or math.isinf(power):
        for j in range(signal.shape[1]):
            out[i, j] = 0.0
        if top > 0.0:
            out[i, first] = 1.0 if signal[i, first] > 0.0 else -1.0
        return top / peak
    total = _weighed(signal, i, top, power, out)
    factor = _over_length(total, power)
    for j in range(signal.shape[1]):
        out[i, j] *= factor
    # ‖a‖_q = (Σ a^q)^(1/q) with q = 1 + power, which is Σ a^q over its power that divides the weights.
    return top / peak * (total * factor)


@plain
def _vector_direction(sizes, largest, power):
    """Replace sizes of at least 0 by their entry-wise direction."""
    if math.isinf(power):
        found = False
        for i in range(sizes.shape[0]):
            chosen = not found and sizes[i] == largest
            found = found or chosen
            sizes[i] = 1.0 if chosen else 0.0
        return
    if power == 0.0:
        for i in range(sizes.shape[0]):
            sizes[i] = 1.0 if sizes[i] > 0.0 else 0.0
        return
    total = 0.0
    for i in range(sizes.shape[0]):
        ratio = sizes[i] / largest
        if ratio > 0.0:
            weight = ratio**power
            total += weight * ratio
            sizes[i] = weight
    factor = total ** (-power / (1.0 + power))
    for i in range(sizes.shape[0]):
        sizes[i] *= factor


@plain
def _schatten(power, signal, out, work, cutoff, certain_rank, least):
    rows, basis, triangle, rotations, core = work[0], work[1], work[2], work[3], work[4]
    wide = signal.shape[0] <= signal.shape[1]
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = signal[i, j] if wide else signal[j, i]
    rank = _pivoted_rows(rows, basis, triangle)
    truncated = _core_direction(power, rank, triangle, rotations, core, cutoff, certain_rank, least)
    if truncated == DOUBTFUL:
        return DOUBTFUL
    # D = core · basis, where core [r, rank] = U f(Σ) Vᵀ of the triangular factor.
    rows[:] = 0.0
    for i in range(rows.shape[0]):
        for r in range(rank):
            add_multiple(rows, i, core[i, r], basis, r)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            if wide:
                out[i, j] = rows[i, j]
            else:
                out[j, i] = rows[i, j]
    return truncated


@allocating
def _pivoted_rows(rows, basis, triangle):
    """Factor rows = triangleᵀ · basis with orthonormal basis rows, longest remaining row first.

    Returns the rank. ``triangle`` [rank, r] holds each row's coefficients in the row's own column; ``rows``
    keeps what remains of each row. Two passes of Gram-Schmidt make the basis orthonormal to rounding.
    """
    count = rows.shape[0]
    used = np.zeros(count, dtype=np.bool_)
    triangle[:] = 0.0
    first = 0.0
    for r in range(count):
        pivot, longest = -1, 0.0
        for i in range(count):
            if not used[i]:
                size = dot(rows, i, rows, i)
                if pivot < 0 or size > longest:
                    pivot, longest = i, size
        if r == 0:
            first = longest
        # What is left at the level of rounding of the longest row has no direction of its own.
        if longest <= (0.05 * _EPS) ** 2 * first:
            return r
        used[pivot] = True
        copy_row(basis, r, rows, pivot)
        for s in range(r):
            overlap = dot(basis, s, basis, r)
            triangle[s, pivot] += overlap
            add_multiple(basis, r, -overlap, basis, s)
        length = math.sqrt(dot(basis, r, basis, r))
        if length == 0.0:
            return r
        triangle[r, pivot] = length
        for j in range(basis.shape[1]):
            basis[r, j] /= length
        for i in range(count):
            if not used[i]:
                triangle[r, i] = dot(basis, r, rows, i)
                add_multiple(rows, i, -triangle[r, i], basis, r)
    return count


@allocating
def _core_direction(power, rank, triangle, rotations, core, cutoff, certain_rank, least):
    """Write U f(Σ) Vᵀ of triangleᵀ = U Σ Vᵀ into ``core`` [r, rank]; return 1 if the cut-off took effect."""
    _orthogonalize(rank, triangle, rotations)
    sizes = np.empty(rank)
    for r in range(rank):
        sizes[r] = math.sqrt(dot(triangle, r, triangle, r))
    if certain_rank > 0 and power < 1.0 and _certain(sizes, least) < certain_rank:
        return DOUBTFUL
    weights, truncated = _direction_weights(power, sizes, core.shape[0], cutoff)
    if certain_rank > 0:
        truncated = 0
    core[:] = 0.0
    for r in range(rank):
        if weights[r] > 0.0:
            for i in range(core.shape[0]):
                left = weights[r] * triangle[r, i] / sizes[r]
                for s in range(rank):
                    core[i, s] += left * rotations[r, s]
    return truncated


@plain
def _orthogonalize(rank, triangle, rotations):
    """Rotate the rows of ``triangle`` [rank, r] until they are orthogonal: Σ Uᵀ, with Vᵀ in ``rotations``."""
    for i in range(rank):
        for j in range(rank):
            rotations[i, j] = 1.0 if i == j else 0.0
    tolerance = _ORTHOGONAL * max(1.0, 0.1 * rank)
    for _ in range(_SWEEPS):
        rotated = False
        for p in range(rank - 1):
            for q in range(p + 1, rank):
                alpha, beta, gamma = _products(triangle, p, q)
                if gamma != 0.0 and abs(gamma) > tolerance * math.sqrt(alpha * beta):
                    rotated = True
                    zeta = (beta - alpha) / (2.0 * gamma)
                    tangent = math.copysign(1.0, zeta) / (abs(zeta) + math.sqrt(1.0 + zeta * zeta))
                    cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
                    _rotate(triangle, p, q, cosine, cosine * tangent)
                    _rotate(rotations, p, q, cosine, cosine * tangent)
        if not rotated:
            return


@plain
def _certain(sizes, least):
    """Return how many singular values are large enough for their vectors to be known."""
    largest = 0.0
    for r in range(sizes.shape[0]):
        largest = max(largest, sizes[r])
    bound = max(CERTAIN_RATIO * largest, least)
    count = 0
    for r in range(sizes.shape[0]):
        count += 1 if sizes[r] > bound else 0
    return count


@allocating
def _direction_weights(power, sizes, sides, cutoff):
    """Return the entry-wise direction of the singular values, and 1 if the cut-off dropped a real one."""
    first = 0
    for r in range(1, sizes.shape[0]):
        if sizes[r] > sizes[first]:
            first = r
    largest = sizes[first]
    weights = np.zeros(sizes.shape[0])
    if math.isinf(power):
        weights[first] = 1.0
        return weights, 0
    # As in geometry.singular_values_below_cutoff: what is smaller cannot be told from rounding.
    rounding = 4.0 * math.sqrt(sides) * _EPS
    truncated = 0
    total = 0.0
    for r in range(sizes.shape[0]):
        ratio = sizes[r] / largest
        if ratio > cutoff:
            weights[r] = ratio**power
            total += weights[r] * ratio
        elif ratio > rounding and power < 1.0:
            truncated = 1
    scale_into(weights, total ** (-power / (1.0 + power)), weights)
    return weights, truncated


@vectorised
def _products(A, p, q):
    """Return the squared lengths of rows p and q of A, and their inner product."""
    alpha, beta, gamma = 0.0, 0.0, 0.0
    for j in range(A.shape[1]):
        alpha += A[p, j] * A[p, j]
        beta += A[q, j] * A[q, j]
        gamma += A[p, j] * A[q, j]
    return alpha, beta, gamma


@vectorised
def _rotate(A, p, q, cosine, sine):
    for j in range(A.shape[1]):
        first, second = A[p, j], A[q, j]
        A[p, j] = cosine * first - sine * second
        A[q, j] = sine * first + cosine * second
