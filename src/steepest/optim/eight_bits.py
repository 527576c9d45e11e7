"""Tensors in 8 bits an entry: whole numbers from -127 to 127 and one scale for every 256 entries.

An entry x of a block whose largest modulus is s is kept as c = ±round(127 √(|x| / s)) and read as
s c |c| / 127². The square root makes codes dense near 0: on Gaussian blocks the error is that of evenly
spaced codes, 0.7 % of the block's length, and an entry keeps its sign down to s / 64516, not just to s / 254.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steepest.optim.lists import copy_

__all__ = ["BLOCK", "decoded", "encode_", "scales_of"]

BLOCK = 256
"""Consecutive entries that share a scale."""
_LARGEST = 127
_PIECE = 256
"""Blocks that are read at once on the host."""


def scales_of(tensor: Tensor) -> Tensor:
    """Return scales of zeros for a real tensor: one for each block, in the tensor's own dtype.

    In that dtype PyTorch keeps them when it loads a state.

    >>> scales_of(torch.ones(3, 100))
    tensor([0., 0.])
    """
    return torch.zeros(-(-tensor.numel() // BLOCK), dtype=tensor.dtype, device=tensor.device)


def encode_(codes: list[Tensor], scales: list[Tensor], tensors: list[Tensor]) -> None:
    """Write tensors of one dtype into codes of their shapes, and into scales.

    Blocks with an entry that is not finite are read as NaN.

    >>> codes, scales = torch.zeros(4, dtype=torch.int8), torch.zeros(1)
    >>> encode_([codes], [scales], [torch.tensor([4e-30, -1e-30, 0.0, 1e-33])])
    >>> codes.tolist(), scales
    ([127, -64, 0, 2], tensor([4.0000e-30]))
    """
    X = _blocks(tensors).to(_computing(tensors[0].dtype))
    largest = torch.maximum(X.amax(1), -X.amin(1)).to(scales[0].dtype)
    divisors = torch.where(largest > 0, largest, 1.0).to(X.dtype)[:, None]
    shares = X / divisors
    # A scale that was rounded down in half precision leaves shares above 1.
    whole = shares.abs().sqrt_().mul_(_LARGEST).round_().clamp_(max=_LARGEST).copysign_(shares)
    counts = [len(each) for each in scales]
    copy_(codes, _shaped(whole.to(torch.int8), counts, codes))
    copy_(scales, list(torch.where(torch.isfinite(largest), largest, torch.nan).split(counts)))


def decoded(codes: list[Tensor], scales: list[Tensor]) -> list[Tensor]:
    """Return the tensors that codes and scales of one dtype stand for, in the dtype of the scales.

    >>> decoded([torch.tensor([127, -64, 0], dtype=torch.int8)], [torch.tensor([4.0])])
    [tensor([ 4.0000, -1.0158,  0.0000])]
    """
    blocks = _blocks(codes)
    factors = scales[0] if len(scales) == 1 else torch.cat(scales)
    if codes[0].device.type != "cpu" or torch.compiler.is_compiling() or len(blocks) <= _PIECE:
        found = _read(blocks, factors)
    else:
        # Pieces that the processor's cache holds take half the time.
        found = torch.empty(blocks.shape, dtype=factors.dtype)
        for out, *piece in zip(found.split(_PIECE), blocks.split(_PIECE), factors.split(_PIECE), strict=True):
            out.copy_(_read(*piece))
    return _shaped(found, [len(each) for each in scales], codes)


def _read(codes: Tensor, scales: Tensor) -> Tensor:
    X = codes.to(_computing(scales.dtype))
    X = X * X.abs()
    X *= (scales.to(X.dtype) / _LARGEST**2)[:, None]
    return X.to(scales.dtype)


def _computing(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _blocks(tensors: list[Tensor]) -> Tensor:
    """Return the entries of all tensors, each filled up with zeros, shape [blocks, 256]."""
    flat = [each.reshape(-1) for each in tensors]
    full = [
        torch.nn.functional.pad(each, (0, -len(each) % BLOCK)) if len(each) % BLOCK else each for each in flat
    ]
    joined = full[0] if len(full) == 1 else torch.cat(full)
    return joined.view(len(joined) // BLOCK, BLOCK)


def _shaped(blocks: Tensor, counts: list[int], like: list[Tensor]) -> list[Tensor]:
    pieces = blocks.view(-1).split([BLOCK * count for count in counts])
    return [
        piece[: each.numel()].view(each.shape) if each.numel() < len(piece) else piece.view(each.shape)
        for piece, each in zip(pieces, like, strict=True)
    ]
