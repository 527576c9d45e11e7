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
_plain = numba.njit(nogil=True, error_model="numpy")
_vectorised = numba.njit(nogil=True, error_model="numpy", fastmath=_VECTORISED)
_polynomial = numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
_finite = numba.njit(nogil=True, error_model="numpy", fastmath={"nnan", "nsz", "reassoc"})

# Below this product of sizes |W| |x| an ordinary logit is exact to 1e-13 and needs no doubled precision.
DOUBLED_PRECISION_FROM = 256.0
# Residuals below e^-80 of the largest change no digit of a gradient.
NEGLIGIBLE = math.exp(-80.0)
# Mantissas are brought back to order one when they leave e^±30, far inside the range of a double.
RENORMALIZE_BEYOND = 30.0


def gradient_work(n: int, k: int, d: int) -> tuple[np.ndarray, ...]:
    """Return scratch space of :func:`gradient` for up to n samples and weights [k, d]."""
    bits = np.empty(n * k, dtype=np.int64)
    return (
        np.empty((n, k)),
        np.empty((n, k)),
        np.empty((5, n)),
        np.empty(n, dtype=np.int64),
        np.empty((k, d)),
        bits,
        bits.view(np.float64),
    )


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
def move(W, step_size, direction):
    """W -= step_size · direction, for matrices [k, d]."""
    for c in range(W.shape[0]):
        for j in range(W.shape[1]):
            W[c, j] -= step_size * direction[c, j]


@_vectorised
def sum_of_squares(matrix):
    """Squared Frobenius norm of a matrix [k, d]."""
    total = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            total += matrix[i, j] * matrix[i, j]
    return total


@_finite
def largest_entry(matrix):
    """Largest |S_ij| of a matrix [k, d]."""
    largest = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            size = abs(matrix[i, j])
            if size > largest:
                largest = size
    return largest


@_finite
def largest_number(numbers):
    """Largest entry of a vector, -inf entries allowed."""
    largest = -math.inf
    for c in range(numbers.shape[0]):
        if numbers[c] > largest:
            largest = numbers[c]
    return largest


@_vectorised
def sum_of(numbers):
    """Sum of a vector."""
    total = 0.0
    for c in range(numbers.shape[0]):
        total += numbers[c]
    return total


@_vectorised
def scale_row(row, factor, out):
    """Write factor · row into ``out``, which may be the row itself."""
    for c in range(row.shape[0]):
        out[c] = factor * row[c]


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


@_vectorised
def _four_dots(x, a, b, c, d):
    p, q, r, s = 0.0, 0.0, 0.0, 0.0
    for j in range(x.shape[0]):
        p += x[j] * a[j]
        q += x[j] * b[j]
        r += x[j] * c[j]
        s += x[j] * d[j]
    return p, q, r, s


@_vectorised
def _eight_dots(x, y, a, b, c, d):
    p, q, r, s = 0.0, 0.0, 0.0, 0.0
    t, u, v, w = 0.0, 0.0, 0.0, 0.0
    for j in range(x.shape[0]):
        p += x[j] * a[j]
        q += x[j] * b[j]
        r += x[j] * c[j]
        s += x[j] * d[j]
        t += y[j] * a[j]
        u += y[j] * b[j]
        v += y[j] * c[j]
        w += y[j] * d[j]
    return p, q, r, s, t, u, v, w


@_plain
def _logits(X, indices, W, logits):
    """Write W x_i into ``logits`` [b, k], two samples and four classes at a time to read little."""
    k, b = W.shape[0], indices.shape[0]
    for i in range(0, b - 1, 2):
        x, y = X[indices[i]], X[indices[i + 1]]
        first, second = logits[i], logits[i + 1]
        for c in range(0, k - 3, 4):
            (
                first[c], first[c + 1], first[c + 2], first[c + 3],
                second[c], second[c + 1], second[c + 2], second[c + 3],
            ) = _eight_dots(x, y, W[c], W[c + 1], W[c + 2], W[c + 3])  # fmt: skip
        for c in range(k - k % 4, k):
            first[c] = dot(x, W[c])
            second[c] = dot(y, W[c])
    if b % 2 == 1:
        x, last = X[indices[b - 1]], logits[b - 1]
        for c in range(0, k - 3, 4):
            last[c], last[c + 1], last[c + 2], last[c + 3] = _four_dots(x, W[c], W[c + 1], W[c + 2], W[c + 3])
        for c in range(k - k % 4, k):
            last[c] = dot(x, W[c])


@_vectorised
def _add_four_multiples(target, p, x, q, y, r, z, s, w):
    for j in range(target.shape[0]):
        target[j] += (p * x[j] + q * y[j]) + (r * z[j] + s * w[j])


@_plain
def _add_outer_products(residuals, count, chosen, X, out):
    """Add Σ_i residuals_i x_iᵀ to ``out`` [k, d], four samples at a time, over the first ``count`` rows."""
    k = out.shape[0]
    for i in range(0, count - 3, 4):
        x, y, z, w = X[chosen[i]], X[chosen[i + 1]], X[chosen[i + 2]], X[chosen[i + 3]]
        for c in range(k):
            _add_four_multiples(
                out[c],
                residuals[i, c], x, residuals[i + 1, c], y, residuals[i + 2, c], z, residuals[i + 3, c], w,
            )  # fmt: skip
    for i in range(count - count % 4, count):
        x = X[chosen[i]]
        for c in range(k):
            add_multiple(out[c], residuals[i, c], x)


@_plain
def _doubled_logits(x, x_head, W, W_head, high, low):
    for c in range(W.shape[0]):
        exact, rest = _split_dots(x, x_head, W[c], W_head[c])
        total = exact + rest
        virtual = total - exact
        high[c] = total
        low[c] = (exact - (total - virtual)) + (rest - virtual)


@_plain
def _relative_to_largest(label, logits):
    """Turn logits [k] into a_c - top with a_c = z_c - z_label, -inf at the label; return top = max a_c."""
    true = logits[label]
    logits[label] = -math.inf
    top = largest_number(logits)
    for c in range(logits.shape[0]):
        logits[c] -= top
    return top - true


@_plain
def _doubled_relative_to_largest(label, high, low):
    """Do what _relative_to_largest does, in ``high``, for logits high + low in doubled precision."""
    true_high, true_low = high[label], low[label]
    for c in range(high.shape[0]):
        # A two-sum of high[c] and -true_high; what it rounds away joins the low part.
        difference = high[c] - true_high
        virtual = difference - high[c]
        error = (high[c] - (difference - virtual)) + (-true_high - virtual)
        high[c] = difference
        low[c] = error + (low[c] - true_low)
    high[label] = -math.inf
    top = largest_number(high)
    for c in range(high.shape[0]):
        high[c] = (high[c] - top) + low[c]
    return top


@_polynomial
def exponentials(numbers, bits, powers):
    """Replace numbers ≤ 0 by their exponentials, to an ulp or two; below e^-700 they become e^-700.

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


@_vectorised
def _sample_weights(tops, totals, normalized, bits, powers, near, far, weights):
    """Write Σ_c r_ic · exp(-shift) into ``weights`` [b]; return the whole number shift.

    With u = top + log(total), Σ_c r_ic is exp(u) for the exponential loss and the logistic function of u for
    cross-entropy; neither a logarithm nor a cancellation is needed to scale it.
    """
    b = tops.shape[0]
    if normalized:
        for i in range(b):
            near[i] = min(tops[i], 0.0)
            far[i] = -abs(tops[i])
    else:
        near[:] = tops
    shift = math.ceil(largest_number(near))
    for i in range(b):
        near[i] -= shift
    exponentials(near, bits, powers)
    if normalized:
        exponentials(far, bits, powers)
        for i in range(b):
            right = tops[i] < 0.0
            below = 1.0 + totals[i] * far[i] if right else totals[i] + far[i]
            weights[i] = near[i] / below
    else:
        weights[:] = near
    return shift


@_plain
def gradient(data, indices, W, factor, work, out):
    """Write the mantissa of factor · Σ_i ∇ℓ_i(W) over ``indices`` into ``out`` [k, d]; return its log-scale.

    ``data`` is (features [n, d], their heads, labels [n], bits of a head, largest length of a sample,
    whether residuals are probabilities), and ``work`` comes from :func:`gradient_work`. The mantissa is of
    order one; a zero gradient has log-scale -inf.
    """
    X, X_head, labels, head_bits, largest_length, normalized = data
    residuals, low, samples, chosen, W_head, bits, powers = work
    b = indices.shape[0]
    tops, totals, near, far, weights = (
        samples[0, :b],
        samples[1, :b],
        samples[2, :b],
        samples[3, :b],
        samples[4, :b],
    )
    if math.sqrt(sum_of_squares(W)) * largest_length > DOUBLED_PRECISION_FROM:
        split_rows(W, head_bits, W_head)
        for i in range(b):
            _doubled_logits(X[indices[i]], X_head[indices[i]], W, W_head, residuals[i], low[i])
            tops[i] = _doubled_relative_to_largest(labels[indices[i]], residuals[i], low[i])
    else:
        _logits(X, indices, W, residuals)
        for i in range(b):
            tops[i] = _relative_to_largest(labels[indices[i]], residuals[i])
    exponentials(residuals[:b].reshape(-1), bits, powers)
    for i in range(b):
        residuals[i, labels[indices[i]]] = 0.0
        totals[i] = sum_of(residuals[i])
    shift = _sample_weights(tops, totals, normalized, bits, powers, near, far, weights)
    count = 0
    for i in range(b):
        if weights[i] > NEGLIGIBLE:
            others = factor * weights[i] * totals[i]
            scale_row(residuals[i], factor * weights[i], residuals[count])
            residuals[count, labels[indices[i]]] = -others
            chosen[count] = indices[i]
            count += 1
    out[:] = 0.0
    _add_outer_products(residuals, count, chosen, X, out)
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
