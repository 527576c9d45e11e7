"""Compiled arithmetic of one run: exact gradients, scaled sums and directions of every norm, in numba.

The formulas are those of losses.py, scaled.py, doubled.py and geometry; they are written again here as
plain loops because one run's weights then stay in a core's cache. Tests hold every function against its
array API original. ``fastmath`` is granted only to sums and products of finite numbers, where it permits
vector instructions; error-free transformations never get it.
"""

from __future__ import annotations

import math

import numba
import numpy as np

_VECTORISED = {"reassoc", "contract", "nsz", "arcp"}
_plain = numba.njit(cache=True, nogil=True, error_model="numpy")
_vectorised = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_VECTORISED)

# Below this product of sizes |W| |x| an ordinary logit is exact to 1e-13 and needs no doubled precision.
DOUBLED_PRECISION_FROM = 256.0
# Residual weights below e^-80 of the largest change no digit of a gradient.
NEGLIGIBLE = -80.0
# Mantissas are brought back to order one when they leave e^±30, far inside the range of a double.
RENORMALIZE_BEYOND = 30.0


@_vectorised
def dot(a, b):
    """Inner product of two vectors [d]."""
    total = 0.0
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total


@_vectorised
def add_multiple(target, factor, vector):
    """Target += factor · vector, for vectors [d]."""
    for j in range(target.shape[0]):
        target[j] += factor * vector[j]


@_vectorised
def sum_of_squares(matrix):
    """Squared Frobenius norm of a matrix [k, d]."""
    total = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            total += matrix[i, j] * matrix[i, j]
    return total


@_plain
def largest_entry(matrix):
    """Max |S_ij| of a matrix [k, d]."""
    largest = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            largest = max(largest, abs(matrix[i, j]))
    return largest


@_plain
def split_rows(matrix, bits, head):
    """Write into ``head`` the rows of ``matrix``, each rounded to ``bits`` bits (see doubled.head)."""
    for i in range(matrix.shape[0]):
        largest = 0.0
        for j in range(matrix.shape[1]):
            largest = max(largest, abs(matrix[i, j]))
        exponent = math.ceil(math.log2(largest)) if largest > 0 else 0.0
        lift = 1.5 * 2.0 ** min(max(exponent - bits + 52.0, -1000.0), 1000.0)
        for j in range(matrix.shape[1]):
            lifted = matrix[i, j] + lift
            head[i, j] = lifted - lift


@_vectorised
def _split_dots(row, row_head, column, column_head):
    exact = 0.0
    rest = 0.0
    for j in range(row.shape[0]):
        exact += row_head[j] * column_head[j]
        rest += row_head[j] * (column[j] - column_head[j]) + (row[j] - row_head[j]) * column[j]
    return exact, rest


@_plain
def _logits(x, W, high):
    for c in range(W.shape[0]):
        high[c] = dot(x, W[c])


@_plain
def _doubled_logits(x, x_head, W, W_head, high, low):
    for c in range(W.shape[0]):
        exact, rest = _split_dots(x, x_head, W[c], W_head[c])
        total = exact + rest
        virtual = total - exact
        high[c] = total
        low[c] = (exact - (total - virtual)) + (rest - virtual)


@_plain
def _shares_and_log_weight(label, high, low, normalized, shares):
    """Write r_ic / Σ_c r_ic and return log Σ_c r_ic as (high, low), from logits in doubled precision."""
    k = high.shape[0]
    true_high, true_low = high[label], low[label]
    top = -math.inf
    for c in range(k):
        # A two-sum of high[c] and -true_high; what it rounds away joins the low part.
        difference = high[c] - true_high
        virtual = difference - high[c]
        error = (high[c] - (difference - virtual)) + (-true_high - virtual)
        high[c] = difference
        low[c] = error + (low[c] - true_low)
        if c != label and difference > top:
            top = difference
    total = 0.0
    for c in range(k):
        if c == label:
            shares[c] = 0.0
        else:
            shares[c] = math.exp((high[c] - top) + low[c])
            total += shares[c]
    for c in range(k):
        shares[c] /= total
    rest = math.log(total)
    if not normalized:
        return top, rest
    value = top + rest
    if value < 0.0:
        # e^-40 is below the rounding of the logarithm that it would be added to.
        return top, rest - (math.log1p(math.exp(value)) if value > -40.0 else 0.0)
    return 0.0, -math.log1p(math.exp(-value))


@_plain
def gradient(
    X, X_head, labels, indices, W, W_head, bits, size_bound, normalized, factor, shares, weights, out
):
    """Write the mantissa of factor · Σ_i ∇ℓ_i(W) over ``indices`` into ``out`` [k, d]; return its log-scale.

    ``size_bound`` is the largest Euclidean length of a sample; W_head, shares [b, k] and weights [b, 2] are
    work space. The mantissa is of order one; a zero gradient has log-scale -inf.
    """
    k, d = W.shape
    b = indices.shape[0]
    high = np.empty(k)
    low = np.zeros(k)
    doubled = math.sqrt(sum_of_squares(W)) * size_bound > DOUBLED_PRECISION_FROM
    if doubled:
        split_rows(W, bits, W_head)
    top = -math.inf
    for i in range(b):
        index = indices[i]
        if doubled:
            _doubled_logits(X[index], X_head[index], W, W_head, high, low)
        else:
            _logits(X[index], W, high)
            low[:] = 0.0
        weights[i, 0], weights[i, 1] = _shares_and_log_weight(labels[index], high, low, normalized, shares[i])
        top = max(top, weights[i, 0])
    shift = math.floor(top)
    for c in range(k):
        for j in range(d):
            out[c, j] = 0.0
    for i in range(b):
        exponent = (weights[i, 0] - shift) + weights[i, 1]
        if exponent < NEGLIGIBLE:
            continue
        weight = factor * math.exp(exponent)
        label = labels[indices[i]]
        x = X[indices[i]]
        others = 0.0
        for c in range(k):
            if c != label:
                residual = weight * shares[i, c]
                others += residual
                add_multiple(out[c], residual, x)
        add_multiple(out[label], -others, x)
    return renormalized(out, shift)


@_plain
def renormalized(mantissa, log_scale):
    """Bring the mantissa back to order one where it has left it, in place; return the new log-scale."""
    peak = largest_entry(mantissa)
    if peak == 0.0:
        return -math.inf
    size = math.log(peak)
    if abs(size) <= RENORMALIZE_BEYOND:
        return log_scale
    shift = math.floor(size)
    half = math.exp(-0.5 * shift)
    for i in range(mantissa.shape[0]):
        for j in range(mantissa.shape[1]):
            mantissa[i, j] = mantissa[i, j] * half * half
    return log_scale + shift


@_plain
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
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = target_factor * target[i, j] + other_factor * other[i, j]
    return renormalized(target, top)
