"""Ranks that work on the same parameters, and the collectives between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Ranks that work together, known here by their places among themselves.

    Args:
        ranks: the global rank at each place.
        own: the place of this process.
        group: their process group. None where there is none, as for a mesh of several axes that has not all
            ranks: making one takes ranks that it does not concern, so these send from each to each.
    """

    ranks: tuple[int, ...]
    own: int
    group: dist.ProcessGroup | None

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self.ranks)

    def all_to_all(self, sent: Tensor, counts: list[int], received: list[int]) -> Tensor:
        """Return what the ranks send here, one after the other; ``sent`` is for each of them in order."""
        found = sent.new_empty(sum(received))
        if self.group is None:
            self._call(lambda: self._exchange(sent.split(counts), found.split(received)))
        else:
            self._call(lambda: dist.all_to_all_single(found, sent, received, counts, group=self.group))
        return found

    def all_gather(self, own: Tensor) -> Tensor:
        """Return [ranks, ...]: a tensor of the same shape from each."""
        flat = own.reshape(-1)
        found = own.new_empty((self.size, len(flat)))
        if self.group is None:
            self._call(lambda: self._exchange([flat] * self.size, list(found)))
        else:
            self._call(lambda: dist.all_gather_single(found.view(-1), flat, group=self.group))
        return found.view(self.size, *own.shape)

    def all_reduce(self, own: Tensor) -> Tensor:
        """Return the sum over all ranks, in place."""
        if self.group is None:
            return own.copy_(self.all_gather(own).sum(0))
        self._call(lambda: dist.all_reduce(own, group=self.group))
        return own

    def broadcast(self, tensor: Tensor, place: int) -> Tensor:
        """Return what the rank at a place has, in place."""
        if self.group is None:
            counts = [tensor.numel() if self.own == place else 0] * self.size
            received = [tensor.numel() if rank == place else 0 for rank in range(self.size)]
            sent = tensor.reshape(-1).repeat(self.size if self.own == place else 0)
            return tensor.copy_(self.all_to_all(sent, counts, received).view_as(tensor))
        self._call(lambda: dist.broadcast(tensor, self.ranks[place], group=self.group))
        return tensor

    def _exchange(self, sent: Sequence[Tensor], received: Sequence[Tensor]) -> None:
        received[self.own].copy_(sent[self.own])
        others = [place for place in range(self.size) if place != self.own]
        calls = [
            *(
                dist.P2POp(dist.irecv, received[place], self.ranks[place])
                for place in others
                if received[place].numel()
            ),
            *(
                dist.P2POp(dist.isend, sent[place], self.ranks[place])
                for place in others
                if sent[place].numel()
            ),
        ]
        for work in dist.batch_isend_irecv(calls) if calls else ():
            work.wait()

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

    Raises:
        InvalidArgument: neither, or one that this process is not part of.
    """
    remedy = "give a process group or a DeviceMesh that this process is part of"
    rank = dist.get_rank() if dist.is_initialized() else -1
    if isinstance(given, DeviceMesh):
        ranks = tuple(sorted(torch.flatten(given.mesh).tolist()))
        group = _group_of(given) if rank in ranks else None
        # Groups have an order of their own.
        ranks = ranks if group is None else tuple(dist.get_process_group_ranks(group))
    elif isinstance(given, dist.ProcessGroup):
        group, ranks = given, tuple(dist.get_process_group_ranks(given))
    else:
        raise InvalidArgument("distributed", given, remedy)
    if rank not in ranks:
        raise InvalidArgument("distributed", given, remedy)
    return Team(ranks, ranks.index(rank), group)


def _group_of(mesh: DeviceMesh) -> dist.ProcessGroup | None:
    if mesh.ndim == 1:
        return mesh.get_group()
    return dist.group.WORLD if mesh.size() == dist.get_world_size() else None
