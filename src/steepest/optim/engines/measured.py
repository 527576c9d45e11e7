"""What this processor does fast: found by a feature check and a short measurement, once a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

__all__ = ["fastest", "linear_layers_multiply_faster", "linear_product", "multiplies_bfloat16_fast"]

_SIDE = 192
_REPEATS = 3
_LINEAR_ARGUMENTS = [
    "Tensor",
    "Tensor",
    "Optional[Tensor]",
    "str",
    "List[Optional[number]]",
    "Optional[str]",
]
_CLEARLY = 0.8
"""Less than this share of another time is no accident: all processes of a machine decide alike."""


@torch.compiler.assume_constant_result
@cache
def multiplies_bfloat16_fast(device_type: str) -> bool:
    """Return whether products of bfloat16 matrices take less time than those of float32 ones.

    Processors without instructions for bfloat16 emulate it, a hundred times slower.
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type != "cpu":
        return True
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    X = _matrices(_SIDE, _SIDE, 1)[0]
    X16 = X.bfloat16()
    return _seconds(lambda: X16 @ X16.mT) < _seconds(lambda: X @ X.mT)


@cache
def linear_layers_multiply_faster(_threads: int) -> bool:
    """Return whether float32 matrices on the host are multiplied faster as PyTorch's linear layers do it."""
    if not (torch.backends.mkldnn.is_available() and _has_linear_product()):
        return False
    X = _matrices(2 * _SIDE, 2 * _SIDE, 1)[0]
    return _seconds(lambda: linear_product(X, X.mT)) < _CLEARLY * _seconds(lambda: X @ X.mT)


def _has_linear_product() -> bool:
    # An operation of PyTorch's own compiler: nothing promises that other versions have it, or as it is here.
    found = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    schema = getattr(getattr(found, "default", None), "_schema", None)
    return schema is not None and [str(each.type) for each in schema.arguments] == _LINEAR_ARGUMENTS


def linear_product(A: Tensor, B: Tensor) -> Tensor:
    """Return A B of float32 matrices on the host, as PyTorch's compiler has linear layers computed."""
    # Some strides are computed a thousand times slower.
    return torch.ops.mkldnn._linear_pointwise(A.contiguous(), B.mT.contiguous(), None, "none", [], "")


def fastest(engines: dict[str, Callable[[Tensor], Tensor]], shape: tuple[int, int], count: int) -> str:
    """Return which of some engines takes the least time on random matrices of a shape, ``count`` at once."""
    X = _matrices(*shape, count)
    taken = {name: _seconds(lambda engine=engine: engine(X)) for name, engine in engines.items()}
    return min(taken, key=lambda name: taken[name])


def _seconds(work: Callable[[], Tensor]) -> float:
    """Return the least time of a few repeats, after one to warm up."""
    work()
    taken = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _matrices(rows: int, columns: int, count: int) -> Tensor:
    # A generator of its own, so that a measurement changes no random number of the caller's.
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, rows, columns, generator=generator)
