"""Tensors in 8 bits an entry: whole numbers from -127 to 127 and one scale for at most 256 entries.

An entry x of a block whose largest modulus is s is kept as c = ±round(127 √(|x| / s)) and read as
s c |c| / 127². The square root makes codes dense near 0: on Gaussian blocks the error is that of evenly
spaced codes, 0.7 % of the block's length, and an entry keeps its sign down to s / 64516, not just to s / 254.

Rows, all entries with one index of the first axis, are cut into blocks of one length each, so that a shard of
some rows is coded as the whole is, on however many ranks. Of rows of fewer than 80 entries scales would take
too much: these, and vectors, are cut every 256 entries regardless of rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from steepest.optim.lists import copy_

__all__ = ["BLOCK", "Blocks", "blocks_of", "decoded", "encode_", "scales_of"]

BLOCK = 256
"""Consecutive entries that share a scale, at most."""
_SHORTEST_ROW = 80
"""Entries of a row from which a scale of its own takes no more than a twentieth of a byte an entry."""
_LARGEST = 127
_PIECE = 256
"""Blocks that are read at once on the host."""


class Blocks(NamedTuple):
    """How a tensor is cut: rows, entries and blocks of a row, and the length of these but for the last."""

    rows: int
    row: int
    of_row: int
    length: int
    by_rows: bool


def blocks_of(shape: Sequence[int]) -> Blocks:
    """Return how tensors of a shape are cut into blocks.

    >>> blocks_of((3, 500)), blocks_of((600,))
    (Blocks(rows=3, row=500, of_row=2, length=250, by_rows=True),
    Blocks(rows=1, row=600, of_row=3, length=256, by_rows=False))
    """
    row = math.prod(shape[1:])
    if len(shape) < 2 or row < _SHORTEST_ROW:
        size = math.prod(shape)
        return Blocks(1, size, -(-size // BLOCK), BLOCK, False)
    of_row = -(-row // BLOCK)
    return Blocks(shape[0], row, of_row, -(-row // of_row), True)


def scales_of(tensor: Tensor) -> Tensor:
    """Return scales of zeros for a real tensor: one for each block, in the tensor's own dtype.

    In that dtype PyTorch keeps them when it loads a state.

    >>> scales_of(torch.ones(3, 100))
    tensor([[0.],
            [0.],
            [0.]])
    """
    cut = blocks_of(tensor.shape)
    shape = (cut.rows, cut.of_row) if cut.by_rows else (cut.of_row,)
    return torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)


def encode_(codes: list[Tensor], scales: list[Tensor], tensors: list[Tensor]) -> None:
    """Write tensors of one dtype into codes of their shapes, and into scales.

    Blocks with an entry that is not finite are read as NaN.

    >>> codes, scales = torch.zeros(4, dtype=torch.int8), torch.zeros(1)
    >>> encode_([codes], [scales], [torch.tensor([4e-30, -1e-30, 0.0, 1e-33])])
    >>> codes.tolist(), scales
    ([127, -64, 0, 2], tensor([4.0000e-30]))
    """
    for length, indices in _by_length(tensors).items():
        own_codes, own_scales, own = ([each[index] for index in indices] for each in (codes, scales, tensors))
        _encode_(own_codes, own_scales, own, length)


def _encode_(codes: list[Tensor], scales: list[Tensor], tensors: list[Tensor], length: int) -> None:
    X = _blocks(tensors, length).to(_computing(tensors[0].dtype))
    largest = torch.maximum(X.amax(1), -X.amin(1)).to(scales[0].dtype)
    divisors = torch.where(largest > 0, largest, 1.0).to(X.dtype)[:, None]
    shares = X / divisors
    # A scale that was rounded down in half precision leaves shares above 1.
    whole = shares.abs().sqrt_().mul_(_LARGEST).round_().clamp_(max=_LARGEST).copysign_(shares)
    copy_(codes, _shaped(whole.to(torch.int8), codes))
    found = torch.where(torch.isfinite(largest), largest, torch.nan).split([each.numel() for each in scales])
    copy_(scales, [own.view(each.shape) for own, each in zip(found, scales, strict=True)])


def decoded(codes: list[Tensor], scales: list[Tensor]) -> list[Tensor]:
    """Return the tensors that codes and scales of one dtype stand for, in the dtype of the scales.

    >>> decoded([torch.tensor([127, -64, 0], dtype=torch.int8)], [torch.tensor([4.0])])
    [tensor([ 4.0000, -1.0158,  0.0000])]
    """
    found: dict[int, Tensor] = {}
    for length, indices in _by_length(codes).items():
        own = _decoded([codes[index] for index in indices], [scales[index] for index in indices], length)
        found.update(zip(indices, own, strict=True))
    return [found[index] for index in range(len(codes))]


def _decoded(codes: list[Tensor], scales: list[Tensor], length: int) -> list[Tensor]:
    blocks = _blocks(codes, length)
    flat = [each.reshape(-1) for each in scales]
    factors = flat[0] if len(flat) == 1 else torch.cat(flat)
    if codes[0].device.type != "cpu" or torch.compiler.is_compiling() or len(blocks) <= _PIECE:
        found = _read(blocks, factors)
    else:
        # Pieces that the processor's cache holds take half the time.
        found = torch.empty(blocks.shape, dtype=factors.dtype)
        for out, *piece in zip(found.split(_PIECE), blocks.split(_PIECE), factors.split(_PIECE), strict=True):
            out.copy_(_read(*piece))
    return _shaped(found, codes)


def _by_length(tensors: list[Tensor]) -> dict[int, list[int]]:
    lengths = {shape: blocks_of(shape).length for shape in {each.shape for each in tensors}}
    found: dict[int, list[int]] = {}
    for index, each in enumerate(tensors):
        found.setdefault(lengths[each.shape], []).append(index)
    return found


def _read(codes: Tensor, scales: Tensor) -> Tensor:
    X = codes.to(_computing(scales.dtype))
    X = X * X.abs()
    X *= (scales.to(X.dtype) / _LARGEST**2)[:, None]
    return X.to(scales.dtype)


def _computing(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _blocks(tensors: list[Tensor], length: int) -> Tensor:
    """Return the entries of all tensors, each row filled up with zeros, shape [blocks, length]."""
    cuts = {shape: blocks_of(shape) for shape in {each.shape for each in tensors}}
    full = []
    for each in tensors:
        cut = cuts[each.shape]
        left = cut.of_row * length - cut.row
        rows = torch.nn.functional.pad(each.reshape(cut.rows, cut.row), (0, left)) if left else each
        full.append(rows.reshape(-1, length))
    return full[0] if len(full) == 1 else torch.cat(full)


def _shaped(blocks: Tensor, like: list[Tensor]) -> list[Tensor]:
    cuts = {shape: blocks_of(shape) for shape in {each.shape for each in like}}
    pieces = blocks.split([cuts[each.shape].rows * cuts[each.shape].of_row for each in like])
    found = []
    for piece, each in zip(pieces, like, strict=True):
        cut = cuts[each.shape]
        filled = piece.numel() > each.numel()
        own = piece.reshape(cut.rows, cut.of_row * cut.length)[:, : cut.row] if filled else piece
        found.append(own.reshape(each.shape))
    return found
