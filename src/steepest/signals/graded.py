"""Signals as sums of terms: the logarithm of every residual, for directions that hang on the smallest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from steepest.arrays import Array, namespace
from steepest.capabilities import Capability
from steepest.doubled import Doubled
from steepest.geometry import norm
from steepest.losses import Loss, Samples, residuals
from steepest.signals.loopless_svrg import LooplessSVRG
from steepest.signals.minibatch import MiniBatch, minibatch_gradient
from steepest.signals.protocol import Draw, Fields
from steepest.signals.svrg import SVRG

__all__ = ["GRADED_SIGNAL", "PARTS_SIZE", "Part", "residual_logs"]


class Part(NamedTuple):
    """A sum ± Σ_i Σ_{c≠y_i} e^{logs_ic} (e_c - e_{y_i}) x_iᵀ over samples, for each of some runs."""

    logs: Doubled
    """Logarithms of the coefficients, shape [runs, b, k]; at the true class that of the sum of the others."""
    sign: float
    samples: Samples


GRADED_SIGNAL: Capability[Callable[[Draw, Array, Fields], Sequence[Part]]] = Capability(
    "its terms",
    "The parts whose sum the signal of a step is, from the draw, the weights, and the state after the step.",
)


PARTS_SIZE: Capability[Callable[[Draw, Array, Fields], Array]] = Capability(
    "the size of its parts",
    "The logarithm of the Frobenius norms of all parts of a signal together, shape [runs].",
)


def residual_logs(loss: Loss, samples: Samples, W: Array) -> Doubled:
    """Return log r_ic [runs, b, k], times the weights of samples; of the others' sum at the true class."""
    found = residuals(loss, samples, W)
    xp = namespace(W)
    shares = found.log_shares
    if shares is None:
        present = found.shares > 0
        shares = xp.where(present, xp.log(xp.where(present, found.shares, 1.0)), -xp.inf)
    total = found.log_weights
    # The larger part first: what is left of the two then keeps its digits.
    low = xp.where(samples.one_hot, 0.0, shares) + total.low[..., None]
    return Doubled(xp.broadcast_to(total.high[..., None], low.shape), low)


def _part(loss: Loss, samples: Samples, W: Array, factor: float, sign: float = 1.0) -> Part:
    logs = residual_logs(loss, samples, W)
    return Part(Doubled(logs.high, logs.low + math.log(factor)), sign, samples)


@GRADED_SIGNAL.offered_by(MiniBatch)
def _minibatch(_signal: MiniBatch):
    return lambda draw, weights, _fields: [_part(draw.loss, draw.batch, weights, draw.factor)]


@GRADED_SIGNAL.offered_by(SVRG, LooplessSVRG)
def _corrected(_signal: SVRG | LooplessSVRG):
    def parts(draw: Draw, weights: Array, fields: Fields) -> Sequence[Part]:
        here = _part(draw.loss, draw.batch, weights, draw.factor)
        if draw.batches == 1:
            return [here]
        everything, snapshot = Samples.of(draw.problem), fields["snapshot"]
        return [
            here,
            _part(draw.loss, draw.batch, snapshot, draw.factor, -1.0),
            _part(draw.loss, everything, snapshot, 1.0 / draw.problem.samples),
        ]

    return parts


@PARTS_SIZE.offered_by(SVRG, LooplessSVRG)
def _size_of_corrected(_signal: SVRG | LooplessSVRG):
    def log_size(draw: Draw, weights: Array, fields: Fields) -> Array:
        xp = namespace(weights)
        here, there = (
            minibatch_gradient(draw.loss, draw.batch, each, draw.factor)
            for each in (weights, fields["snapshot"])
        )
        frobenius = norm("frobenius")
        parts = (here.log_norm(frobenius), there.log_norm(frobenius))
        # With one batch an epoch no snapshot is taken.
        full = fields["snapshot_gradient"].log_norm(frobenius)
        return xp.logaddexp(xp.logaddexp(*parts), full)

    return log_size
