"""The losses that every contract test loops over: those that come with steepest, and two of a user's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from steepest.arrays import namespace
from steepest.descent.engines.compiled.compiled_loss import COMPILED_LOSS, PairResiduals
from steepest.doubled import Doubled
from steepest.losses import CROSS_ENTROPY, EXPONENTIAL, PAIRWISE_LOGISTIC, Residuals
from steepest.losses.logarithms import log_sigmoid, log_softplus, log_sum_exp, summed_over_pairs
from steepest.theory import LEMMA_CONSTANTS, LemmaConstants


@dataclass(frozen=True)
class PairwiseArsinh:
    """ℓ(a) = Σ_c arsinh(e^{a_c}), with residuals e^a / sqrt(1 + e^{2a}): offers all that a loss can offer."""

    name = "pairwise-arsinh"

    def residuals(self, log_odds):
        xp = namespace(log_odds.high)
        twice = log_sigmoid(Doubled(2 * log_odds.high, 2 * log_odds.low))
        value = log_odds.high + log_odds.low
        right = value < 0
        size = xp.exp(xp.where(right, value, 0.0))
        ratio = xp.where(size > 1e-150, xp.asinh(size) / xp.where(size > 1e-150, size, 1.0), 1.0)
        wrong = xp.where(right, 1.0, value)
        wrong = wrong + xp.log(1 + xp.sqrt(1 + xp.exp(-2 * wrong)))
        log_losses = Doubled(
            xp.where(right, log_odds.high, 0.0),
            xp.where(right, log_odds.low + xp.log(ratio), xp.log(wrong)),
        )
        return summed_over_pairs(Doubled(0.5 * twice.high, 0.5 * twice.low), log_losses)


@COMPILED_LOSS.offered_by(PairwiseArsinh)
def _(_loss):
    return PairResiduals(lambda a: -0.5 * math.log1p(math.exp(-2.0 * abs(a))))


@LEMMA_CONSTANTS.offered_by(PairwiseArsinh)
def _(_loss):
    """With φ = arsinh(e^a) the residual is tanh(φ), concave, and e^a = sinh(φ)."""

    def deficit(log_total):
        y = np.exp(np.minimum(log_total, 300.0))
        return np.where(y < 1e-3, y**2 / 3, 1 - np.tanh(y) / np.maximum(y, 1e-3))

    def log_total_odds(log_total):
        y = np.exp(np.minimum(log_total, 300.0))
        middle = np.clip(y, 1e-9, 300.0)
        return np.where(y < 1e-9, log_total, np.where(y > 300, y - math.log(2), np.log(np.sinh(middle))))

    return LemmaConstants(
        loss_at_zero=lambda classes: (classes - 1) * math.asinh(1.0),
        largest_proxy=lambda classes: classes - 1.0,
        log_total_odds=log_total_odds,
        separating_total=math.asinh(1.0),
        deficit=deficit,
    )


@dataclass(frozen=True)
class AdditiveMargin:
    """ℓ(a) = log(1 + Σ_c exp(a_c + margin)), cross-entropy that asks for a margin: offers nothing further."""

    margin: float = 2.0

    @property
    def name(self):
        return f"additive-margin-{self.margin:g}"

    def residuals(self, log_odds):
        u, shares = log_sum_exp(Doubled(log_odds.high, log_odds.low + self.margin))
        return Residuals(shares, log_sigmoid(u), log_softplus(u))


OPEN, BARE = PairwiseArsinh(), AdditiveMargin()
LOSSES = (CROSS_ENTROPY, EXPONENTIAL, PAIRWISE_LOGISTIC, OPEN, BARE)

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
every_compiled_loss = pytest.mark.parametrize("loss", LOSSES[:-1], ids=lambda loss: loss.name)
