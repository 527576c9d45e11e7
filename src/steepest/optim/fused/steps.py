"""Compiled steps of float32 tensors on the host: which tensors they take, and the steps themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from itertools import pairwise
from operator import attrgetter, countOf
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from steepest.optim.fused.threads import in_threads, threads_for

__all__ = ["Kind", "Pieces", "all_fit", "fitting", "pieces", "step"]

Kind = Literal["sign", "unit"]
"""What a signal becomes: its signs, or itself over its length."""

_PLAIN = {Tensor, torch.nn.Parameter}
_FLOAT32 = torch.float32
_LASTING = {4: torch.channels_last, 5: torch.channels_last_3d}
_BYTES = 4
_LAYOUT, _DTYPE, _IS_CPU = map(attrgetter, ("layout", "dtype", "is_cpu"))


class Pieces(NamedTuple):
    """Tensors, or parts of them, as compiled code takes them: addresses, numbers of entries and rates."""

    params: np.ndarray
    signals: np.ndarray
    averages: np.ndarray | None
    counts: np.ndarray
    rates: np.ndarray

    def cut(self, parts: int, whole: bool) -> Iterator[Pieces]:
        """Yield so many parts of about one size; ``whole`` leaves each tensor in one piece."""
        ends = np.cumsum(self.counts)
        starts = ends - self.counts
        marks = np.arange(parts + 1) * ends[-1] // parts
        if whole:
            marks[1:] = ends[np.searchsorted(ends, marks[1:])]
        for low, high in pairwise(marks):
            if low < high:
                which = slice(np.searchsorted(ends, low, "right"), np.searchsorted(starts, high))
                skipped = np.maximum(low - starts[which], 0)
                counts = np.minimum(high, ends[which]) - starts[which] - skipped
                yield self._part(which, _BYTES * skipped, counts)

    def _part(self, which: slice, skipped: np.ndarray, counts: np.ndarray) -> Pieces:
        averages = None if self.averages is None else self.averages[which] + skipped
        moved, signals = self.params[which] + skipped, self.signals[which] + skipped
        return Pieces(moved, signals, averages, counts, self.rates[which])


def all_fit(params: list[Tensor], grads: list[Tensor | None]) -> bool:
    """Return whether compiled code can step all parameters by dense gradients: quick, and no for doubt.

    >>> all_fit([torch.zeros(3)], [torch.ones(3)]), all_fit([torch.zeros(3)], [None])
    (True, False)
    """
    # What is asked of every tensor costs more than the step of a small one: no Python code runs for any.
    if not {*map(type, params), *map(type, grads)} <= _PLAIN:
        return False
    dense: list[Tensor] = grads  # pyright: ignore[reportAssignmentType]
    return (
        all(map(_IS_CPU, params))
        and countOf(map(_LAYOUT, grads), torch.strided) == len(grads)
        and countOf(map(_DTYPE, params), _FLOAT32) == countOf(map(_DTYPE, grads), _FLOAT32) == len(params)
        and all(map(Tensor.is_contiguous, params))
        and all(map(Tensor.is_contiguous, dense))
    )


def fitting(params: list[Tensor], *others: list[Tensor]) -> list[int]:
    """Return the places of parameters that compiled code can step, entry by entry, with those beside them.

    >>> fitting([torch.zeros(3, 2), torch.zeros(3, 2)], [torch.ones(3, 2), torch.ones(2, 3).T])
    [0]
    """
    every = [*params, *(each for tensors in others for each in tensors)]
    # The usual case, found at the speed of maps: this is asked at every step.
    if (
        {*map(type, every)} <= _PLAIN
        and all(map(Tensor.is_contiguous, every))
        and all(each.dtype == _FLOAT32 and each.is_cpu for each in every)
    ):
        return list(range(len(params)))
    return [index for index, own in enumerate(zip(params, *others, strict=True)) if _fits(*own)]


def _fits(param: Tensor, *others: Tensor) -> bool:
    every = (param, *others)
    plain = all(type(each) in _PLAIN and each.dtype == _FLOAT32 and each.is_cpu for each in every)
    if not plain or any(each.stride() != param.stride() for each in others):
        return plain and all(each.is_contiguous() for each in every)
    lasting = _LASTING.get(param.ndim)
    return param.is_contiguous() or (lasting is not None and param.is_contiguous(memory_format=lasting))


def pieces(
    params: list[Tensor], signals: list[Tensor], averages: list[Tensor] | None, rates: np.ndarray
) -> Pieces:
    """Return tensors as compiled code takes them; they have to live until it is done."""
    counts = np.fromiter(map(Tensor.numel, params), np.intp, len(params))
    kept = None if averages is None else _addresses(averages)
    return Pieces(_addresses(params), _addresses(signals), kept, counts, rates)


def _addresses(tensors: list[Tensor]) -> np.ndarray:
    return np.fromiter(map(Tensor.data_ptr, tensors), np.intp, len(tensors))


def step(kind: Kind, given: Pieces, keep: float, momentum: float, nesterov: bool) -> None:
    """Move each W to keep · W - rate · D(S), where averages are given after bringing these forward.

    Without averages signals are what directions are taken of, with averages gradients; these for signs alone.
    """
    # Imported here: numba is heavy, and small networks never need it.
    kernels = import_module("steepest.optim.fused.kernels")
    threads = threads_for(int(given.counts.sum()))
    parts = [given] if threads == 1 else list(given.cut(threads, kind == "unit"))
    tasks = []
    for part in parts:
        own = (part.counts, part.rates, keep)
        if part.averages is not None:
            signals = (part.params, part.signals, part.averages)
            tasks.append(partial(kernels.average_and_sign, *signals, *own, momentum, nesterov))
        else:
            tasks.append(partial(getattr(kernels, kind), part.params, part.signals, *own))
    in_threads(tasks)
