"""The few array helpers that every layer shares: one array API standard for NumPy and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_torch_array, size

__all__ = ["Array", "as_floating", "as_numpy", "namespace", "size"]

Array = Any
"""A NumPy array or a PyTorch tensor; whatever comes in comes out."""


def namespace(*arrays: Array) -> Any:
    """Return the array API namespace that the arrays share."""
    return array_namespace(*arrays)


def as_floating(values: Array) -> Array:
    """Return the array with a real floating dtype: numbers and nested lists become float64 NumPy arrays.

    Raises:
        TypeError: complex numbers, which have no real floating counterpart.

    >>> as_floating([[1, 2]]).dtype
    dtype('float64')
    """
    array: Array = values if is_array_api_obj(values) else np.asarray(values)
    xp = array_namespace(array)
    if xp.isdtype(array.dtype, "complex floating"):
        raise TypeError("these numbers are complex")
    return array if xp.isdtype(array.dtype, "real floating") else xp.astype(array, xp.float64)


def as_numpy(array: Array) -> np.ndarray:
    """Return the array as a NumPy array on the host, without a copy where there is none to make."""
    if is_torch_array(array):
        return array.detach().cpu().numpy()
    return np.asarray(array)
