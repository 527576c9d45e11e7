"""Units of work: logical matrices of one tensor, whose directions one rank computes together.

A unit is a box of the tensor: for every axis the indices that its matrices have. So is what a rank holds, and
what both have in common are boxes too: pieces, whatever borders of shards the matrices cross.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from torch import Tensor

from steepest.optim.distributed.runs import Runs, merged, overlaps, size
from steepest.optim.distributed.spreads import Spread
from steepest.optim.layouts import Part

__all__ = ["Axes", "Piece", "Unit", "axes_of", "is_whole", "pieces", "units", "whole"]

Slices = tuple[slice, ...]


class Piece(NamedTuple):
    """A box that a rank and a unit have in common: where it lies in both, and its shape."""

    local: Slices
    box: Slices
    shape: tuple[int, ...]

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return math.prod(self.shape)


class Axes(NamedTuple):
    """The axes of a tensor as a part has them, the one that splits opened into three.

    ``lengths`` are theirs; ``batch``, ``outputs`` and ``inputs`` name them in the order of the matrices.
    """

    lengths: tuple[int, ...]
    batch: tuple[int, ...]
    outputs: tuple[int, ...]
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Unit:
    """Logical matrices that are computed together.

    Args:
        param: number of the tensor.
        runs: the indices of each axis.
        opened: the axis that splits, and the three lengths that it has opened; None where no axis does.
        order: of the opened axes: batch, outputs, inputs.
        shape: [matrices, rows, columns].
    """

    param: int
    runs: tuple[Runs, ...]
    opened: tuple[int, tuple[int, int, int]] | None
    order: tuple[int, ...]
    shape: tuple[int, int, int]

    @property
    def box(self) -> tuple[int, ...]:
        """Lengths of the axes of the box."""
        return tuple(size(axis) for axis in self.runs)

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return math.prod(self.shape)

    def matrices(self, box: Tensor) -> Tensor:
        """Return the matrices [b, k, d] of a box."""
        return self._ordered(box).reshape(self.shape)

    def boxed(self, matrices: Tensor) -> Tensor:
        """Return the box of matrices [b, k, d]."""
        lengths = self.box
        if self.opened is not None:
            axis, opened = self.opened
            lengths = (*lengths[:axis], *opened, *lengths[axis + 1 :])
        box = matrices.reshape([lengths[axis] for axis in self.order])
        box = box.permute([self.order.index(axis) for axis in range(len(self.order))])
        return box if self.opened is None else box.flatten(self.opened[0], self.opened[0] + 2)

    def _ordered(self, box: Tensor) -> Tensor:
        if self.opened is not None:
            box = box.unflatten(*self.opened)
        return box.permute(self.order)


def axes_of(part: Part, shape: tuple[int, ...]) -> Axes:
    """Return the axes of a part of a tensor of a shape."""
    lengths = shape
    if part.cut is not None:
        axis, interleaved, _, length, within = part.cut
        lengths = (*shape[:axis], interleaved, within, length // within, *shape[axis + 1 :])
    matrices, rows, _ = part.shape
    batch = _first(part.order, lengths, matrices)
    outputs = _first(part.order[len(batch) :], lengths, rows)
    return Axes(lengths, batch, outputs, part.order[len(batch) + len(outputs) :])


def _first(order: tuple[int, ...], lengths: tuple[int, ...], entries: int) -> tuple[int, ...]:
    """Return the first axes that together have so many entries."""
    count, found = 0, 1
    while found < entries:
        found *= lengths[order[count]]
        count += 1
    return order[:count]


def units(param: int, part: Part, spread: Spread, most: int) -> Iterator[tuple[Unit, tuple[int, ...]]]:
    """Yield the units of a part of a tensor, and with each the ranks that hold all of it, if any do.

    Up to ``most`` matrices that the same ranks hold whole stay together.
    """
    if not math.prod(part.shape):
        return
    axes = axes_of(part, spread.shape)
    *leading, last = axes.batch or (None,)
    count = 1 if last is None else axes.lengths[last]
    for fixed in product(*(range(axes.lengths[axis]) for axis in leading)):
        chosen = dict(zip(leading, fixed, strict=True))
        holders = [
            _holders(_unit(param, part, spread.shape, axes, chosen, last, index, index + 1), spread)
            for index in range(count)
        ]
        low = 0
        while low < count:
            high = low + 1
            while high < min(count, low + most) and holders[high] == holders[low]:
                high += 1
            yield _unit(param, part, spread.shape, axes, chosen, last, low, high), holders[low]
            low = high


def _unit(
    param: int,
    part: Part,
    shape: tuple[int, ...],
    axes: Axes,
    fixed: dict[int, int],
    last: int | None,
    low: int,
    high: int,
) -> Unit:
    ranges = [
        (fixed[axis], fixed[axis] + 1) if axis in fixed else (0, n) for axis, n in enumerate(axes.lengths)
    ]
    if last is not None:
        ranges[last] = low, high
    matrices = 1 if last is None else high - low
    own = (matrices, *part.shape[1:])
    if part.cut is None:
        return Unit(param, tuple((each,) for each in ranges), None, part.order, own)
    axis, interleaved, start, length, within = part.cut
    place, entries = shape[axis] // interleaved, length // within
    (first, stop), (first_piece, stop_piece), _ = ranges[axis : axis + 3]
    runs = merged(
        tuple(
            (index * place + start + first_piece * entries, index * place + start + stop_piece * entries)
            for index in range(first, stop)
        )
    )
    opened = axis, (stop - first, stop_piece - first_piece, entries)
    closed = [(each,) for each in ranges[:axis]], [(each,) for each in ranges[axis + 3 :]]
    return Unit(param, (*closed[0], runs, *closed[1]), opened, part.order, own)


def _holders(unit: Unit, spread: Spread) -> tuple[int, ...]:
    return tuple(rank for rank, held in enumerate(spread.runs) if is_whole(unit.runs, held))


def is_whole(box: tuple[Runs, ...], held: tuple[Runs, ...]) -> bool:
    """Return whether a rank that holds these indices holds all of a box."""
    return all(
        sum(overlap.length for overlap in overlaps(own, axis)) == size(axis)
        for own, axis in zip(held, box, strict=True)
    )


def whole(part: Part, shape: tuple[int, ...]) -> tuple[Runs, ...]:
    """Return the box of all matrices of a part of a tensor of a shape."""
    runs: list[Runs] = [((0, length),) for length in shape]
    if part.cut is not None:
        axis, interleaved, start, length, _ = part.cut
        place = shape[axis] // interleaved
        runs[axis] = merged(
            tuple((index * place + start, index * place + start + length) for index in range(interleaved))
        )
    return tuple(runs)


def pieces(box: tuple[Runs, ...], held: tuple[Runs, ...]) -> tuple[Piece, ...]:
    """Return what a rank that holds these indices and a box have in common."""
    common = [overlaps(own, axis) for own, axis in zip(held, box, strict=True)]
    return tuple(
        Piece(
            tuple(slice(each.mine, each.mine + each.length) for each in chosen),
            tuple(slice(each.theirs, each.theirs + each.length) for each in chosen),
            tuple(each.length for each in chosen),
        )
        for chosen in product(*common)
    )
