"""Which indices of an axis a rank or a matrix has: runs, half-open and ascending, as they lie in memory."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Overlap", "Runs", "chunk", "merged", "overlaps", "size"]

Runs = tuple[tuple[int, int], ...]
"""Starts and stops. What is stored of an axis is the entries of its runs, one run after the other."""


class Overlap(NamedTuple):
    """A run that two have in common: where it starts in what each of them stores, and how long it is."""

    mine: int
    theirs: int
    length: int


def size(runs: Runs) -> int:
    """Return how many indices there are.

    >>> size(((0, 2), (6, 9)))
    5
    """
    return sum(stop - start for start, stop in runs)


def chunk(runs: Runs, count: int, index: int) -> Runs:
    """Return one of the chunks into which ``torch.chunk`` cuts what is stored: the last ones may be empty.

    >>> [chunk(((0, 3),), 4, index) for index in range(4)], chunk(((0, 2), (6, 8)), 2, 1)
    ([((0, 1),), ((1, 2),), ((2, 3),), ()], ((6, 8),))
    """
    length = -(-size(runs) // count)
    low, high = index * length, (index + 1) * length
    found = []
    position = 0
    for start, stop in runs:
        first = start + max(0, low - position)
        last = start + min(stop - start, high - position)
        if first < last:
            found.append((first, last))
        position += stop - start
    return tuple(found)


def merged(runs: Runs) -> Runs:
    """Return the same indices in as few runs as there can be.

    >>> merged(((0, 2), (2, 3), (5, 6)))
    ((0, 3), (5, 6))
    """
    found: list[tuple[int, int]] = []
    for start, stop in runs:
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], stop
        else:
            found.append((start, stop))
    return tuple(found)


def overlaps(mine: Runs, theirs: Runs) -> list[Overlap]:
    """Return the runs that two have in common, in ascending order.

    >>> overlaps(((2, 6),), ((0, 3), (5, 9)))
    [Overlap(mine=0, theirs=2, length=1), Overlap(mine=3, theirs=3, length=1)]
    """
    found = []
    before = 0
    for start, stop in mine:
        others = 0
        for low, high in theirs:
            first, last = max(start, low), min(stop, high)
            if first < last:
                found.append(Overlap(before + first - start, others + first - low, last - first))
            others += high - low
        before += stop - start
    return found
