"""Variance reduction by a table of each sample's last gradient (SAGA), exact at any loss.

    V_t = (m/n) Σ_{i in B} (∇ℓ_i(W_t) - ∇ℓ_i(φ_i)) + (1/n) Σ_j ∇ℓ_j(φ_j)

with φ_i the weights at which sample i was last seen (Defazio, Bach and Lacoste-Julien, NIPS 2014). The
gradient of a sample is a row of residuals times its features, so the table holds rows [n, k], each with its
log-scale.

The mean of the table is kept up to date by adding what changes. Every addition rounds, by no more than a unit
of rounding times the terms that it adds; and while losses fall from 1e-1 to 1e-1000, the rounding of the
early terms would soon be larger than all that is left. So the sum of these bounds is kept too, as a
logarithm, and where it exceeds 1e-12 of the mean's largest entry the mean is made afresh from the table,
whose rows carry no history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.losses import Loss, Samples, residuals
from steepest.problem import Classification
from steepest.scaled import Scaled
from steepest.signals.minibatch import minibatch_gradient
from steepest.signals.protocol import Draw, Fields

__all__ = ["SAGA"]

_UNIT = math.log(2.0**-53)
_ACCURACY = math.log(1e-12)


@dataclass(frozen=True)
class SAGA:
    """V_t = (m/n) Σ_{i in B} (∇ℓ_i(W_t) - ∇ℓ_i(φ_i)) + (1/n) Σ_j ∇ℓ_j(φ_j), i last seen at φ_i.

    No step costs more than a batch, but for those few that make the mean afresh; the table keeps n k numbers.
    """

    def start(self, problem: Classification, loss: Loss, weights: Array) -> Fields:
        """Return the table at the first weights, with its mean."""
        rows, scales = _rows(loss, Samples.of(problem), weights)
        mean, rounding = _mean_of(problem, rows, scales)
        return {"table": rows, "table_log_scale": scales, "table_mean": mean, "mean_log_rounding": rounding}

    def step(self, draw: Draw, weights: Array, fields: Fields) -> tuple[Scaled, Fields]:
        """Return the corrected gradient, and the table with the batch's rows replaced."""
        if draw.indices is None:
            return minibatch_gradient(draw.loss, draw.batch, weights, draw.factor), fields
        xp, problem = namespace(weights), draw.problem
        table, scales = fields["table"], fields["table_log_scale"]
        runs = xp.arange(weights.shape[0], device=device(weights))[:, None]
        batch = draw.batch
        new_rows, new_scales = _rows(draw.loss, batch, weights)
        old_rows, old_scales = table[runs, draw.indices], scales[runs, draw.indices]
        change = _gradient(batch.features, new_rows, new_scales) - _gradient(
            batch.features, old_rows, old_scales
        )
        signal = change * draw.factor + fields["table_mean"]
        table, scales = xp.asarray(table, copy=True), xp.asarray(scales, copy=True)
        table[runs, draw.indices], scales[runs, draw.indices] = new_rows, new_scales
        mean = fields["table_mean"] + change * (1.0 / problem.samples)
        sizes = problem.largest_length / problem.samples
        terms = _log_terms(new_rows, new_scales, sizes), _log_terms(old_rows, old_scales, sizes)
        rounding = _UNIT + math.log(batch.features.shape[-2] + 4) + xp.logaddexp(*terms)
        rounding = xp.logaddexp(fields["mean_log_rounding"], rounding)
        mean, rounding = _refreshed(problem, table, scales, mean, rounding)
        return signal, {
            "table": table,
            "table_log_scale": scales,
            "table_mean": mean,
            "mean_log_rounding": rounding,
        }

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


def _log_terms(rows: Array, scales: Array, size: float) -> Array:
    """Return the logarithm of a bound on the sum of the terms of every entry of a gradient, shape [runs]."""
    xp = namespace(rows)
    top = xp.max(scales, axis=-1)
    total = xp.sum(xp.max(xp.abs(rows), axis=-1) * xp.exp(scales - top[..., None]), axis=-1)
    return xp.log(total) + top + math.log(size)


def _mean_of(problem: Classification, rows: Array, scales: Array) -> tuple[Scaled, Array]:
    mean = _gradient(problem.features, rows, scales) * (1.0 / problem.samples)
    size = problem.largest_length / problem.samples
    return mean, _UNIT + math.log(problem.samples + 4) + _log_terms(rows, scales, size)


def _refreshed(
    problem: Classification, table: Array, scales: Array, mean: Scaled, rounding: Array
) -> tuple[Scaled, Array]:
    """Return the mean, and the logarithm of its rounding, of runs that lost too much made afresh."""
    xp = namespace(table)
    size = xp.max(xp.abs(mean.mantissa), axis=(-2, -1))
    level = xp.log(xp.where(size > 0, size, 1.0)) + mean.log_scale
    lost = (rounding > _ACCURACY + level) | (size == 0)
    if not bool(xp.any(lost)):
        return mean, rounding
    fresh, least = _mean_of(problem, table, scales)
    matrix = lost[:, None, None]
    return (
        Scaled(
            xp.where(matrix, fresh.mantissa, mean.mantissa),
            xp.where(lost, fresh.log_scale, mean.log_scale),
        ),
        xp.where(lost, least, rounding),
    )
