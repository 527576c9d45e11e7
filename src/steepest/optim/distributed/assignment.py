"""Which rank computes what: the most costly first, each to the rank with the least to do so far."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["assigned"]


def assigned(
    costs: Sequence[float], candidates: Sequence[tuple[int, ...]], loads: list[float]
) -> tuple[int, ...]:
    """Return the rank of each unit, the same on every rank; the loads grow by what is assigned.

    No rank then has more to do than the least busy one and its own most costly unit, if every rank is a
    candidate for everything.

    Args:
        costs: of the units.
        candidates: the ranks that may compute each; none are all ranks.
        loads: what each rank has to do already.

    >>> assigned([1.0, 4.0, 2.0, 1.0], [(), (), (), (0,)], [0.0, 0.0])
    (1, 0, 1, 0)
    """
    found = [0] * len(costs)
    for index in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
        rank = min(candidates[index] or range(len(loads)), key=lambda rank: (loads[rank], rank))
        loads[rank] += costs[index]
        found[index] = rank
    return tuple(found)
