"""Momentum as an exponential moving average: M_t = β M_{t-1} + (1 - β) V_t, M_{-1} = 0 (Section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from steepest.arrays import Array
from steepest.scaled import Scaled, zeros_like
from steepest.signals.protocol import Fields

__all__ = ["MovingAverage", "with_momentum"]


@dataclass(frozen=True)
class MovingAverage:
    """M_t = β M_{t-1} + (1 - β) V_t: the form of the paper, of Signum and of Muon as their authors run them.

    PyTorch's sum B_t = β B_{t-1} + V_t, B_{-1} = 0, is M_t / (1 - β), so its direction is the same.
    """

    def start(self, weights: Array) -> Fields:
        """Return M_{-1} = 0."""
        return {"momentum": zeros_like(weights)}

    def follow(self, signal: Scaled, beta: Array, fields: Fields) -> tuple[Scaled, Fields]:
        """Return M_t."""
        momentum = with_momentum(signal, fields["momentum"], beta)
        return momentum, {"momentum": momentum}

    def move(self, weights: Array, step: Array, _beta: Array, fields: Fields) -> tuple[Array, Fields]:
        """Return W + step."""
        return weights + step, fields

    def __str__(self) -> str:
        return "ema"


def with_momentum(signal: Scaled, momentum: Scaled, beta: Array | float) -> Scaled:
    """Return β · momentum + (1 - β) · signal, an exponential moving average.

    Args:
        signal: what is averaged now, shape [..., k, d].
        momentum: the average so far, shape [..., k, d].
        beta: β in [0, 1), one or an array that broadcasts to [..., k, d].

    >>> import numpy as np
    >>> one, three = (Scaled(np.array([[each]]), np.array(-3000.0)) for each in (1.0, 3.0))
    >>> average = with_momentum(one, three, 0.5)
    >>> float(average.mantissa[0, 0] * np.exp(average.log_scale + 3000.0))
    2.0
    """
    return momentum * beta + signal * (1.0 - beta)
