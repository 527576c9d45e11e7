"""Features spread over a Dask array: products are made where its chunks are, what they yield comes back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from steepest.errors import InvalidData
from steepest.features.protocol import Block, Result, rows_of_a_block

__all__ = ["SpreadRows", "is_spread", "spread_rows"]

_WAVE = 16
"""Chunks whose results may wait at a time for those before them."""


def is_spread(X: object) -> bool:
    """Whether it is a Dask array, which who made one has imported."""
    module = sys.modules.get("dask.array")
    return module is not None and isinstance(X, module.Array)


def spread_rows(X: Any) -> SpreadRows:
    """Return a Dask array as rows, in chunks of whole rows.

    Raises:
        InvalidData: it has another shape than [n, d], sizes that are not known, or no real numbers.
    """
    if X.ndim != 2 or 0 in X.shape:
        raise InvalidData("X", X.shape, "give features of shape [n, d] with n and d at least 1")
    if np.isnan(X.shape).any():
        raise InvalidData("X", X.shape, "call X.compute_chunk_sizes() first: its rows are not counted")
    if X.dtype.kind not in "fiub":
        raise InvalidData("X", str(X.dtype), "give a Dask array of real numbers, shape [n, d]")
    # Float32 stays as it is: all of its values are exact in float64.
    X = X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    return SpreadRows(X.rechunk({1: -1}))


@dataclass(frozen=True)
class SpreadRows:
    """Rows of a Dask array, computed by its scheduler: a cluster's where a client is connected.

    >>> import dask.array
    >>> rows = spread_rows(dask.array.from_array(np.eye(4), chunks=(2, 4)))
    >>> list(rows.scan(lambda start, block: (start, float(block.sum())), 1))
    [(0, 2.0), (2, 2.0)]
    >>> rows.take(np.array([3, 0])).tolist()
    [[0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]]
    """

    array: Any
    """A dask.array of shape [n, d], each chunk of whole rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and of features, (n, d)."""
        return int(self.array.shape[0]), int(self.array.shape[1])

    @property
    def becomes_array(self) -> bool:
        """Whether they may become an array: they do not."""
        return False

    def scan(self, visit: Callable[[int, Block], Result], width: int) -> Iterator[Result]:
        """Yield ``visit(start, block)`` of all blocks, in order; each is visited where it is, some at a time.

        For ``width`` see :class:`Rows`.
        """
        dask: Any = import_module("dask")
        step = rows_of_a_block(max(width, self.shape[1]))
        task = dask.delayed(_visited, pure=False, traverse=False)
        # Handed over once, not with every chunk.
        common = dask.delayed(visit, pure=False, traverse=False)
        ends = np.cumsum(self.array.chunks[0])
        starts = [0, *ends[:-1].tolist()]
        blocks = self.array.to_delayed().ravel().tolist()
        tasks = [task(common, start, block, step) for start, block in zip(starts, blocks, strict=True)]
        for first in range(0, len(tasks), _WAVE):
            for results in dask.compute(*tasks[first : first + _WAVE]):
                yield from results

    def in_memory(self) -> np.ndarray:
        """Refuse: what is asked for takes arrays.

        Raises:
            InvalidData: always, with the size that an array would have.
        """
        n, d = self.shape
        remedy = f"this needs an array: give X.compute() where {8e-9 * n * d:.2g} GB of memory will do"
        raise InvalidData("X", "dask.array", remedy)

    def take(self, rows: np.ndarray) -> Block:
        """Return some rows in float64."""
        rows = np.asarray(rows, dtype=np.int64)
        if not len(rows):
            return np.zeros((0, self.shape[1]))
        # Dask selects in ascending order without moving chunks about.
        ascending, places = np.unique(rows, return_inverse=True)
        found = np.asarray(self.array[ascending].compute(), dtype=np.float64)
        return found[places]


def _visited(visit: Callable[[int, Block], Result], start: int, block: Any, step: int) -> list[Result]:
    """Visit a chunk in blocks of ``step`` rows."""
    block = np.asarray(block)
    return [visit(start + first, block[first : first + step]) for first in range(0, len(block), step)]
