"""Variance reduction by a snapshot of each epoch (SVRG): V_t = ∇L_B(W_t) - ∇L_B(W̃) + ∇L(W̃).

Johnson and Zhang, "Accelerating stochastic gradient descent using predictive variance reduction", NIPS 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

from steepest.arrays import Array
from steepest.losses import Loss, Samples, gradient
from steepest.problem import Classification
from steepest.scaled import Scaled, zeros_like
from steepest.signals.minibatch import minibatch_gradient
from steepest.signals.protocol import Draw, Fields

__all__ = ["SVRG", "variance_reduced_gradient"]


@dataclass(frozen=True)
class SVRG:
    """V_t = ∇L_B(W_t) - ∇L_B(W̃) + ∇L(W̃), with W̃ the weights at the start of the epoch of t.

    It costs a gradient over all samples an epoch and a second gradient over each batch, and keeps two
    matrices.
    """

    def start(self, _problem: Classification, _loss: Loss, weights: Array) -> Fields:
        """Return a snapshot that the first step replaces."""
        return {"snapshot": weights, "snapshot_gradient": zeros_like(weights)}

    def step(self, draw: Draw, weights: Array, fields: Fields) -> tuple[Scaled, Fields]:
        """Return the corrected gradient; the first step of an epoch takes the snapshot."""
        if draw.batches > 1 and draw.step % draw.batches == 0:
            full = gradient(draw.problem, draw.loss, weights)
            fields = {"snapshot": weights, "snapshot_gradient": full}
        return corrected(draw, weights, fields), fields

    def __str__(self) -> str:
        return "svrg"


def corrected(draw: Draw, weights: Array, fields: Fields) -> Scaled:
    """Return the gradient over the batch, corrected by the snapshot of a state."""
    if draw.batches == 1:
        return minibatch_gradient(draw.loss, draw.batch, weights, draw.factor)
    snapshot, full = fields["snapshot"], fields["snapshot_gradient"]
    return variance_reduced_gradient(draw.loss, draw.batch, weights, draw.factor, snapshot, full)


def variance_reduced_gradient(
    loss: Loss, batch: Samples, W: Array, factor: float, snapshot: Array, snapshot_gradient: Scaled
) -> Scaled:
    """Return ∇L_B(W) - ∇L_B(W̃) + ∇L(W̃) for the snapshot W̃ and its full gradient (SVRG).

    Args:
        loss: the loss ℓ.
        batch: the samples of the batch, features [..., b, d].
        W: weights, shape [..., k, d].
        factor: what the sum over the batch is multiplied by, 1/b for its mean.
        snapshot: the snapshot W̃, shape [..., k, d].
        snapshot_gradient: ∇L(W̃) over all samples, shape [..., k, d].

    Where the weights are the snapshot, it is the full gradient, whatever the batch:

    >>> import numpy as np
    >>> from steepest.losses import loss
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> W = np.array([[2000.0], [-2000.0]])
    >>> full = gradient(problem, "exponential", W)
    >>> same = variance_reduced_gradient(loss("exponential"), Samples.of(problem), W, 1 / 2, W, full)
    >>> same.normalized().mantissa.round(6).tolist()
    [[-1.0], [1.0]]
    """
    here = minibatch_gradient(loss, batch, W, factor)
    there = minibatch_gradient(loss, batch, snapshot, factor)
    return (here - there) + snapshot_gradient
