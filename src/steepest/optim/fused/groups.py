"""Groups of parameters, of which those that compiled code can step are stepped in one pass over memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from steepest.optim.averages import Averages
from steepest.optim.fused.steps import all_fit, fitting, pieces, step
from steepest.optim.lists import lerp_
from steepest.optim.update import Number, Steps

__all__ = ["LARGE", "step_all", "step_fused"]

LARGE = 1 << 18
"""Entries of a group from which a step repays a compilation, of a second or two and once a machine."""


def step_all(
    params: list[Tensor], grads: list[Tensor | None], steps: Steps, lr: Number, weight_decay: Number
) -> bool:
    """Step all parameters by their gradients if compiled code can, each of them; return whether it has.

    That it can is found without a look at one after the other: of many small ones it takes most of the time.
    """
    kind = steps.direction.fused
    if kind is None or isinstance(lr, Tensor) or isinstance(weight_decay, Tensor) or not _is_wanted(steps):
        return False
    if not all_fit(params, grads):
        return False
    factors = steps.factors_of_whole(params)
    if factors is None:
        return False
    signals: list[Tensor] = grads  # pyright: ignore[reportAssignmentType]
    given = pieces(params, signals, None, lr * factors)
    if not given.counts.all():
        return False
    torch.autograd.graph.increment_version(params)
    step(kind, given, 1 - lr * weight_decay, 0.0, False)
    return True


def step_fused(
    params: list[Tensor],
    grads: list[Tensor],
    averages: Averages | None,
    steps: Steps,
    lr: Number,
    momentum: float,
    nesterov: bool,
    weight_decay: Number,
) -> list[int]:
    """Step the parameters that compiled code can, averages and decay included, and return the others' places.

    They are float32 and on the host, as their gradients and averages are, each one logical matrix; the
    numbers are no tensors, and nothing is traced or recorded.
    """
    every = list(range(len(params)))
    kind = steps.direction.fused
    if kind is None or isinstance(lr, Tensor) or isinstance(weight_decay, Tensor) or not _is_wanted(steps):
        return every
    is_sign = kind == "sign"
    if averages is not None and not (averages.in_full and (is_sign or not nesterov)):
        return every
    factors = [steps.factor_of_whole(param.shape) for param in params]
    others = [grads] if averages is None else [grads, averages.kept]
    taken = [index for index in fitting(params, *others) if factors[index] is not None]
    if not taken:
        return every
    moved, signals = [params[index] for index in taken], [grads[index] for index in taken]
    own = None if averages is None else [averages.kept[index] for index in taken]
    # Compiled code writes past PyTorch, which is told beforehand: it may have something against it.
    torch.autograd.graph.increment_version(moved if own is None else [*moved, *own])
    if own is not None and not is_sign:
        lerp_(own, signals, 1 - momentum)
        signals, own = own, None
    rates = np.array([lr * (factors[index] or 0.0) for index in taken])
    step(kind, pieces(moved, signals, own, rates), 1 - lr * weight_decay, momentum, nesterov)
    if len(taken) == len(params):
        return []
    found = set(taken)
    return [index for index in every if index not in found]


def _is_wanted(steps: Steps) -> bool:
    wanted = steps.entries >= LARGE if steps.fused is None else steps.fused
    unwatched = torch.compiler.is_compiling() or torch.is_grad_enabled() or torch.is_inference_mode_enabled()
    return wanted and not unwatched
