"""Operations on lists of tensors that PyTorch does in one call, under names without an underscore."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["add_", "addcmul_", "copy_", "lerp", "lerp_", "mul", "mul_", "neg", "norms", "sign"]

Tensors = list[Tensor]

# PyTorch's own optimisers are made of these, though their names have one.
_torch: Any = torch


def add_(tensors: Tensors, others: Tensors, alpha: float = 1.0) -> None:
    """Add alpha times the others, in place."""
    _torch._foreach_add_(tensors, others, alpha=alpha)


def addcmul_(tensors: Tensors, others: Tensors, factors: Tensors, value: float) -> None:
    """Add value times the others times their factors, in place."""
    _torch._foreach_addcmul_(tensors, others, factors, value=value)


def copy_(tensors: Tensors, others: Tensors) -> None:
    """Copy the others, which may have another dtype, into the tensors."""
    _torch._foreach_copy_(tensors, others)


def lerp(tensors: Tensors, ends: Tensors, weight: float) -> Tensors:
    """Return (1 - weight) times the tensors and weight times the ends."""
    return list(_torch._foreach_lerp(tensors, ends, weight))


def lerp_(tensors: Tensors, ends: Tensors, weight: float) -> None:
    """Move the tensors towards the ends, in place."""
    _torch._foreach_lerp_(tensors, ends, weight)


def mul(tensors: Tensors, factors: list[float]) -> Tensors:
    """Return each tensor times its own factor."""
    return list(_torch._foreach_mul(tensors, factors))


def mul_(tensors: Tensors, factor: float | Tensor) -> None:
    """Multiply all tensors by one factor, in place."""
    # On the host PyTorch rounds the number to the dtype of the list first: 0.998 is 0.996 in bfloat16.
    if not isinstance(factor, Tensor) and any(map(_is_half_here, tensors)):
        for each in tensors:
            each.mul_(factor)
    else:
        _torch._foreach_mul_(tensors, factor)


def neg(tensors: Tensors) -> Tensors:
    """Return the negatives."""
    return list(_torch._foreach_neg(tensors))


def norms(tensors: Tensors) -> Tensors:
    """Return the Euclidean norms of all tensors, summed in double precision."""
    return list(_torch._foreach_norm(tensors, 2, dtype=torch.float64)) if tensors else []


def sign(tensors: Tensors) -> Tensors:
    """Return the signs of all entries."""
    return list(_torch._foreach_sign(tensors))


def _is_half_here(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.bfloat16, torch.float16) and tensor.device.type == "cpu"
