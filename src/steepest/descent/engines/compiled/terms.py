"""Every coefficient of an average, beside the formed matrix of the compiled loop; see signals/terms.py."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from steepest.descent.engines.averages import (
    CERTAIN_ENTRY,
    CERTAIN_SIGN,
    ROUNDING_OF_ENTRY,
    ROUNDING_OF_SIGN,
)
from steepest.descent.engines.compiled.deferred import BATCHES, EVEN, Deferred
from steepest.descent.engines.compiled.gradient import exact_row
from steepest.descent.engines.compiled.kernels import all_equal, plain, power_of
from steepest.descent.engines.compiled.shared_scales import (
    corrected_quickly,
    count_kept_apart,
    reference_of,
    settled_quickly,
)
from steepest.scaled import Scaled
from steepest.signals import Fields
from steepest.signals.numbers import HIDDEN, Powers

__all__ = [
    "KeptCoefficients",
    "kept_rows",
    "plus",
    "record",
    "record_deferred",
    "renew",
    "total_compared",
]

_LARGE, _SMALL = 1e100, 1e-100
_ONE_SCALE = 400.0


class KeptCoefficients(NamedTuple):
    """The coefficients of one run, changed in place, and scratch space; log-scales are whole numbers."""

    mantissas: np.ndarray
    """Of the average's coefficients, shape [n, k], each with its scale, as of its own step."""
    scales: np.ndarray
    steps: np.ndarray
    compared: np.ndarray
    """What gradients are compared with, shape [n, k]."""
    compared_scales: np.ndarray
    compared_sizes: np.ndarray
    """Its sums over the samples, shape [k], with one scale."""
    compared_scale: np.ndarray
    sizes: np.ndarray
    """Sums of absolute coefficients of each row, and rounding, shape [k, 2], with one scale."""
    sizes_scale: np.ndarray
    rows: np.ndarray
    """Of a batch: coefficients of the signal, shape [n, k]."""
    row_scales: np.ndarray
    found: np.ndarray
    """Coefficients of what a step follows, shape [n, k]."""
    found_scales: np.ndarray
    plain: np.ndarray
    """The same as ordinary numbers, in units of each row's ``base``."""
    base: np.ndarray
    bounds: np.ndarray
    """How large an entry of each row of the followed matrix must be to be certain, shape [k]."""
    wholes: np.ndarray
    """Lower bounds of norms of columns beside which their entries count, or 0, shape [d]."""
    matrix: np.ndarray
    """What a step follows, with entries that were made of their terms, shape [k, d]."""
    old: np.ndarray
    """Of a batch: what its rows were compared with, shape [n, k]."""
    old_scales: np.ndarray
    totals: np.ndarray
    places: np.ndarray
    """Where a sample stands in the batch, or -1, shape [n]."""
    reference: np.ndarray
    """Step and scale of most coefficients, after their number; see shared_scales.py."""
    references: np.ndarray
    """Of each sample the number of the reference that it stands in, or -1, shape [n]."""
    deferred: Deferred
    """Batches that are not in the coefficients yet."""
    beta: float
    """0 for a heavy ball, which averages nothing."""
    head: float
    """log β in two parts."""
    tail: float
    ahead: bool
    carries: bool
    """Whether there is a momentum from before coefficients were kept."""
    of_sign: float
    """The part of its terms that an entry must exceed."""
    of_rounding: float
    """The same for what their sums have rounded, in units of one operation."""

    @classmethod
    def of(cls, fields: Fields, beta: float, *, ahead: bool, signs: bool) -> KeptCoefficients:
        """Return what the state of one run keeps."""
        mantissas, sizes = fields["term_mantissas"][0], fields["term_sizes"]
        n, k = mantissas.shape
        compares = "compared_mantissas" in fields
        nothing = np.zeros((1, k))
        totals = fields["compared_sizes"] if compares else Scaled(np.zeros((1, k, 1)), np.full(1, -np.inf))
        powers = Powers.of(np.asarray([beta]), np.zeros(1))
        return cls(
            mantissas,
            fields["term_log_scales"][0],
            fields["term_steps"][0],
            fields["compared_mantissas"][0] if compares else nothing,
            fields["compared_log_scales"][0] if compares else nothing.copy(),
            np.ascontiguousarray(totals.mantissa[0, :, 0]),
            totals.log_scale,
            sizes.mantissa[0],
            sizes.log_scale,
            np.zeros((n, k)),
            np.zeros((n, k)),
            np.zeros((n, k)),
            np.zeros((n, k)),
            np.zeros((n, k)),
            np.zeros(k),
            np.zeros(k),
            np.zeros(fields["carried_momentum"].mantissa.shape[-1]),
            np.zeros((k, fields["carried_momentum"].mantissa.shape[-1])),
            np.zeros((n, k)),
            np.full((n, k), -np.inf),
            np.zeros(k),
            np.zeros(n, dtype=np.int64),
            *reference_of(fields["term_log_scales"][0], fields["term_steps"][0]),
            Deferred.of(n, k),
            beta,
            float(powers.head[0]),
            float(powers.tail[0]),
            ahead,
            bool(np.isfinite(fields["carried_momentum"].log_scale[0])),
            CERTAIN_SIGN if signs else CERTAIN_ENTRY,
            ROUNDING_OF_SIGN if signs else ROUNDING_OF_ENTRY,
        )

    def fields(self, before: Fields) -> Fields:
        """Return what is kept as a state of one run."""
        kept = {
            "term_mantissas": self.mantissas[None],
            "term_log_scales": self.scales[None],
            "term_steps": self.steps[None],
            "term_sizes": Scaled(self.sizes[None], self.sizes_scale),
            "compared_mantissas": self.compared[None],
            "compared_log_scales": self.compared_scales[None],
            "compared_sizes": Scaled(self.compared_sizes[None, :, None], self.compared_scale),
        }
        return {name: value for name, value in kept.items() if name in before}


@plain
def plus(one, one_scale, other, other_scale):
    """Return the sum of two numbers with scales; what its rounding hides is 0."""
    if other == 0.0 or other_scale == -math.inf:
        return one, one_scale
    if one == 0.0 or one_scale == -math.inf:
        return other, other_scale
    top = max(one_scale, other_scale)
    if one_scale != top:
        one *= math.exp(one_scale - top)
    elif other_scale != top:
        other *= math.exp(other_scale - top)
    total = one + other
    if abs(total) <= HIDDEN * (abs(one) + abs(other)):
        return 0.0, -math.inf
    if not _SMALL < abs(total) < _LARGE:
        shift = math.floor(math.log(abs(total)))
        half = math.exp(-0.5 * shift)
        return total * half * half, top + shift
    return total, top


@plain
def kept_rows(data, indices, W, work, taken, scales, factor, whole, kept):
    """Take down the coefficients of a batch; return False where compiled code does not have them.

    ``taken`` [b, k] are its residuals in units of ``scales`` [b], still to be multiplied by ``factor``. Those
    that kernels do not keep apart are worked out one by one, times ``whole``, unless the loss is a callback.
    """
    labels, rows, row_scales = data[2], kept.rows, kept.row_scales
    b = indices.shape[0]
    apart = count_kept_apart(taken, b)
    for i in range(b):
        label = labels[indices[i]]
        if i < apart or count_kept_apart(taken[i : i + 1], 1) == 1:
            for c in range(rows.shape[1]):
                rows[i, c], row_scales[i, c] = factor * taken[i, c], scales[i]
            rows[i, label] = 0.0
        elif exact_row(data, indices[i], W, work, whole, rows, row_scales, i):
            rows[i, label], row_scales[i, label] = 0.0, -math.inf
        else:
            return False
    return True


@plain
def renew(step, kept):
    """Bring all coefficients up to a step, and compare from there on with the rows that were taken down."""
    n, k = kept.mantissas.shape
    last, decay, decay_scale, gain = -1, 1.0, 0.0, 0.0
    for i in range(n):
        age = step - kept.steps[i]
        if age != last:
            last = age
            decay, decay_scale = power_of(kept.beta, kept.head, kept.tail, age)
            gain = (1.0 - decay * math.exp(decay_scale)) / n
        kept.steps[i] = step
        if settled_quickly(
            kept.mantissas, kept.scales, kept.compared, kept.compared_scales, i, decay, decay_scale, gain
        ):
            for c in range(k):
                kept.compared[i, c], kept.compared_scales[i, c] = kept.rows[i, c], kept.row_scales[i, c]
            continue
        for c in range(k):
            kept.mantissas[i, c], kept.scales[i, c] = plus(
                kept.mantissas[i, c] * decay,
                kept.scales[i, c] + decay_scale,
                kept.compared[i, c] * gain,
                kept.compared_scales[i, c],
            )
            kept.compared[i, c], kept.compared_scales[i, c] = kept.rows[i, c], kept.row_scales[i, c]


@plain
def total_compared(labels, kept):
    """Write what absolute coefficients that signals are compared with add up to in each row, over n."""
    n, k = kept.compared.shape
    top = -math.inf
    for i in range(n):
        for c in range(k):
            top = max(top, kept.compared_scales[i, c])
    sums = kept.compared_sizes
    sums[:] = 0.0
    kept.compared_scale[0] = top
    if top == -math.inf:
        return
    unit, last = 1.0, top
    if all_equal(kept.compared_scales.reshape(-1), top):
        for i in range(n):
            others = 0.0
            for c in range(k):
                size = abs(kept.compared[i, c])
                sums[c] += size / n
                others += size
            sums[labels[i]] += others / n
        return
    for i in range(n):
        others = 0.0
        for c in range(k):
            if kept.compared_scales[i, c] != last:
                last = kept.compared_scales[i, c]
                unit = math.exp(last - top)
            size = abs(kept.compared[i, c]) * unit
            sums[c] += size / n
            others += size
        sums[labels[i]] += others / n


@plain
def record(data, indices, first, step, corrected, replaces, factor, kept):
    """Add the rows that were taken down, from the first on, to the coefficients, as those of a step's signal.

    Where ``corrected`` they are compared first, and where it ``replaces`` they are what the next are compared
    with. What is left in them is the change of the signal over the batch.
    """
    n, k = kept.mantissas.shape
    labels = data[2]
    last, decay, decay_scale, gain = -1, 1.0, 0.0, 0.0
    for i in range(first, indices.shape[0]):
        sample = indices[i]
        age = step + 1 - kept.steps[sample]
        if age != last:
            last = age
            decay, decay_scale = power_of(kept.beta, kept.head, kept.tail, age)
            gain = (1.0 - decay * math.exp(decay_scale)) / n if corrected else 0.0
        kept.steps[sample], kept.references[sample] = step + 1, -1
        if corrected and corrected_quickly(
            kept.mantissas, kept.scales, kept.compared, kept.compared_scales, kept.rows, kept.row_scales,
            kept.old, kept.old_scales, sample, i, decay, decay_scale, gain, factor, kept.beta, replaces,
        ):  # fmt: skip
            continue
        for c in range(k):
            if c == labels[sample]:
                kept.old[i, c], kept.old_scales[i, c] = 0.0, -math.inf
                continue
            value, scale = kept.mantissas[sample, c] * decay, kept.scales[sample, c] + decay_scale
            new, new_scale = kept.rows[i, c], kept.row_scales[i, c]
            if corrected:
                old, old_scale = kept.compared[sample, c], kept.compared_scales[sample, c]
                kept.old[i, c], kept.old_scales[i, c] = old, old_scale
                value, scale = plus(value, scale, gain * old, old_scale)
                if replaces:
                    kept.compared[sample, c], kept.compared_scales[sample, c] = new / factor, new_scale
                new, new_scale = plus(new, new_scale, -factor * old, old_scale)
                kept.rows[i, c], kept.row_scales[i, c] = new, new_scale
            kept.mantissas[sample, c], kept.scales[sample, c] = plus(
                value, scale, (1.0 - kept.beta) * new, new_scale
            )
        _share_scale(kept.mantissas, kept.scales, sample)
        if replaces:
            _share_scale(kept.compared, kept.compared_scales, sample)


@plain
def record_deferred(data, orders, first_epoch, batches, batch_size, kept):
    """Record the batches that were put down; what is left in the rows is of the last of them."""
    rows, ends, units, factors, steps, counts = kept.deferred
    labels, first = data[2], 0
    for batch in range(counts[BATCHES]):
        position, order = steps[batch] % batches, orders[steps[batch] // batches - first_epoch]
        start, b = position * batch_size, ends[batch] - first
        indices = order[start : start + b]
        for i in range(b):
            for c in range(rows.shape[1]):
                kept.rows[i, c], kept.row_scales[i, c] = rows[first + i, c], units[batch]
            kept.rows[i, labels[indices[i]]] = 0.0
        record(data, indices, 0, steps[batch], True, False, factors[batch], kept)
        first = ends[batch]
        counts[EVEN] = 0
    counts[BATCHES] = 0


@plain
def _share_scale(mantissas, scales, i):
    """Give the coefficients of a sample one scale, where they are not too far apart."""
    top, least = -math.inf, math.inf
    for c in range(scales.shape[1]):
        if mantissas[i, c] != 0.0:
            top, least = max(top, scales[i, c]), min(least, scales[i, c])
    if top - least > _ONE_SCALE or top == -math.inf:
        return
    for c in range(scales.shape[1]):
        if mantissas[i, c] != 0.0 and scales[i, c] != top:
            mantissas[i, c] *= math.exp(scales[i, c] - top)
        scales[i, c] = top
