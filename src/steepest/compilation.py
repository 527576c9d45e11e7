"""Compilation of plain loops by numba, kept on disk where a folder can be written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numba

from steepest.errors import SteepestWarning

__all__ = ["compiled_and_kept"]


def compiled_and_kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function and keep the code on disk; where that is impossible, say so and compile anyway.

    numba's cache notices changes of the function's own file alone: what it calls must stand in that file, or
    its sources must be part of the key, held in a closure.
    """
    options = {"nogil": True, "error_model": "numpy"}
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
