"""Compilation of plain loops by numba, kept on disk where a folder can be written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from steepest.errors import SteepestWarning

__all__ = ["REORDERING", "callback", "caller", "compiled_and_kept"]

REORDERING = ("reassoc", "contract", "nsz")
"""What vector instructions need to add a sum: infinities and NaN stay what they are."""


def callback(signature: Any, function: Callable[..., Any]) -> Any:
    """Compile a function that compiled code learns of late: what :func:`caller` makes takes its ``address``.

    Args:
        signature: numba's, of its arguments and its result.
        function: it must not raise, since nothing would come of the error.

    ::

        double = callback(types.float64(types.float64), lambda number: 2.0 * number)
    """
    return numba.cfunc(signature, error_model="numpy")(function)


def caller(signature: Any) -> Any:
    """Return a function for compiled code: call(address, arguments) calls the callback at an address.

    ``signature`` is the callback's. To hand over the callback itself would cost tens of microseconds each
    time, and a warning of numba's.

    ::

        call = caller(types.float64(types.float64))
        numba.njit(lambda address, number: call(address, (number,)))(double.address, 3.0)  # 6.0
    """

    @intrinsic
    def call(_typing, _address, _arguments):
        def generate(context, builder, _signature, values):
            address, arguments = values
            kinds = [context.get_value_type(each) for each in signature.args]
            kind = ir.FunctionType(context.get_value_type(signature.return_type), kinds)
            unpacked = cgutils.unpack_tuple(builder, arguments, len(kinds))
            return builder.call(builder.inttoptr(address, kind.as_pointer()), unpacked)

        return signature.return_type(types.intp, types.Tuple(signature.args)), generate

    return call


def compiled_and_kept(
    function: Callable[..., Any], *, borrows: bool = False, reorders: bool = False
) -> Callable[..., Any]:
    """Compile a function and keep the code on disk; where that is impossible, say so and compile anyway.

    numba's cache notices changes of the function's own file alone: what it calls must stand in that file, or
    its sources must be part of the key, held in a closure. What ``borrows`` makes no arrays, and counts no
    references to those that it is given. What ``reorders`` may add in another order, several terms at a time.

    ::

        @compiled_and_kept
        def total(numbers):
            return numbers.sum()
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    options |= {"_nrt": False} if borrows else {}
    options |= {"fastmath": set(REORDERING)} if reorders else {}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        # numba finds neither the package's folder nor the user's cache folder writable.
        warnings.warn(
            f"compiled code cannot be kept ({error}); every process compiles it again, for some ten seconds. "
            "Set NUMBA_CACHE_DIR to a folder that can be written",
            SteepestWarning,
            stacklevel=2,
        )
        return numba.njit(**options)(function)
