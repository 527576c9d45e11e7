"""Polyak's heavy ball: the weights keep a share of their last move.

    W_{t+1} = W_t - η_t D(V_t) + β (W_t - W_{t-1})

For plain gradient descent this is momentum of the gradients. Where a direction comes between, it is not: an
average M_t mixes signals before the direction is taken, the heavy ball mixes directions after. Its moves add
up to as much as 1/(1 - β) unit steps, so that step sizes compare with those of an average after
multiplication with 1 - β.
"""

from __future__ import annotations

from dataclasses import dataclass

from steepest.arrays import Array
from steepest.scaled import Scaled
from steepest.signals.protocol import Fields

__all__ = ["HeavyBall"]


@dataclass(frozen=True)
class HeavyBall:
    """W_{t+1} = W_t - η_t D(V_t) + β (W_t - W_{t-1}), W_{-1} = W_0."""

    def start(self, weights: Array) -> Fields:
        """Return W_{-1} = W_0."""
        return {"previous_weights": weights}

    def follow(self, signal: Scaled, _beta: Array, fields: Fields) -> tuple[Scaled, Fields]:
        """Return the signal as it is."""
        return signal, fields

    def move(self, weights: Array, step: Array, beta: Array, fields: Fields) -> tuple[Array, Fields]:
        """Return W + step + β (W - W_{t-1})."""
        kept = beta[:, None, None] * (weights - fields["previous_weights"])
        return weights + step + kept, {"previous_weights": weights}

    def __str__(self) -> str:
        return "heavy-ball"
