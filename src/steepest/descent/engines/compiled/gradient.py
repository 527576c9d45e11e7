"""The compiled gradient: logits, residuals and their outer products with the samples, many at a time.

The formulas are those of losses/log_residuals.py and doubled.py. Where no logit can exceed a few hundred, an
ordinary product is exact enough; beyond that, logits are formed in doubled precision. What residuals are made
of the log-odds is the loss's own kernel (losses.py here).
"""

from __future__ import annotations

import math

import numpy as np

from steepest.descent.engines.compiled.kernels import (
    add_multiple,
    copy_multiple,
    copy_row,
    dot,
    finite,
    inlined,
    plain,
    renormalized,
    sum_of_squares,
    vectorised,
)
from steepest.descent.engines.compiled.losses import (
    CALLBACK,
    CROSS_ENTROPY,
    PAIRWISE_LOGISTIC,
    TOTALS,
    WEIGHTS,
    residuals_of,
)

# Below this product of sizes |W| |x| an ordinary logit is exact to 1e-13 and needs no doubled precision.
DOUBLED_PRECISION_FROM = 256.0
# Residuals below e^-80 of the largest change no digit of a row of a gradient, unless the row cancels.
NEGLIGIBLE = math.exp(-80.0)


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
        np.empty((2, k)),
    )


@plain
def gradient(data, indices, W, factor, work, out, by_rows, taken):
    """Write the mantissa of factor · Σ_i ∇ℓ_i(W) over ``indices`` into ``out`` [k, d]; return its log-scale.

    ``data`` is (features [n, d], their heads, labels [n], bits of a head, largest length of a sample, weights
    of the samples [n], or None where all are 1, then those of a LossCode), and ``work`` comes from
    :func:`gradient_work`. The mantissa is of order one; a zero gradient has log-scale -inf. With ``by_rows``
    every row is exact by itself, however small it is beside the others, to e^-600; and what the absolute
    coefficients of each row add up to, in units of the mantissa, is left in the first row of ``work[7]``;
    its second row says how many samples counted, and by what coefficients in ``work[0]`` are multiplied.
    Where ``taken`` is not None, arrays [n, k] and [n], all coefficients are left there with their units.
    """
    X, X_head, labels, head_bits, largest_length, weights, loss_kind, loss_address = data
    residuals, low, numbers, chosen, W_head, bits, powers, sums = work
    b = indices.shape[0]
    doubled = _log_odds(X, X_head, labels, head_bits, largest_length, indices, W, residuals, low, W_head)
    shift = residuals_of(loss_kind, loss_address, b, residuals, low, doubled, numbers, bits, powers)
    if b == 1 or not by_rows:
        scale = _largest_samples(X, labels, weights, indices, factor, residuals, numbers, chosen, out, shift)
        if by_rows:
            for c in range(W.shape[0]):
                sums[0, c] = abs(residuals[0, c]) * math.exp(shift - scale)
        _take_down(taken, 1, residuals, shift)
        return scale
    sums[:] = 0.0
    smallest = math.inf
    for i in range(b):
        weight = factor * numbers[WEIGHTS, i]
        others = weight * numbers[TOTALS, i]
        weight, others = _weighted(weight, weights, indices[i]), _weighted(others, weights, indices[i])
        label = labels[indices[i]]
        # What is left here may be so small that its multiples are subnormal, and slow.
        residuals[i, label] = 0.0
        _scale_and_add_row(residuals, i, weight, sums)
        sums[0, label] += others
        residuals[i, label] = -others
        smallest = min(smallest, abs(others))
    _take_down(taken, b, residuals, shift)
    count = _choose(residuals, indices, smallest, sums, chosen)
    out[:] = 0.0
    add_outer_products(residuals, count, chosen, X, out)
    scale = renormalized(out, shift)
    sums[1, 0], sums[1, 1] = count, math.exp(shift - scale)
    if scale != shift:
        copy_multiple(sums, 0, sums[1, 1], sums, 0)
    return scale


@inlined
def _log_odds(X, X_head, labels, head_bits, largest_length, indices, W, residuals, low, W_head):
    """Write a_ic = z_ic - z_iy of a batch, -inf at the label; return whether in doubled precision."""
    doubled = math.sqrt(sum_of_squares(W)) * largest_length > DOUBLED_PRECISION_FROM
    if doubled:
        split_rows(W, head_bits, W_head)
        for i in range(indices.shape[0]):
            _doubled_logits(X, X_head, indices[i], W, W_head, residuals, low, i)
            _to_log_odds(labels[indices[i]], residuals, low, i)
    else:
        _logits(X, indices, W, residuals)
        for i in range(indices.shape[0]):
            _subtract_true(residuals, i, labels[indices[i]])
            residuals[i, labels[indices[i]]] = -math.inf
    return doubled


@plain
def _take_down(taken, b, residuals, shift):
    # Without a place for it this is compiled to nothing.
    if taken is not None:
        _copy_rows(taken[0], taken[1], b, residuals, shift)


@vectorised
def _copy_rows(rows, units, b, residuals, shift):
    written, read = rows.reshape(-1), residuals.reshape(-1)
    for j in range(b * rows.shape[1]):
        written[j] = read[j]
    for i in range(b):
        units[i] = shift


@inlined
def _largest_samples(X, labels, weights, indices, factor, residuals, numbers, chosen, out, shift):
    """Finish a gradient of samples that count by their size beside the largest."""
    count = 0
    for i in range(indices.shape[0]):
        weight = factor * numbers[WEIGHTS, i]
        others = weight * numbers[TOTALS, i]
        if others > NEGLIGIBLE * factor:
            weight, others = _weighted(weight, weights, indices[i]), _weighted(others, weights, indices[i])
            label = labels[indices[i]]
            # What is left here may be so small that its multiples are subnormal, and slow.
            residuals[i, label] = 0.0
            copy_multiple(residuals, count, weight, residuals, i)
            residuals[count, label] = -others
            chosen[count] = indices[i]
            count += 1
    out[:] = 0.0
    add_outer_products(residuals, count, chosen, X, out)
    return renormalized(out, shift)


@plain
def _choose(residuals, indices, smallest, sums, chosen):
    """Bring the samples that count to the front; return how many. ``smallest`` is that of true classes."""
    most = 0.0
    for c in range(sums.shape[1]):
        most = max(most, sums[0, c])
    # One comparison settles it as a rule: the coefficient of the true class is the largest of a sample.
    if smallest > NEGLIGIBLE * most:
        for i in range(indices.shape[0]):
            chosen[i] = indices[i]
        return indices.shape[0]
    count = 0
    for i in range(indices.shape[0]):
        if _counts(residuals, i, sums):
            if count < i:
                copy_row(residuals, count, residuals, i)
            chosen[count] = indices[i]
            count += 1
    return count


@finite
def _counts(residuals, i, sums):
    """Whether a sample's coefficient is of any size in any row."""
    counts = False
    for c in range(sums.shape[1]):
        counts |= abs(residuals[i, c]) > NEGLIGIBLE * sums[0, c]
    return counts


@plain
def _scale_and_add_row(residuals, i, weight, sums):
    for c in range(sums.shape[1]):
        value = weight * residuals[i, c]
        residuals[i, c] = value
        sums[0, c] += value


@plain
def _weighted(value, weights, sample):
    # Without weights this is compiled to nothing.
    if weights is None:
        return value
    return value * weights[sample]


@plain
def residual_rows(data, indices, W, work, rows, scales):
    """Write each sample's residuals, minus their sum at its class, into ``rows`` [b, k].

    Arguments as in :func:`gradient`. Each row has a log-scale of its own, written into ``scales`` [b]:
    samples may differ by any power of e.
    """
    X, X_head, labels, head_bits, largest_length, weights, loss_kind, loss_address = data
    residuals, low, numbers, _, W_head, bits, powers, _ = work
    doubled = _log_odds(X, X_head, labels, head_bits, largest_length, indices, W, residuals, low, W_head)
    for i in range(indices.shape[0]):
        label = labels[indices[i]]
        scales[i] = residuals_of(
            loss_kind, loss_address, 1, residuals[i : i + 1], low[i : i + 1], doubled, numbers, bits, powers
        )
        residuals[i, label] = 0.0
        weight = _weighted(numbers[WEIGHTS, 0], weights, indices[i])
        copy_multiple(rows, i, weight, residuals, i)
        rows[i, label] = -weight * numbers[TOTALS, 0]


@plain
def exact_row(data, index, W, work, factor, rows, scales, i):
    """Write a sample's residuals times a factor into row i of ``rows``, each with a log-scale of its own.

    Return False for a loss that is a callback, which keeps residuals apart to e^-700 only.
    """
    X, X_head, labels, head_bits, _, weights, loss_kind, _ = data
    high, low, W_head = work[0], work[1], work[4]
    if loss_kind == CALLBACK:
        return False
    label = labels[index]
    split_rows(W, head_bits, W_head)
    _doubled_logits(X, X_head, index, W, W_head, high, low, 0)
    _to_log_odds(label, high, low, 0)
    top = -math.inf
    for c in range(high.shape[1]):
        top = max(top, high[0, c])
    total = 0.0
    for c in range(high.shape[1]):
        total += math.exp((high[0, c] - top) + low[0, c])
    weight = _weighted(factor, weights, index)
    for c in range(high.shape[1]):
        a, rest = high[0, c], low[0, c]
        if c == label:
            rows[i, c], scales[i, c] = 0.0, -math.inf
            continue
        divisor = 1.0
        if loss_kind == CROSS_ENTROPY:
            # With u = top + log(total): e^a / (1 + e^u), whichever of the two is large.
            divisor = 1.0 + total * math.exp(top) if top < 0.0 else math.exp(-top) + total
            a -= max(top, 0.0)
        elif loss_kind == PAIRWISE_LOGISTIC:
            divisor = 1.0 + math.exp(-abs(a + rest))
            a, rest = (a, rest) if a < 0.0 else (0.0, 0.0)
        scales[i, c] = math.floor(a)
        rows[i, c] = weight * math.exp((a - scales[i, c]) + rest) / divisor
    return True


@vectorised
def _subtract_true(logits, i, label):
    true = logits[i, label]
    for c in range(logits.shape[1]):
        logits[i, c] -= true


@vectorised
def _eight_dots(X, i, j, W, a):
    p, q, r, s = 0.0, 0.0, 0.0, 0.0
    t, u, v, w = 0.0, 0.0, 0.0, 0.0
    for column in range(X.shape[1]):
        x, y = X[i, column], X[j, column]
        p += x * W[a, column]
        q += x * W[a + 1, column]
        r += x * W[a + 2, column]
        s += x * W[a + 3, column]
        t += y * W[a, column]
        u += y * W[a + 1, column]
        v += y * W[a + 2, column]
        w += y * W[a + 3, column]
    return p, q, r, s, t, u, v, w


@vectorised
def _four_dots(X, i, j, W, a):
    p, q, r, s = 0.0, 0.0, 0.0, 0.0
    for column in range(X.shape[1]):
        x, y = X[i, column], X[j, column]
        p += x * W[a, column]
        q += x * W[a + 1, column]
        r += y * W[a, column]
        s += y * W[a + 1, column]
    return p, q, r, s


@plain
def _logits(X, indices, W, logits):
    """Write W x_i into ``logits`` [b, k], two samples and up to four classes at a time to read little."""
    k, b = W.shape[0], indices.shape[0]
    for even in range(0, b, 2):
        # The last of an odd number of samples is its own partner.
        odd = min(even + 1, b - 1)
        i, j = indices[even], indices[odd]
        for c in range(0, k - 3, 4):
            p, q, r, s, t, u, v, w = _eight_dots(X, i, j, W, c)
            logits[even, c], logits[even, c + 1], logits[even, c + 2], logits[even, c + 3] = p, q, r, s
            logits[odd, c], logits[odd, c + 1], logits[odd, c + 2], logits[odd, c + 3] = t, u, v, w
        if k % 4 >= 2:
            c = k - k % 4
            logits[even, c], logits[even, c + 1], logits[odd, c], logits[odd, c + 1] = _four_dots(
                X, i, j, W, c
            )
        if k % 2 == 1:
            logits[even, k - 1] = dot(X, i, W, k - 1)
            logits[odd, k - 1] = dot(X, j, W, k - 1)


@vectorised
def _add_four_to_two(out, c, X, i, j, m, n, a, b, d, e, f, g, h, o):
    """Add a, b, d, e times rows i, j, m, n of X to row c of ``out``, and f, g, h, o times to the next."""
    for column in range(out.shape[1]):
        x, y, z, w = X[i, column], X[j, column], X[m, column], X[n, column]
        out[c, column] += (a * x + b * y) + (d * z + e * w)
        out[c + 1, column] += (f * x + g * y) + (h * z + o * w)


@plain
def add_outer_products(residuals, count, chosen, X, out):
    """Add Σ_i residuals_i x_iᵀ over the first ``count`` rows to ``out`` [k, d], four samples at a time."""
    k = out.shape[0]
    R = residuals
    for i in range(0, count - 3, 4):
        for c in range(0, k - 1, 2):
            _add_four_to_two(
                out, c, X, chosen[i], chosen[i + 1], chosen[i + 2], chosen[i + 3],
                R[i, c], R[i + 1, c], R[i + 2, c], R[i + 3, c],
                R[i, c + 1], R[i + 1, c + 1], R[i + 2, c + 1], R[i + 3, c + 1],
            )  # fmt: skip
        if k % 2 == 1:
            for j in range(i, i + 4):
                add_multiple(out, k - 1, R[j, k - 1], X, chosen[j])
    for i in range(count - count % 4, count):
        for c in range(k):
            add_multiple(out, c, R[i, c], X, chosen[i])


@plain
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


@vectorised
def _split_dots(X, X_head, i, W, W_head, c):
    exact = 0.0
    rest = 0.0
    for j in range(X.shape[1]):
        exact += X_head[i, j] * W_head[c, j]
        rest += X_head[i, j] * (W[c, j] - W_head[c, j]) + (X[i, j] - X_head[i, j]) * W[c, j]
    return exact, rest


@plain
def _doubled_logits(X, X_head, index, W, W_head, high, low, i):
    """Write the logits of one sample into row i of ``high`` and ``low``, in doubled precision."""
    for c in range(W.shape[0]):
        exact, rest = _split_dots(X, X_head, index, W, W_head, c)
        total = exact + rest
        virtual = total - exact
        high[i, c] = total
        low[i, c] = (exact - (total - virtual)) + (rest - virtual)


@plain
def _to_log_odds(label, high, low, i):
    """Turn row i of the logits into a_c = z_c - z_label, in doubled precision; -inf at the label."""
    true_high, true_low = high[i, label], low[i, label]
    for c in range(high.shape[1]):
        # A two-sum of high[i, c] and -true_high; what it rounds away joins the low part.
        difference = high[i, c] - true_high
        virtual = difference - high[i, c]
        error = (high[i, c] - (difference - virtual)) + (-true_high - virtual)
        high[i, c] = difference
        low[i, c] = error + (low[i, c] - true_low)
    high[i, label] = -math.inf
    low[i, label] = 0.0
