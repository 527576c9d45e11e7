"""Sparse features, of which only what is not zero is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.errors import InvalidData
from steepest.features.protocol import Block, Result, rows_of_a_block

__all__ = ["SparseRows", "is_sparse"]


def is_sparse(X: object) -> bool:
    """Whether it is a sparse matrix or array of SciPy, which who made one has imported."""
    module = sys.modules.get("scipy.sparse")
    return module is not None and bool(module.issparse(X))


@dataclass(frozen=True)
class SparseRows:
    """Rows of a sparse array in float64, compressed by row, each column once and in order.

    >>> import scipy.sparse as sparse
    >>> rows = SparseRows(sparse.csr_array(np.diag([1.0, 2.0, 3.0])))
    >>> rows.shape, rows.take(np.array([2])).toarray().tolist()
    ((3, 3), [[0.0, 0.0, 3.0]])
    """

    array: Any
    """A sparse.csr_array of shape [n, d]."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and of features, (n, d)."""
        return self.array.shape[0], self.array.shape[1]

    @property
    def becomes_array(self) -> bool:
        """Whether they may become an array: they do not."""
        return False

    def scan(self, visit: Callable[[int, Block], Result], width: int) -> Iterator[Result]:
        """Yield ``visit(start, block)`` of all blocks, in order; for ``width`` see :class:`Rows`."""
        n = self.shape[0]
        step = rows_of_a_block(max(width, 1 + self.array.nnz // n))
        for start in range(0, n, step):
            yield visit(start, self.array[start : start + step])

    def in_memory(self) -> np.ndarray:
        """Refuse: what is asked for takes arrays.

        Raises:
            InvalidData: always, with the size that an array would have.
        """
        n, d = self.shape
        remedy = f"this needs an array: give X.toarray() where {8e-9 * n * d:.2g} GB of memory will do"
        raise InvalidData("X", type(self.array).__name__, remedy)

    def take(self, rows: np.ndarray) -> Block:
        """Return some rows."""
        return self.array[rows]
