"""What every loss shares: log-odds of samples, gradients, log-losses and certificates from its residuals.

Nothing here computes ``softmax - onehot``: at a margin of 37 that difference is rounding noise, and descent
would follow the noise. Instead a loss gives its residuals r_ic, c ≠ y_i, as logarithms, in terms of the
log-odds a_ic = z_ic - z_iy in doubled precision, and the largest is factored out of the gradient

    -∇L(W) = (1/n) Σ_i Σ_{c≠y_i} r_ic (e_{y_i} - e_c) x_iᵀ.

The residual of the true class is minus the sum of the others, so the rows of a gradient sum to zero. All
functions take weights W of shape [..., k, d] and are exact to about 1e-13, however small the loss is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from steepest.arrays import Array, namespace
from steepest.doubled import Doubled, precise_product
from steepest.losses.names import loss
from steepest.losses.protocol import Loss, Residuals
from steepest.problem import Classification, as_problem
from steepest.scaled import Scaled

__all__ = [
    "Samples",
    "gradient",
    "log_loss",
    "log_mean_exp",
    "log_proxy",
    "normalized_residuals",
    "residual_weights",
    "residuals",
    "weighted_gradient",
]


class Samples(NamedTuple):
    """Samples for exact logits: features [..., b, d], their head (doubled.py), one-hot labels [..., b, k].

    ``one_hot`` is True at the true class. ``log_weights`` [..., b] are the logarithms of their weights in the
    loss, None where all count alike.
    """

    features: Array
    head: Array
    one_hot: Array
    log_weights: Array | None = None

    @classmethod
    def of(cls, problem: Classification) -> Samples:
        """Return all samples of the problem."""
        problem = as_problem(problem)
        return cls(problem.features, problem.features_head, problem.one_hot, problem.log_sample_weight)

    def take(self, indices: Array) -> Samples:
        """Return the samples at ``indices`` [..., b]."""
        weights = None if self.log_weights is None else self.log_weights[indices]
        return Samples(self.features[indices], self.head[indices], self.one_hot[indices], weights)

    def log_odds(self, W: Array) -> Doubled:
        """Return a_ic = z_ic - z_iy at weights W [..., k, d], shape [..., b, k]; -inf at the true class."""
        xp = namespace(self.features, W)
        logits = precise_product(self.features, self.head, W)
        true = Doubled(*(xp.sum(xp.where(self.one_hot, part, 0.0), axis=-1, keepdims=True) for part in
                         (logits.high, logits.low)))  # fmt: skip
        relative = logits - true
        return Doubled(
            xp.where(self.one_hot, -xp.inf, relative.high), xp.where(self.one_hot, 0.0, relative.low)
        )


def residuals(loss_: Loss, samples: Samples, W: Array) -> Residuals:
    """Return the residuals of samples [..., b, d] at W [..., k, d], times the weights of the samples.

    Args:
        loss_: the loss ℓ.
        samples: features [..., b, d], classes and weights of b samples.
        W: weights, shape [..., k, d].

    >>> import numpy as np
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> samples, W = Samples.of(problem), np.array([[2000.0], [-2000.0]])
    >>> residuals(loss("cross-entropy"), samples, W).log_losses.high.tolist()
    [-4000.0, -4000.0]
    """
    found = loss_.residuals(samples.log_odds(W))
    if samples.log_weights is None:
        return found
    return Residuals(
        found.shares,
        Doubled(found.log_weights.high, found.log_weights.low + samples.log_weights),
        Doubled(found.log_losses.high, found.log_losses.low + samples.log_weights),
        found.log_shares,
    )


def gradient(problem: Classification, loss_: Loss | str, W: Array) -> Scaled:
    """Return ∇L(W) over all samples.

    Args:
        problem: the data.
        loss_: the loss or its name.
        W: weights, shape [..., k, d].

    >>> import numpy as np
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> W = np.array([[2000.0], [-2000.0]])  # every margin is 4000
    >>> gradient(problem, "cross-entropy", W).normalized().mantissa.round(6).tolist()
    [[-1.0], [1.0]]
    """
    return weighted_gradient(Samples.of(problem), _of_all(problem, loss_, W), 1.0 / problem.samples)


def log_loss(problem: Classification, loss_: Loss | str, W: Array) -> Array:
    """Return log L(W), shape [...].

    Args:
        problem: the data.
        loss_: the loss or its name.
        W: weights, shape [..., k, d].

    >>> import numpy as np
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> float(log_loss(problem, "cross-entropy", np.array([[2000.0], [-2000.0]])))
    -4000.0
    """
    return log_mean_exp(_of_all(problem, loss_, W).log_losses)


def log_proxy(problem: Classification, loss_: Loss | str, W: Array) -> Array:
    """Return log G(W), shape [...]: G is the mean over samples of Σ_c r_ic.

    Args:
        problem: the data.
        loss_: the loss or its name.
        W: weights, shape [..., k, d].

    >>> import numpy as np
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> float(log_proxy(problem, "exponential", np.array([[2000.0], [-2000.0]])))
    -4000.0
    """
    return log_mean_exp(_of_all(problem, loss_, W).log_weights)


def residual_weights(problem: Classification, loss_: Loss | str, W: Array) -> Array:
    """Return q_ic = r_ic / Σ r, shape [..., n, k]: the anytime certificate's dual weights (Lemma C.2).

    γ ≤ ‖A(q)‖_* = ‖∇L(W)‖_* / G(W) for any W.

    Args:
        problem: the data.
        loss_: the loss or its name.
        W: weights, shape [..., k, d].

    >>> import numpy as np
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> residual_weights(problem, "cross-entropy", np.array([[2000.0], [-2000.0]])).round(6).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    return normalized_residuals(_of_all(problem, loss_, W))


def weighted_gradient(samples: Samples, residuals: Residuals, factor: float) -> Scaled:
    """Return factor · Σ_i (gradient of sample i), shape [..., k, d]: the mean for factor = 1/b.

    Args:
        samples: features [..., b, d], classes and weights of b samples.
        residuals: their residuals.
        factor: what the sum is multiplied by.

    >>> import numpy as np
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> samples, W = Samples.of(problem), np.array([[2000.0], [-2000.0]])
    >>> mean = weighted_gradient(samples, residuals(loss("cross-entropy"), samples, W), 1 / 2)
    >>> mean.normalized().mantissa.round(6).tolist(), float(mean.normalized().log_scale)
    ([[-1.0], [1.0]], -4000.0)
    """
    xp = namespace(samples.features)
    weights, shift = residuals.shifted_weights()
    others = residuals.shares * weights[..., None]
    towards = xp.where(samples.one_hot, -xp.sum(others, axis=-1, keepdims=True), others)
    return Scaled(factor * xp.matmul(xp.matrix_transpose(towards), samples.features), shift).normalized()


def normalized_residuals(residuals: Residuals) -> Array:
    """Return r_ic / Σ_ic r_ic, shape [..., b, k]: a point of the simplex over pairs.

    Args:
        residuals: the residuals of b samples.

    >>> import numpy as np
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> samples, W = Samples.of(problem), np.array([[2000.0], [-2000.0]])
    >>> normalized_residuals(residuals(loss("cross-entropy"), samples, W)).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    xp = namespace(residuals.shares)
    weights, _ = residuals.shifted_weights()
    return residuals.shares * (weights / xp.sum(weights, axis=-1, keepdims=True))[..., None]


def log_mean_exp(logs: Doubled) -> Array:
    """Return log((1/b) Σ_i exp(logs_i)), shape [...], for logarithms of shape [..., b].

    Args:
        logs: the logarithms, shape [..., b].

    >>> import numpy as np
    >>> logs = Doubled(np.array([2000.0, 2000.0]), np.zeros(2))
    >>> float(log_mean_exp(logs))
    2000.0
    """
    xp = namespace(logs.high)
    top = xp.max(logs.high, axis=-1, keepdims=True)
    mean = xp.sum(xp.exp((logs.high - top) + logs.low), axis=-1)
    return top[..., 0] + (xp.log(mean) - math.log(logs.high.shape[-1]))


def _of_all(problem: Classification, loss_: Loss | str, W: Array) -> Residuals:
    return residuals(loss(loss_), Samples.of(problem), problem.weights_like_features(W))
