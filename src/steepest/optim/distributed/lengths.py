"""Directions that need Euclidean lengths at most: of sharded tensors each rank moves its own entries.

Lengths along an axis that is cut are put together from those of all ranks, by one collective for all tensors.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from steepest.optim.distributed.runs import size
from steepest.optim.distributed.spreads import Spread
from steepest.optim.distributed.teams import Team
from steepest.optim.distributed.units import Piece, axes_of, pieces, whole
from steepest.optim.layouts import Part
from steepest.optim.lengths import largest_moduli

__all__ = ["Block", "block", "combined"]


@dataclass(frozen=True)
class Block:
    """What a rank holds of the matrices of one part of a tensor.

    Args:
        param: number of the tensor.
        matrix: rows and columns.
        pieces: what the rank holds.
        kept: for each axis how many lengths there are along it: 1 where they are taken over it.
        slots: of the axis that splits: the number of the length at each index; None if no axis needs them.
        axis: that axis.
        copies: the ranks that hold the same copy as this one.
        is_cut: whether some rank holds less than all of what a length is taken over.
    """

    param: int
    matrix: tuple[int, int]
    pieces: tuple[Piece, ...]
    kept: tuple[int, ...]
    slots: tuple[int, ...] | None
    axis: int
    copies: tuple[int, ...]
    is_cut: bool

    @cached_property
    def reduced(self) -> tuple[int, ...]:
        """The axes over which lengths are taken, but for the one that has slots."""
        own = self.axis if self.slots is not None else -1
        return tuple(axis for axis, kept in enumerate(self.kept) if kept == 1 and axis != own)

    def lengths(self, signal: Tensor) -> Tensor:
        """Return the lengths of what this rank holds, in double precision, in the shape ``kept``."""
        found = torch.zeros(self.kept, dtype=torch.float64, device=signal.device)
        if signal.dtype != torch.float64:
            for piece in self.pieces:
                self._gather(found, piece, self._norms(signal[piece.local]).square_())
            return found.sqrt_()
        # The squares of double precision overflow and vanish, those of what is shorter do not.
        largest = found.clone()
        for piece in self.pieces:
            own = signal[piece.local]
            self._gather(
                largest, piece, largest_moduli(own, self.reduced) if self.reduced else own.abs(), True
            )
        divisors = torch.where(largest > 0, largest, 1.0)
        for piece in self.pieces:
            shares = signal[piece.local] / self.spread_out(divisors, piece)
            self._gather(found, piece, self._norms(shares).square_())
        return found.sqrt_().mul_(largest)

    def spread_out(self, lengths: Tensor, piece: Piece) -> Tensor:
        """Return the length that belongs to each entry of a piece, in a shape that is broadcast to it."""
        chosen = self._view(lengths, piece)
        if self.slots is None:
            return chosen
        return chosen.index_select(self.axis, self._numbers(piece, lengths.device))

    def _norms(self, own: Tensor) -> Tensor:
        if not self.reduced:
            return own.double().abs()
        return torch.linalg.vector_norm(own, dim=self.reduced, keepdim=True, dtype=torch.float64)

    def _gather(self, into: Tensor, piece: Piece, values: Tensor, largest: bool = False) -> None:
        view = self._view(into, piece)
        if self.slots is None:
            view.copy_(torch.maximum(view, values) if largest else view + values)
        elif largest:
            places = [-1 if axis == self.axis else 1 for axis in range(values.ndim)]
            numbers = self._numbers(piece, into.device).view(places).expand_as(values)
            view.scatter_reduce_(self.axis, numbers, values, "amax")
        else:
            view.index_add_(self.axis, self._numbers(piece, into.device), values)

    def _view(self, lengths: Tensor, piece: Piece) -> Tensor:
        chosen = [slice(0, 1) if kept == 1 else own for kept, own in zip(self.kept, piece.box, strict=True)]
        if self.slots is not None:
            chosen[self.axis] = slice(None)
        return lengths[tuple(chosen)]

    def _numbers(self, piece: Piece, device: torch.device) -> Tensor:
        return torch.tensor((self.slots or ())[piece.box[self.axis]], device=device)


def block(param: int, part: Part, spread: Spread, rank: int, over: tuple[int, ...]) -> Block:
    """Return what a rank holds of a part of a tensor, for lengths over rows (-2), columns (-1) or both."""
    axes = axes_of(part, spread.shape)
    taken = {*(axes.outputs if -2 in over else ()), *(axes.inputs if -1 in over else ())}
    box = whole(part, spread.shape)
    kept = [size(runs) for runs in box]
    slots, cut = None, -1
    if part.cut is None:
        kept = [1 if axis in taken else length for axis, length in enumerate(kept)]
    else:
        cut = part.cut[0]
        for axis in taken:
            if not cut <= axis < cut + 3:
                kept[axis if axis < cut else axis - 2] = 1
        inner = [axis in taken for axis in range(cut, cut + 3)]
        if any(inner):
            slots = _slots(axes.lengths[cut : cut + 3], inner)
            kept[cut] = max(slots) + 1
    lengths = [
        1 if length == size(runs) or (axis == cut and slots is not None) else size(runs)
        for axis, (length, runs) in enumerate(zip(kept, box, strict=True))
    ]
    is_cut = any(
        _is_cut(pieces(box, held), lengths, slots, cut) for held in spread.runs if math.prod(map(size, held))
    )
    copies = tuple(other for other, copy in enumerate(spread.copies) if copy == spread.copies[rank])
    return Block(
        param, part.shape[1:], pieces(box, spread.runs[rank]), tuple(kept), slots, cut, copies, is_cut
    )


def _slots(lengths: Sequence[int], taken: list[bool]) -> tuple[int, ...]:
    """Return the number of the length at each index of an axis that opens into three."""
    found = []
    for index in range(math.prod(lengths)):
        places = index // (lengths[1] * lengths[2]), index // lengths[2] % lengths[1], index % lengths[2]
        number = 0
        for place, length, is_taken in zip(places, lengths, taken, strict=True):
            number = number if is_taken else number * length + place
        found.append(number)
    return tuple(found)


def _is_cut(own: tuple[Piece, ...], lengths: list[int], slots: tuple[int, ...] | None, axis: int) -> bool:
    """Return whether pieces that one rank holds are less than all of what a length is taken over."""
    held = [
        {(each.start, each.stop) for each in places} for places in zip(*(p.box for p in own), strict=True)
    ]
    for index, runs in enumerate(held):
        if index == axis and slots is not None:
            counts = Counter(number for low, high in runs for number in slots[low:high])
            if any(count != len(slots) // (max(slots) + 1) for count in counts.values()):
                return True
        elif lengths[index] > 1 and sum(high - low for low, high in runs) != lengths[index]:
            return True
    return False


def combined(blocks: list[Block], lengths: list[Tensor], team: Team) -> list[Tensor]:
    """Return the lengths of whole matrices from those of shards, by one collective."""
    gathered = team.all_gather(torch.cat([each.reshape(-1) for each in lengths]))
    found = []
    columns = gathered.split([each.numel() for each in lengths], dim=1)
    for own, values, each in zip(blocks, columns, lengths, strict=True):
        shares = values[list(own.copies)]
        largest = shares.amax(0)
        scaled = shares / torch.where(largest > 0, largest, 1.0)
        found.append(torch.linalg.vector_norm(scaled, dim=0).mul_(largest).view(each.shape))
    return found
