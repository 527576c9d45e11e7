"""Plans: what each rank computes of the parameters of a group, the same on every rank."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from steepest.optim.distributed.assignment import assigned
from steepest.optim.distributed.buckets import Bucket
from steepest.optim.distributed.lengths import Block, block
from steepest.optim.distributed.spreads import Spread, copied, sharded
from steepest.optim.distributed.teams import Team, team_of
from steepest.optim.distributed.units import Unit, units
from steepest.optim.options import real_shape
from steepest.optim.shards import is_sharded, local
from steepest.optim.update import Steps

__all__ = ["Plan", "Plans"]

_UNITS_A_RANK = 4
"""Units are made at least so small that this many would be a rank's share of all work."""


@dataclass(frozen=True)
class Plan:
    """What the ranks of one team do for parameters of one group.

    Args:
        team: the ranks.
        params: the parameters, by the numbers of which everything else names them.
        spreads: how they lie.
        whole: numbers of those that every rank moves by itself.
        blocks: what this rank holds of those whose directions need lengths at most.
        buckets: the matrices of all others.
    """

    team: Team
    params: tuple[Tensor, ...]
    spreads: tuple[Spread, ...]
    whole: tuple[int, ...]
    blocks: tuple[Block, ...]
    buckets: tuple[Bucket, ...]


class Plans:
    """What an optimiser keeps of its distribution: teams, and the plans of all its groups.

    Args:
        given: process group or mesh whose ranks hold copies of all parameters that are no DTensors; None if
            each process has its own.

    Raises:
        InvalidArgument: no process group and no mesh.
    """

    def __init__(self, given: object = None):
        self._copies = None if given is None else team_of(given)
        self._teams: dict[Any, Team] = {}
        self._key: list[Any] = []
        self._plans: list[list[Plan]] = []

    def shares(self, param: Tensor) -> bool:
        """Return whether other ranks hold a parameter too."""
        return self._copies is not None or is_sharded(param)

    def of(self, groups: Sequence[dict[str, Any]], steps: Sequence[Steps]) -> list[list[Plan]]:
        """Return the plans of each group, made anew where parameters, norms or layouts have changed.

        Raises:
            InvalidArgument: a parameter lies on its ranks in a way that cannot be used.
        """
        key = [(group["norm"], str(group["layout"]), list(map(id, group["params"]))) for group in groups]
        if key != self._key:
            loads: dict[Team, list[float]] = {}
            self._plans = [
                list(self._made(group, own, loads)) for group, own in zip(groups, steps, strict=True)
            ]
            self._key = key
        return self._plans

    def _made(self, group: dict[str, Any], steps: Steps, loads: dict[Team, list[float]]) -> Iterator[Plan]:
        by_team: dict[Team, list[Tensor]] = {}
        for param in group["params"]:
            team = self._team(param)
            if team is not None and param.numel():
                by_team.setdefault(team, []).append(param)
        for team, params in by_team.items():
            yield _plan(team, params, steps, loads.setdefault(team, [0.0] * team.size))

    def _team(self, param: Any) -> Team | None:
        if not is_sharded(param):
            return self._copies
        mesh = param.device_mesh
        if mesh.get_coordinate() is None:
            return None  # What lies on other ranks alone is stepped there.
        if mesh not in self._teams:
            self._teams[mesh] = team_of(mesh)
        return self._teams[mesh]


def _plan(team: Team, params: Sequence[Tensor], steps: Steps, loads: list[float]) -> Plan:
    spreads = [
        sharded(param, real_shape(param), team) if is_sharded(param) else copied(real_shape(param), team)
        for param in params
    ]
    over = steps.direction.over
    if over is None:
        buckets = _buckets(team, params, spreads, steps, loads)
        return Plan(team, tuple(params), tuple(spreads), (), (), tuple(buckets))
    whole = [number for number, spread in enumerate(spreads) if spread.is_copied]
    blocks = [
        block(number, part, spread, team.own, over)
        for number, spread in enumerate(spreads)
        if not spread.is_copied
        for part in steps.parts(spread.shape)
        if math.prod(part.shape)
    ]
    return Plan(team, tuple(params), tuple(spreads), tuple(whole), tuple(blocks), ())


def _buckets(
    team: Team, params: Sequence[Tensor], spreads: Sequence[Spread], steps: Steps, loads: list[float]
) -> Iterator[Bucket]:
    parts = [(number, part) for number, spread in enumerate(spreads) for part in steps.parts(spread.shape)]
    total = sum(_cost(part.shape) for _, part in parts)
    found: list[tuple[Unit, tuple[int, ...]]] = []
    for number, part in parts:
        each = _cost((1, *part.shape[1:]))
        share = total / (_UNITS_A_RANK * team.size)
        found += units(number, part, spreads[number], max(1, int(share // each)) if each else 1)
    owners = assigned([_cost(unit.shape) for unit, _ in found], [holders for _, holders in found], loads)
    keyed: dict[Any, list[int]] = {}
    for index, (unit, _) in enumerate(found):
        own = local(params[unit.param].detach())
        keyed.setdefault((*unit.shape[1:], own.dtype, own.device), []).append(index)
    for (*_, dtype, device), indices in keyed.items():
        yield Bucket(
            team,
            dict(enumerate(spreads)),
            tuple(found[index][0] for index in indices),
            tuple(owners[index] for index in indices),
            tuple(owners[index] in found[index][1] for index in indices),
            dtype,
            device,
        )


def _cost(shape: tuple[int, int, int]) -> float:
    matrices, rows, columns = shape
    return float(matrices) * rows * columns * min(rows, columns)
