"""Random reshuffling: which samples a step sees and the coins that it tosses, pure functions of a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["Reshuffling", "coins"]

_BLOCK_ENTRIES = 1 << 13
_COINS = 1


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


def coins(seed: int, first: int, last: int, probability: float) -> np.ndarray:
    """Return whether the coins of the steps first, ..., last - 1 fell, shape [last - first].

    A coin falls with the given probability. It is a pure function of (seed, step), the same in every engine
    and after every resumption.

    >>> coins(0, 0, 8, 0.5).tolist() == [*coins(0, 0, 5, 0.5).tolist(), *coins(0, 5, 8, 0.5).tolist()]
    True
    """
    blocks = range(first // _BLOCK_ENTRIES, -(-last // _BLOCK_ENTRIES))
    drawn = [_uniform_block(seed, block) for block in blocks]
    offset = first - blocks.start * _BLOCK_ENTRIES if drawn else 0
    uniform = np.concatenate(drawn) if drawn else np.zeros(0)
    return uniform[offset : offset + last - first] < probability


@lru_cache(maxsize=8)
def _uniform_block(seed: int, block: int) -> np.ndarray:
    numbers = np.random.default_rng([seed, block, _COINS]).random(_BLOCK_ENTRIES)
    numbers.setflags(write=False)
    return numbers
