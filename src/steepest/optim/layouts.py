"""Layouts: which axes of a tensor are outputs, inputs and batch, and how it splits into logical matrices.

A network stores its linear maps in tensors of many forms. What a norm of matrices is meant for are the maps
themselves, the logical matrices: a kernel [out, in, height, width] is one matrix [out, in · height · width],
a fused projection of queries, keys and values three of them, a stack of experts one for each expert.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from steepest.arguments import whole_number
from steepest.errors import InvalidArgument

__all__ = ["Layout", "Part", "layout"]


class Part(NamedTuple):
    """How one part of a tensor is viewed as matrices.

    ``cut`` is None where no axis splits; else the axis, into how many interleaved places it opens, where the
    part lies in each of them, how long it is there, and into how many pieces that splits.
    """

    cut: tuple[int, int, int, int, int] | None
    order: tuple[int, ...]
    shape: tuple[int, int, int]

    def view(self, tensor: Tensor) -> Tensor:
        """Return a view that shares memory with the tensor, its axes in order: batch, outputs, inputs."""
        if self.cut is not None:
            axis, interleaved, start, length, within = self.cut
            tensor = tensor.unflatten(axis, (interleaved, -1)).narrow(axis + 1, start, length)
            tensor = tensor.unflatten(axis + 1, (within, length // within))
        return tensor.permute(self.order) if self.order else tensor

    def matrices(self, tensor: Tensor) -> Tensor:
        """Return the matrices [matrices, rows, columns]; a copy where strides forbid a view."""
        return self.view(tensor).reshape(self.shape)


_AXES = "give axes as different whole numbers from 0 up, in a tuple"


@dataclass(frozen=True)
class Layout:
    """How a tensor holds logical matrices.

    Args:
        outputs: axes that together are the rows of a matrix; none makes one row.
        inputs: axes that together are its columns; None for all that are neither outputs nor batch.
        batch: axes along which there are matrices of their own.
        axis: the axis that splits, by ``parts`` first and ``pieces`` then.
        parts: relative lengths of what is fused along the axis, one matrix each: (1, 1, 1) for queries, keys
            and values; (8, 1, 1) for eight times as many queries, as of grouped queries; (1, 1) for a gate.
        interleaved: how many times the parts follow each other along the axis: 1 where each part lies in one
            place, the number of heads or groups where every one of them has its parts beside each other.
        pieces: equal pieces of each part that are matrices of their own: heads, groups of a convolution. One
            number for all parts or one for each.

    Raises:
        InvalidArgument: axes that overlap or are no whole numbers, or lengths below 1.

    >>> import torch
    >>> [tuple(view.shape) for view in Layout.fused((2, 1, 1)).views(torch.zeros(64, 16))]
    [(1, 32, 16), (1, 16, 16), (1, 16, 16)]
    >>> [tuple(view.shape) for view in Layout.convolution(groups=8).views(torch.zeros(8, 1, 3, 3))]
    [(8, 1, 9)]
    >>> str(Layout.fused((1, 1)))
    'outputs=0 parts=1,1'
    """

    outputs: tuple[int, ...] = (0,)
    inputs: tuple[int, ...] | None = None
    batch: tuple[int, ...] = ()
    axis: int = 0
    parts: tuple[int, ...] = (1,)
    interleaved: int = 1
    pieces: tuple[int, ...] = (1,)

    def __post_init__(self):
        for name in ("outputs", "inputs", "batch"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _axes(name, value))
        given = (*self.outputs, *(self.inputs or ()), *self.batch)
        if len(set(given)) != len(given):
            raise InvalidArgument("layout", given, "an axis is an output, an input or a batch: name it once")
        object.__setattr__(self, "axis", whole_number("axis", self.axis, 0))
        object.__setattr__(self, "parts", _lengths("parts", self.parts))
        object.__setattr__(self, "interleaved", whole_number("interleaved", self.interleaved, 1))
        pieces = _lengths("pieces", self.pieces)
        if len(pieces) == 1:
            pieces *= len(self.parts)
        if len(pieces) != len(self.parts):
            raise InvalidArgument("pieces", self.pieces, "give one number, or one for each of parts")
        object.__setattr__(self, "pieces", pieces)

    @classmethod
    def linear(cls, transposed: bool = False) -> Layout:
        """Return the layout of a matrix [outputs, inputs], or if ``transposed`` [inputs, outputs]."""
        return cls(outputs=(1,), inputs=(0,), axis=1) if transposed else cls()

    @classmethod
    def convolution(cls, groups: int = 1, transposed: bool = False) -> Layout:
        """Return the layout of kernels [outputs, inputs / groups, ...]: one matrix a group.

        If ``transposed``, of transposed convolutions, whose kernels are [inputs, outputs / groups, ...].
        Depthwise ones have as many groups as inputs.
        """
        return cls(outputs=(1,) if transposed else (0,), pieces=(groups,))

    @classmethod
    def fused(
        cls,
        parts: tuple[int, ...] = (1, 1, 1),
        interleaved: int = 1,
        heads: int | tuple[int, ...] = 1,
        transposed: bool = False,
    ) -> Layout:
        """Return the layout of projections fused along their outputs; ``heads`` are the pieces of Layout.

        If ``transposed``, of a matrix [inputs, outputs].
        """
        pieces = heads if isinstance(heads, tuple) else (heads,)
        plain = cls.linear(transposed)
        return cls(plain.outputs, plain.inputs, (), plain.axis, parts, interleaved, pieces)

    @classmethod
    def heads(cls, count: int, axis: int = 0, transposed: bool = False) -> Layout:
        """Return the layout of a matrix with ``count`` heads along an axis, each a matrix of its own.

        If ``transposed``, of a matrix [inputs, outputs].
        """
        plain = cls.linear(transposed)
        return cls(plain.outputs, plain.inputs, axis=axis, pieces=(count,))

    @classmethod
    def experts(cls, parts: tuple[int, ...] = (1,), interleaved: int = 1, transposed: bool = False) -> Layout:
        """Return the layout of stacked matrices [experts, outputs, inputs].

        If ``transposed``, of [experts, inputs, outputs].
        """
        outputs, inputs = (2, 1) if transposed else (1, 2)
        return cls((outputs,), (inputs,), (0,), outputs, parts, interleaved)

    @classmethod
    def rows(cls, dimensions: int) -> Layout:
        """Return the layout of vectors along the last of ``dimensions`` axes, as of tokens: each is a row."""
        return cls(outputs=tuple(range(dimensions - 1)))

    def views(self, tensor: Tensor) -> Iterator[Tensor]:
        """Yield for each part a view [matrices, rows, columns] of a tensor; a copy where strides forbid one.

        Raises:
            InvalidArgument: the tensor has not these axes, or its axis does not split so.
        """
        for part in self.opened(tuple(tensor.shape)):
            yield part.matrices(tensor)

    def opened(self, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """Return how each part of a tensor of a shape is viewed as matrices; errors as for the views."""
        axis, lengths = self._split(shape)
        axes = self._order(len(shape))
        shapes = self.shapes(shape)
        if axis is None:
            return (Part(None, tuple(axes), shapes[0]),)
        found = []
        start = 0
        for length, pieces, own in zip(lengths, self.pieces, shapes, strict=True):
            # Along the split axis: [interleaved, pieces within one of them, entries].
            cut = (axis, self.interleaved, start, length, max(1, pieces // self.interleaved))
            found.append(Part(cut, tuple(self._opened_order(axes, axis, pieces)), own))
            start += length
        return tuple(found)

    def shapes(self, shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
        """Return [matrices, rows, columns] of each part of a tensor of a shape; errors as for the views."""
        axis, lengths = self._split(shape)
        sizes = {
            name: math.prod([shape[each] for each in axes]) for name, axes in self._named(len(shape)).items()
        }
        if axis is None:
            return [(sizes["batch"], sizes["outputs"], sizes["inputs"])]
        split = next(name for name, axes in self._named(len(shape)).items() if axis in axes)
        found = []
        for length, pieces in zip(lengths, self.pieces, strict=True):
            own = {**sizes, split: sizes[split] // max(1, shape[axis]) * length * self.interleaved}
            own[split] //= pieces
            own["batch"] *= pieces
            found.append((own["batch"], own["outputs"], own["inputs"]))
        return found

    def _named(self, dimensions: int) -> dict[str, tuple[int, ...]]:
        highest = max((*self.outputs, *(self.inputs or ()), *self.batch), default=-1)
        taken = {*self.outputs, *self.batch}
        inputs = tuple(each for each in range(dimensions) if each not in taken)
        if dimensions == 0 and self == Layout():
            return {"batch": (), "outputs": (), "inputs": ()}
        if highest >= dimensions or (self.inputs is not None and set(self.inputs) != set(inputs)):
            remedy = f"give each axis a place; the parameter has {dimensions}"
            raise InvalidArgument("layout", str(self), remedy)
        return {"batch": self.batch, "outputs": self.outputs, "inputs": self.inputs or inputs}

    def _order(self, dimensions: int) -> list[int]:
        return [axis for axes in self._named(dimensions).values() for axis in axes]

    def _opened_order(self, axes: list[int], axis: int, pieces: int) -> list[int]:
        """Return the order of axes where one is opened into three, its pieces first of all."""
        interleaved, within, entries = axis, axis + 1, axis + 2
        heads, rest = (
            ([interleaved, within], [entries]) if pieces > 1 else ([], [interleaved, within, entries])
        )
        later = [each if each < axis else each + 2 for each in axes]
        position = axes.index(axis)
        return [*heads, *later[:position], *rest, *later[position + 1 :]]

    def _split(self, shape: tuple[int, ...]) -> tuple[int | None, list[int]]:
        """Return the axis that splits, if any does, and the length of each part in each interleaved place."""
        if self.parts == self.pieces == (1,) and self.interleaved == 1:
            self._named(len(shape))
            return None, []
        if self.axis >= len(shape):
            raise InvalidArgument("layout", str(self), f"the parameter has {len(shape)} axes only")
        unit, left = divmod(shape[self.axis], self.interleaved * sum(self.parts))
        lengths = [part * unit for part in self.parts]
        fits = all(
            pieces == 1 or (pieces % self.interleaved == 0 and length % (pieces // self.interleaved) == 0)
            for length, pieces in zip(lengths, self.pieces, strict=True)
        )
        if left or not fits:
            remedy = f"axis {self.axis} of a parameter of shape {list(shape)} does not split so"
            raise InvalidArgument("layout", str(self), remedy)
        return self.axis, lengths

    def __str__(self) -> str:
        fields = {
            "outputs": self.outputs,
            "inputs": self.inputs,
            "batch": self.batch or None,
            "axis": (self.axis,) if self.axis else None,
            "parts": self.parts if self.parts != (1,) else None,
            "interleaved": (self.interleaved,) if self.interleaved > 1 else None,
            "pieces": self.pieces if set(self.pieces) != {1} else None,
        }
        given = ((name, value) for name, value in fields.items() if value is not None)
        return " ".join(f"{name}={','.join(map(str, value))}" for name, value in given)


def layout(value: str | Layout | None) -> Layout:
    """Return a layout from its text, which ``str`` of one gives; None is [outputs, everything else].

    Raises:
        InvalidArgument: the text does not read so.

    >>> layout("outputs=0 parts=1,1,1") == Layout.fused()
    True
    """
    if value is None:
        return Layout()
    if isinstance(value, Layout):
        return value
    remedy = "give a Layout, or its text as in 'outputs=0 inputs=1 parts=1,1,1'"
    if not isinstance(value, str):
        raise InvalidArgument("layout", value, remedy)
    fields: dict[str, object] = {}
    for word in value.split():
        found = re.fullmatch(
            r"(outputs|inputs|batch|axis|parts|interleaved|pieces)=((?:\d+(?:,\d+)*)?)", word
        )
        if not found or found[1] in fields:
            raise InvalidArgument("layout", value, remedy)
        numbers = tuple(int(each) for each in found[2].split(",") if each)
        if found[1] in ("axis", "interleaved") and len(numbers) != 1:
            raise InvalidArgument("layout", value, remedy)
        fields[found[1]] = numbers[0] if found[1] in ("axis", "interleaved") else numbers
    return Layout(**fields)  # pyright: ignore[reportArgumentType]


def _axes(name: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)):
        raise InvalidArgument(name, value, _AXES)
    return tuple(whole_number(name, each, 0, _AXES) for each in value)


def _lengths(name: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or not value:
        raise InvalidArgument(name, value, "give whole numbers of at least 1, in a tuple")
    return tuple(whole_number(name, each, 1) for each in value)
