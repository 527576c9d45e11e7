"""What a step follows: mini-batch gradients by random reshuffling, variance reduction, momentum.

A signal is made of three parts that compose (Appendix A of the paper):

    g_t = ∇L_B(W_t)                                     :func:`minibatch_gradient`
    V_t = ∇L_B(W_t) - ∇L_B(W̃) + ∇L(W̃)                   :func:`variance_reduced_gradient`
    M_t = β M_{t-1} + (1 - β) (g_t or V_t), M_{-1} = 0   :func:`with_momentum`

An epoch has m = ⌈n / b⌉ batches. Where b does not divide n the last batch is smaller, and every batch sum is
multiplied by m / n rather than divided by its own size: then the m signals of an epoch, taken at fixed
weights, average to the full gradient for every order of the samples. For n = m b that is the batch mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from steepest.arrays import Array
from steepest.losses import Loss, Samples, residuals, weighted_gradient
from steepest.scaled import Scaled

_BLOCK_ENTRIES = 1 << 13


@dataclass(frozen=True)
class Reshuffling:
    """Random reshuffling: each epoch's batches are cut from a fresh uniformly random order of the samples.

    The order of an epoch is a pure function of (seed, samples, epoch), the same in every engine and after
    every resumption. With one batch an epoch the order is the natural one.

    >>> batches = Reshuffling(samples=5, batch_size=2, seed=0)
    >>> batches.batches, [len(batches.batch(step)) for step in range(3)]
    (3, [2, 2, 1])
    >>> sorted(int(i) for step in range(3) for i in batches.batch(step))
    [0, 1, 2, 3, 4]
    """

    samples: int
    batch_size: int
    seed: int

    @property
    def batches(self) -> int:
        """Number of batches an epoch, m."""
        return -(-self.samples // self.batch_size)

    def batch(self, step: int) -> np.ndarray:
        """Return the sample indices of the batch of a step t = 0, 1, ..."""
        epoch, position = divmod(step, self.batches)
        return self.order(epoch)[position * self.batch_size : (position + 1) * self.batch_size]

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the samples in an epoch, shape [n]."""
        block, position = divmod(epoch, self._epochs_per_block)
        return self._block(block)[position]

    def orders(self, first: int, last: int) -> np.ndarray:
        """Return the orders of the epochs first, ..., last - 1, shape [last - first, n]."""
        per_block = self._epochs_per_block
        blocks = range(first // per_block, -(-last // per_block))
        parts = [
            self._block(block)[max(0, first - block * per_block) : last - block * per_block]
            for block in blocks
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def _epochs_per_block(self) -> int:
        return 1 if self.batches == 1 else max(1, _BLOCK_ENTRIES // self.samples)

    def _block(self, block: int) -> np.ndarray:
        if self.batches == 1:
            return np.arange(self.samples)[None, :]
        return _shuffled_block(self.samples, self.seed, block)


@lru_cache(maxsize=8)
def _shuffled_block(samples: int, seed: int, block: int) -> np.ndarray:
    # Whole blocks of epochs come from one generator: making a generator costs as much as many short shuffles.
    generator = np.random.default_rng([seed, block])
    epochs = max(1, _BLOCK_ENTRIES // samples)
    orders = generator.permuted(np.broadcast_to(np.arange(samples), (epochs, samples)), axis=1)
    orders.setflags(write=False)
    return orders


def minibatch_gradient(loss: Loss, batch: Samples, W: Array, factor: float) -> Scaled:
    """Return factor · Σ_{i in batch} ∇ℓ_i(W), shape [..., k, d], with factor = m / n."""
    return weighted_gradient(batch, residuals(loss, batch, W), factor)


def variance_reduced_gradient(
    loss: Loss, batch: Samples, W: Array, factor: float, snapshot: Array, snapshot_gradient: Scaled
) -> Scaled:
    """Return ∇L_B(W) - ∇L_B(W̃) + ∇L(W̃) for the snapshot W̃ and its full gradient (SVRG)."""
    here = minibatch_gradient(loss, batch, W, factor)
    there = minibatch_gradient(loss, batch, snapshot, factor)
    return (here - there) + snapshot_gradient


def with_momentum(signal: Scaled, momentum: Scaled, beta: Array | float) -> Scaled:
    """Return β · momentum + (1 - β) · signal, an exponential moving average."""
    return momentum * beta + signal * (1.0 - beta)
