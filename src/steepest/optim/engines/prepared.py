"""Matrices made ready for an engine: wide, of largest modulus 1, finite; and the way back."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from steepest.optim.lengths import largest_moduli

_ORDINARY = 1e-10, 1e10
"""Largest moduli of matrices that are taken as they are: a copy of a large one costs as much as a product."""

__all__ = ["Prepared", "computing_dtype", "prepared"]


class Prepared(NamedTuple):
    """Matrices [..., m, n] with m ≤ n of an ordinary size, and what they came from.

    Their largest modulus is 1, 0 for a zero matrix, or in a range in which no square overflows or vanishes;
    ``usable`` is 1, 0 for a zero matrix and NaN for one with an entry that is not finite, or None for all 1.
    """

    matrix: Tensor
    usable: Tensor | None
    transposed: bool
    dtype: torch.dtype

    def restored(self, mapped: Tensor) -> Tensor:
        """Return what an engine made of the matrices in the caller's shape and dtype.

        A zero matrix gives 0, one with an entry that is not finite NaN throughout.
        """
        tall = mapped.mT if self.transposed else mapped
        return (tall if self.usable is None else tall * self.usable).to(self.dtype)


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
    largest = largest_moduli(wide, (-2, -1))
    if _is_at_hand(S) and bool(((largest > _ORDINARY[0]) & (largest < _ORDINARY[1])).all()):
        return Prepared(wide, None, transposed, S.dtype)
    finite = torch.isfinite(largest)
    divided = wide / torch.where(largest > 0, largest, 1.0)
    matrix = torch.where(finite, divided, 0.0)
    usable = torch.where(finite, (largest > 0).to(wide.dtype), math.nan)
    return Prepared(matrix, usable, transposed, S.dtype)


def _is_at_hand(S: Tensor) -> bool:
    """Whether a look at entries costs nothing: on the host, where no compiler traces."""
    return S.device.type == "cpu" and not torch.compiler.is_compiling()
