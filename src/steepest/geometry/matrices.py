"""What every norm takes: arrays of matrices [..., k, d] of NumPy, PyTorch or nested lists, checked once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from array_api_compat import is_array_api_obj, is_numpy_array

from steepest.arrays import Array, as_floating, namespace
from steepest.errors import InvalidArgument


class Matrices(NamedTuple):
    """Matrices in the dtype that the arithmetic runs in, and the dtype that its results return to."""

    entries: Array
    dtype: object

    def returned(self, result: Array) -> Array:
        """Return the result in the caller's dtype, a NumPy scalar where it has no dimension left."""
        return namespace(result).astype(result, self.dtype, copy=False)[()]


def matrices(argument: str, value: Array) -> Matrices:
    """Return the argument's value as matrices [..., k, d].

    Integers, booleans and nested lists become float64. Half precision (float16, bfloat16) is computed in
    float32 and its results are rounded back.

    Raises:
        InvalidArgument: fewer than two dimensions, ragged lists, or entries that are not real numbers.
    """
    if not is_array_api_obj(value) or is_numpy_array(value):
        try:
            value = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(argument, value, "give a rectangular array of real numbers") from error
    xp = namespace(value)
    if not xp.isdtype(value.dtype, ("bool", "integral", "real floating")):
        raise InvalidArgument(argument, value, f"give real numbers, not entries of dtype {value.dtype}")
    if value.ndim < 2:
        raise InvalidArgument(
            argument,
            value,
            f"give matrices of shape [..., rows, columns]; this has shape {list(value.shape)}",
        )
    value = as_floating(value)
    bits = xp.finfo(value.dtype).bits
    if bits > 64:
        raise InvalidArgument(argument, value, f"give float64 or less, not {value.dtype}")
    return Matrices(xp.astype(value, xp.float32) if bits < 32 else value, value.dtype)
