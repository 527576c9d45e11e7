"""What a signal and a kind of momentum are: a start and a step, with a state of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from steepest.arrays import Array
from steepest.losses import Loss, Samples
from steepest.problem import Classification
from steepest.scaled import Scaled

__all__ = ["Draw", "Fields", "Momentum", "Signal"]

Fields = Mapping[str, Any]
"""A state by name: arrays and scaled matrices whose first axis are the runs; all that a later step needs."""


@dataclass(frozen=True)
class Draw:
    """What a step draws for runs of one batch size: the batch of each run, and coins on demand."""

    problem: Classification
    """Whose samples are drawn."""
    loss: Loss
    """Whose gradient is estimated."""
    step: int
    """t, from 0."""
    batches: int
    """Batches an epoch, m."""
    indices: Array | None
    """Samples of each run's batch, shape [runs, b]; None where every batch is all samples."""
    toss: Callable[[float], np.ndarray]
    """Returns for a probability which runs' coins fell at this step, shape [runs], by their own seeds."""

    takes_means: bool = False
    """Whether a smaller last batch counts by its mean instead of its sum over n / m."""

    @property
    def batch(self) -> Samples:
        """The samples of the batches, with the runs as first axis where they differ."""
        samples = Samples.of(self.problem)
        return samples if self.indices is None else samples.take(self.indices)

    @property
    def factor(self) -> float:
        """Factor m / n of sums over a batch, with which an epoch's signals average to the gradient.

        The reciprocal of the batch's size where means are taken.
        """
        if self.takes_means and self.indices is not None:
            return 1.0 / self.indices.shape[-1]
        return self.batches / self.problem.samples


@runtime_checkable
class Signal(Protocol):
    """An estimate of the gradient, from a batch and what earlier steps left.

    Its text form is its name and must tell its parameters; it must be hashable, as frozen dataclasses are.
    With one batch an epoch the estimate must be the gradient itself.
    """

    def start(self, problem: Classification, loss: Loss, weights: Array, /) -> Fields:
        """Return the state before the first step of runs that start at ``weights`` [runs, k, d].

        ``problem`` has the samples, and ``loss`` is whose gradient is estimated.
        """
        ...

    def step(self, draw: Draw, weights: Array, fields: Fields, /) -> tuple[Scaled, Fields]:
        """Return the signals [runs, k, d] of a step at ``weights``, and what changes of the state.

        ``draw`` is what the step draws, ``fields`` the state before it.
        """
        ...


@runtime_checkable
class Momentum(Protocol):
    """What a step follows of the signals so far, and how the weights move; named and hashable as a signal is.

    ``beta`` is β of each run, an array of shape [runs], 0 ≤ β < 1; for β = 0 every kind is no momentum.
    """

    def start(self, weights: Array, /) -> Fields:
        """Return the state before the first step of runs that start at ``weights`` [runs, k, d]."""
        ...

    def follow(self, signal: Scaled, beta: Array, fields: Fields, /) -> tuple[Scaled, Fields]:
        """Return the matrices [runs, k, d] whose directions are taken, and what changes of ``fields``."""
        ...

    def move(self, weights: Array, step: Array, beta: Array, fields: Fields, /) -> tuple[Array, Fields]:
        """Return the weights after a step -η D [runs, k, d], and what changes of ``fields``."""
        ...
