"""Momentum of tensors: an exponential moving average of gradients, with Nesterov's look ahead or without.

M_t = β M_{t-1} + (1 - β) G_t with M_{-1} = 0 is the average of the paper and of Muon's and Signum's authors.
The sum of PyTorch's SGD, B_t = β B_{t-1} + G_t, is M_t / (1 - β) exactly. Nesterov's form steps along
(1 - β) G_t + β M_t here and along G_t + β B_t there, which is the former over 1 - β. As a direction of
steepest descent does not change when its signal is multiplied by a number above 0, both forms take the same
steps for the same β and lr: no learning rate has to be converted, unlike in SGD. (torch.optim.Muon keeps M_t,
though its documentation prints B_t.)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["BUFFER", "momentum_buffers", "signals"]

BUFFER = "momentum_buffer"
"""The one entry of a parameter's state, under the name that torch.optim.Muon and SGD have for it."""


def momentum_buffers(state: Any, params: list[Tensor], momentum: float) -> list[Tensor] | None:
    """Return the averages of parameters, zero where there is none yet; None without momentum."""
    if isinstance(momentum, float) and momentum == 0:
        return None
    for param in params:
        if BUFFER not in state[param]:
            state[param][BUFFER] = torch.zeros_like(param, memory_format=torch.preserve_format)
    return [state[param][BUFFER] for param in params]


def signals(
    grads: list[Tensor], buffers: list[Tensor] | None, momentum: float, nesterov: bool
) -> list[Tensor]:
    """Return what directions are taken of; averages are brought forward in place, gradients stay as they are.

    >>> buffers = [torch.zeros(1)]
    >>> signals([torch.tensor([8.0])], buffers, 0.75, nesterov=True), buffers
    ([tensor([3.5000])], [tensor([2.])])
    """
    if buffers is None:
        return grads
    torch._foreach_lerp_(buffers, grads, 1 - momentum)
    if not nesterov:
        return buffers
    return list(torch._foreach_lerp(grads, buffers, momentum))
