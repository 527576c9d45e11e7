"""Compilation of plain loops by numba, kept on disk where a folder can be written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numba

from steepest.errors import SteepestWarning

__all__ = ["callback", "callback_and_kept", "compiled_and_kept"]


def compiled_and_kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function and keep the code on disk; where that is impossible, say so and compile anyway.

    numba's cache notices changes of the function's own file alone: what it calls must stand in that file, or
    its sources must be part of the key, held in a closure.
    """
    return _kept(lambda cache: numba.njit(cache=cache, nogil=True, error_model="numpy")(function))


def callback(signature: Any, function: Callable[..., Any]) -> Any:
    """Compile a function that compiled code can take as an argument: all of one signature are of one type.

    It must not raise: nothing would come of the error.
    """
    return numba.cfunc(signature, error_model="numpy")(function)


def callback_and_kept(signature: Any, function: Callable[..., Any]) -> Any:
    """Compile a function as :func:`callback` does, and keep it as :func:`compiled_and_kept` does."""
    return _kept(lambda cache: numba.cfunc(signature, cache=cache, error_model="numpy")(function))


def _kept(compiled: Callable[[bool], Any]) -> Any:
    try:
        return compiled(True)
    except RuntimeError as error:
        # numba finds neither the package's folder nor the user's cache folder writable.
        warnings.warn(
            f"compiled code cannot be kept ({error}); every process compiles it again, for some ten seconds. "
            "Set NUMBA_CACHE_DIR to a folder that can be written",
            SteepestWarning,
            stacklevel=3,
        )
        return compiled(False)
