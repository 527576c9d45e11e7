"""What a compiled step finds out while it is traced, and what it reads anew at every step.

PyTorch's compiler guards what a step reads: a learning rate that is a number would cost a compilation
whenever it changes, and averages that are made at the first step another. So under compilation numbers are
read by an operation of their own, at run time, and averages are made while the step is traced.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Protocol
from weakref import WeakValueDictionary

import torch
from torch import Tensor

__all__ = ["Traced", "is_shared", "number", "prepare", "register"]


class Traced(Protocol):
    """An optimiser, as far as a compiled step needs it."""

    param_groups: list[dict[str, Any]]

    def make_averages(self, index: int) -> None:
        """Make the averages of a group that are not there yet."""
        ...

    def is_shared(self) -> bool:
        """Return whether other processes hold parameters too."""
        ...


_OPTIMIZERS: WeakValueDictionary[int, Traced] = WeakValueDictionary()
_HANDLES = count()


def register(optimizer: Traced) -> int:
    """Return a number by which compiled code finds an optimiser for as long as there is one."""
    handle = next(_HANDLES)
    _OPTIMIZERS[handle] = optimizer
    return handle


@torch.compiler.assume_constant_result
def prepare(handle: int, index: int) -> bool:
    """Make a group's averages while the step is traced, and return that this is done."""
    _OPTIMIZERS[handle].make_averages(index)
    return True


@torch.compiler.assume_constant_result
def is_shared(handle: int) -> bool:
    """Return whether other processes hold parameters too; the same at every step."""
    return _OPTIMIZERS[handle].is_shared()


@torch.compiler.assume_constant_result
def _is_tensor(handle: int, index: int, name: str) -> bool:
    return isinstance(_OPTIMIZERS[handle].param_groups[index][name], Tensor)


def number(group: dict[str, Any], handle: int, index: int, name: str) -> float | Tensor:
    """Return a group's number, as a tensor where a compiled step is to read it anew at every step."""
    if not torch.compiler.is_compiling() or _is_tensor(handle, index, name):
        return group[name]
    return torch.ops.steepest.number(handle, index, name, _HOST)


_HOST = torch.device("cpu")


@torch.library.custom_op("steepest::number", mutates_args=())
def _read(handle: int, index: int, name: str, device: torch.device) -> Tensor:
    value = float(_OPTIMIZERS[handle].param_groups[index][name])
    return torch.tensor(value, dtype=torch.float64, device=device)


@_read.register_fake
def _(_handle: int, _index: int, _name: str, device: torch.device) -> Tensor:
    return torch.empty((), dtype=torch.float64, device=device)
