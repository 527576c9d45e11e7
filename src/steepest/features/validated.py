"""Features as they were given become an array in memory, or rows that stay where they are."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from steepest.arrays import Array, as_floating, as_numpy, namespace
from steepest.errors import InvalidArgument, InvalidData
from steepest.features.dense import DenseRows
from steepest.features.protocol import Block, Rows
from steepest.features.sparse import SparseRows, is_sparse
from steepest.features.spread import is_spread, spread_rows

__all__ = ["rows_elsewhere", "validated_array"]

_EXACT_INTEGERS = 2**53
"""Up to here float64 holds every integer."""


def rows_elsewhere(X: Any) -> Rows | None:
    """Return features that are not to become an array in memory as rows, and None for all others.

    Args:
        X: features, shape [n, d], as any call takes them.

    Raises:
        InvalidData: sparse or file-backed features of a wrong shape, or that hold what is no finite real
            number.

    >>> rows_elsewhere(np.ones((3, 2))) is None
    True
    """
    if is_sparse(X):
        if X.dtype.kind not in "fiub" or X.ndim != 2:
            raise InvalidData("X", str(X.dtype), "give a sparse matrix of real numbers, shape [n, d]")
        array: Any = import_module("scipy.sparse").csr_array(X, dtype=np.float64, copy=True)
        array.sum_duplicates()
        if 0 in array.shape:
            raise InvalidData("X", array.shape, "give features of shape [n, d] with n and d at least 1")
        if X.dtype.kind in "iu" and np.abs(array.data).max(initial=0.0) >= _EXACT_INTEGERS:
            _require_exact(X, array)
        return _finite(SparseRows(array))
    if is_spread(X):
        return _finite(spread_rows(X))
    mapped = isinstance(X, np.memmap) and X.ndim == 2 and X.dtype in (np.float32, np.float64)
    return _finite(DenseRows(X)) if mapped and 0 not in X.shape else None


def _require_exact(X: Any, rounded: Any) -> None:
    """Refuse sparse whole numbers that float64 rounds, as dense ones are refused."""
    wide = np.uint64 if X.dtype == np.uint64 else np.int64
    whole: Any = import_module("scipy.sparse").csr_array(X, dtype=wide, copy=True)
    whole.sum_duplicates()
    try:
        as_floating(whole.data, "X")
    except InvalidArgument as error:
        raise InvalidData(error.argument, error.value, error.remedy) from error
    if not np.array_equal(whole.data.astype(np.float64), rounded.data):
        remedy = "entries of one place add up to integers that float64 rounds: subtract an offset first"
        raise InvalidData("X", str(X.dtype), remedy)


def _finite(rows: Rows) -> Rows:
    """Return rows; refuse those that would be refused in memory, block by block."""
    n, d = rows.shape
    room = np.finfo(np.float64).max / (2.0 * n * d)

    def visit(start: int, block: Block) -> None:
        stored = block.data if is_sparse(block) else block
        largest = float(np.max(np.abs(stored), initial=0.0))
        if largest < room:
            return
        dense = block.toarray() if is_sparse(block) else block
        _require_finite(dense, start)
        _require_room_for_sums(dense, n * d, start)

    for _ in rows.scan(visit, 1):
        pass
    return rows


def validated_array(X: Any) -> Array:
    """Return features as an array of float64 in memory, a tensor where they are one.

    Args:
        X: features, shape [n, d].

    Raises:
        InvalidData: a wrong shape, or values that are no finite real numbers.

    >>> validated_array([[1, 2], [3, 4]])
    array([[1., 2.],
           [3., 4.]])
    """
    try:
        X = as_floating(X, "X")
    except InvalidArgument as error:
        raise InvalidData(error.argument, error.value, error.remedy) from error
    xp = namespace(X)
    if X.ndim != 2 or 0 in X.shape:
        raise InvalidData("X", tuple(X.shape), "give features of shape [n, d] with n and d at least 1")
    X = xp.astype(X.detach() if is_torch_array(X) else X, xp.float64, copy=True)
    _require_finite(as_numpy(X), 0)
    _require_room_for_sums(as_numpy(X), X.shape[0] * X.shape[1], 0)
    if isinstance(X, np.ndarray):
        X.setflags(write=False)
    return X


def _require_finite(host: np.ndarray, first: int) -> None:
    """Refuse rows with values that are not finite; ``first`` is the number of the first row."""
    bad = ~np.isfinite(host)
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad)[0])
        raise InvalidData(
            f"X[{first + row}, {column}]",
            float(host[row, column]),
            f"replace values that are not finite ({int(bad.sum())} of {bad.size})",
        )


def _require_room_for_sums(host: np.ndarray, entries: int, first: int) -> None:
    """Refuse features whose sums over a sample and over all samples leave float64."""
    # Without an array of their sizes, which would double the memory.
    sizes = np.maximum(host.max(axis=1), -host.min(axis=1))
    lengths = sizes / np.finfo(np.float64).max * (2.0 * entries)
    if lengths.max() >= 1.0:
        row = int(lengths.argmax())
        column = int(np.abs(host[row]).argmax())
        raise InvalidData(
            f"X[{first + row}, {column}]",
            float(host[row, column]),
            "sums of such features leave float64: divide all of them by a number such as 1e100",
        )
