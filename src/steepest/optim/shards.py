"""Tensors of which this process holds a shard: DTensors, as FSDP2 and tensor parallelism make them."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["any_sharded", "is_sharded", "local"]


def any_sharded(tensors: Iterable[Tensor]) -> bool:
    """Return whether one of some tensors is a DTensor: asked of all parameters at every step, and quick.

    >>> any_sharded([torch.zeros(2)])
    False
    """
    made_by = sys.modules.get("torch.distributed.tensor")
    return made_by is not None and any(issubclass(kind, made_by.DTensor) for kind in {*map(type, tensors)})


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor, without importing what only they need."""
    tensors = sys.modules.get("torch.distributed.tensor")
    return tensors is not None and isinstance(tensor, tensors.DTensor)


def local(tensor: Tensor) -> Tensor:
    """Return what this process holds of a tensor, sharing its memory; of complex numbers their real view."""
    own: Tensor = tensor.to_local() if is_sharded(tensor) else tensor  # pyright: ignore[reportAttributeAccessIssue]
    return torch.view_as_real(own) if own.is_complex() else own
