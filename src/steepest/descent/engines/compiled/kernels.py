"""Compiled arithmetic that gradients and directions share: sums, exponentials, matrices with a log-scale.

The formulas are those of scaled.py and geometry; they are written again here as plain loops because one
run's weights then stay in a core's cache. Tests hold every function against its array API original.
Arrays are copied by loops too: an assignment of slices takes seconds to compile, for its error messages.
``fastmath`` is granted only to sums and products of finite numbers, where it permits vector instructions.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

# Functions count the references to their arrays, on every way through them, unless told not to: a third of a
# step. What they call inherits it.
_HOLDS: dict[str, Any] = {"_nrt": True}
_BORROWS: dict[str, Any] = {"_nrt": False}

allocating = numba.njit(nogil=True, error_model="numpy", **_HOLDS)
"""Compiles as written, for what makes arrays or is given new ones by what it calls."""

plain = numba.njit(nogil=True, error_model="numpy", **_BORROWS)
"""Compiles as written, for what works on arrays that others hold."""

inlined = numba.njit(nogil=True, error_model="numpy", inline="always")
"""Compiles as written, into its caller: to hand on several arrays costs tens of nanoseconds a call."""

vectorised = numba.njit(
    nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"}, **_BORROWS
)
"""Compiles sums of finite numbers in any order."""

_polynomial = numba.njit(nogil=True, error_model="numpy", fastmath={"contract"}, **_BORROWS)
finite = numba.njit(nogil=True, error_model="numpy", fastmath={"nnan", "nsz", "reassoc"}, **_BORROWS)
"""Compiles comparisons of numbers that are never NaN."""

_changes = numba.njit(
    nogil=True, error_model="numpy", fastmath={"nnan", "reassoc", "contract", "nsz"}, **_BORROWS
)

# Mantissas are brought back to order one when they leave this range, far inside that of a double.
LEAST_SIZE, LARGEST_SIZE = 1e-13, 1e13
SMALLEST_SQUARE_ROOT = 1e-140


@vectorised
def dot(A, i, B, j):
    """Inner product of row i of A with row j of B.

    Rows are named by their index, here and below: a view of a row would cost more than the sum over it.
    """
    total = 0.0
    for column in range(A.shape[1]):
        total += A[i, column] * B[j, column]
    return total


@vectorised
def add_multiple(target, i, factor, A, j):
    """Add factor times row j of A to row i of the target."""
    for column in range(target.shape[1]):
        target[i, column] += factor * A[j, column]


@vectorised
def copy_row(target, i, A, j):
    """Overwrite row i of the target with row j of A."""
    for column in range(target.shape[1]):
        target[i, column] = A[j, column]


@vectorised
def copy_multiple(target, i, factor, A, j):
    """Overwrite row i of the target with factor times row j of A."""
    for column in range(target.shape[1]):
        target[i, column] = factor * A[j, column]


@vectorised
def move(W, step_size, direction):
    """W -= step_size · direction, for matrices [k, d]."""
    entries, steps = W.reshape(-1), direction.reshape(-1)
    for j in range(entries.shape[0]):
        entries[j] -= step_size * steps[j]


@vectorised
def move_on(W, step_size, direction, beta, previous):
    """W += beta (W - previous) - step_size · direction, and previous ← W as it was (heavy ball)."""
    entries, steps, before = W.reshape(-1), direction.reshape(-1), previous.reshape(-1)
    for j in range(entries.shape[0]):
        here = entries[j]
        entries[j] = (here - step_size * steps[j]) + beta * (here - before[j])
        before[j] = here


@vectorised
def sum_of_squares(matrix):
    """Squared Frobenius norm of a matrix [k, d]."""
    entries = matrix.reshape(-1)
    total = 0.0
    for j in range(entries.shape[0]):
        total += entries[j] * entries[j]
    return total


@vectorised
def scale_into(matrix, factor, out):
    """Write factor · matrix into ``out``, for matrices [k, d]."""
    entries, written = matrix.reshape(-1), out.reshape(-1)
    for j in range(entries.shape[0]):
        written[j] = factor * entries[j]


@finite
def largest_entry(matrix):
    """Largest |S_ij| of a matrix [k, d]."""
    largest = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            size = abs(matrix[i, j])
            if size > largest:
                largest = size
    return largest


@_polynomial
def exponentials(numbers, bits, powers):
    """Replace numbers of at most 700 by their exponentials, to an ulp; below -700 they become e^-700.

    exp(x) = 2^n exp(r) with x = n log 2 + r, |r| ≤ (log 2) / 2, by a polynomial and by writing the exponent
    bits of 2^n. ``powers`` is ``bits``, whole numbers, seen as floats. Unlike the library's exp this runs in
    vector registers.
    """
    for i in range(numbers.shape[0]):
        x = max(numbers[i], -700.0)
        n = (x * 1.4426950408889634 + 6755399441055744.0) - 6755399441055744.0
        r = (x - n * 0.6931471803691238) - n * 1.9082149292705877e-10
        bits[i] = (np.int64(n) + 1023) << 52
        tail = 1 / 40320 + r * (
            1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r * (1 / 479001600 + r / 6227020800)))
        )
        numbers[i] = 1.0 + r * (
            1.0
            + r
            * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * tail))))))
        )
    for i in range(numbers.shape[0]):
        numbers[i] *= powers[i]


@finite
def count_below(entries, bound):
    """Return how many entries are at most a bound in modulus: a sum, which becomes vector instructions."""
    count = 0
    for j in range(entries.shape[0]):
        count += 1 if abs(entries[j]) <= bound else 0
    return count


@plain
def all_equal(entries, value):
    """Whether all entries are a value: a count of the others, which becomes vector instructions."""
    unlike = 0
    for j in range(entries.shape[0]):
        unlike += 1 if entries[j] != value else 0
    return unlike == 0


@plain
def power_of(beta, head, tail, age):
    """Return β^age as mantissa and log-scale."""
    if age == 0:
        return 1.0, 0.0
    if beta == 0.0:
        return 0.0, -math.inf
    high, low = age * head, age * tail
    scale = math.floor(high + low)
    return math.exp((high - scale) + low), scale


@plain
def renormalized(mantissa, log_scale):
    """Bring the mantissa back to order one where it has left it, in place; return the new log-scale."""
    size = math.sqrt(sum_of_squares(mantissa))
    if not SMALLEST_SQUARE_ROOT < size < math.inf:
        # Squares may have left the range of a double although the entries have not.
        size = largest_entry(mantissa)
    if size == 0.0:
        return -math.inf
    if LEAST_SIZE < size < LARGEST_SIZE:
        return log_scale
    shift = math.floor(math.log(size))
    half = math.exp(-0.5 * shift)
    scale_into(mantissa, half, mantissa)
    scale_into(mantissa, half, mantissa)
    return log_scale + shift


@plain
def add_scaled(target, target_scale, target_factor, other, other_scale, other_factor):
    """Add scaled matrices, target ← target_factor · target + other_factor · other; return the log-scale."""
    if target_factor == 0.0 or target_scale == -math.inf:
        target_scale, target_factor = -math.inf, 0.0
    if other_scale == -math.inf:
        other_factor = 0.0
    top = max(target_scale, other_scale)
    if top == -math.inf:
        target[:] = 0.0
        return top
    if target_factor != 0.0:
        target_factor *= math.exp(target_scale - top)
    if other_factor != 0.0:
        other_factor *= math.exp(other_scale - top)
    _combine(target, target_factor, other, other_factor)
    return renormalized(target, top)


@vectorised
def _combine(target, target_factor, other, other_factor):
    written, added = target.reshape(-1), other.reshape(-1)
    for j in range(written.shape[0]):
        written[j] = target_factor * written[j] + other_factor * added[j]


@_changes
def sums_of_change(target, mean, change, factor, of_mean, of_change):
    """Write target ← factor · change + of_mean · mean, then mean ← of_mean · mean + of_change · change.

    One pass over all three; return both sums of squares, and the largest entry of the mean.
    """
    written, kept, added = target.reshape(-1), mean.reshape(-1), change.reshape(-1)
    squares, squares_of_mean, largest = 0.0, 0.0, 0.0
    for j in range(written.shape[0]):
        here, there = of_mean * kept[j], added[j]
        one, other = factor * there + here, here + of_change * there
        written[j], kept[j] = one, other
        squares += one * one
        squares_of_mean += other * other
        largest = max(largest, abs(other))
    return squares, squares_of_mean, largest
