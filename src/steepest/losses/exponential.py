"""The exponential loss of all pairs."""

from __future__ import annotations

from dataclasses import dataclass

from steepest.doubled import Doubled
from steepest.losses.logarithms import log_shares, log_sum_exp
from steepest.losses.protocol import Residuals

__all__ = ["Exponential"]


@dataclass(frozen=True)
class Exponential:
    """L(W) = (1/n) Σ_i Σ_{c≠y_i} exp(a_ic), a_ic = -(e_{y_i} - e_c)ᵀ W x_i; residuals its terms (Appendix I).

    >>> import numpy as np
    >>> residuals = Exponential().residuals(Doubled(np.array([[-np.inf, -4000.0]]), np.zeros((1, 2))))
    >>> residuals.log_losses.high.tolist()
    [-4000.0]
    """

    @property
    def name(self) -> str:
        """The name of the loss, "exponential"."""
        return "exponential"

    def __str__(self) -> str:
        return self.name

    def residuals(self, log_odds: Doubled, /) -> Residuals:
        """Return the residuals and losses of samples with ``log_odds`` of shape [..., b, k]."""
        u, shares = log_sum_exp(log_odds)
        return Residuals(shares, u, u, log_shares(log_odds, u))
