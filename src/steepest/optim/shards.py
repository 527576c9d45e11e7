"""Tensors of which this process holds a shard: DTensors, as FSDP2 and tensor parallelism make them."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

__all__ = ["is_sharded", "local", "may_be_sharded"]


def may_be_sharded() -> bool:
    """Return whether there can be DTensors: whether what makes them has been imported."""
    return "torch.distributed.tensor" in sys.modules


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor, without importing what only they need."""
    tensors = sys.modules.get("torch.distributed.tensor")
    return tensors is not None and isinstance(tensor, tensors.DTensor)


def local(tensor: Tensor) -> Tensor:
    """Return what this process holds of a tensor, sharing its memory; of complex numbers their real view."""
    own: Tensor = tensor.to_local() if is_sharded(tensor) else tensor  # pyright: ignore[reportAttributeAccessIssue]
    return torch.view_as_real(own) if own.is_complex() else own
