"""One step of many parameters: signals, decay, and directions of same-shaped logical matrices in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from steepest.optim.directions import Direction
from steepest.optim.layouts import Layout, Part
from steepest.optim.lists import add_, mul, mul_
from steepest.optim.scales import Scale, scale_of

__all__ = ["Number", "Steps", "decay", "move"]

Number = float | Tensor
"""A number, or a tensor of one number, which may change between steps of a compiled or captured step."""

_LARGEST_BATCH = {"cpu": 1 << 18}
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
    _parts: dict[tuple[int, ...], tuple[Part, ...]] = field(default_factory=dict)
    _factors: dict[tuple[int, int], float] = field(default_factory=dict)

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
            self._parts[shape] = parts

    def parts(self, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """Return how tensors of a shape, which has been prepared, are viewed as matrices."""
        return self._parts[shape]

    def factor(self, rows: int, columns: int) -> float:
        """Return what a direction [rows, columns] is multiplied by, apart from the learning rate."""
        return self._factors[rows, columns]

    def _factor(self, rows: int, columns: int) -> float:
        divisor = self.direction.divisor(rows, columns)
        length = None if self.direction.length is None else self.direction.length(rows, columns) / divisor
        return scale_of(self.scale, rows, columns, length) / divisor


def decay(params: list[Tensor], lr: Number, weight_decay: Number) -> None:
    """Multiply parameters by 1 - lr · weight_decay, in place."""
    if isinstance(weight_decay, Tensor) or weight_decay != 0:
        mul_(params, 1 - scalar(lr) * scalar(weight_decay))


def move(params: list[Tensor], signals: list[Tensor], lr: Number, steps: Steps) -> None:
    """Step parameters along the directions of their signals, in place; the signals stay as they are.

    Each logical matrix moves by -lr · scale · D(S).
    """
    whole: list[tuple[Tensor, Tensor, float]] = []
    buckets: dict[tuple[int, int, torch.dtype, torch.device], list[tuple[Tensor, Tensor]]] = {}
    for param, signal in zip(params, signals, strict=True):
        parts = steps.parts(tuple(param.shape))
        if steps.direction.of_tensors is not None and len(parts) == 1 and parts[0].shape[0] == 1:
            whole.append((param, signal, steps.factor(*parts[0].shape[1:])))
            continue
        for part in parts:
            matrices = part.matrices(signal)
            key = (matrices.shape[-2], matrices.shape[-1], matrices.dtype, matrices.device)
            buckets.setdefault(key, []).append((part.view(param), matrices))
    if whole and steps.direction.of_tensors is not None:
        directions = steps.direction.of_tensors([signal for _, signal, _ in whole])
        _add([param for param, _, _ in whole], directions, lr, [factor for _, _, factor in whole])
    for (rows, columns, _, device), pairs in buckets.items():
        factor = steps.factor(rows, columns)
        for batch in _batches(pairs, device, steps.batched):
            found = steps.direction.of_matrices(_together([matrices for _, matrices in batch]))
            pieces = found.split([matrices.shape[0] for _, matrices in batch])
            views = [view for view, _ in batch]
            shaped = [piece.reshape(view.shape) for piece, view in zip(pieces, views, strict=True)]
            _add(views, shaped, lr, [factor] * len(batch))


def scalar(value: Number) -> Number:
    """Return a number without dimensions: learning rates may be tensors of shape [1]."""
    return value.reshape(()) if isinstance(value, Tensor) else value


def _together(matrices: list[Tensor]) -> Tensor:
    return matrices[0] if len(matrices) == 1 else torch.cat(matrices)


def _batches(
    pairs: Iterable[tuple[Tensor, Tensor]], device: torch.device, batched: bool
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    largest = _LARGEST_BATCH.get(device.type, _LARGEST_ACCELERATED_BATCH) if batched else 0
    batch: list[tuple[Tensor, Tensor]] = []
    entries = 0
    for pair in pairs:
        if batch and entries + pair[1].numel() > largest:
            yield batch
            batch, entries = [], 0
        batch.append(pair)
        entries += pair[1].numel()
    if batch:
        yield batch


def _add(params: list[Tensor], directions: list[Tensor], lr: Number, factors: list[float]) -> None:
    """Add -lr · factor · direction to each parameter, in place."""
    if isinstance(lr, Tensor):
        own = mul(directions, factors)
        mul_(own, -scalar(lr))
        add_(params, own)
    elif all(factor == factors[0] for factor in factors):
        add_(params, directions, alpha=-lr * factors[0])
    else:
        add_(params, mul(directions, factors), alpha=-lr)
