"""The logistic loss of every pair of the true class with another one."""

from __future__ import annotations

from dataclasses import dataclass

from steepest.doubled import Doubled
from steepest.losses.logarithms import log_sigmoid, log_softplus, summed_over_pairs
from steepest.losses.protocol import Residuals

__all__ = ["PairwiseLogistic"]


@dataclass(frozen=True)
class PairwiseLogistic:
    """L(W) = (1/n) Σ_i Σ_{c≠y_i} log(1 + exp(a_ic)), a_ic = -(e_{y_i} - e_c)ᵀ W x_i.

    Each pair is a logistic regression of its own, with residual r_ic = 1 / (1 + e^{-a_ic}). So a sample's
    residuals are not proportional to its softmax probabilities, except where all margins are large: there it
    has the exponential tail that the others have. For two classes it is cross-entropy.

    >>> import numpy as np
    >>> log_odds = Doubled(np.array([[-np.inf, 0.0, 700.0]]), np.zeros((1, 3)))
    >>> PairwiseLogistic().residuals(log_odds).shares.round(6).tolist()
    [[0.0, 0.333333, 0.666667]]
    """

    @property
    def name(self) -> str:
        """The name of the loss, "pairwise-logistic"."""
        return "pairwise-logistic"

    def __str__(self) -> str:
        return self.name

    def residuals(self, log_odds: Doubled, /) -> Residuals:
        """Return the residuals and losses of samples with log-odds [..., b, k]."""
        return summed_over_pairs(log_sigmoid(log_odds), log_softplus(log_odds))
