"""Compiled residuals: each loss as a loop over the log-odds of a batch, in the order of the array original.

A kernel follows the contract of :class:`~steepest.descent.engines.compiled.compiled_loss.ResidualKernel`. It is
a callback with a fixed signature, so that the compiled loop over steps is one for all losses, a user's too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core.errors import NumbaError

from steepest.compilation import callback, callback_and_kept
from steepest.descent.engines.compiled import kernels
from steepest.descent.engines.compiled.compiled_loss import (
    COMPILED_LOSS,
    PairResiduals,
    ResidualKernel,
    TotalResiduals,
)
from steepest.descent.engines.compiled.kernels import exponentials, finite, plain, scale_into, vectorised
from steepest.errors import InvalidArgument, MissingCapability
from steepest.losses import LOSSES, CrossEntropy, Exponential, Loss, PairwiseLogistic

__all__ = ["kernel_of"]

_MATRIX = types.float64[:, ::1]
_SIGNATURE = types.float64(_MATRIX, _MATRIX, types.boolean, _MATRIX, types.int64[::1], types.float64[::1])


@lru_cache(maxsize=64)
def kernel_of(loss: Loss) -> Any:
    """Return the compiled kernel of a loss, made on first use.

    Raises:
        MissingCapability: the loss offers none.
        InvalidArgument: what it offers cannot be compiled.
    """
    offer = COMPILED_LOSS.of(loss)
    if offer is None:
        known = ", ".join(name for name, each in LOSSES.items() if COMPILED_LOSS.of(each) is not None)
        raise MissingCapability(
            "loss",
            loss.name,
            COMPILED_LOSS.name,
            "the compiled engine",
            f'take engine "auto" or "batched", or one of {known}',
        )
    try:
        if isinstance(offer, PairResiduals):
            return callback(_SIGNATURE, _of_pairs(_compiled(offer.correction)))
        if isinstance(offer, TotalResiduals):
            return callback(_SIGNATURE, _of_totals(_compiled(offer.correction)))
        kernel = offer.kernel
        return kernel if hasattr(kernel, "address") else callback(_SIGNATURE, _called(_compiled(kernel)))
    except NumbaError as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidArgument(
            "loss", loss.name, f"its compiled residuals do not compile: {reason}"
        ) from error


def _compiled(function: Callable[..., float]) -> Callable[..., float]:
    return function if isinstance(function, numba.core.registry.CPUDispatcher) else plain(function)


@plain
def cross_entropy(log_odds, low, doubled, numbers, bits, powers):
    """Write the residuals of cross-entropy: with u = log Σ_c exp(a_c) they sum to 1 / (1 + e^-u)."""
    b = log_odds.shape[0]
    totals, weights, tops = numbers[0, :b], numbers[1, :b], numbers[2, :b]
    if not doubled:
        _exponentials_of_rows(log_odds, bits, powers, totals)
        for i in range(b):
            weights[i] = 1.0 / (1.0 + totals[i])
        return _brought_to_order_one(totals, weights)
    _relative_to_largest(log_odds, low, tops)
    _exponentials_of_rows(log_odds, bits, powers, totals)
    return _weights_of_softmax(tops, totals, numbers[3, :b], numbers[4, :b], bits, powers, weights)


@plain
def exponential(log_odds, low, doubled, numbers, bits, powers):
    """Write the residuals of the exponential loss, exp(a_c)."""
    b = log_odds.shape[0]
    totals, weights, tops = numbers[0, :b], numbers[1, :b], numbers[2, :b]
    if not doubled:
        _exponentials_of_rows(log_odds, bits, powers, totals)
        for i in range(b):
            weights[i] = 1.0
        return _brought_to_order_one(totals, weights)
    _relative_to_largest(log_odds, low, tops)
    _exponentials_of_rows(log_odds, bits, powers, totals)
    shift = math.ceil(_largest_number(tops))
    for i in range(b):
        weights[i] = tops[i] - shift
    exponentials(weights, bits, powers)
    return shift


@plain
def pairwise_logistic(log_odds, low, doubled, numbers, bits, powers):
    """Write the residuals of the pairwise logistic loss, 1 / (1 + e^-a_c)."""
    b = log_odds.shape[0]
    totals, weights = numbers[0, :b], numbers[1, :b]
    entries, rest = log_odds.reshape(-1), low.reshape(-1)
    shift = 0.0
    if doubled:
        shift = math.ceil(min(_largest_number(entries), 0.0))
        _near_and_far(entries, rest, shift)
        exponentials(rest, bits, powers)
    exponentials(entries, bits, powers)
    _over_one_more(entries, rest if doubled else entries)
    for i in range(b):
        totals[i] = _sum_of_row(log_odds, i)
        weights[i] = 1.0
    return shift if doubled else _brought_to_order_one(totals, weights)


def _of_pairs(correction: Callable[[float], float]) -> Callable[..., float]:
    """Return the kernel of residuals r_ic = exp(min(a_ic, 0) + correction(a_ic))."""

    def residuals(log_odds, low, doubled, numbers, bits, powers):
        b, k = log_odds.shape
        largest = -math.inf
        for i in range(b):
            for c in range(k):
                a = log_odds[i, c]
                if a == -math.inf:
                    low[i, c] = 0.0
                    continue
                rest = low[i, c] if doubled else 0.0
                log_odds[i, c] = min(a, 0.0)
                low[i, c] = (rest if a < 0.0 else 0.0) + correction(a + rest)
                largest = max(largest, log_odds[i, c] + low[i, c])
        shift = math.ceil(largest)
        for i in range(b):
            for c in range(k):
                log_odds[i, c] = (log_odds[i, c] - shift) + low[i, c]
            numbers[1, i] = 1.0
        _exponentials_of_rows(log_odds, bits, powers, numbers[0, :b])
        return shift

    return residuals


def _of_totals(correction: Callable[[float], float]) -> Callable[..., float]:
    """Return the kernel of residuals ∝ exp(a_ic) that sum to exp(min(u_i, 0) + correction(u_i))."""

    def residuals(log_odds, low, doubled, numbers, bits, powers):
        b = log_odds.shape[0]
        totals, weights, near = numbers[0, :b], numbers[1, :b], numbers[2, :b]
        if not doubled:
            low[:] = 0.0
        _relative_to_largest(log_odds, low, near)
        _exponentials_of_rows(log_odds, bits, powers, totals)
        largest = -math.inf
        for i in range(b):
            rest = math.log(totals[i])
            u = near[i] + rest
            near[i] = near[i] if u < 0.0 else 0.0
            weights[i] = (rest if u < 0.0 else 0.0) + correction(u)
            largest = max(largest, near[i] + weights[i])
        shift = math.ceil(largest)
        for i in range(b):
            weights[i] = math.exp((near[i] - shift) + weights[i]) / totals[i]
        return shift

    return residuals


def _called(kernel: Callable[..., float]) -> Callable[..., float]:
    def residuals(log_odds, low, doubled, numbers, bits, powers):
        return kernel(log_odds, low, doubled, numbers, bits, powers)

    return residuals


@plain
def _exponentials_of_rows(matrix, bits, powers, totals):
    """Replace exponents [b, k] by exponentials, and write each row's sum."""
    exponentials(matrix.reshape(-1), bits, powers)
    for i in range(matrix.shape[0]):
        totals[i] = _sum_of_row(matrix, i)


@plain
def _relative_to_largest(log_odds, low, tops):
    """Write each row's largest log-odds, and subtract it from the row; the rest joins in."""
    for i in range(log_odds.shape[0]):
        tops[i] = _largest_of_row(log_odds, i)
        _subtract(log_odds, low, i, tops[i])


@plain
def _brought_to_order_one(totals, weights):
    """Divide the weights by e^shift such that the largest weight times total is of order one; return shift."""
    largest = 0.0
    for i in range(totals.shape[0]):
        largest = max(largest, weights[i] * totals[i])
    shift = math.floor(math.log(largest))
    scale_into(weights, math.exp(-shift), weights)
    return shift


@vectorised
def _weights_of_softmax(tops, totals, near, far, bits, powers, weights):
    """Write weights such that r_ic · exp(-shift) = weight_i · exp(a_ic - top_i); return shift.

    With u = top + log(total), Σ_c r_ic is the logistic function of u; neither a logarithm nor a cancellation is
    needed to scale it.
    """
    b = tops.shape[0]
    for i in range(b):
        near[i] = min(tops[i], 0.0)
        far[i] = -abs(tops[i])
    shift = math.ceil(_largest_number(near))
    for i in range(b):
        near[i] -= shift
    exponentials(near, bits, powers)
    exponentials(far, bits, powers)
    for i in range(b):
        right = tops[i] < 0.0
        weights[i] = near[i] / (1.0 + totals[i] * far[i] if right else totals[i] + far[i])
    return shift


@vectorised
def _near_and_far(log_odds, low, shift):
    """Write the logarithms of the numerator e^{min(a, 0) - shift}, in place, and of e^-|a| into ``low``."""
    for j in range(log_odds.shape[0]):
        a = log_odds[j]
        log_odds[j] = (a - shift) + low[j] if a < 0.0 else -shift
        low[j] = -abs(a)


@vectorised
def _over_one_more(numerators, others):
    """Divide each number by one plus the other number; the arrays may be the same."""
    for j in range(numerators.shape[0]):
        numerators[j] /= 1.0 + others[j]


@finite
def _largest_number(numbers):
    largest = -math.inf
    for c in range(numbers.shape[0]):
        largest = max(largest, numbers[c])
    return largest


@finite
def _largest_of_row(matrix, i):
    largest = -math.inf
    for c in range(matrix.shape[1]):
        largest = max(largest, matrix[i, c])
    return largest


@vectorised
def _subtract(log_odds, low, i, top):
    for c in range(log_odds.shape[1]):
        log_odds[i, c] = (log_odds[i, c] - top) + low[i, c]


@vectorised
def _sum_of_row(matrix, i):
    total = 0.0
    for c in range(matrix.shape[1]):
        total += matrix[i, c]
    return total


# The sources are held in closures, and so are part of the key of the cache on disk.
_SOURCES = hashlib.sha256(Path(kernels.__file__).read_bytes() + Path(__file__).read_bytes()).hexdigest()


def _kept_cross_entropy(sources: str) -> Callable[..., float]:
    def residuals(log_odds, low, doubled, numbers, bits, powers):
        assert sources
        return cross_entropy(log_odds, low, doubled, numbers, bits, powers)

    return callback_and_kept(_SIGNATURE, residuals)


def _kept_exponential(sources: str) -> Callable[..., float]:
    def residuals(log_odds, low, doubled, numbers, bits, powers):
        assert sources
        return exponential(log_odds, low, doubled, numbers, bits, powers)

    return callback_and_kept(_SIGNATURE, residuals)


def _kept_pairwise_logistic(sources: str) -> Callable[..., float]:
    def residuals(log_odds, low, doubled, numbers, bits, powers):
        assert sources
        return pairwise_logistic(log_odds, low, doubled, numbers, bits, powers)

    return callback_and_kept(_SIGNATURE, residuals)


_BUILT_IN: dict[type, Callable[[str], Callable[..., float]]] = {
    CrossEntropy: _kept_cross_entropy,
    Exponential: _kept_exponential,
    PairwiseLogistic: _kept_pairwise_logistic,
}


@COMPILED_LOSS.offered_by(CrossEntropy)
@COMPILED_LOSS.offered_by(Exponential)
@COMPILED_LOSS.offered_by(PairwiseLogistic)
@lru_cache(maxsize=8)
def _(loss: CrossEntropy | Exponential | PairwiseLogistic) -> ResidualKernel:
    return ResidualKernel(_BUILT_IN[type(loss)](_SOURCES))
