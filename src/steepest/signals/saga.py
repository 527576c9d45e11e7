"""Variance reduction by a table of each sample's last gradient (SAGA), exact at any loss.

    V_t = (m/n) Σ_{i in B} (∇ℓ_i(W_t) - ∇ℓ_i(φ_i)) + (1/n) Σ_j ∇ℓ_j(φ_j)

with φ_i the weights at which sample i was last seen (Defazio, Bach and Lacoste-Julien, NIPS 2014). The
gradient of a sample is a row of residuals times its features, so the table holds rows [n, k], each with its
log-scale.

The mean of the table is kept up to date by adding what changes. Every addition rounds; and while losses fall
from 1e-1 to 1e-1000, what early additions rounded would soon be larger than all that is left. So three
logarithms are kept beside the mean:

    T   what the absolute terms of its sum added up to when it was last made afresh from the table
    D   the sum of the terms that were taken out since
    E   a bound of what all additions since have rounded

A mean made afresh is within F = u (n + c) T, u the unit of rounding, so the present one is within E + F. Made
afresh now, it would be within F' ≥ u (n + c) (T - D): terms went by D alone. It is made afresh where E + F
exceeds 1e-12 of its largest entry and it gains by it: where E > F or D > 3/4 T. Where it is not, it is within
1e-12, or within E + F ≤ 2 F ≤ 8 F': eight times the bound of a sum over all samples. Steps replace 3/4 of the
terms in about an epoch, so that there are about as many fresh means as epochs.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.losses import Loss, Samples, residuals
from steepest.problem import Classification
from steepest.scaled import Scaled
from steepest.signals.minibatch import minibatch_gradient
from steepest.signals.protocol import Draw, Fields

__all__ = ["ACCURACY", "RESCALING", "SAGA", "SMALLEST", "TAKEN_OUT", "TERM", "UNIT"]

UNIT = math.log(2.0**-53)
"""Logarithm of u, the largest relative error of one operation."""
ACCURACY = math.log(1e-12)
TAKEN_OUT = math.log(0.75)
TERM = 34
"""A term of a sum of b is rounded b + c times, c at most this: two exponentials and their products to bring
rows to one scale, as many for two matrices, and those that bring a mantissa to order one."""
RESCALING = 10
"""Operations that round the mean itself where its log-scale changes; otherwise one, the addition."""
# All features may be 0.
SMALLEST = sys.float_info.min


@dataclass(frozen=True)
class SAGA:
    """V_t = (m/n) Σ_{i in B} (∇ℓ_i(W_t) - ∇ℓ_i(φ_i)) + (1/n) Σ_j ∇ℓ_j(φ_j), i last seen at φ_i.

    A step costs a batch, and about once an epoch the mean is made afresh; the table keeps n (k + 1) numbers.
    """

    def start(self, problem: Classification, loss: Loss, weights: Array) -> Fields:
        """Return the table at the first weights, with its mean."""
        rows, scales = _rows(loss, Samples.of(problem), weights)
        return {"table": rows, "table_log_scale": scales, **_fresh(problem, rows, scales)}

    def step(self, draw: Draw, weights: Array, fields: Fields) -> tuple[Scaled, Fields]:
        """Return the corrected gradient, and the table with the batch's rows replaced."""
        if draw.indices is None:
            return minibatch_gradient(draw.loss, draw.batch, weights, draw.factor), fields
        xp, problem, batch = namespace(weights), draw.problem, draw.batch
        table, scales = fields["table"], fields["table_log_scale"]
        runs = xp.arange(weights.shape[0], device=device(weights))[:, None]
        new_rows, new_scales = _rows(draw.loss, batch, weights)
        old_rows, old_scales = table[runs, draw.indices], scales[runs, draw.indices]
        new = _gradient(batch.features, new_rows, new_scales)
        change = new - _gradient(batch.features, old_rows, old_scales)
        signal = change * draw.factor + fields["table_mean"]
        table, scales = xp.asarray(table, copy=True), xp.asarray(scales, copy=True)
        table[runs, draw.indices], scales[runs, draw.indices] = new_rows, new_scales
        terms_in = _log_terms(problem, new_rows, new_scales)
        terms_out = _log_terms(problem, old_rows, old_scales)
        about_mean = _with_change(
            change * (1.0 / problem.samples), terms_in, terms_out, batch.features.shape[-2], fields
        )
        about_mean = _fresh_where_lost(problem, table, scales, about_mean)
        return signal, {"table": table, "table_log_scale": scales, **about_mean}

    def __str__(self) -> str:
        return "saga"


def _rows(loss: Loss, samples: Samples, weights: Array) -> tuple[Array, Array]:
    """Return residuals [runs, b, k], in which the true class has minus the others, and log-scales."""
    found = residuals(loss, samples, weights)
    xp = namespace(weights)
    scale = xp.floor(found.log_weights.high)
    size = xp.exp((found.log_weights.high - scale) + found.log_weights.low)
    others = found.shares * size[..., None]
    return xp.where(samples.one_hot, -xp.sum(others, axis=-1, keepdims=True), others), scale


def _gradient(features: Array, rows: Array, scales: Array) -> Scaled:
    """Return Σ_i exp(scale_i) row_i x_iᵀ, shape [runs, k, d]."""
    xp = namespace(rows)
    top = xp.max(scales, axis=-1)
    weighted = rows * xp.exp(scales - top[..., None])[..., None]
    return Scaled(xp.matmul(xp.matrix_transpose(weighted), features), top).normalized()


def _log_terms(problem: Classification, rows: Array, scales: Array) -> Array:
    """Return the logarithm of a bound of (1/n) Σ_i |row_ic x_ij| exp(scale_i) for all c, j, shape [runs]."""
    xp = namespace(rows)
    top = xp.max(scales, axis=-1)
    total = xp.sum(xp.max(xp.abs(rows), axis=-1) * xp.exp(scales - top[..., None]), axis=-1)
    return xp.log(total) + top + math.log(max(problem.largest_length, SMALLEST) / problem.samples)


def _with_change(
    change: Scaled, terms_in: Array, terms_out: Array, batch_size: int, fields: Fields
) -> Fields:
    """Return the mean with a change of it added, and what is known of its rounding."""
    xp = namespace(change.mantissa)
    before = fields["table_mean"]
    mean = before + change
    rescaled = (mean.log_scale != before.log_scale) | (change.log_scale > before.log_scale)
    of_mean = _log_size(mean) + xp.astype(rescaled, mean.mantissa.dtype) * math.log(RESCALING)
    of_terms = xp.logaddexp(terms_in, terms_out) + math.log(batch_size + TERM)
    return {
        "table_mean": mean,
        "mean_log_terms": fields["mean_log_terms"],
        "mean_log_removed": xp.logaddexp(fields["mean_log_removed"], terms_out),
        "mean_log_rounding": xp.logaddexp(
            fields["mean_log_rounding"], UNIT + xp.logaddexp(of_mean, of_terms)
        ),
    }


def _fresh(problem: Classification, rows: Array, scales: Array) -> Fields:
    """Return the mean of the table [runs, n, k], made afresh."""
    terms = _log_terms(problem, rows, scales)
    none = namespace(terms).full_like(terms, -math.inf)
    return {
        "table_mean": _gradient(problem.features, rows, scales) * (1.0 / problem.samples),
        "mean_log_terms": terms,
        "mean_log_removed": none,
        "mean_log_rounding": none,
    }


def _fresh_where_lost(problem: Classification, table: Array, scales: Array, fields: Fields) -> Fields:
    """Return the mean, made afresh for the runs where it lost too much and gains by it."""
    xp = namespace(table)
    rounding, terms = fields["mean_log_rounding"], fields["mean_log_terms"]
    when_made = UNIT + math.log(problem.samples + TERM) + terms
    lost = xp.logaddexp(rounding, when_made) > ACCURACY + _log_size(fields["table_mean"])
    gains = (rounding > when_made) | (fields["mean_log_removed"] > TAKEN_OUT + terms)
    afresh = lost & gains
    if not bool(xp.any(afresh)):
        return fields

    def chosen(fresh: Array | Scaled, kept: Array | Scaled) -> Array | Scaled:
        if isinstance(fresh, Scaled):
            mantissa = xp.where(afresh[:, None, None], fresh.mantissa, kept.mantissa)
            return Scaled(mantissa, xp.where(afresh, fresh.log_scale, kept.log_scale))
        return xp.where(afresh, fresh, kept)

    return {name: chosen(fresh, fields[name]) for name, fresh in _fresh(problem, table, scales).items()}


def _log_size(matrix: Scaled) -> Array:
    """Return the logarithm of each matrix's largest entry, shape [runs]; -inf for zero."""
    xp = namespace(matrix.mantissa)
    size = xp.max(xp.abs(matrix.mantissa), axis=(-2, -1))
    return xp.where(size > 0, xp.log(xp.where(size > 0, size, 1.0)) + matrix.log_scale, -math.inf)
