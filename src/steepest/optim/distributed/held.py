"""What a process holds of the parameters of a plan, and the agreement on which of them are stepped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from steepest.errors import InvalidArgument
from steepest.optim.averages import BUFFER, Averages, averages_of, make_averages
from steepest.optim.distributed.planning import Plan
from steepest.optim.distributed.runs import size
from steepest.optim.gradients import dense_gradient
from steepest.optim.lists import neg
from steepest.optim.momentum import Signals, averaged
from steepest.optim.shards import is_sharded, local

__all__ = ["Held"]


class Held:
    """What this process holds of a plan's parameters, their gradients and averages, as plain tensors.

    A parameter is stepped if any rank has a gradient of it. Where a rank has none of a shard, that shard of
    the gradient is 0; where it has none of a copy, it is given that of the first rank that has.

    Averages are brought forward at once where there is a gradient. Where there is none, a copy of the average
    is, as long as it is not known whether other ranks have one.
    """

    def __init__(self, plan: Plan, state: Any, group: Mapping[str, Any]):
        self._plan, self._state, self._group = plan, state, group
        self.params = [local(param) for param in plan.params]
        self._has = [param.grad is not None for param in plan.params]
        grads = [self._gradient(number) for number in range(len(plan.params))]
        averages = None
        if group["momentum"]:
            # Of all parameters, so that every rank has the same state, also of those never trained: a
            # checkpoint is loaded into an optimiser that has them all.
            make_averages(state, list(plan.params), group["momentum_dtype"])
            averages = averages_of(state, list(plan.params))
            if averages.in_full:
                # Those kept otherwise are brought forward in copies anyhow.
                pairs = zip(averages.kept, self._has, strict=True)
                averages = replace(averages, kept=[own if has else own.clone() for own, has in pairs])
        self._grads, self._averages = grads, averages
        self._signals = averaged(grads, averages, group["momentum"], group["nesterov"])
        self._found: dict[int, Tensor] = {}

    def flags(self) -> Tensor:
        """Return for each parameter whether this rank has a gradient of it."""
        return torch.tensor(self._has, dtype=torch.uint8, device=self.params[0].device)

    def signal(self, number: int) -> Tensor:
        """Return the signal of a parameter."""
        if number not in self._found:
            (self._found[number],) = self._signals.of([number])
        return self._found[number]

    def forget(self) -> None:
        """Drop the signals that have been computed."""
        self._found.clear()

    def signals_of(self, numbers: Sequence[int]) -> Signals:
        """Return the signals of some parameters, by their places among these."""
        grads = [self._grads[number] for number in numbers]
        averages = None if self._averages is None else self._averages.some(numbers)
        return replace(self._signals, grads=grads, averages=averages)

    def agree(self, has: Tensor) -> list[int]:
        """Return which parameters are stepped, given [ranks, parameters]: which rank has which gradient."""
        table = has.T.tolist()
        trained = [number for number, own in enumerate(table) if any(own)]
        for number in trained:
            if not all(table[number]):
                self._take_part(number, table[number])
        return trained

    def _take_part(self, number: int, has: list[bool]) -> None:
        """Bring a parameter's average forward here too, if only other ranks have a gradient of it."""
        spread = self._plan.spreads[number]
        source = has.index(True)
        if spread.is_copied:
            shared = self._plan.team.broadcast(
                self._grads[number].clone(memory_format=torch.contiguous_format), source
            )
        else:
            by_copy: dict[tuple[Any, ...], set[bool]] = {}
            for runs, own in zip(spread.runs, has, strict=True):
                if all(map(size, runs)):
                    by_copy.setdefault(runs, set()).add(own)
            if any(len(each) > 1 for each in by_copy.values()):
                remedy = (
                    "ranks that hold copies of one shard need its gradient all, or none of them: reduce it"
                )
                raise InvalidArgument("grad", f"None on some ranks for shape {list(spread.shape)}", remedy)
            shared = self._grads[number]
        if self._has[number]:
            return
        self._grads[number] = shared
        if self._averages is not None and self._averages.in_full:
            average = local(self._state[self._plan.params[number]][BUFFER])
            averaged([shared], Averages([average]), self._group["momentum"], nesterov=False)
            self._averages.kept[number] = average

    def _gradient(self, number: int) -> Tensor:
        """Return what this rank holds of a gradient, upwards; 0 where it has none."""
        param: Any = self._plan.params[number]
        if not self._has[number]:
            return torch.zeros_like(self.params[number])
        grad: Any = dense_gradient(param)
        if is_sharded(param) and grad.placements != param.placements:
            grad = grad.redistribute(placements=param.placements)
        own = local(grad)
        return neg([own])[0] if self._group["maximize"] else own
