"""Matrices made ready for an engine: wide, of largest modulus 1, finite; and the way back."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Prepared", "computing_dtype", "prepared"]


class Prepared(NamedTuple):
    """Matrices [..., m, n] with m ≤ n and largest modulus 1 (0 if zero), and what they came from."""

    matrix: Tensor
    usable: Tensor
    transposed: bool
    dtype: torch.dtype

    def restored(self, mapped: Tensor) -> Tensor:
        """Return what an engine made of the matrices in the caller's shape and dtype.

        A zero matrix gives 0, one with an entry that is not finite NaN throughout.
        """
        tall = mapped.mT if self.transposed else mapped
        return (tall * self.usable).to(self.dtype)


def computing_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that the arithmetic runs in: half precision is computed in float32.

    >>> computing_dtype(torch.bfloat16)
    torch.float32
    """
    return torch.float64 if dtype == torch.float64 else torch.float32


def prepared(S: Tensor) -> Prepared:
    """Return matrices [..., k, d] ready for an engine, whatever their scale; S is not changed.

    >>> ready = prepared(torch.tensor([[1e-30], [2e-30]]))
    >>> ready.matrix, ready.transposed
    (tensor([[0.5000, 1.0000]]), True)
    """
    transposed = S.shape[-2] > S.shape[-1]
    wide = (S.mT if transposed else S).to(computing_dtype(S.dtype))
    largest = torch.linalg.vector_norm(wide, math.inf, dim=(-2, -1), keepdim=True)
    finite = torch.isfinite(largest)
    divided = wide / torch.where(largest > 0, largest, 1.0)
    matrix = torch.where(finite, divided, 0.0)
    usable = torch.where(finite, (largest > 0).to(wide.dtype), math.nan)
    return Prepared(matrix, usable, transposed, S.dtype)
