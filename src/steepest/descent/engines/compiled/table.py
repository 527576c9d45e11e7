"""The compiled step of SAGA: a table of each sample's residuals, and its mean; see signals/saga.py."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from steepest.descent.engines.compiled.gradient import add_outer_products, residual_rows
from steepest.descent.engines.compiled.kernels import (
    add_scaled,
    copy_multiple,
    copy_row,
    largest_entry,
    plain,
    renormalized,
    scale_into,
)
from steepest.scaled import Scaled
from steepest.signals import Fields
from steepest.signals.saga import ACCURACY, RESCALING, SMALLEST, TAKEN_OUT, TERM, UNIT

__all__ = ["Table", "table_step"]

MEAN_SCALE, TERMS, REMOVED, ROUNDING = range(4)
_LOG_RESCALING = math.log(RESCALING)
# Rows below e^-80 of the largest change no digit of a sum.
_NEGLIGIBLE = -80.0


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
    new_scales: np.ndarray
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
    rows, scales, mean, logarithms, everything, new_rows, new_scales, change = table
    X, b, n = data[0], indices.shape[0], scales.shape[0]
    size = math.log(max(data[4], SMALLEST) / n)
    residual_rows(data, indices, W, work, new_rows, new_scales)
    terms_in = size + _log_sum_of_sizes(new_rows, new_scales, everything[:b])
    terms_out = size + _log_sum_of_sizes(rows, scales, indices)
    change_scale = _change_of_batch(X, indices, new_rows, new_scales, rows, scales, work, change)
    for i in range(b):
        copy_row(rows, indices[i], new_rows, i)
        scales[indices[i]] = new_scales[i]
    scale_into(change, factor, signal)
    before = logarithms[MEAN_SCALE]
    scale = add_scaled(signal, change_scale, 1.0, mean, before, 1.0)
    after = add_scaled(mean, before, 1.0, change, change_scale, 1.0 / n)
    of_mean = _log_size(mean, after)
    if after != before or change_scale > before:
        of_mean += _LOG_RESCALING
    of_terms = _log_add(terms_in, terms_out) + math.log(b + TERM)
    logarithms[MEAN_SCALE] = after
    logarithms[REMOVED] = _log_add(logarithms[REMOVED], terms_out)
    logarithms[ROUNDING] = _log_add(logarithms[ROUNDING], UNIT + _log_add(of_mean, of_terms))
    if _loses_and_gains(n, mean, logarithms):
        sum_scale = _sum_of_rows(X, everything, rows, scales, work, mean)
        scale_into(mean, 1.0 / n, mean)
        logarithms[MEAN_SCALE] = renormalized(mean, sum_scale)
        logarithms[TERMS] = size + _log_sum_of_sizes(rows, scales, everything)
        logarithms[REMOVED], logarithms[ROUNDING] = -math.inf, -math.inf
    return scale


@plain
def _loses_and_gains(n, mean, logarithms):
    """Whether the mean has rounded too much, and made afresh would have rounded less."""
    when_made = UNIT + math.log(n + TERM) + logarithms[TERMS]
    rounding = logarithms[ROUNDING]
    if _log_add(rounding, when_made) <= ACCURACY + _log_size(mean, logarithms[MEAN_SCALE]):
        return False
    return rounding > when_made or logarithms[REMOVED] > TAKEN_OUT + logarithms[TERMS]


@plain
def _change_of_batch(X, indices, new_rows, new_scales, rows, scales, work, change):
    """Write Σ_i (new row_i - row_i) x_iᵀ over a batch, with the rows' scales; return the log-scale."""
    differences, chosen = work[0], work[3]
    top = -math.inf
    for i in range(indices.shape[0]):
        top = max(top, new_scales[i], scales[indices[i]])
    count = 0
    for i in range(indices.shape[0]):
        new, old = new_scales[i] - top, scales[indices[i]] - top
        if max(new, old) > _NEGLIGIBLE:
            new_factor = math.exp(new) if new > _NEGLIGIBLE else 0.0
            old_factor = math.exp(old) if old > _NEGLIGIBLE else 0.0
            for c in range(rows.shape[1]):
                differences[count, c] = new_factor * new_rows[i, c] - old_factor * rows[indices[i], c]
            chosen[count] = indices[i]
            count += 1
    change[:] = 0.0
    add_outer_products(differences, count, chosen, X, change)
    return renormalized(change, top)


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
def _log_sum_of_sizes(rows, scales, indices):
    """Return log Σ_i max_c |row_ic| exp(scale_i) over some rows."""
    top = -math.inf
    for i in indices:
        top = max(top, scales[i])
    total = 0.0
    for i in indices:
        size = 0.0
        for c in range(rows.shape[1]):
            size = max(size, abs(rows[i, c]))
        total += size * math.exp(scales[i] - top)
    return top + math.log(total)


@plain
def _log_size(matrix, log_scale):
    size = largest_entry(matrix)
    return math.log(size) + log_scale if size > 0.0 else -math.inf


@plain
def _log_add(a, b):
    top = max(a, b)
    return top if top == -math.inf else top + math.log(math.exp(a - top) + math.exp(b - top))
