"""The batches over which the mean field is an expectation: all of them, or a sample in whole epochs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

__all__ = ["Batches", "aged_epochs", "every_batch", "number_of_batches", "sampled_batches"]

_MOST_EPOCHS = 1000
"""That are shuffled one by one."""
_NEGLIGIBLE = math.log(1e-12)


@dataclass(frozen=True)
class Batches:
    """Batches of equal or unequal sizes, each with its share of the expectation."""

    members: sparse.csr_array
    """Whether a sample is in a batch, shape [M, n], of ones."""
    shares: np.ndarray
    """Share of each batch in the expectation, shape [M]; they sum to 1."""
    logs: np.ndarray | None = None
    """Logarithms of the weights of samples within batches, shape [M b]; None where all count alike."""

    def ratios(self, pulls: np.ndarray) -> sparse.csr_array:
        """Return e^pulls [n] of the samples of each batch relative to its largest, shape [M, n]."""
        logs = pulls[self.samples] if self.logs is None else pulls[self.samples] + self.logs
        top = np.maximum.reduceat(logs, self.members.indptr[:-1])
        ratios = np.exp(logs - top[self.rows])
        return sparse.csr_array((ratios, self.samples, self.members.indptr), self.members.shape)

    def part(self, rows: np.ndarray) -> Batches:
        """Return some of the batches, alike in their shares as here."""
        entries = np.isin(self.rows, rows)
        logs = None if self.logs is None else self.logs[entries]
        shares = self.shares[rows] / self.shares[rows].sum()
        return Batches(sparse.csr_array(self.members[rows]), shares, logs)

    @property
    def effective_size(self) -> float:
        """How many samples of equal weight a batch amounts to: its size, or (Σ w)² / Σ w² of ages.

        >>> round(every_batch(3, 2).effective_size, 9)
        1.5
        """
        weights = np.ones(len(self.samples)) if self.logs is None else np.exp(self.logs)
        starts = self.members.indptr[:-1]
        sums, squares = np.add.reduceat(weights, starts), np.add.reduceat(weights**2, starts)
        return float(self.shares @ (sums**2 / squares))

    @property
    def rows(self) -> np.ndarray:
        """The batch of each entry of ``members``, shape [M b]."""
        return np.repeat(np.arange(len(self.shares)), np.diff(self.members.indptr))

    @property
    def samples(self) -> np.ndarray:
        """The sample of each entry of ``members``, shape [M b]."""
        return self.members.indices


def number_of_batches(samples: int, batch_size: int) -> int:
    """Return how many different batches a step may take: of full size, and of what is left over.

    >>> number_of_batches(5, 2), number_of_batches(4, 2)
    (15, 6)
    """
    left = samples % batch_size
    return math.comb(samples, batch_size) + (math.comb(samples, left) if left else 0)


def every_batch(samples: int, batch_size: int) -> Batches:
    """Return all subsets of the batch size, and of the size of the last batch where it is smaller.

    A batch of an epoch is a uniformly random subset. Of the m = ⌈n/b⌉ batches of an epoch one is smaller
    where b does not divide n, so all smaller ones together have the share 1/m.

    >>> batches = every_batch(3, 2)
    >>> batches.members.toarray().astype(int).tolist()
    [[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    >>> batches.shares.round(4).tolist()
    [0.1667, 0.1667, 0.1667, 0.1667, 0.1667, 0.1667]
    """
    full, left = samples // batch_size, samples % batch_size
    epoch = full + (left > 0)
    members: list[tuple[int, ...]] = []
    shares: list[float] = []
    for size, times in ((batch_size, full), (left, 1)):
        if size:
            subsets = list(itertools.combinations(range(samples), size))
            members += subsets
            shares += [times / epoch / len(subsets)] * len(subsets)
    return _batches(samples, members, shares)


def sampled_batches(samples: int, batch_size: int, least: int, generator: np.random.Generator) -> Batches:
    """Return the batches of whole epochs, shuffled independently: at least ``least`` of them.

    Whole epochs show every sample equally often, as descent does, which takes away most of the variance.

    >>> batches = sampled_batches(5, 2, 4, np.random.default_rng(0))
    >>> batches.members.shape, batches.members.sum(axis=0).tolist()
    ((6, 5), [2.0, 2.0, 2.0, 2.0, 2.0])
    """
    epochs = math.ceil(least / math.ceil(samples / batch_size))
    members = [each for _ in range(epochs) for each in _epoch(generator.permutation(samples), batch_size)]
    return _batches(samples, members, [1.0 / len(members)] * len(members))


def aged_epochs(
    samples: int,
    batch_size: int,
    log_weights: Callable[[int], np.ndarray],
    least: int,
    generator: np.random.Generator,
) -> Batches:
    """Return all samples with the weights that an average over past steps gives them, at random moments.

    Args:
        samples: n.
        batch_size: b.
        log_weights: logarithms of the weights of the gradients of so many past steps, the latest first.
        least: how many moments.
        generator: of the orders of the epochs and the moments.

    A moment is a uniformly random step of an epoch; epochs before it are shuffled independently. W is taken
    to stand still meanwhile, as it does when η → 0. Each moment draws from a generator of its own, so that
    other weights are seen at the same moments and orders.

    Where β is so near 1 that more than a thousand epochs count, the older ones are summed at once
    (:func:`_older`): of their sum the mean and the covariances are exact, and it is taken to be normal, being
    one of hundreds of independent terms of nearly the same size.

    >>> mean = aged_epochs(2, 1, lambda steps: np.arange(steps) * np.log(0.5), 2, np.random.default_rng(0))
    >>> mean.members.toarray().tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    steps = math.ceil(samples / batch_size)
    # Weights leave float64 within an epoch where β is small or batches are many; their logarithms do not.
    by_age = log_weights(_MOST_EPOCHS * steps)
    count = int(np.count_nonzero(by_age > _NEGLIGIBLE + by_age[:steps].min()))
    endless = count == len(by_age)
    epochs = _MOST_EPOCHS if endless else 2 + math.ceil(count / steps)
    by_age = log_weights(epochs * steps)
    logs = np.empty((least, samples))
    for row, own in enumerate(generator.spawn(least)):
        now = int(own.integers(steps))
        total = np.full(samples, -np.inf)
        for epoch in range(epochs):
            position = np.empty(samples, dtype=np.int64)
            position[own.permutation(samples)] = np.arange(samples) // batch_size
            age = now + epoch * steps - position
            seen = age >= 0
            total[seen] = np.logaddexp(total[seen], by_age[age[seen]])
        logs[row] = np.logaddexp(total, _older(by_age, now, samples, batch_size, own)) if endless else total
    members = [tuple(range(samples))] * least
    return replace(_batches(samples, members, [1.0 / least] * least), logs=logs.ravel())


def _older(
    by_age: np.ndarray, now: int, samples: int, batch_size: int, generator: np.random.Generator
) -> np.ndarray:
    """Return log Σ_{e≥E} X_e for each sample, X_e its weight from e epochs ago; ``by_age`` holds E of them.

    Weights so old fall by one factor a step, and those of an epoch, Σ_i X_ei, are the same in every order. So
    Cov(X_ei, X_ej) = -Var(X_ei) / (n-1), and with q the factor of an epoch mean and variance of the sum are
    those of X_E over 1 - q and 1 - q².
    """
    steps = math.ceil(samples / batch_size)
    slope = float(by_age[-1] - by_age[steps]) / (len(by_age) - 1 - steps)
    position = np.arange(samples) // batch_size
    latest = np.exp(slope * (now + 1 - position))  # relative to the oldest that by_age holds
    mean = float(latest.mean()) / -math.expm1(slope * steps)
    deviation = float(latest.std()) / math.sqrt(-math.expm1(2.0 * slope * steps))
    drawn = generator.standard_normal(samples)
    scattered = deviation * math.sqrt(samples / max(1, samples - 1)) * (drawn - drawn.mean())
    return float(by_age[-1]) + np.log(mean + scattered)


def _epoch(order: np.ndarray, batch_size: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(order), batch_size):
        yield tuple(sorted(order[start : start + batch_size].tolist()))


def _batches(samples: int, members: list[tuple[int, ...]], shares: list[float]) -> Batches:
    sizes = np.array([len(each) for each in members])
    indices = np.fromiter(itertools.chain.from_iterable(members), dtype=np.int64, count=int(sizes.sum()))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    matrix = sparse.csr_array((np.ones(len(indices)), indices, ends), shape=(len(members), samples))
    return Batches(matrix, np.asarray(shares))
