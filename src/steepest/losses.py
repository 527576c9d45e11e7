"""Cross-entropy and exponential loss through log-residuals: exact directions at losses of 1e-1000.

Nothing here computes ``softmax - onehot``: at a margin of 37 that difference is rounding noise, and descent
would follow the noise. Instead, with a_ic = z_ic - z_iy (c ≠ y_i) in doubled precision,

    r_ic = share_ic · weight_i,    share_ic = exp(a_ic) / Σ_c' exp(a_ic'),    log weight_i = log Σ_c r_ic,

where only logarithms of the weights are ever formed and the largest is factored out of the gradient

    -∇L(W) = (1/n) Σ_i Σ_{c≠y_i} r_ic (e_{y_i} - e_c) x_iᵀ.

The residual of the true class is minus the sum of the others, so the rows of a gradient sum to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from steepest.arrays import Array, namespace
from steepest.doubled import Doubled, precise_product
from steepest.errors import InvalidArgument
from steepest.problem import Classification
from steepest.scaled import Scaled


class Samples(NamedTuple):
    """Samples for exact logits: features [..., b, d], their head (doubled.py), one-hot labels [..., b, k]."""

    features: Array
    head: Array
    one_hot: Array

    @classmethod
    def of(cls, problem: Classification) -> Samples:
        """Return all samples of the problem."""
        return cls(problem.features, problem.features_head, problem.one_hot)

    def take(self, indices: Array) -> Samples:
        """Return the samples at ``indices`` [..., b]."""
        return Samples(self.features[indices], self.head[indices], self.one_hot[indices])


class Residuals(NamedTuple):
    """Residuals r_ic = shares · exp(log_weights) of each sample, and the logarithm of its loss."""

    shares: Array
    """r_ic / Σ_c r_ic, shape [..., b, k], 0 at the true class."""
    log_weights: Doubled
    """log Σ_c r_ic, shape [..., b]: the logarithm of each sample's share of the proxy G."""
    log_losses: Doubled
    """Logarithm of each sample's loss, shape [..., b]."""

    def shifted_weights(self) -> tuple[Array, Array]:
        """Return weights [..., b] and a whole shift [...]: weights · exp(shift) = exp(log_weights)."""
        xp = namespace(self.log_weights.high)
        shift = xp.floor(xp.max(self.log_weights.high, axis=-1))
        return xp.exp((self.log_weights.high - shift[..., None]) + self.log_weights.low), shift


@dataclass(frozen=True)
class Loss:
    """A loss of the family, as the mean over samples; see :func:`loss` for the two that there are.

    All methods take weights W of shape [..., k, d] and are exact to about 1e-13, however small the loss is.

    >>> import numpy as np
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> W = np.array([[2000.0], [-2000.0]])  # every margin is 4000
    >>> float(CROSS_ENTROPY.log_loss(problem, W))
    -4000.0
    >>> CROSS_ENTROPY.gradient(problem, W).normalized().mantissa.round(6).tolist()
    [[-1.0], [1.0]]
    """

    name: str
    normalized: bool
    """Whether residuals are softmax probabilities (cross-entropy), or plain exponentials."""

    def __str__(self) -> str:
        return self.name

    def residuals(self, samples: Samples, W: Array) -> Residuals:
        """Return the residuals of samples [..., b, d] at weights W [..., k, d]."""
        xp = namespace(samples.features, W)
        logits = precise_product(samples.features, samples.head, W)
        true = Doubled(*(xp.sum(xp.where(samples.one_hot, part, 0.0), axis=-1, keepdims=True) for part in
                         (logits.high, logits.low)))  # fmt: skip
        relative = logits - true
        high = xp.where(samples.one_hot, -xp.inf, relative.high)
        top = xp.max(high, axis=-1, keepdims=True)
        exponentials = xp.exp((high - top) + xp.where(samples.one_hot, 0.0, relative.low))
        total = xp.sum(exponentials, axis=-1, keepdims=True)
        shares = exponentials / total
        # u = top + log(total) = log Σ_c exp(a_ic); at large margins only the pair keeps its digits.
        u = Doubled(top[..., 0], xp.log(total[..., 0]))
        return Residuals(shares, *(self._log_weight_and_loss(u) if self.normalized else (u, u)))

    def gradient(self, problem: Classification, W: Array) -> Scaled:
        """Return ∇L(W) over all samples."""
        samples = Samples.of(problem)
        W = problem.weights_like_features(W)
        return weighted_gradient(samples, self.residuals(samples, W), 1.0 / problem.samples)

    def log_loss(self, problem: Classification, W: Array) -> Array:
        """Return log L(W), shape [...]."""
        residuals = self.residuals(Samples.of(problem), problem.weights_like_features(W))
        return log_mean_exp(residuals.log_losses)

    def log_proxy(self, problem: Classification, W: Array) -> Array:
        """Return log G(W), shape [...]: G is the mean over samples of Σ_c r_ic."""
        residuals = self.residuals(Samples.of(problem), problem.weights_like_features(W))
        return log_mean_exp(residuals.log_weights)

    def residual_weights(self, problem: Classification, W: Array) -> Array:
        """Return q_ic = r_ic / Σ r, shape [..., n, k]: the anytime certificate's dual weights (Lemma C.2).

        γ ≤ ‖A(q)‖_* = ‖∇L(W)‖_* / G(W) for any W.
        """
        residuals = self.residuals(Samples.of(problem), problem.weights_like_features(W))
        return normalized_residuals(residuals)

    @staticmethod
    def _log_weight_and_loss(u: Doubled) -> tuple[Doubled, Doubled]:
        """Log sigmoid(u) and log softplus(u): the cross-entropy's weight and loss of a sample."""
        xp = namespace(u.high)
        value = u.high + u.low
        right = value < 0  # on the right side of the decision boundary
        small = xp.exp(-xp.abs(value))
        softening = xp.log1p(small)
        log_weight = Doubled(xp.where(right, u.high, 0.0), xp.where(right, u.low - softening, -softening))
        # softplus(u) = e^u · log1p(e^u) / e^u, whose last factor tends to 1 where e^u underflows.
        ratio = xp.where(small > 1e-290, softening / xp.where(small > 1e-290, small, 1.0), 1.0)
        log_loss = Doubled(
            xp.where(right, u.high, 0.0),
            xp.where(right, u.low + xp.log(ratio), xp.log(xp.abs(value) + softening)),
        )
        return log_weight, log_loss


CROSS_ENTROPY = Loss("cross-entropy", normalized=True)
"""L(W) = -(1/n) Σ_i log S_{y_i}(W x_i), with residuals r_ic = S_c(W x_i)."""

EXPONENTIAL = Loss("exponential", normalized=False)
"""L(W) = (1/n) Σ_i Σ_{c≠y_i} exp(-(e_{y_i} - e_c)ᵀ W x_i), with residuals its terms (Appendix I)."""

LOSSES = {each.name: each for each in (CROSS_ENTROPY, EXPONENTIAL)}


def loss(name: str | Loss) -> Loss:
    """Return the loss of that name: "cross-entropy" or "exponential"; a loss is returned as it is.

    >>> loss("exponential").name
    'exponential'
    """
    if isinstance(name, Loss):
        return name
    if not isinstance(name, str) or name not in LOSSES:
        raise InvalidArgument("loss", name, f"give one of {', '.join(LOSSES)}")
    return LOSSES[name]


def weighted_gradient(samples: Samples, residuals: Residuals, factor: float) -> Scaled:
    """Return factor · Σ_i (gradient of sample i), shape [..., k, d]: the mean for factor = 1/b."""
    xp = namespace(samples.features)
    weights, shift = residuals.shifted_weights()
    others = residuals.shares * weights[..., None]
    towards = xp.where(samples.one_hot, -xp.sum(others, axis=-1, keepdims=True), others)
    return Scaled(factor * xp.matmul(xp.matrix_transpose(towards), samples.features), shift).normalized()


def normalized_residuals(residuals: Residuals) -> Array:
    """Return r_ic / Σ_ic r_ic, shape [..., b, k]: a point of the simplex over pairs."""
    xp = namespace(residuals.shares)
    weights, _ = residuals.shifted_weights()
    return residuals.shares * (weights / xp.sum(weights, axis=-1, keepdims=True))[..., None]


def log_mean_exp(logs: Doubled) -> Array:
    """Return log((1/b) Σ_i exp(logs_i)), shape [...], for logarithms of shape [..., b]."""
    xp = namespace(logs.high)
    top = xp.max(logs.high, axis=-1, keepdims=True)
    mean = xp.sum(xp.exp((logs.high - top) + logs.low), axis=-1)
    return top[..., 0] + (xp.log(mean) - math.log(logs.high.shape[-1]))
