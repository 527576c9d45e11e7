"""What a loss must have: its name, and residuals and loss of a sample as functions of its log-odds."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from steepest.arrays import Array, namespace
from steepest.doubled import Doubled

__all__ = ["Loss", "Residuals"]


class Residuals(NamedTuple):
    """Residuals r_ic = shares · exp(log_weights) of each sample, and the logarithm of its loss."""

    shares: Array
    """r_ic / Σ_c r_ic, shape [..., b, k], 0 at the true class."""
    log_weights: Doubled
    """log Σ_c r_ic, shape [..., b]: the logarithm of each sample's share of the proxy G."""
    log_losses: Doubled
    """Logarithm of each sample's loss, shape [..., b]."""
    log_shares: Array | None = None
    """Logarithms of the shares, which themselves underflow below e^-745; a loss that leaves them out has
    residuals of 0 there."""

    def shifted_weights(self) -> tuple[Array, Array]:
        """Return weights [..., b] and a whole shift [...]: weights · exp(shift) = exp(log_weights)."""
        xp = namespace(self.log_weights.high)
        shift = xp.floor(xp.max(self.log_weights.high, axis=-1))
        return xp.exp((self.log_weights.high - shift[..., None]) + self.log_weights.low), shift


@runtime_checkable
class Loss(Protocol):
    """A loss, the mean over samples of ℓ(a_i), with a_ic = z_ic - z_iy the log-odds of class c, c ≠ y_i.

    Its residuals r_ic = ∂ℓ(a_i) / ∂a_ic must be positive, so that -∇L(W) = (1/n) Σ_ic r_ic (e_{y_i} - e_c)
    x_iᵀ lies in the cone of the pairs. These two members are all that a loss of your own needs; it must be
    hashable, as frozen dataclasses are, and the name must tell its parameters. What is faster or stronger,
    compiled code and the constants of the theory's lemmas, it may offer as a capability
    (:mod:`steepest.capabilities`).

    >>> from dataclasses import dataclass
    >>> from steepest.losses.logarithms import log_sigmoid, log_softplus, log_sum_exp
    >>> @dataclass(frozen=True)
    ... class AdditiveMargin:
    ...     '''ℓ(a) = log(1 + Σ_c exp(a_c + margin)): cross-entropy that asks for a margin.'''
    ...
    ...     margin: float
    ...
    ...     @property
    ...     def name(self):
    ...         return f"additive-margin-{self.margin:g}"
    ...
    ...     def residuals(self, log_odds):
    ...         u, shares = log_sum_exp(Doubled(log_odds.high, log_odds.low + self.margin))
    ...         return Residuals(shares, log_sigmoid(u), log_softplus(u))
    >>> isinstance(AdditiveMargin(2.0), Loss)
    True
    """

    @property
    def name(self) -> str:
        """The name under which calls, files and results know the loss, without spaces."""
        ...

    def residuals(self, log_odds: Doubled, /) -> Residuals:
        """Return the residuals and losses of samples whose log-odds a_ic are [..., b, k].

        The log-odds of the true class are -inf, and its residual is 0.
        """
        ...
