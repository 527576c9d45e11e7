"""How tensors lie on the ranks of a team: which indices of each axis each holds, and which hold copies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from steepest.errors import InvalidArgument
from steepest.optim.distributed.runs import Runs, chunk, size
from steepest.optim.distributed.teams import Team
from steepest.optim.shards import local

__all__ = ["Spread", "copied", "sharded"]


@dataclass(frozen=True)
class Spread:
    """How one tensor lies on the ranks of a team.

    Args:
        shape: of the whole tensor.
        runs: for each rank and each axis the indices that it holds.
        copies: for each rank the number of the copy that it holds a part of; the ranks of one number hold
            the tensor once.
    """

    shape: tuple[int, ...]
    runs: tuple[tuple[Runs, ...], ...]
    copies: tuple[int, ...]

    @property
    def is_copied(self) -> bool:
        """Whether every rank holds the whole tensor."""
        return len(set(self.copies)) == len(self.copies)


def copied(shape: tuple[int, ...], team: Team) -> Spread:
    """Return the spread of a tensor of which every rank holds a copy."""
    whole = tuple(((0, length),) for length in shape)
    return Spread(shape, (whole,) * team.size, tuple(range(team.size)))


def sharded(tensor: Any, shape: tuple[int, ...], team: Team, name: str = "params") -> Spread:
    """Return the spread of a DTensor, given the shape of it or of its real view.

    Raises:
        InvalidArgument: a placement by which no rank has its entries, as of sums that are still to be taken;
            or shards that do not lie as the placements say.
    """
    mesh = tensor.device_mesh
    kinds = [_kind(placement, name) for placement in tensor.placements]
    runs, copies = [], []
    for rank in team.ranks:
        place = (mesh.mesh == rank).nonzero()[0].tolist()
        axes: list[Runs] = [((0, length),) for length in shape]
        for axis, index in _order(kinds, tensor.placements, tuple(mesh.mesh.shape), name):
            axes[axis] = chunk(axes[axis], mesh.mesh.shape[index], place[index])
        runs.append(tuple(axes))
        copy = 0
        for kind, length, index in zip(kinds, mesh.mesh.shape, place, strict=True):
            copy = copy * length + index if kind is None else copy
        copies.append(copy)
    held = tuple(size(axis) for axis in runs[team.own])
    own = tuple(local(tensor.detach()).shape)
    if own != held:
        remedy = f"the placements {list(tensor.placements)} say that this rank holds {list(held)}"
        raise InvalidArgument(name, f"shard of shape {list(own)}", remedy)
    return Spread(shape, tuple(runs), tuple(copies))


def _kind(placement: Any, name: str) -> int | None:
    """Return the axis that is sharded; None for copies."""
    if placement.is_replicate():
        return None
    axis = getattr(placement, "dim", None)
    if placement.is_partial() or not isinstance(axis, int):
        remedy = "no rank has the entries of such a parameter: distribute it with Shard or Replicate"
        raise InvalidArgument(name, placement, remedy)
    return axis


def _order(
    kinds: list[int | None], placements: Any, lengths: tuple[int, ...], name: str
) -> list[tuple[int, int]]:
    """Return the axes of the tensor and of the mesh in the order in which the one is cut along the other.

    FSDP2 cuts what tensor parallelism has cut before, though its axis of the mesh comes first: its placement
    then has a split factor, the number of shards that were there.
    """
    first, later = [], []
    for index, (axis, placement) in enumerate(zip(kinds, placements, strict=True)):
        if axis is None:
            continue
        factor = getattr(placement, "split_factor", None)
        if factor is None:
            first.append((axis, index))
            continue
        later.insert(0, (axis, index))
        right = [lengths[other] for other in range(index + 1, len(kinds)) if kinds[other] == axis]
        if factor != math.prod(right):
            remedy = f"it is cut {factor} times before, but by axes of the mesh {math.prod(right)} times"
            raise InvalidArgument(name, placement, remedy)
    return [*first, *later]
