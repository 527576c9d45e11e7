"""The compiled step of SAGA: a table of each sample's residuals, and its mean; see signals/saga.py."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from steepest.descent.engines.compiled.gradient import add_outer_products, residual_rows
from steepest.descent.engines.compiled.kernels import (
    LARGEST_SIZE,
    LEAST_SIZE,
    add_scaled,
    copy_multiple,
    copy_row,
    largest_entry,
    plain,
    renormalized,
    scale_into,
    sums_of_change,
)
from steepest.scaled import Scaled
from steepest.signals import Fields
from steepest.signals.saga import ACCURACY, RESCALING, SMALLEST, TAKEN_OUT, TERM, UNIT

__all__ = ["Table", "table_step"]

MEAN_SCALE, TERMS, REMOVED, ROUNDING = range(4)
_ROUNDED, _ACCURATE, _OUT = math.exp(UNIT), math.exp(ACCURACY), math.exp(TAKEN_OUT)
# Rows below e^-80 of the largest change no digit of a sum.
_NEGLIGIBLE = -80.0
# Matrices whose scales are farther apart than this are brought to order one before they are added.
_FAR = 300.0


class Table(NamedTuple):
    """The table of one run, changed in place, with space for a batch."""

    rows: np.ndarray
    """Residuals of each sample, minus their sum at the true class, shape [n, k]."""
    scales: np.ndarray
    """Log-scale of each row, shape [n]."""
    mean: np.ndarray
    """Mantissa of the mean, shape [k, d]."""
    logarithms: np.ndarray
    """Log-scale of the mean, and T, D and E of signals/saga.py, shape [4]."""
    everything: np.ndarray
    """Indices of all samples, shape [n]."""
    new_rows: np.ndarray
    """Of a batch: its residuals now, shape [b, k], and those that they replace."""
    new_scales: np.ndarray
    old_rows: np.ndarray
    old_scales: np.ndarray
    change: np.ndarray

    @classmethod
    def of(cls, fields: Fields, batch_size: int) -> Table:
        """Return the table in the state of one run."""
        rows, mean = fields["table"][0], fields["table_mean"]
        logarithms = np.concatenate(
            [mean.log_scale, *(fields[f"mean_log_{name}"] for name in ("terms", "removed", "rounding"))]
        )
        return cls(
            rows,
            fields["table_log_scale"][0],
            mean.mantissa[0],
            logarithms,
            np.arange(rows.shape[0]),
            np.empty((batch_size, rows.shape[1])),
            np.empty(batch_size),
            np.empty((batch_size, rows.shape[1])),
            np.empty(batch_size),
            np.empty_like(mean.mantissa[0]),
        )

    def fields(self) -> Fields:
        """Return the table as a state of one run."""
        return {
            "table": self.rows[None],
            "table_log_scale": self.scales[None],
            "table_mean": Scaled(self.mean[None], self.logarithms[:1]),
            "mean_log_terms": self.logarithms[TERMS : TERMS + 1],
            "mean_log_removed": self.logarithms[REMOVED : REMOVED + 1],
            "mean_log_rounding": self.logarithms[ROUNDING : ROUNDING + 1],
        }


@plain
def table_step(data, indices, W, factor, work, table, signal):
    """Write the corrected gradient into ``signal`` [k, d], replace the batch's rows; return the log-scale."""
    rows, scales, mean, logarithms, everything, new_rows, new_scales, old_rows, old_scales, change = table
    X, labels, b, n = data[0], data[2], indices.shape[0], scales.shape[0]
    size = math.log(max(data[4], SMALLEST) / n)
    residual_rows(data, indices, W, work, new_rows, new_scales)
    top = -math.inf
    for i in range(b):
        copy_row(old_rows, i, rows, indices[i])
        copy_row(rows, indices[i], new_rows, i)
        old_scales[i], scales[indices[i]] = scales[indices[i]], new_scales[i]
        top = max(top, new_scales[i], old_scales[i])
    terms_in, terms_out = _change_of_batch(X, labels, indices, top, table, work)
    before = logarithms[MEAN_SCALE]
    if abs(before - top) < _FAR:
        joint = max(before, top)
        of_mean, of_change = math.exp(before - joint), math.exp(top - joint)
        squares, squares_of_mean, largest = sums_of_change(
            signal, mean, change, factor * of_change, of_mean, of_change / n
        )
        scale, after = _settled(signal, joint, squares), _settled(mean, joint, squares_of_mean)
        rescaled = after != before or top > before
    else:
        change_scale = renormalized(change, top)
        scale_into(change, factor, signal)
        scale = add_scaled(signal, change_scale, 1.0, mean, before, 1.0)
        after = add_scaled(mean, before, 1.0, change, change_scale, 1.0 / n)
        rescaled = after != before or change_scale > before
        joint, largest = after, largest_entry(mean)
    logarithms[MEAN_SCALE] = after
    # What is known of the mean's rounding, in units of the largest of all that it is made of.
    of_largest, of_batch = math.log(largest) + joint, size + top
    unit = max(of_largest, of_batch, logarithms[TERMS], logarithms[REMOVED], logarithms[ROUNDING])
    terms = math.exp(logarithms[TERMS] - unit)
    removed, rounding = math.exp(logarithms[REMOVED] - unit), math.exp(logarithms[ROUNDING] - unit)
    largest, batch_unit = math.exp(of_largest - unit), math.exp(of_batch - unit)
    removed += batch_unit * terms_out
    rounded = largest * RESCALING if rescaled else largest
    rounding += _ROUNDED * (rounded + batch_unit * (terms_in + terms_out) * (b + TERM))
    if _loses_and_gains(n, largest, terms, removed, rounding):
        sum_scale = _sum_of_rows(X, everything, rows, scales, work, mean)
        scale_into(mean, 1.0 / n, mean)
        logarithms[MEAN_SCALE] = renormalized(mean, sum_scale)
        logarithms[TERMS] = size + _log_sum_of_sizes(labels, rows, scales)
        logarithms[REMOVED], logarithms[ROUNDING] = -math.inf, -math.inf
    else:
        logarithms[REMOVED], logarithms[ROUNDING] = unit + math.log(removed), unit + math.log(rounding)
    return scale


@plain
def _settled(matrix, log_scale, squares):
    """Return the log-scale of a matrix with a sum of squares, brought to order one where it is not."""
    inside = LEAST_SIZE * LEAST_SIZE < squares < LARGEST_SIZE * LARGEST_SIZE
    return log_scale if inside else renormalized(matrix, log_scale)


@plain
def _loses_and_gains(n, largest, terms, removed, rounding):
    """Whether the mean has rounded too much, and made afresh would have rounded less."""
    when_made = _ROUNDED * (n + TERM) * terms
    if rounding + when_made <= _ACCURATE * largest:
        return False
    return rounding > when_made or removed > _OUT * terms


@plain
def _change_of_batch(X, labels, indices, top, table, work):
    """Write Σ_i (new row_i - old row_i) x_iᵀ over a batch, in units of e^top.

    Return what the sizes of the new and of the old rows add up to, in the same units.
    """
    new_rows, new_scales, old_rows, old_scales, change = table[5:]
    differences, chosen = work[0], work[3]
    terms_in, terms_out, count = 0.0, 0.0, 0
    for i in range(indices.shape[0]):
        new, old = new_scales[i] - top, old_scales[i] - top
        # Scales are alike as a rule.
        new_factor = 1.0 if new == 0.0 else math.exp(new)
        old_factor = 1.0 if old == 0.0 else math.exp(old)
        # The largest entry of a row is that of the true class, minus the sum of the others.
        terms_in += abs(new_rows[i, labels[indices[i]]]) * new_factor
        terms_out += abs(old_rows[i, labels[indices[i]]]) * old_factor
        if max(new, old) > _NEGLIGIBLE:
            new_factor = new_factor if new > _NEGLIGIBLE else 0.0
            old_factor = old_factor if old > _NEGLIGIBLE else 0.0
            for c in range(new_rows.shape[1]):
                differences[count, c] = new_factor * new_rows[i, c] - old_factor * old_rows[i, c]
            chosen[count] = indices[i]
            count += 1
    change[:] = 0.0
    add_outer_products(differences, count, chosen, X, change)
    return terms_in, terms_out


@plain
def _sum_of_rows(X, everything, rows, scales, work, out):
    """Write Σ_i row_i x_iᵀ over the table, with the rows' scales; return the log-scale."""
    weighted, chosen = work[0], work[3]
    top = -math.inf
    for i in everything:
        top = max(top, scales[i])
    count = 0
    for i in everything:
        if scales[i] - top > _NEGLIGIBLE:
            copy_multiple(weighted, count, math.exp(scales[i] - top), rows, i)
            chosen[count] = i
            count += 1
    out[:] = 0.0
    add_outer_products(weighted, count, chosen, X, out)
    return top


@plain
def _log_sum_of_sizes(labels, rows, scales):
    """Return log Σ_i max_c |row_ic| exp(scale_i) over all rows."""
    top = -math.inf
    for i in range(scales.shape[0]):
        top = max(top, scales[i])
    total = 0.0
    for i in range(scales.shape[0]):
        total += abs(rows[i, labels[i]]) * math.exp(scales[i] - top)
    return top + math.log(total)
