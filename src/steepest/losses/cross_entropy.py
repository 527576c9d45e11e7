"""Cross-entropy, the loss of softmax regression."""

from __future__ import annotations

from dataclasses import dataclass

from steepest.doubled import Doubled
from steepest.losses.logarithms import log_shares, log_sigmoid, log_softplus, log_sum_exp
from steepest.losses.protocol import Residuals

__all__ = ["CrossEntropy"]


@dataclass(frozen=True)
class CrossEntropy:
    """L(W) = -(1/n) Σ_i log S_{y_i}(W x_i), with residuals the softmax r_ic = S_c(W x_i).

    With u_i = log Σ_c exp(a_ic) over c ≠ y_i the loss of a sample is log(1 + e^{u_i}), and the residuals of a
    sample sum to 1 / (1 + e^{-u_i}): neither is formed as a difference, which would cancel.

    >>> import numpy as np
    >>> residuals = CrossEntropy().residuals(Doubled(np.array([[-np.inf, 0.0]]), np.zeros((1, 2))))
    >>> np.exp(residuals.log_weights.high + residuals.log_weights.low).tolist()
    [0.5]
    """

    @property
    def name(self) -> str:
        """The name of the loss, "cross-entropy"."""
        return "cross-entropy"

    def __str__(self) -> str:
        return self.name

    def residuals(self, log_odds: Doubled, /) -> Residuals:
        """Return the residuals and losses of samples with ``log_odds`` of shape [..., b, k]."""
        u, shares = log_sum_exp(log_odds)
        return Residuals(shares, log_sigmoid(u), log_softplus(u), log_shares(log_odds, u))
