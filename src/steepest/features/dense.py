"""Arrays in memory and arrays in files that are mapped into memory: both are slices of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from steepest.features.protocol import Block, Result, rows_of_a_block

__all__ = ["DenseRows"]


@dataclass(frozen=True)
class DenseRows:
    """Rows of an array of float32 or float64.

    >>> rows = DenseRows(np.eye(3, dtype=np.float32))
    >>> rows.take(np.array([2, 0])).tolist(), list(rows.scan(lambda start, block: (start, block.shape), 1))
    ([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [(0, (3, 3))])
    """

    array: np.ndarray
    """Shape [n, d], in memory or a memory map, of which nothing is read before it is needed."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and of features, (n, d)."""
        return self.array.shape[0], self.array.shape[1]

    @property
    def becomes_array(self) -> bool:
        """Whether they may become an array: they do."""
        return True

    def scan(self, visit: Callable[[int, Block], Result], width: int) -> Iterator[Result]:
        """Yield ``visit(start, block)`` of all blocks, in order; for ``width`` see :class:`Rows`."""
        n, d = self.shape
        step = rows_of_a_block(max(width, d))
        for start in range(0, n, step):
            yield visit(start, np.asarray(self.array[start : start + step]))

    def in_memory(self) -> np.ndarray:
        """Return all rows as an array of float64 that cannot be written to."""
        array = np.array(self.array, dtype=np.float64)
        array.setflags(write=False)
        return array

    def take(self, rows: np.ndarray) -> Block:
        """Return some rows in float64."""
        return np.asarray(self.array[rows], dtype=np.float64)
