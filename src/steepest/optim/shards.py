"""Tensors of which this process holds a shard: DTensors, as FSDP2 and tensor parallelism make them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from steepest.errors import InvalidArgument

__all__ = ["any_sharded", "is_one_of_several", "is_sharded", "local", "refuse_flattened", "sharded_as"]


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


def sharded_as(param: Tensor, own: Tensor) -> Tensor:
    """Return a tensor that lies as a parameter does, given what this process holds of it."""
    if not is_sharded(param):
        return own
    whole: Any = param
    made: Any = type(param)
    return made.from_local(
        own,
        whole.device_mesh,
        whole.placements,
        run_check=False,
        shape=whole.shape,
        stride=whole.stride(),
    )


def is_one_of_several() -> bool:
    """Return whether this process belongs to a process group."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def refuse_flattened(params: Iterable[Tensor]) -> None:
    """Refuse parameters that FSDP1 has flattened, whose matrices no rank knows.

    Raises:
        InvalidArgument: there is one.
    """
    # The mark that FSDP1 sets on its flat parameters, and on those that are views of them.
    if "torch.distributed.fsdp" in sys.modules and any(
        getattr(param, "_fsdp_flattened", False) for param in params
    ):
        remedy = (
            "FSDP1 flattens parameters, which hides their matrices: use FSDP2, fully_shard(module), or a "
            "step of single entries, as SignSGD and Signum have"
        )
        raise InvalidArgument("params", "FullyShardedDataParallel", remedy)
