"""Powers of two of rows and columns, found so that scaling either by powers of two changes nothing else.

Separability knows no units: samples may be multiplied by positive numbers and features by any. What is found
here follows such factors to the last bit, so that what is left of the entries, and all that is computed from
it, stays the same.
"""

from __future__ import annotations

import numpy as np

__all__ = ["middle", "row_and_column_exponents"]

_AT_ONCE = 2000
"""Columns whose samples in common are counted in one product."""


def row_and_column_exponents(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return exponents r [n] and c [d] of rows and columns, with entries of X [n, d] near 2^(r_i + c_j).

    Multiplying rows by 2^a and columns by 2^b adds a to r and b to c, but for one number that goes from all
    of r to all of c. A column is compared with another by the middle one of its ratios to it, whatever the
    rows' sizes, and codes for missing values are no middle ones.

    >>> X = np.array([[1.0, 8.0], [2.0, 16.0], [4.0, 1e20]])
    >>> row_and_column_exponents(X)
    (array([1, 2, 3]), array([0, 3]))
    """
    sizes, used = np.frexp(X)[1].astype(np.int64), X != 0
    columns = _column_exponents(sizes, used)
    return middle(sizes - columns, used, axis=1), columns


def middle(values: np.ndarray, used: np.ndarray, axis: int) -> np.ndarray:
    """Return the lower median of the used integers along an axis, 0 where there are none.

    >>> middle(np.array([[1, 5, 9], [2, 0, 0]]), np.array([[True, True, False], [False] * 3]), axis=1)
    array([1, 0])
    """
    counts = used.sum(axis=axis)
    # Exponents of products of floats fit in 32 bits; rows that lie together are sorted several times faster.
    last = np.moveaxis(values, axis, -1).astype(np.int32, order="C")
    if used.all():
        place = max(last.shape[-1] - 1, 0) // 2
        found = np.partition(last, place, axis=-1)[..., place] if last.shape[-1] else counts
        return found.astype(values.dtype)
    last[~np.moveaxis(used, axis, -1)] = np.iinfo(np.int32).max
    last.sort(axis=-1)
    places = np.maximum(counts - 1, 0)[..., None] // 2
    return np.where(counts > 0, np.take_along_axis(last, places, -1)[..., 0], 0).astype(values.dtype)


def _column_exponents(sizes: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return the exponents of columns, each from one that it has the most samples in common with."""
    n, d = sizes.shape
    columns = np.zeros(d, dtype=sizes.dtype)
    if used.all() and d:
        # The first has all samples in common with every other.
        return middle(sizes - sizes[:, :1], used, axis=0)
    counts = used.sum(axis=0)
    # A column at a time is looked at, of numbers that lie together.
    sizes, used = np.asfortranarray(sizes), np.asfortranarray(used)
    # Counts of samples are whole numbers that a float holds.
    in_floats = used.astype(np.float64)
    all_shared = in_floats.T @ in_floats if n and d <= _AT_ONCE else None
    # Samples that a column has in common with one that is known, and which that is.
    common, nearest = np.zeros(d, dtype=np.int64), np.zeros(d, dtype=np.int64)
    left = counts > 0
    while left.any():
        among = np.where(left, common, -1)
        column = int(np.argmax(among))
        if among[column] == 0:
            # Nothing ties it to a known one: the fullest begins anew.
            column = int(np.argmax(np.where(left, counts, -1)))
        else:
            both = used[:, column] & used[:, nearest[column]]
            apart = sizes[:, column] - sizes[:, nearest[column]]
            columns[column] = columns[nearest[column]] + middle(apart, both, axis=0)
        left[column] = False
        shared = in_floats[:, column] @ in_floats if all_shared is None else all_shared[column]
        closer = left & (shared > common)
        common[closer], nearest[closer] = shared[closer], column
    return columns
