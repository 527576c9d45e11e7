"""Steps of float32 tensors in one pass over memory, compiled by numba.

Tensors come as addresses and numbers of entries, so that a list of hundreds costs one call. An operation of
PyTorch reads and writes whole tensors, and the two that a step takes move more than these loops do.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from steepest.compilation import compiled_and_kept

__all__ = ["average_and_sign", "sign", "unit"]

_inlined = numba.njit(nogil=True, error_model="numpy", inline="always")
_plain = numba.njit(nogil=True, error_model="numpy")
_fusing = numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
_summing = numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
_LARGEST = 3e38
"""Multipliers and sums that float32 has."""
_RUN = 1 << 14
"""Entries whose squares are summed in single precision: their error is that of one rounding."""
_LEAST_SAFE = 1e-25
"""Sums of a run in single precision above which no square that matters has vanished."""


@intrinsic
def _pointer(_typing: Any, _address: Any):
    """Return an address as a pointer."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), generate


@_inlined
def _entries(address, count):
    return numba.carray(_pointer(address), (count,), np.float32)  # pyright: ignore[reportCallIssue, reportPrivateImportUsage]


@_inlined
def _sign(value):
    # As PyTorch's: 0 for NaN.
    return np.float32(value > 0) - np.float32(value < 0)


@_inlined
def _between(start, end, weight):
    """Return (1 - weight) start + weight end, by the formula of torch.lerp."""
    if weight < np.float32(0.5):
        return start + weight * (end - start)
    return end - (np.float32(1) - weight) * (end - start)


@_fusing
def _move_by_signs(W, S, rate, keep):
    for i in range(len(W)):
        W[i] = keep * W[i] - rate * _sign(S[i])


@_fusing
def _average_and_move(W, G, M, rate, keep, weight):
    for i in range(len(W)):
        M[i] = _between(M[i], G[i], weight)
        W[i] = keep * W[i] - rate * _sign(M[i])


@_fusing
def _average_and_look_ahead(W, G, M, rate, keep, weight, momentum):
    for i in range(len(W)):
        M[i] = _between(M[i], G[i], weight)
        W[i] = keep * W[i] - rate * _sign(_between(G[i], M[i], momentum))


@_summing
def _squares_in_double(S):
    total = 0.0
    for i in range(len(S)):
        total += np.float64(S[i]) * np.float64(S[i])
    return total


@_summing
def _squares_in_single(S):
    total = np.float32(0)
    for i in range(len(S)):
        total += S[i] * S[i]
    return total


@_plain
def _squares(S):
    """Return the sum of squares in double precision, in which none overflows or vanishes.

    Runs are summed in single precision, at twice the speed, unless a square may have done so there.
    """
    total = 0.0
    for start in range(0, len(S), _RUN):
        total += _squares_of_run(S[start : start + _RUN])
    return total


@_plain
def _squares_of_run(run):
    found = np.float64(_squares_in_single(run))
    return found if _LEAST_SAFE < found < _LARGEST else _squares_in_double(run)


@_fusing
def _move(W, S, rate, keep):
    for i in range(len(W)):
        W[i] = keep * W[i] - rate * S[i]


@_fusing
def _move_in_double(W, S, rate, keep):
    for i in range(len(W)):
        W[i] = np.float32(np.float64(keep) * np.float64(W[i]) - rate * np.float64(S[i]))


@compiled_and_kept
def sign(params, signals, counts, rates, keep):
    """Move each W to keep · W - rate · D, of which D are the signs of S."""
    for index in range(len(params)):
        W, S = _entries(params[index], counts[index]), _entries(signals[index], counts[index])
        _move_by_signs(W, S, np.float32(rates[index]), np.float32(keep))


@compiled_and_kept
def average_and_sign(params, grads, averages, counts, rates, keep, momentum, nesterov):
    """Move M to β M + (1 - β) G, and W to keep · W - rate · sign(M), or of Nesterov's look ahead."""
    weight = np.float32(1 - momentum)
    for index in range(len(params)):
        count, rate = counts[index], np.float32(rates[index])
        W, G = _entries(params[index], count), _entries(grads[index], count)
        M = _entries(averages[index], count)
        if nesterov:
            _average_and_look_ahead(W, G, M, rate, np.float32(keep), weight, np.float32(momentum))
        else:
            _average_and_move(W, G, M, rate, np.float32(keep), weight)


@compiled_and_kept
def unit(params, signals, counts, rates, keep):
    """Move W to keep · W - rate · S / ‖S‖: not along 0, and to NaN where an entry of S is not finite.

    A tensor is stepped right after its length is found, while the processor's cache may still hold it.
    """
    kept = np.float32(keep)
    for index in range(len(params)):
        W, S = _entries(params[index], counts[index]), _entries(signals[index], counts[index])
        length = math.sqrt(_squares(S))
        rate = rates[index] / length if length != 0 else 0.0
        if not math.isfinite(length):
            rate = math.nan
        if abs(rate) > _LARGEST:
            _move_in_double(W, S, rate, kept)
        else:
            _move(W, S, np.float32(rate), kept)
