"""Buckets of logical matrices of one shape: gathered where they are computed, sent where they are held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from steepest.optim.distributed.spreads import Spread
from steepest.optim.distributed.teams import Team
from steepest.optim.distributed.units import Piece, Unit, pieces

__all__ = ["Bucket"]

_WASTE = 2
"""Equal shares may carry so many times what there is: a sum over ranks, without shares, carries it twice."""

Found = tuple[int, Piece, Tensor]
"""A piece that this rank holds of a unit, and the direction there."""


@dataclass(frozen=True, eq=False)
class Bucket:
    """Units of one shape of matrices, each of which has a rank that computes it.

    Args:
        team: the ranks.
        spreads: how the tensors lie, by their numbers.
        units: the units, in the same order on every rank.
        owners: the rank that computes each.
        at_home: whether that rank holds all of it, so that nothing has to be gathered.
        dtype: of the matrices.
        device: where they are.
    """

    team: Team
    spreads: Mapping[int, Spread]
    units: tuple[Unit, ...]
    owners: tuple[int, ...]
    at_home: tuple[bool, ...]
    dtype: torch.dtype
    device: torch.device
    _pieces: dict[tuple[int, int], tuple[Piece, ...]] = field(default_factory=dict)

    @property
    def gathers(self) -> bool:
        """Whether some unit is computed by a rank that does not hold all of it."""
        return not all(self.at_home)

    @property
    def own(self) -> list[int]:
        """The units that this rank computes."""
        return self._of[self.team.own]

    def gather(self, signal: Callable[[int], Tensor], flags: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        """Return the boxes of this rank's units that other ranks hold parts of, by one collective.

        Args:
            signal: what this rank holds of the signal of each tensor.
            flags: whole numbers below 256 that every rank is to learn from every other one.

        Returns:
            The boxes by their units, and [ranks, flags].
        """
        team = self.team
        flags = flags.to(self.device, self.dtype)
        segments, counts = [], []
        for rank in range(team.size):
            segment = [
                signal(self.units[index].param)[piece.local].reshape(-1)
                for index in self._of[rank]
                if self._is_source(index, team.own)
                for piece in self.pieces(index, team.own)
            ]
            segments += [flags, *segment]
            counts.append(len(flags) + sum(map(len, segment)))
        sources = [[index for index in self.own if self._is_source(index, rank)] for rank in range(team.size)]
        received = [
            len(flags) + sum(piece.entries for index in indices for piece in self.pieces(index, rank))
            for rank, indices in enumerate(sources)
        ]
        rest = team.all_to_all(torch.cat(segments), counts, received)
        boxes = {
            index: rest.new_empty(self.units[index].box) for index in self.own if not self.at_home[index]
        }
        heard = []
        for rank, indices in enumerate(sources):
            heard.append(rest[: len(flags)])
            rest = rest[len(flags) :]
            for index in indices:
                for piece in self.pieces(index, rank):
                    boxes[index][piece.box].copy_(rest[: piece.entries].view(piece.shape))
                    rest = rest[piece.entries :]
        return boxes, torch.stack(heard)

    def box_at_home(self, index: int, signal: Tensor) -> Tensor:
        """Return the box of a unit of which this rank holds all."""
        own = self.pieces(index, self.team.own)
        if len(own) == 1:
            return signal[own[0].local]
        box = signal.new_empty(self.units[index].box)
        for piece in own:
            box[piece.box].copy_(signal[piece.local])
        return box

    def send(self, directions: Mapping[int, Tensor]) -> Iterator[Found]:
        """Yield what this rank holds of all directions, by one collective at most.

        Args:
            directions: boxes by the units of this rank; 0 for those that are missing.
        """
        if self._stays:
            for index, box in directions.items():
                yield from ((index, piece, box[piece.box]) for piece in self.pieces(index, self.team.own))
        elif self.team.group is not None and all(self.spreads[unit.param].is_copied for unit in self.units):
            yield from self._received(self._to_all(directions))
        else:
            yield from self._received(self._to_holders(directions))

    def pieces(self, index: int, rank: int) -> tuple[Piece, ...]:
        """Return what a rank holds of a unit."""
        if (index, rank) not in self._pieces:
            unit = self.units[index]
            self._pieces[index, rank] = pieces(unit.runs, self.spreads[unit.param].runs[rank])
        return self._pieces[index, rank]

    @cached_property
    def _of(self) -> list[list[int]]:
        """The units that each rank computes."""
        return [
            [index for index, owner in enumerate(self.owners) if owner == rank]
            for rank in range(self.team.size)
        ]

    @cached_property
    def _stays(self) -> bool:
        """Whether no rank but those that compute the units hold anything of them."""
        return all(
            rank == owner or not self.pieces(index, rank)
            for index, owner in enumerate(self.owners)
            for rank in range(self.team.size)
        )

    def _is_source(self, index: int, rank: int) -> bool:
        """Return whether what a rank holds is sent to the rank of a unit: both have parts of one copy."""
        copies = self.spreads[self.units[index].param].copies
        return not self.at_home[index] and copies[rank] == copies[self.owners[index]]

    def _flat(self, directions: Mapping[int, Tensor], rank: int) -> list[Tensor]:
        """Return what a rank holds of the directions that are computed here."""
        found = []
        for index in self.own:
            for piece in self.pieces(index, rank):
                box = directions.get(index)
                flat = self._zeros(piece.entries) if box is None else box[piece.box].reshape(-1)
                found.append(flat)
        return found

    def _shares(self, rank: int) -> list[int]:
        """Return how many entries a rank is sent from each rank."""
        return [sum(piece.entries for each in of for piece in self.pieces(each, rank)) for of in self._of]

    def _zeros(self, entries: int) -> Tensor:
        return torch.zeros(entries, dtype=self.dtype, device=self.device)

    def _to_holders(self, directions: Mapping[int, Tensor]) -> list[Tensor]:
        """Send to each rank what it holds, and return what comes from each."""
        segments = [self._flat(directions, rank) for rank in range(self.team.size)]
        counts = [sum(map(len, segment)) for segment in segments]
        received = self._shares(self.team.own)
        sent = torch.cat([self._zeros(0), *(flat for segment in segments for flat in segment)])
        return list(self.team.all_to_all(sent, counts, received).split(received))

    def _to_all(self, directions: Mapping[int, Tensor]) -> list[Tensor]:
        """Send all directions to all ranks, which hold copies of the same tensors."""
        own, shares = self.team.own, self._shares(self.team.own)
        share = torch.cat([self._zeros(0), *self._flat(directions, own)])
        if self.team.size * max(shares) <= _WASTE * sum(shares):
            padded = torch.cat([share, self._zeros(max(shares) - len(share))])
            return list(self.team.all_gather(padded))
        total = self._zeros(sum(shares))
        total.split(shares)[own].copy_(share)
        return list(self.team.all_reduce(total).split(shares))

    def _received(self, shares: list[Tensor]) -> Iterator[Found]:
        for indices, share in zip(self._of, shares, strict=True):
            start = 0
            for index in indices:
                for piece in self.pieces(index, self.team.own):
                    yield index, piece, share[start : start + piece.entries].view(piece.shape)
                    start += piece.entries
