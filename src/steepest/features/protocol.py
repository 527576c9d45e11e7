"""What scans ask of features, and how large their blocks are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np

__all__ = ["Block", "Result", "Rows", "rows_of_a_block"]

Block = Any
"""Some rows: an array [r, d] of float32 or float64, or a sparse.csr_array of float64."""

Result = TypeVar("Result")

_ENTRIES = 1 << 22
"""Numbers of a block, or of what is computed for each of its rows: 32 MB in float64."""


class Rows(Protocol):
    """Features of n samples, shape [n, d], finite and all of them exact in float64."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and of features, (n, d)."""
        ...

    @property
    def becomes_array(self) -> bool:
        """Whether they may become an array in memory unasked, where that is small."""
        ...

    def scan(self, visit: Callable[[int, Block], Result], width: int) -> Iterator[Result]:
        """Yield ``visit(start, block)`` of all blocks, in order, a block beginning at row ``start``.

        ``width`` is how many numbers the visit makes of a row, such as the number of classes.
        """
        ...

    def in_memory(self) -> np.ndarray:
        """Return all rows as an array of float64 in memory.

        Raises:
            InvalidData: rows that are sparse, which do not become dense unasked.
        """
        ...

    def take(self, rows: np.ndarray) -> Block:
        """Return some rows in float64, in memory, in the order given."""
        ...


def rows_of_a_block(width: int) -> int:
    """Rows of a block whose visit makes ``width`` numbers of each.

    >>> rows_of_a_block(512)
    8192
    """
    return max(1, _ENTRIES // max(width, 1))
