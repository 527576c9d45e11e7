"""What every norm takes: arrays of matrices [..., k, d] of NumPy, PyTorch or nested lists, checked once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from steepest.arrays import Array, as_floating, namespace, plain_array
from steepest.errors import InvalidArgument
from steepest.geometry.vectors import unit_scaled


class Matrices(NamedTuple):
    """Matrices in the dtype that the arithmetic runs in, and the dtype that results return to."""

    entries: Array
    dtype: Any

    def returned(self, result: Array) -> Array:
        """Return the result in the caller's dtype, as a NumPy scalar where no dimension is left."""
        if result.dtype != self.dtype:
            result = namespace(result).astype(result, self.dtype)
        return result[()]

    def unit_scaled(self) -> tuple[Array, Array]:
        """Return the matrices over their largest moduli, NaN where one is not finite, and these moduli."""
        xp = namespace(self.entries)
        if 0 in self.entries.shape[-2:]:
            return self.entries, xp.sum(self.entries, axis=(-2, -1))
        largest = xp.max(xp.abs(self.entries), axis=(-2, -1))
        return unit_scaled(self.entries, largest), largest

    def value(self, of_unit: Callable[[Array], Array]) -> Array:
        """Return a homogeneous function of the matrices, safe from overflow and underflow on the way."""
        scaled, largest = self.unit_scaled()
        xp = namespace(largest)
        return self.returned(xp.where(xp.isfinite(largest), of_unit(scaled) * largest, largest))


def matrices(argument: str, value: Array) -> Matrices:
    """Return the argument's value as matrices [..., k, d].

    Integers, booleans and nested lists become float64. Half precision (float16, bfloat16) is computed in
    float32 and its results are rounded back.

    Raises:
        InvalidArgument: fewer than two dimensions, ragged lists, masked entries, a sparse matrix, or entries
            that are not real numbers.

    >>> matrices("A", [[1, 2], [3, 4]]).dtype
    dtype('float64')
    """
    if type(value) is np.ndarray and value.dtype == np.float64 and value.ndim >= 2:
        # Nothing to convert: norms of small matrices are asked for more often than anything else.
        return Matrices(value, value.dtype)
    array = plain_array(value, argument)
    xp = namespace(array)
    if not xp.isdtype(array.dtype, ("real floating", "integral", "bool")):
        raise InvalidArgument(argument, value, f"give real numbers; these have dtype {array.dtype}")
    if array.ndim < 2:
        remedy = f"give matrices of shape [..., rows, columns]; this has shape {list(array.shape)}"
        raise InvalidArgument(argument, value, remedy)
    array = as_floating(array, argument)
    bits = xp.finfo(array.dtype).bits
    if bits > 64:
        raise InvalidArgument(argument, value, f"give float64 or a shorter type, not {array.dtype}")
    return Matrices(xp.astype(array, xp.float32) if bits < 32 else array, array.dtype)
