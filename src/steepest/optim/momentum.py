"""Momentum of tensors: an exponential moving average of gradients, with Nesterov's look ahead or without.

M_t = β M_{t-1} + (1 - β) G_t with M_{-1} = 0 is the average of the paper and of Muon's and Signum's authors.
The sum of PyTorch's SGD, B_t = β B_{t-1} + G_t, is M_t / (1 - β) exactly. Nesterov's form steps along
(1 - β) G_t + β M_t here and along G_t + β B_t there, which is the former over 1 - β. As a direction of
steepest descent does not change when its signal is multiplied by a number above 0, both forms take the same
steps for the same β and lr: no learning rate has to be converted, unlike in SGD. (torch.optim.Muon keeps M_t,
though its documentation prints B_t.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steepest.optim.layouts import Part
from steepest.optim.lists import lerp, lerp_

__all__ = ["BUFFER", "Signals", "averaged", "make_buffers", "momentum_buffers"]

BUFFER = "momentum_buffer"
"""The one entry of a parameter's state, under the name that torch.optim.Muon and SGD have for it."""


def make_buffers(state: Any, params: list[Tensor], momentum: float) -> None:
    """Make the averages of parameters that have none yet, all 0; none without momentum."""
    if momentum == 0:
        return
    for param in params:
        if BUFFER not in state[param]:
            state[param][BUFFER] = torch.zeros_like(param, memory_format=torch.preserve_format)


def momentum_buffers(state: Any, params: list[Tensor], momentum: float) -> list[Tensor] | None:
    """Return the averages of parameters, which have been made; None without momentum."""
    return None if momentum == 0 else [state[param][BUFFER] for param in params]


@dataclass(frozen=True)
class Signals:
    """What directions are taken of: gradients, averages, or a look ahead from both.

    They are computed when they are asked for, a batch at a time, so that no step holds a copy of all.

    >>> signals = averaged([torch.tensor([8.0])], [torch.zeros(1)], 0.75, nesterov=True)
    >>> signals.averages, signals.of([0])
    ([tensor([2.])], [tensor([3.5000])])
    """

    grads: list[Tensor]
    averages: list[Tensor] | None
    ahead: float | None

    def of(self, indices: list[int]) -> list[Tensor]:
        """Return the signals of some parameters, in the shapes of these."""
        return self._looked([self.grads[index] for index in indices], indices, None)

    def matrices(self, places: list[tuple[int, Part]]) -> list[Tensor]:
        """Return the logical matrices [b, k, d] of parts of parameters."""
        indices, parts = [index for index, _ in places], [part for _, part in places]
        grads = [part.matrices(self.grads[index]) for index, part in places] if self._needs_grads else []
        return self._looked(grads, indices, parts)

    @property
    def _needs_grads(self) -> bool:
        return self.averages is None or self.ahead is not None

    def _looked(self, grads: list[Tensor], indices: list[int], parts: list[Part] | None) -> list[Tensor]:
        if self.averages is None:
            return grads
        averages = [self.averages[index] for index in indices]
        if parts is not None:
            averages = [part.matrices(average) for part, average in zip(parts, averages, strict=True)]
        return averages if self.ahead is None else lerp(grads, averages, self.ahead)


def averaged(grads: list[Tensor], averages: list[Tensor] | None, momentum: float, nesterov: bool) -> Signals:
    """Return signals after averages are brought forward in place; gradients stay as they are."""
    if averages is None:
        return Signals(grads, None, None)
    lerp_(averages, grads, 1 - momentum)
    return Signals(grads, averages, momentum if nesterov else None)
