"""Whether entries of a formed average are certain, and those that are not made of their terms."""

from __future__ import annotations

import math

from steepest.descent.engines.averages import LEAST, ROUNDING_OF_ENTRY
from steepest.descent.engines.compiled.kernels import (
    count_below,
    inlined,
    plain,
    power_of,
    vectorised,
)
from steepest.descent.engines.compiled.norms import COLUMNS, MAX, ROWS
from steepest.descent.engines.compiled.shared_scales import found_quickly
from steepest.descent.engines.compiled.terms import plus

__all__ = ["certain", "copy_totals", "found_coefficients", "is_enough", "needed", "repair", "sized"]

_LEAST_PART = 2e-10


@plain
def sized(
    length,
    totals,
    sizes,
    sizes_scale,
    bounds,
    rounding,
    scale,
    followed_scale,
    beta,
    ahead,
    of_sign,
    of_rounding,
):
    """Bring the sizes of rows up to date by those of a signal, and write the bounds of what is followed.

    ``totals`` [k] are sums of absolute coefficients of the signal and ``rounding`` what its entries have
    lost beside that, both in units of ``scale``; bounds are in units of ``followed_scale``. Return the bound
    of what rounding may have done to the matrix.
    """
    k = totals.shape[0]
    top = max(scale, sizes_scale[0] if beta > 0.0 else -math.inf)
    if top == -math.inf:
        bounds[:] = math.inf
        return math.inf
    old = beta * math.exp(sizes_scale[0] - top) if beta > 0.0 else 0.0
    new = math.exp(scale - top) if scale > -math.inf else 0.0
    largest = 0.0
    lost = rounding / length if length > 0.0 else 0.0
    unit = length * math.exp(top - followed_scale) if followed_scale > -math.inf else math.inf
    most = 0.0
    for c in range(k):
        size, error = totals[c] * new, (totals[c] + lost) * new
        terms = sizes[c, 0] * old + (1.0 - beta) * size
        rounded = sizes[c, 1] * old + (1.0 - beta) * error + terms
        sizes[c, 0], sizes[c, 1] = terms, rounded
        largest = max(largest, terms, rounded)
        if ahead:
            terms = beta * terms + (1.0 - beta) * size
            rounded = beta * rounded + (1.0 - beta) * error + terms
        bounds[c] = (of_sign * terms + of_rounding * rounded) * unit
        if not terms * unit > LEAST:
            bounds[c] = math.inf
        most = max(most, rounded)
    sizes_scale[0] = top
    if largest > 0.0 and not 1e-8 < largest < 1e8:
        shift = math.floor(math.log(largest))
        sizes_scale[0] = top + shift
        for c in range(k):
            sizes[c, 0] *= math.exp(-shift)
            sizes[c, 1] *= math.exp(-shift)
    return ROUNDING_OF_ENTRY * most * unit


@plain
def copy_totals(totals, out):
    """Copy sums of rows [k]."""
    for c in range(totals.shape[0]):
        out[c] = totals[c]


@plain
def needed(kind, power, across, followed, bounds, wholes):
    """Lower the bounds of rows to what a direction needs, for ten digits of it beside its norm.

    An entry is known to within e = 1e-10 times the bound of its row. Where entries count by |g|^s, with
    s = q - 1 and the dual norm of q of N entries g, those of the direction are then known to within

        s e |g|^(s-1) / ‖g‖_q^s + s e N^(1/q) / ‖g‖_q,   ‖g‖_q ≥ N^(1/q) (mean |g|^r)^(1/r) for r ≤ q.

    So much for s ≥ 1, rows of length 2 among them: no small entry matters where that mean is beyond the
    bound. For s < 1 an entry matters down to where e |g|^(s-1) is 1e-10 ‖g‖_q^s. Return a lower bound of the
    ‖g‖_q beside which entries count so, and 0 where each counts by itself. Of columns that are not all large
    enough, the lower bounds of those that are go into ``wholes`` [d], and 0 for the others.
    """
    if kind == MAX or not 0.0 < power < math.inf:
        return 0.0
    k, d = followed.shape
    count = d if kind == ROWS else k if kind == COLUMNS else k * d
    root = count ** (1.0 / (1.0 + power))
    # Shares of rows or columns are powers of their sizes, over a sum of them.
    shares = 2.0 * across if across < math.inf else 0.0
    factor = max(1.0, power) * (1.0 + 1.0 / root) + shares
    if kind == ROWS:
        whole = math.inf
        for c in range(k):
            mean = _mean(_total(followed[c], power), count, power)
            whole = min(whole, root * mean if factor * bounds[c] <= mean else 0.0)
            bounds[c] = _needed(bounds[c], bounds[c], mean, root, power, factor)
        return whole
    top = 0.0
    for c in range(k):
        top = max(top, bounds[c])
    least = _least_total(followed, power, wholes) if kind == COLUMNS else _total(followed.reshape(-1), power)
    mean = _mean(least, count, power)
    if factor * top <= mean:
        for c in range(k):
            bounds[c] = _needed(bounds[c], top, mean, root, power, factor)
        return root * mean
    if kind == COLUMNS:
        for j in range(d):
            mean = _mean(wholes[j], count, power)
            wholes[j] = root * mean if factor * top <= mean else 0.0
    return 0.0


@plain
def _needed(bound, largest, mean, root, power, factor):
    if not factor * largest <= mean:
        return bound
    if power >= 1.0:
        return -1.0
    return bound * _part(bound / (root * mean), power)


@plain
def _part(bound, power):
    """Return the part of a bound, itself given beside ‖g‖_q, that an entry must exceed where s < 1."""
    return max(bound ** (power / (1.0 - power)), _LEAST_PART)


@plain
def _mean(total, count, power):
    return math.sqrt(total / count) if power >= 1.0 else total / count


@vectorised
def _total(entries, power):
    """Sum of squares where the dual exponent is 2 or more, of moduli otherwise."""
    total = 0.0
    if power >= 1.0:
        for j in range(entries.shape[0]):
            total += entries[j] * entries[j]
    else:
        for j in range(entries.shape[0]):
            total += abs(entries[j])
    return total


@vectorised
def _least_total(matrix, power, sums):
    """Return the least of such sums over the columns."""
    for j in range(matrix.shape[1]):
        sums[j] = 0.0
    for c in range(matrix.shape[0]):
        if power >= 1.0:
            for j in range(matrix.shape[1]):
                sums[j] += matrix[c, j] * matrix[c, j]
        else:
            for j in range(matrix.shape[1]):
                sums[j] += abs(matrix[c, j])
    least = math.inf
    for j in range(matrix.shape[1]):
        least = min(least, sums[j])
    return least


@plain
def certain(followed, bounds, power, whole, wholes):
    """Whether every entry of what a step follows is above what it needs; see :func:`needed`."""
    largest = -1.0
    for c in range(bounds.shape[0]):
        largest = max(largest, bounds[c])
    # One pass over all entries settles it as a rule: rows are seldom far apart.
    if count_below(followed.reshape(-1), largest) == 0:
        return True
    if not largest < math.inf:
        return False
    for c in range(bounds.shape[0]):
        if count_below(followed[c], bounds[c]) == 0:
            continue
        for j in range(followed.shape[1]):
            if abs(followed[c, j]) <= bounds[c] and not (
                whole == 0.0 and is_enough(abs(followed[c, j]), bounds[c], wholes[j], power)
            ):
                return False
    return True


@inlined
def is_enough(size, bound, whole, power):
    """Whether an entry below the bound of its row is all that its column needs, of that norm or more."""
    return whole > 0.0 and (power >= 1.0 or size > bound * _part(bound / whole, power))


@plain
def repair(data, followed, followed_scale, signs, power, whole, wholes, kept):
    """Write what a step follows with its uncertain entries made of their terms; return False if one stays so.

    The coefficients are those that were found; for ``signs`` an entry may stand in units of its row. Beside
    ``whole`` and ``wholes``, what :func:`needed` found, entries must be as certain as there.
    """
    X, repaired = data[0], kept.matrix
    n, k = kept.plain.shape
    if kept.carries:
        return False
    for c in range(k):
        inside = kept.bounds[c] < math.inf and abs(kept.base[c] - followed_scale) < 500.0
        unit = math.exp(kept.base[c] - followed_scale) if inside else 1.0
        if not inside and not signs:
            return False
        for j in range(followed.shape[1]):
            repaired[c, j] = followed[c, j]
            beside = whole if whole > 0.0 else wholes[j]
            if inside and abs(followed[c, j]) > kept.bounds[c]:
                continue
            if inside and whole == 0.0 and is_enough(abs(followed[c, j]), kept.bounds[c], beside, power):
                continue
            total, size = 0.0, 0.0
            for i in range(n):
                term = kept.plain[i, c] * X[i, j]
                total += term if abs(kept.plain[i, c]) > 1e-280 else 0.0
                size += abs(term)
            least = kept.of_sign * size
            if beside > 0.0 and power < 1.0:
                least *= _part(least * unit / beside, power)
            if size > 0.0 and not abs(total) > least:
                return False
            repaired[c, j] = total * unit
    return True


@plain
def found_coefficients(data, indices, step, corrected, kept):  # noqa: C901 (inner loops keep to registers)
    """Write the coefficients of what a step follows, as numbers with scales and in units of each row."""
    n, k = kept.mantissas.shape
    labels, beta, places = data[2], kept.beta, kept.places
    places[:] = -1
    for i in range(indices.shape[0]):
        places[indices[i]] = i
    last, decay, decay_scale, gain = -1, 1.0, 0.0, 0.0
    for i in range(n):
        age = step + 1 - kept.steps[i]
        if age != last:
            last = age
            decay, decay_scale = power_of(beta, kept.head, kept.tail, age)
            gain = (1.0 - decay * math.exp(decay_scale)) / n if corrected else 0.0
        at = places[i]
        if corrected and not kept.ahead and found_quickly(
            kept.mantissas, kept.scales, kept.compared, kept.compared_scales, kept.found, kept.found_scales,
            i, decay, decay_scale, gain,
        ):  # fmt: skip
            continue
        for c in range(k):
            value, scale = kept.mantissas[i, c] * decay, kept.scales[i, c] + decay_scale
            row = i if corrected else 0
            old, old_scale = kept.compared[row, c], kept.compared_scales[row, c]
            if gain > 0.0:
                value, scale = plus(value, scale, gain * old, old_scale)
            if kept.ahead:
                value *= beta
                if at >= 0:
                    new, new_scale = (1.0 - beta) * kept.rows[at, c], kept.row_scales[at, c]
                    value, scale = plus(value, scale, new, new_scale)
                    old, old_scale = kept.old[at, c], kept.old_scales[at, c]
                if corrected:
                    value, scale = plus(value, scale, (1.0 - beta) / n * old, old_scale)
            kept.found[i, c], kept.found_scales[i, c] = value, scale
    kept.base[:] = -math.inf
    for i in range(n):
        for c in range(k):
            if kept.found[i, c] != 0.0:
                scale = kept.found_scales[i, c]
                kept.base[c] = max(kept.base[c], scale)
                kept.base[labels[i]] = max(kept.base[labels[i]], scale)
    for i in range(n):
        label, others = labels[i], 0.0
        there = kept.base[label]
        for c in range(k):
            value, scale = kept.found[i, c], kept.found_scales[i, c]
            if scale == there and scale == kept.base[c] and abs(value) > 1e-290:
                kept.plain[i, c] = value
                others += value
                continue
            kept.plain[i, c] = 0.0
            if value != 0.0:
                kept.plain[i, c] = _in_units(value, scale - kept.base[c])
                others += _in_units(value, scale - there)
        kept.plain[i, label] = -others


@plain
def _in_units(value, distance):
    # What is too small for an ordinary number is still there, for sums that hang on it.
    size = value if distance == 0.0 else value * math.exp(distance)
    return size if abs(size) > 1e-290 else math.copysign(1e-290, value)
