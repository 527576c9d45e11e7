"""One step of many parameters: signals, decay, and directions of same-shaped logical matrices in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from steepest.optim.directions import Direction
from steepest.optim.layouts import Layout, Part
from steepest.optim.lists import add_, addcmul_, mul, mul_
from steepest.optim.momentum import Signals
from steepest.optim.scales import Scale, scale_of

__all__ = ["Number", "Steps", "add", "batches", "decay", "move"]

Number = float | Tensor
"""A number, or a tensor of one number, which may change between steps of a compiled or captured step."""

_PLAIN = Layout()
_LARGEST_BATCH = 1 << 18
_LARGEST_BATCH_OF_MATRICES = 1 << 20
_LARGEST_ACCELERATED_BATCH = 1 << 26
"""Entries of a batch: larger matrices gain nothing from company, and memory stays bounded."""


@dataclass(frozen=True)
class Steps:
    """How tensors of one group turn into steps: their direction, layout and scaling; in batches or not.

    What follows from shapes alone is kept, so that a compiled step finds it ready.
    """

    direction: Direction
    layout: Layout
    scale: Scale
    batched: bool = True
    fused: bool | None = None
    entries: int = 0
    """Of all tensors of the group."""
    _parts: dict[tuple[int, ...], tuple[Part, ...]] = field(default_factory=dict)
    _factors: dict[tuple[int, int], float] = field(default_factory=dict)
    _of_whole: dict[tuple[int, ...], float | None] = field(default_factory=dict)

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Find out what there is to know of tensors of a shape.

        Raises:
            InvalidArgument: they have not the layout, or no scaling.
        """
        if shape not in self._parts:
            parts = self.layout.opened(shape)
            for part in parts:
                rows, columns = part.shape[1:]
                if rows and columns:
                    self._factors[rows, columns] = self._factor(rows, columns)
            whole = len(parts) == 1 and parts[0].shape[0] == 1
            self._of_whole[shape] = self._factors.get(parts[0].shape[1:]) if whole else None
            self._parts[shape] = parts

    def parts(self, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """Return how tensors of a shape are viewed as matrices; errors as of :meth:`prepare`."""
        if shape not in self._parts:
            self.prepare(shape)
        return self._parts[shape]

    def factor(self, rows: int, columns: int) -> float:
        """Return what a direction [rows, columns] is multiplied by, apart from the learning rate."""
        return self._factors[rows, columns]

    def factor_of_whole(self, shape: tuple[int, ...]) -> float | None:
        """Return the factor of tensors of a shape that are one matrix each; None for others."""
        if shape not in self._of_whole:
            self.prepare(tuple(shape))
        return self._of_whole[shape]

    def factors_of_whole(self, tensors: list[Tensor]) -> np.ndarray | None:
        """Return the factors of tensors that are one matrix each; None if one of them is not."""
        if self.scale == "unit" and self.direction.factor is None and self.layout == _PLAIN:
            return np.ones(len(tensors))
        factors = [self.factor_of_whole(each.shape) for each in tensors]
        return None if None in factors else np.array(factors)

    def _factor(self, rows: int, columns: int) -> float:
        divisor = self.direction.divisor(rows, columns)
        length = None if self.direction.length is None else self.direction.length(rows, columns) / divisor
        return scale_of(self.scale, rows, columns, length) / divisor


def decay(params: list[Tensor], lr: Number, weight_decay: Number) -> None:
    """Multiply parameters by 1 - lr · weight_decay, in place."""
    if isinstance(weight_decay, Tensor) or weight_decay != 0:
        mul_(params, 1 - scalar(lr) * scalar(weight_decay))


def move(params: list[Tensor], signals: Signals, lr: Number, steps: Steps) -> None:
    """Step parameters along the directions of their signals, in place; the signals stay as they are.

    Each logical matrix moves by -lr · scale · D(S).
    """
    whole: dict[torch.device, list[tuple[int, Part]]] = {}
    buckets: dict[tuple[int, int, torch.dtype, torch.device], list[tuple[int, Part]]] = {}
    takes_tensors = steps.direction.of_tensors is not None or steps.direction.multipliers is not None
    for index, param in enumerate(params):
        parts = steps.parts(tuple(param.shape))
        if takes_tensors and len(parts) == 1 and parts[0].shape[0] == 1:
            whole.setdefault(param.device, []).append((index, parts[0]))
            continue
        for part in parts:
            key = (part.shape[1], part.shape[2], param.dtype, param.device)
            buckets.setdefault(key, []).append((index, part))
    for device, places in whole.items():
        for batch in batches(places, device, steps.batched):
            _move_whole(params, signals, lr, steps, batch)
    for (rows, columns, _, device), places in buckets.items():
        factor = steps.factor(rows, columns)
        for batch in batches(places, device, steps.batched, _LARGEST_BATCH_OF_MATRICES):
            found = steps.direction.of_matrices(_together(signals.matrices(batch)))
            pieces = found.split([part.shape[0] for _, part in batch])
            views = [part.view(params[index]) for index, part in batch]
            shaped = [piece.reshape(view.shape) for piece, view in zip(pieces, views, strict=True)]
            add(views, shaped, lr, [factor] * len(batch))


def _move_whole(
    params: list[Tensor], signals: Signals, lr: Number, steps: Steps, batch: list[tuple[int, Part]]
) -> None:
    """Step tensors each of which is one matrix, in their own shapes."""
    own = signals.of([index for index, _ in batch])
    moved = [params[index] for index, _ in batch]
    factors = [steps.factor(*part.shape[1:]) for _, part in batch]
    find, scale = steps.direction.of_tensors, steps.direction.multipliers
    measure = steps.direction.lengths
    lengths = None if measure is None or isinstance(lr, Tensor) else measure(own)
    multipliers = None if scale is None or lengths is not None else scale(own)
    if lengths is not None and not isinstance(lr, Tensor):
        _add_quotients(moved, own, lengths, lr, factors)
    elif multipliers is not None:
        _add_multiples(moved, own, multipliers, lr, factors)
    elif find is not None:
        add(moved, find(own), lr, factors)
    else:
        matrices = [part.matrices(signal) for (_, part), signal in zip(batch, own, strict=True)]
        found = [steps.direction.of_matrices(each) for each in matrices]
        add(moved, [each.reshape(param.shape) for each, param in zip(found, moved, strict=True)], lr, factors)


def scalar(value: Number) -> Number:
    """Return a number without dimensions: learning rates may be tensors of shape [1]."""
    return value.reshape(()) if isinstance(value, Tensor) else value


def _together(matrices: list[Tensor]) -> Tensor:
    return matrices[0] if len(matrices) == 1 else torch.cat(matrices)


class Matrices(Protocol):
    """What holds logical matrices of one shape."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Matrices, rows, columns."""
        ...


Placed = TypeVar("Placed", bound=Matrices)


def batches(
    places: Iterable[tuple[int, Placed]],
    device: torch.device,
    batched: bool,
    largest_on_host: int = _LARGEST_BATCH,
) -> Iterator[list[tuple[int, Placed]]]:
    """Yield batches of matrices that are worth computing together; each alone where none are wanted."""
    largest = largest_on_host if device.type == "cpu" else _LARGEST_ACCELERATED_BATCH
    largest = largest if batched else 0
    batch: list[tuple[int, Placed]] = []
    entries = 0
    for place in places:
        matrices, rows, columns = place[1].shape
        if batch and entries + matrices * rows * columns > largest:
            yield batch
            batch, entries = [], 0
        batch.append(place)
        entries += matrices * rows * columns
    if batch:
        yield batch


def add(params: list[Tensor], directions: list[Tensor], lr: Number, factors: list[float]) -> None:
    """Add -lr · factor · direction to each parameter, in place."""
    if isinstance(lr, Tensor):
        own = mul(directions, factors)
        mul_(own, -scalar(lr))
        add_(params, own)
    elif all(factor == factors[0] for factor in factors):
        add_(params, directions, alpha=-lr * factors[0])
    else:
        add_(params, mul(directions, factors), alpha=-lr)


def _add_quotients(
    params: list[Tensor], signals: list[Tensor], lengths: list[float], lr: float, factors: list[float]
) -> None:
    """Add -lr · factor / length · signal to each parameter, in one pass; nothing for length 0."""
    for param, signal, length, factor in zip(params, signals, lengths, factors, strict=True):
        if length:
            param.add_(signal, alpha=-lr * factor / length)


def _add_multiples(
    params: list[Tensor], signals: list[Tensor], multipliers: list[Tensor], lr: Number, factors: list[float]
) -> None:
    """Add -lr · factor · multiplier · signal to each parameter, in place and without a copy."""
    if isinstance(lr, Tensor):
        multipliers = mul(multipliers, factors)
        mul_(multipliers, scalar(lr))
        addcmul_(params, signals, multipliers, -1.0)
    else:
        addcmul_(params, signals, mul(multipliers, [lr * factor for factor in factors]), -1.0)
