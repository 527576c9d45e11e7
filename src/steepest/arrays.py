"""The few array helpers that every layer shares: one array API standard for NumPy and PyTorch."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_torch_array, size

from steepest.errors import InvalidArgument

__all__ = ["Array", "as_floating", "as_numpy", "namespace", "plain_array", "size"]

Array = Any
"""A NumPy array or a PyTorch tensor; whatever comes in comes out."""

_NUMPY = array_namespace(np.zeros(0))
_EXACT_INTEGERS = 2**53
"""Up to here float64 holds every integer."""
_DATES = "these are dates: subtract one and divide by np.timedelta64(1, 'D'), for days"
_NUMBERS = "give real numbers, and nothing else"
_DURATIONS = "these are durations: divide by np.timedelta64(1, 'D'), for days"


def namespace(*arrays: Array) -> Any:
    """Return the array API namespace that ``arrays`` of any shape share.

    >>> namespace(np.ones(2), np.ones((2, 3))).__name__
    'array_api_compat.numpy'
    """
    if all(type(each) is np.ndarray for each in arrays):
        return _NUMPY
    return array_namespace(*arrays)


def plain_array(values: Any, argument: str = "array") -> Array:
    """Return an array or a tensor of the same shape with every entry in memory; lists become NumPy arrays.

    Args:
        values: an array, a tensor, a number or nested lists.
        argument: what messages call it.

    Raises:
        InvalidArgument: a masked array with masked entries, a sparse matrix, a tensor without values (device
            meta), or nested lists of unequal lengths.

    >>> plain_array(np.ma.masked_equal([1, 2], 2), "X")
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: X='MaskedArray': 1 of 2 entries are masked: fill or drop them
    """
    if type(values) is np.ndarray:
        return values
    if isinstance(values, np.ma.MaskedArray):
        masked = int(np.ma.getmaskarray(values).sum())
        if masked:
            raise InvalidArgument(
                argument,
                "MaskedArray",
                f"{masked} of {values.size} entries are masked: fill or drop them",
            )
        return np.asarray(values)
    if is_torch_array(values):
        return _plain_tensor(values, argument)
    if isinstance(values, type):
        raise InvalidArgument(argument, values, "this is a class: give an array")
    if hasattr(values, "todense"):
        raise InvalidArgument(argument, type(values).__name__, "this matrix is sparse: give its toarray()")
    if is_array_api_obj(values) and not isinstance(values, np.ndarray):
        return values
    if isinstance(values, (list, tuple)) and any(_has_masked(each) for each in values):
        raise InvalidArgument(argument, "MaskedArray", "some entries are masked: fill or drop them")
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InvalidArgument(
            argument, type(values).__name__, "give a rectangular array of real numbers"
        ) from error


def as_floating(values: Any, argument: str = "array") -> Array:
    """Return an array of real floating dtype and the same shape: numbers and lists become float64 of NumPy.

    Args:
        values: an array, a tensor, a number or nested lists.
        argument: what messages call it.

    Raises:
        InvalidArgument: as :func:`plain_array`, and numbers that have no real floating counterpart: complex
            ones, dates, text, and integers that float64 would round.

    >>> as_floating([[1, 2]]).dtype
    dtype('float64')
    >>> as_floating([2**53 + 1], "X")
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: X=9007199254740993: float64 would round it: subtract an offset first
    """
    array = plain_array(values, argument)
    xp = array_namespace(array)
    if xp.isdtype(array.dtype, "real floating"):
        if isinstance(array, np.ndarray):
            _require_whole_numbers_exact(array, values, argument)
        return array
    if xp.isdtype(array.dtype, "integral"):
        _require_exact(array, argument, xp)
    elif not xp.isdtype(array.dtype, "bool"):
        array = _real_numbers(array, argument)
    return xp.astype(array, xp.float64)


def as_numpy(array: Array) -> np.ndarray:
    """Return the array as a NumPy array of its shape on the host, without a copy where there is none to make.

    >>> as_numpy(np.arange(3)).tolist()
    [0, 1, 2]
    """
    if is_torch_array(array):
        return array.detach().cpu().numpy()
    return np.asarray(array)


def _plain_tensor(tensor: Any, argument: str) -> Any:
    if tensor.device.type == "meta":
        raise InvalidArgument(argument, "Tensor", "this tensor is on the device meta, which holds no values")
    if str(tensor.layout) != "torch.strided":
        raise InvalidArgument(argument, "Tensor", "this tensor is sparse: give tensor.to_dense()")
    return tensor


def _require_exact(array: Array, argument: str, xp: Any) -> None:
    if xp.iinfo(array.dtype).bits < 64 or 0 in array.shape:
        return
    host = as_numpy(array)
    large = host[(host > _EXACT_INTEGERS) | (host < -_EXACT_INTEGERS)]
    _refuse_rounded(large.tolist(), argument)


def _has_masked(values: Any) -> bool:
    return isinstance(values, np.ma.MaskedArray) and bool(np.ma.getmaskarray(values).any())


def _require_whole_numbers_exact(array: np.ndarray, values: Any, argument: str) -> None:
    """Refuse whole numbers of more bits than float64 has; fractions are rounded as everywhere.

    Beside fractions, in lists or in columns of a table, NumPy rounds them without a word.
    """
    if isinstance(values, np.ndarray):
        if array.dtype.itemsize > 8:
            large = array[np.isfinite(array) & (np.abs(array) > _EXACT_INTEGERS)]
            _refuse_rounded([int(each) for each in large if each == np.floor(each)], argument)
    elif np.any(np.abs(array) >= _EXACT_INTEGERS):
        whole = getattr(values, "to_numpy", partial(np.asarray, values))
        _real_numbers(whole(dtype=object), argument)


def _refuse_rounded(integers: list[int], argument: str) -> None:
    for integer in integers:
        if int(float(integer)) != integer:
            remedy = "float64 would round it: subtract an offset first"
            raise InvalidArgument(argument, integer, remedy)


def _remedy_for(entry: Any) -> str:
    """What to do with an entry of a table that is no number."""
    if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
        return "this value is missing: fill it, or drop its row or column"
    if isinstance(entry, (date, np.datetime64)):
        return _DATES
    if isinstance(entry, (timedelta, np.timedelta64)):
        return _DURATIONS
    if isinstance(entry, (str, bytes)):
        return "this is text: encode its column as numbers, such as one of 0 and 1 for each value"
    return _NUMBERS


def _real_numbers(array: Array, argument: str) -> Array:
    """Return Python's own numbers in an array of objects; refuse every other dtype that is left."""
    kind = np.dtype(array.dtype).kind if isinstance(array, np.ndarray) else "c"
    if kind == "c":
        raise InvalidArgument(argument, str(array.dtype), "give real numbers; these are complex")
    if kind in "mM":
        raise InvalidArgument(argument, str(array.dtype), _DATES if kind == "M" else _DURATIONS)
    if kind != "O":
        raise InvalidArgument(argument, str(array.dtype), "give numbers; these are text or records")
    entries = array.ravel().tolist()
    for position, entry in enumerate(entries):
        if not isinstance(entry, (Real, Decimal, np.bool_)):
            place = ", ".join(str(each) for each in np.unravel_index(position, array.shape))
            if not place:
                raise InvalidArgument(argument, entry, _NUMBERS)
            raise InvalidArgument(f"{argument}[{place}]", entry, _remedy_for(entry))
    try:
        _refuse_rounded([each for each in entries if isinstance(each, int)], argument)
    except OverflowError as error:
        raise InvalidArgument(
            argument, str(array.dtype), "an integer lies beyond what float64 can hold"
        ) from error
    return array
