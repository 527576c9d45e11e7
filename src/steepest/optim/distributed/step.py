"""One step of the parameters of a plan: every rank of its team takes it together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from steepest.errors import InvalidArgument
from steepest.optim.distributed.buckets import Bucket
from steepest.optim.distributed.held import Held
from steepest.optim.distributed.lengths import combined
from steepest.optim.distributed.planning import Plan, Plans
from steepest.optim.lengths import over_given
from steepest.optim.update import Number, Steps, add, batches, decay, move

__all__ = ["Distribution"]


class Distribution:
    """What an optimiser of parameters that other processes hold too needs beyond its own steps.

    Args:
        given: process group or mesh whose ranks hold copies of all parameters that are no DTensors; None if
            each process has its own.

    Raises:
        InvalidArgument: no process group and no mesh.
    """

    def __init__(self, given: object = None):
        self._plans = Plans(given)

    def shares(self, param: Tensor) -> bool:
        """Return whether other ranks hold a parameter too."""
        return self._plans.shares(param)

    @torch.compiler.disable
    def step(self, groups: Sequence[dict[str, Any]], steps: Sequence[Steps], state: Any) -> None:
        """Take a step of all parameters that other ranks hold too.

        Raises:
            InvalidArgument: a parameter lies on its ranks in a way that cannot be used, or the step itself is
                to be differentiated.
            RunError: another rank has ended.
        """
        if any(group["differentiable"] for group in groups):
            remedy = "steps of parameters that several processes hold are not recorded: leave it out"
            raise InvalidArgument("differentiable", True, remedy)
        with torch.no_grad():
            for group, own, plans in zip(groups, steps, self._plans.of(groups, steps), strict=True):
                for plan in plans:
                    _step_plan(plan, state, own, group)


def _step_plan(plan: Plan, state: Any, steps: Steps, group: dict[str, Any]) -> None:
    """Take a step of a plan's parameters, in place; errors as of :meth:`Distribution.step`."""
    held = Held(plan, state, group)
    gathering = [place for place, bucket in enumerate(plan.buckets) if bucket.gathers]
    gathered: dict[int, dict[int, Tensor]] = {}
    if gathering:
        # The same collective tells who has gradients, so that two are enough for a bucket.
        first = gathering[0]
        gathered[first], has = plan.buckets[first].gather(held.signal, held.flags())
    else:
        has = plan.team.all_gather(held.flags())
    trained = frozenset(held.agree(has > 0))
    lr: Number = group["lr"]
    decay([held.params[number] for number in sorted(trained)], lr, group["weight_decay"])
    whole = [number for number in plan.whole if number in trained]
    if whole:
        move([held.params[number] for number in whole], held.signals_of(whole), lr, steps)
    _move_blocks(plan, held, trained, steps, lr)
    for place, bucket in enumerate(plan.buckets):
        held.forget()
        _move_bucket(bucket, gathered.pop(place, None), held, trained, steps, lr)
    held.signals_of(sorted(trained)).keep()


def _move_blocks(plan: Plan, held: Held, trained: frozenset[int], steps: Steps, lr: Number) -> None:
    lengths: list[Tensor] = []
    if steps.direction.over:
        lengths = [each.lengths(held.signal(each.param)) for each in plan.blocks]
        cut = [place for place, each in enumerate(plan.blocks) if each.is_cut]
        if cut:
            shared = combined(
                [plan.blocks[place] for place in cut], [lengths[place] for place in cut], plan.team
            )
            for place, each in zip(cut, shared, strict=True):
                lengths[place] = each
    for place, each in enumerate(plan.blocks):
        if each.param not in trained:
            continue
        signal, factor = held.signal(each.param), steps.factor(*each.matrix)
        for piece in each.pieces:
            own = signal[piece.local]
            found = over_given(own, each.spread_out(lengths[place], piece)) if lengths else own.sign()
            add([held.params[each.param][piece.local]], [found], lr, [factor])


def _move_bucket(
    bucket: Bucket,
    gathered: dict[int, Tensor] | None,
    held: Held,
    trained: frozenset[int],
    steps: Steps,
    lr: Number,
) -> None:
    boxes = gathered or {}
    if bucket.gathers and gathered is None:
        boxes, _ = bucket.gather(held.signal, torch.empty(0, device=bucket.device))
    own = [index for index in bucket.own if bucket.units[index].param in trained]
    directions: dict[int, Tensor] = {}
    for batch in batches([(index, bucket.units[index]) for index in own], bucket.device, steps.batched):
        matrices = []
        for index, unit in batch:
            box = boxes.pop(index) if index in boxes else bucket.box_at_home(index, held.signal(unit.param))
            matrices.append(unit.matrices(box))
        found = steps.direction.of_matrices(torch.cat(matrices)).split([unit.shape[0] for _, unit in batch])
        directions.update((index, unit.boxed(each)) for (index, unit), each in zip(batch, found, strict=True))
    views, pieces = [], []
    for index, piece, direction in bucket.send(directions):
        number = bucket.units[index].param
        if number in trained:
            views.append(held.params[number][piece.local])
            pieces.append(direction)
    if views:
        add(views, pieces, lr, [steps.factor(*bucket.units[0].shape[1:])] * len(views))
