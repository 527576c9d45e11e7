"""The mini-batch gradient g_t = ∇L_B(W_t)."""

from __future__ import annotations

from dataclasses import dataclass

from steepest.arrays import Array
from steepest.losses import Loss, Samples, residuals, weighted_gradient
from steepest.problem import Classification
from steepest.scaled import Scaled
from steepest.signals.protocol import Draw, Fields

__all__ = ["MiniBatch", "minibatch_gradient"]


@dataclass(frozen=True)
class MiniBatch:
    """g_t = ∇L_B(W_t): the gradient over the batch alone."""

    def start(self, _problem: Classification, _loss: Loss, _weights: Array) -> Fields:
        """Return nothing: each step stands by itself."""
        return {}

    def step(self, draw: Draw, weights: Array, fields: Fields) -> tuple[Scaled, Fields]:
        """Return ∇L_B(W)."""
        return minibatch_gradient(draw.loss, draw.batch, weights, draw.factor), fields

    def __str__(self) -> str:
        return "minibatch"


def minibatch_gradient(loss: Loss, batch: Samples, W: Array, factor: float) -> Scaled:
    """Return factor · Σ_{i in batch} ∇ℓ_i(W), shape [..., k, d], with factor = m / n.

    Args:
        loss: the loss ℓ.
        batch: the samples of the batch, features [..., b, d].
        W: weights, shape [..., k, d].
        factor: m / n for the batch's own mean gradient ∇L_B(W) of m = n / b batches (Section 3 of the paper).

    >>> import numpy as np
    >>> from steepest import Classification
    >>> from steepest.losses import Samples, loss
    >>> batch = Samples.of(Classification([[1.0], [-1.0]], [0, 1]))
    >>> W = np.array([[2000.0], [-2000.0]])
    >>> minibatch_gradient(loss("exponential"), batch, W, 1 / 2).normalized().mantissa.round(6).tolist()
    [[-1.0], [1.0]]
    """
    return weighted_gradient(batch, residuals(loss, batch, W), factor)
