"""Ranks that work on the same parameters, and the collectives between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from steepest.errors import InvalidArgument, RunError

__all__ = ["Team", "team_of"]


@dataclass(frozen=True, eq=False)
class Team:
    """The ranks of a process group, known here by their places in it.

    Args:
        group: the process group.
        ranks: the global rank at each place.
        own: the place of this process.
    """

    group: dist.ProcessGroup
    ranks: tuple[int, ...]
    own: int

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self.ranks)

    def all_to_all(self, sent: Tensor, counts: list[int], received: list[int]) -> Tensor:
        """Return what the ranks send here, one after the other; ``sent`` is for each of them in order."""
        found = sent.new_empty(sum(received))
        self._call(lambda: dist.all_to_all_single(found, sent, received, counts, group=self.group))
        return found

    def all_gather(self, own: Tensor) -> Tensor:
        """Return [ranks, ...]: a tensor of the same shape from each."""
        found = own.new_empty((self.size * own.numel(),))
        self._call(lambda: dist.all_gather_single(found, own.reshape(-1), group=self.group))
        return found.view(self.size, *own.shape)

    def all_reduce(self, own: Tensor) -> Tensor:
        """Return the sum over all ranks, in place."""
        self._call(lambda: dist.all_reduce(own, group=self.group))
        return own

    def broadcast(self, tensor: Tensor, place: int) -> Tensor:
        """Return what the rank at a place has, in place."""
        self._call(lambda: dist.broadcast(tensor, self.ranks[place], group=self.group))
        return tensor

    def _call(self, collective: Callable[[], Any]) -> None:
        try:
            collective()
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise RunError(
                f"rank {self.ranks[self.own]} lost its connection to ranks that it shares parameters with, "
                f"as when one ends: start all of them again from the last checkpoint ({reason})"
            ) from error


def team_of(given: object) -> Team:
    """Return the team of a process group, or of all ranks of a mesh.

    The group of a mesh of several axes is made here, so that all its ranks have to ask for it.

    Raises:
        InvalidArgument: neither, or one that this process is not part of.
    """
    remedy = "give a process group or a DeviceMesh that this process is part of"
    if isinstance(given, DeviceMesh):
        if given.get_coordinate() is None:
            raise InvalidArgument("distributed", given, remedy)
        group = _group_of(given)
    elif isinstance(given, dist.ProcessGroup):
        group = given
    else:
        raise InvalidArgument("distributed", given, remedy)
    ranks = tuple(dist.get_process_group_ranks(group))
    return Team(group, ranks, dist.get_group_rank(group, dist.get_rank()))


def _group_of(mesh: DeviceMesh) -> dist.ProcessGroup:
    if mesh.ndim == 1:
        return mesh.get_group()
    ranks = sorted(torch.flatten(mesh.mesh).tolist())
    world = dist.group.WORLD
    if world is not None and len(ranks) == dist.get_world_size():
        return world
    found = dist.new_group(ranks, use_local_synchronization=True)
    if not isinstance(found, dist.ProcessGroup):
        raise InvalidArgument("distributed", mesh, "give a DeviceMesh that this process is part of")
    return found
