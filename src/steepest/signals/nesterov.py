"""Nesterov's momentum in the form of an average: one step of the average ahead.

    M_t = β M_{t-1} + (1 - β) V_t,    the step follows β M_t + (1 - β) V_t

With V_t a gradient at W_t this is the look-ahead of Nesterov's method written in the weights at which
gradients are taken (Sutskever et al., ICML 2013; ``nesterov=True`` of torch.optim.SGD and of Muon, whose sums
are these averages over 1 - β).
"""

from __future__ import annotations

from dataclasses import dataclass

from steepest.arrays import Array
from steepest.scaled import Scaled, zeros_like
from steepest.signals.momentum import with_momentum
from steepest.signals.protocol import Fields

__all__ = ["Nesterov"]


@dataclass(frozen=True)
class Nesterov:
    """The step follows β M_t + (1 - β) V_t, with M_t = β M_{t-1} + (1 - β) V_t."""

    def start(self, weights: Array) -> Fields:
        """Return M_{-1} = 0."""
        return {"momentum": zeros_like(weights)}

    def follow(self, signal: Scaled, beta: Array, fields: Fields) -> tuple[Scaled, Fields]:
        """Return β M_t + (1 - β) V_t."""
        momentum = with_momentum(signal, fields["momentum"], beta)
        return with_momentum(signal, momentum, beta), {"momentum": momentum}

    def move(self, weights: Array, step: Array, _beta: Array, fields: Fields) -> tuple[Array, Fields]:
        """Return W + step."""
        return weights + step, fields

    def __str__(self) -> str:
        return "nesterov"
