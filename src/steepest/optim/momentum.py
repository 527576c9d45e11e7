"""Momentum of tensors: an exponential moving average of gradients, with Nesterov's look ahead or without.

M_t = β M_{t-1} + (1 - β) G_t with M_{-1} = 0 is the average of the paper and of Muon's and Signum's authors.
The sum of PyTorch's SGD, B_t = β B_{t-1} + G_t, is M_t / (1 - β) exactly. Nesterov's form steps along
(1 - β) G_t + β M_t here and along G_t + β B_t there, which is the former over 1 - β. As a direction of
steepest descent does not change when its signal is multiplied by a number above 0, both forms take the same
steps for the same β and lr: no learning rate has to be converted, unlike in SGD. (torch.optim.Muon keeps M_t,
though its documentation prints B_t.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from steepest.optim.averages import Averages
from steepest.optim.layouts import Part
from steepest.optim.lists import lerp, lerp_

__all__ = ["Signals", "averaged"]

_LARGEST_BATCH = 1 << 16
"""Entries of averages that are written at once, so that the processor's cache holds them."""


@dataclass(frozen=True)
class Signals:
    """What directions are taken of: gradients, averages, or a look ahead from both.

    They are computed when they are asked for, a batch at a time, so that no step holds a copy of all.

    >>> signals = averaged([torch.tensor([8.0])], Averages([torch.zeros(1)]), 0.75, nesterov=True)
    >>> signals.of([0]), signals.averages.kept
    ([tensor([3.5000])], [tensor([2.])])
    """

    grads: list[Tensor]
    averages: Averages | None
    momentum: float
    nesterov: bool

    def of(self, indices: list[int]) -> list[Tensor]:
        """Return the signals of some parameters, in the shapes of these."""
        if self.averages is None:
            return [self.grads[index] for index in indices]
        averages = self._forward(self.averages, indices)
        if not self.nesterov:
            return averages
        return lerp([self.grads[index] for index in indices], averages, self.momentum)

    def matrices(self, places: list[tuple[int, Part]]) -> list[Tensor]:
        """Return the logical matrices [b, k, d] of parts of parameters."""
        if self.averages is None:
            return [part.matrices(self.grads[index]) for index, part in places]
        indices = list(dict.fromkeys(index for index, _ in places))
        found = dict(zip(indices, self._forward(self.averages, indices), strict=True))
        averages = [part.matrices(found[index]) for index, part in places]
        if not self.nesterov:
            return averages
        return lerp([part.matrices(self.grads[index]) for index, part in places], averages, self.momentum)

    def keep(self) -> None:
        """Write the averages that are not kept in full, after the last signal has been read."""
        if self.averages is None or self.averages.in_full:
            return
        averages, grads = self.averages, self.grads
        if not torch.compiler.is_compiling():
            averages, grads = averages.cut(grads, _LARGEST_BATCH)
        for indices in _batches(grads):
            values = averages.read(indices)
            lerp_(values, [grads[index] for index in indices], 1 - self.momentum)
            averages.write(indices, values)

    def _forward(self, averages: Averages, indices: list[int]) -> list[Tensor]:
        """Return averages with the newest gradient in them."""
        read = averages.read(indices)
        if averages.in_full and torch.is_grad_enabled():
            # What a derivative is taken of stays as it is, though the next step brings averages forward.
            read = [each.clone() for each in read]
        if not averages.in_full:
            # They have been copied.
            lerp_(read, [self.grads[index] for index in indices], 1 - self.momentum)
        return read


def averaged(grads: list[Tensor], averages: Averages | None, momentum: float, nesterov: bool) -> Signals:
    """Return signals of averages that are brought forward in place, where they are kept in full.

    Others are brought forward whenever they are read, so that a signal has the gradient as it is and no
    rounding of its own average; :meth:`Signals.keep` is for the end of the step. Gradients stay as they are.
    """
    if averages is not None and averages.in_full:
        lerp_(averages.kept, grads, 1 - momentum)
    return Signals(grads, averages, momentum, nesterov)


def _batches(tensors: list[Tensor]) -> Iterator[list[int]]:
    batch: list[int] = []
    entries = 0
    for index, each in enumerate(tensors):
        alike = not batch or _alike(each, tensors[batch[0]])
        if batch and (not alike or entries + each.numel() > _LARGEST_BATCH):
            yield batch
            batch, entries = [], 0
        batch.append(index)
        entries += each.numel()
    if batch:
        yield batch


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.device == other.device
