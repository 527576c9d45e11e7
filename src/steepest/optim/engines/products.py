"""Products of matrices in the way that is fast here; of those known to be symmetric half is not computed.

PyTorch multiplies matrices of single precision on the host by the library that it was built with, which on
some processors leaves half of their width unused; its linear layers have another. The two round differently
and are equally accurate. Where the second is clearly faster, which is measured once a process, it is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steepest.optim.engines.measured import linear_layers_multiply_faster, linear_product

__all__ = ["REPAY_BLOCKS", "plus_product", "product", "symmetric_product"]

REPAY_BLOCKS = 384
"""Rows from which blocks of a product take less time than the whole."""
_REPAY_BLOCKS_IF_WIDE = 192
_BLOCKS = 4
_REPAY_LINEAR = 1 << 20
"""Multiplications of a product from which it matters how they are done."""


def product(A: Tensor, B: Tensor) -> Tensor:
    """Return A B of matrices [..., m, n] and [..., n, k].

    >>> product(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if not _repays_linear(A, B):
        return A @ B
    if A.ndim == 2:
        return linear_product(A, B)
    if A.numel() == A.shape[-2] * A.shape[-1]:
        found = linear_product(A.reshape(A.shape[-2:]), B.reshape(B.shape[-2:]))
        return found.reshape(*A.shape[:-1], B.shape[-1])
    flat = (each.reshape(-1, *each.shape[-2:]) for each in (A, B))
    found = torch.stack([linear_product(*each) for each in zip(*flat, strict=True)])
    return found.reshape(*A.shape[:-1], B.shape[-1])


def symmetric_product(A: Tensor, B: Tensor, mirrored: bool = True) -> Tensor:
    """Return A B, known to be symmetric, of matrices [..., m, n] and [..., n, m].

    A large one on the host is cut into blocks of rows, of which those above the diagonal are mirrored from
    below, or left 0 where ``mirrored`` is False.

    >>> X = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    >>> symmetric_product(X, X.mT)
    tensor([[5., 2.],
            [2., 1.]])
    """
    if _repays_blocks(A, B):
        return _in_blocks(None, 0.0, A, B, 1.0, mirrored)
    return product(A, B)


def plus_product(
    added: Tensor, weight: float, A: Tensor, B: Tensor, factor: float, symmetric: bool = False
) -> Tensor:
    """Return weight · added + factor · A B of matrices or batches of them; ``symmetric`` where that is known.

    >>> X = torch.eye(2)
    >>> plus_product(X, 2.0, X, X, 1.0)
    tensor([[3., 0.],
            [0., 3.]])
    """
    if symmetric and _repays_blocks(A, B):
        return _in_blocks(added, weight, A, B, factor, True)
    if _repays_linear(A, B):
        return product(A, B).mul_(factor).add_(added, alpha=weight)
    if A.ndim == 2:
        return torch.addmm(added, A, B, beta=weight, alpha=factor)
    flat = (each.reshape(-1, *each.shape[-2:]) for each in (added, A, B))
    return torch.baddbmm(*flat, beta=weight, alpha=factor).reshape(added.shape)


def _repays_linear(A: Tensor, B: Tensor) -> bool:
    if not (A.dtype == B.dtype == torch.float32 and A.is_cpu) or torch.compiler.is_compiling():
        return False
    if torch.is_grad_enabled() and (A.requires_grad or B.requires_grad):
        return False
    large = A.shape[-2] * A.shape[-1] * B.shape[-1] >= _REPAY_LINEAR
    return large and linear_layers_multiply_faster(torch.get_num_threads())


def _repays_blocks(A: Tensor, B: Tensor) -> bool:
    rows, columns = A.shape[-2:]
    wide = rows >= _REPAY_BLOCKS_IF_WIDE and columns >= 4 * rows and A.dtype == torch.float32
    repays = (rows >= REPAY_BLOCKS or wide) and A.numel() == rows * columns
    return repays and A.is_cpu and not (torch.compiler.is_compiling() or A.requires_grad or B.requires_grad)


def _in_blocks(
    added: Tensor | None, weight: float, A: Tensor, B: Tensor, factor: float, mirrored: bool
) -> Tensor:
    rows = A.shape[-2]
    left, right = A.reshape(A.shape[-2:]), B.reshape(B.shape[-2:])
    before = None if added is None else added.reshape(rows, rows)
    found = (torch.empty if mirrored else torch.zeros)(rows, rows, dtype=A.dtype)
    linear = _repays_linear(left, right)
    step = -(-rows // _BLOCKS)
    for start in range(0, rows, step):
        end = min(start + step, rows)
        own = (left[start:end], right[:, :end])
        block = found[start:end, :end]
        if linear:
            torch.mul(linear_product(*own), factor, out=block)
            if before is not None:
                block.add_(before[start:end, :end], alpha=weight)
        elif before is None:
            torch.mm(*own, out=block)
        else:
            torch.addmm(before[start:end, :end], *own, beta=weight, alpha=factor, out=block)
        if mirrored:
            found[:start, start:end] = block[:, :start].mT
    return found.reshape(*A.shape[:-1], rows)
