"""One step of many parameters: signals, decay, and directions of same-shaped logical matrices in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from steepest.optim.directions import Direction
from steepest.optim.layouts import Layout
from steepest.optim.scales import Scale, scale_of

__all__ = ["Number", "Steps", "decay", "move"]

Number = float | Tensor
"""A number, or a tensor of one number, which may change between steps of a compiled or captured step."""

_LARGEST_BATCH = {"cpu": 1 << 18}
_LARGEST_ACCELERATED_BATCH = 1 << 26
"""Entries of a batch: larger matrices gain nothing from company, and memory stays bounded."""


@dataclass(frozen=True)
class Steps:
    """How tensors of one group turn into steps: their direction, layout and scaling; in batches or not."""

    direction: Direction
    layout: Layout
    scale: Scale
    batched: bool = True

    def factor(self, rows: int, columns: int) -> float:
        """Return what a direction [rows, columns] is multiplied by, apart from the learning rate."""
        length = None if self.direction.length is None else self.direction.length(rows, columns)
        return scale_of(self.scale, rows, columns, length) / self.direction.divisor(rows, columns)


def decay(params: list[Tensor], lr: Number, weight_decay: Number) -> None:
    """Multiply parameters by 1 - lr · weight_decay, in place."""
    if isinstance(weight_decay, Tensor) or weight_decay != 0:
        torch._foreach_mul_(params, 1 - scalar(lr) * scalar(weight_decay))


def move(params: list[Tensor], signals: list[Tensor], lr: Number, steps: Steps) -> None:
    """Step parameters along the directions of their signals, in place; the signals stay as they are.

    Each logical matrix moves by -lr · scale · D(S).
    """
    whole: list[tuple[Tensor, Tensor, float]] = []
    buckets: dict[tuple[int, int, torch.dtype, torch.device], list[tuple[Tensor, Tensor]]] = {}
    for param, signal in zip(params, signals, strict=True):
        shapes = steps.layout.shapes(tuple(param.shape))
        if steps.direction.of_tensors is not None and len(shapes) == 1 and shapes[0][0] == 1:
            whole.append((param, signal, steps.factor(*shapes[0][1:])))
            continue
        views = zip(steps.layout.strided_views(param), steps.layout.views(signal), strict=True)
        for view, matrices in views:
            key = (matrices.shape[-2], matrices.shape[-1], matrices.dtype, matrices.device)
            buckets.setdefault(key, []).append((view, matrices))
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
        own = torch._foreach_mul(directions, factors)
        torch._foreach_mul_(own, -scalar(lr))
        torch._foreach_add_(params, own)
    elif all(factor == factors[0] for factor in factors):
        torch._foreach_add_(params, directions, alpha=-lr * factors[0])
    else:
        torch._foreach_add_(params, torch._foreach_mul(directions, factors), alpha=-lr)
