"""Compiled residuals: each loss as a loop over the log-odds of a batch.

A kernel follows the contract of :class:`~steepest.descent.engines.compiled.compiled_loss.ResidualKernel`. The
losses that come with steepest are called by the loop over steps directly; any other is a callback, whose call
costs tens of nanoseconds a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from numba import types
from numba.core.errors import NumbaError
from numba.extending import is_jitted

from steepest.compilation import callback, caller
from steepest.descent.engines.compiled.compiled_loss import (
    COMPILED_LOSS,
    PairResiduals,
    ResidualKernel,
    TotalResiduals,
)
from steepest.descent.engines.compiled.kernels import (
    allocating,
    exponentials,
    finite,
    inlined,
    plain,
    vectorised,
)
from steepest.errors import InvalidArgument, MissingCapability
from steepest.losses import CrossEntropy, Exponential, Loss, PairwiseLogistic

__all__ = ["LossCode", "loss_code", "residuals_of"]

_MATRIX = types.float64[:, ::1]
_SIGNATURE = types.float64(
    types.int64, _MATRIX, _MATRIX, types.boolean, _MATRIX, types.int64[::1], types.float64[::1]
)
_call = caller(_SIGNATURE)

CROSS_ENTROPY, EXPONENTIAL, PAIRWISE_LOGISTIC, CALLBACK = range(4)
TOTALS, WEIGHTS, TOPS = range(3)


class LossCode(NamedTuple):
    """A loss as the compiled loop takes it: by number if the loop knows it, otherwise as a callback."""

    kind: int
    address: int
    """Of a callback of one signature for all losses, so that the loop is compiled once; 0 for the known."""


# Code at an address must not be freed.
_CALLBACKS: list[Any] = []


@cache
def loss_code(loss: Loss) -> LossCode:
    """Return the code of a loss; a callback is compiled on first use.

    Raises:
        MissingCapability: the loss offers no compiled residuals.
        InvalidArgument: what it offers cannot be compiled.
    """
    offer = COMPILED_LOSS.of(loss)
    if offer is None:
        remedy = 'use engine="auto", "batched" or "reference"'
        raise MissingCapability("loss", loss.name, COMPILED_LOSS.name, 'engine="compiled"', remedy)
    if isinstance(offer, ResidualKernel) and offer.kernel in _KNOWN:
        return LossCode(_KNOWN[offer.kernel], 0)
    try:
        if isinstance(offer, PairResiduals):
            kernel = _of_pairs(_compiled(offer.correction))
        elif isinstance(offer, TotalResiduals):
            kernel = _of_totals(_compiled(offer.correction))
        else:
            kernel = _called(_compiled(offer.kernel))
        made = callback(_SIGNATURE, kernel)
    except NumbaError as error:
        reason = str(error).strip().splitlines()[0]
        remedy = f"its compiled residuals do not compile: {reason}"
        raise InvalidArgument("loss", loss.name, remedy) from error
    _CALLBACKS.append(made)
    return LossCode(CALLBACK, made.address)


def _compiled(function: Callable[..., float]) -> Callable[..., float]:
    return function if is_jitted(function) else allocating(function)


@inlined
def cross_entropy(b, log_odds, low, doubled, numbers, bits, powers):
    """Write the residuals of cross-entropy: with u = log Σ_c exp(a_c) they sum to 1 / (1 + e^-u)."""
    if not doubled:
        _exponentials_of_rows(b, log_odds, numbers, bits, powers)
        for i in range(b):
            numbers[WEIGHTS, i] = 1.0 / (1.0 + numbers[TOTALS, i])
        return _brought_to_order_one(b, numbers)
    _relative_to_largest(b, log_odds, low, numbers)
    _exponentials_of_rows(b, log_odds, numbers, bits, powers)
    return _weights_of_softmax(
        numbers[TOTALS, :b],
        numbers[WEIGHTS, :b],
        numbers[TOPS, :b],
        numbers[3, :b],
        numbers[4, :b],
        bits,
        powers,
    )


@inlined
def exponential(b, log_odds, low, doubled, numbers, bits, powers):
    """Write the residuals of the exponential loss, exp(a_c)."""
    if not doubled:
        _exponentials_of_rows(b, log_odds, numbers, bits, powers)
        for i in range(b):
            numbers[WEIGHTS, i] = 1.0
        return _brought_to_order_one(b, numbers)
    _relative_to_largest(b, log_odds, low, numbers)
    _exponentials_of_rows(b, log_odds, numbers, bits, powers)
    shift = math.ceil(_largest_of_row(numbers, TOPS, b))
    for i in range(b):
        numbers[WEIGHTS, i] = numbers[TOPS, i] - shift
    exponentials(numbers[WEIGHTS, :b], bits, powers)
    return shift


@inlined
def pairwise_logistic(b, log_odds, low, doubled, numbers, bits, powers):
    """Write the residuals of the pairwise logistic loss, 1 / (1 + e^-a_c)."""
    entries, rest = log_odds[:b].reshape(-1), low[:b].reshape(-1)
    shift = 0.0
    if doubled:
        shift = math.ceil(min(_largest_number(entries), 0.0))
        _near_and_far(entries, rest, shift)
        exponentials(rest, bits, powers)
    exponentials(entries, bits, powers)
    _over_one_more(entries, rest if doubled else entries)
    for i in range(b):
        numbers[TOTALS, i] = _sum_of_row(log_odds, i)
        numbers[WEIGHTS, i] = 1.0
    return shift if doubled else _brought_to_order_one(b, numbers)


def _of_pairs(correction: Callable[[float], float]) -> Callable[..., float]:
    """Return the kernel of residuals r_ic = exp(min(a_ic, 0) + correction(a_ic))."""

    def residuals(b, log_odds, low, doubled, numbers, bits, powers):
        largest = -math.inf
        for i in range(b):
            for c in range(log_odds.shape[1]):
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
            _subtract(log_odds, low, i, shift)
            numbers[WEIGHTS, i] = 1.0
        _exponentials_of_rows(b, log_odds, numbers, bits, powers)
        return shift

    return residuals


def _of_totals(correction: Callable[[float], float]) -> Callable[..., float]:
    """Return the kernel of residuals ∝ exp(a_ic) that sum to exp(min(u_i, 0) + correction(u_i))."""

    def residuals(b, log_odds, low, doubled, numbers, bits, powers):
        if not doubled:
            low[:b] = 0.0
        _relative_to_largest(b, log_odds, low, numbers)
        _exponentials_of_rows(b, log_odds, numbers, bits, powers)
        largest = -math.inf
        for i in range(b):
            top, rest = numbers[TOPS, i], math.log(numbers[TOTALS, i])
            u = top + rest
            numbers[TOPS, i] = top if u < 0.0 else 0.0
            numbers[WEIGHTS, i] = (rest if u < 0.0 else 0.0) + correction(u)
            largest = max(largest, numbers[TOPS, i] + numbers[WEIGHTS, i])
        shift = math.ceil(largest)
        for i in range(b):
            logarithm = (numbers[TOPS, i] - shift) + numbers[WEIGHTS, i]
            numbers[WEIGHTS, i] = math.exp(logarithm) / numbers[TOTALS, i]
        return shift

    return residuals


def _called(kernel: Callable[..., float]) -> Callable[..., float]:
    def residuals(b, log_odds, low, doubled, numbers, bits, powers):
        return kernel(b, log_odds, low, doubled, numbers, bits, powers)

    return residuals


@inlined
def _exponentials_of_rows(b, matrix, numbers, bits, powers):
    """Replace exponents [b, k] by exponentials, and write each row's sum."""
    exponentials(matrix[:b].reshape(-1), bits, powers)
    for i in range(b):
        numbers[TOTALS, i] = _sum_of_row(matrix, i)


@plain
def _relative_to_largest(b, log_odds, low, numbers):
    """Write each row's largest log-odds, and subtract it from the row; the rest joins in."""
    for i in range(b):
        top = _largest_of_row(log_odds, i, log_odds.shape[1])
        numbers[TOPS, i] = top
        _subtract(log_odds, low, i, top)


@inlined
def _brought_to_order_one(b, numbers):
    """Divide the weights by e^shift such that the largest r_ic is of order one; return shift."""
    largest = 0.0
    for i in range(b):
        largest = max(largest, numbers[WEIGHTS, i] * numbers[TOTALS, i])
    shift = math.floor(math.log(largest))
    scale = math.exp(-shift)
    for i in range(b):
        numbers[WEIGHTS, i] *= scale
    return shift


@vectorised
def _weights_of_softmax(totals, weights, tops, near, far, bits, powers):
    """Write weights such that r_ic · exp(-shift) = weight_i · exp(a_ic - top_i); return shift.

    With u = top + log(total), Σ_c r_ic is the logistic function of u; neither a logarithm nor a cancellation
    is needed to scale it.
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
def _largest_of_row(matrix, i, count):
    largest = -math.inf
    for c in range(count):
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


@inlined
def residuals_of(kind, address, b, log_odds, low, doubled, numbers, bits, powers):
    """Write the residuals of the loss of that code, see :class:`LossCode`, and return their shift."""
    if kind == CROSS_ENTROPY:
        return cross_entropy(b, log_odds, low, doubled, numbers, bits, powers)
    if kind == EXPONENTIAL:
        return exponential(b, log_odds, low, doubled, numbers, bits, powers)
    if kind == PAIRWISE_LOGISTIC:
        return pairwise_logistic(b, log_odds, low, doubled, numbers, bits, powers)
    return _call(address, (b, log_odds, low, doubled, numbers, bits, powers))


_KNOWN: dict[Callable[..., float], int] = {
    cross_entropy: CROSS_ENTROPY,
    exponential: EXPONENTIAL,
    pairwise_logistic: PAIRWISE_LOGISTIC,
}


@COMPILED_LOSS.offered_by(CrossEntropy)
def _(_loss: CrossEntropy) -> ResidualKernel:
    return ResidualKernel(cross_entropy)


@COMPILED_LOSS.offered_by(Exponential)
def _(_loss: Exponential) -> ResidualKernel:
    return ResidualKernel(exponential)


@COMPILED_LOSS.offered_by(PairwiseLogistic)
def _(_loss: PairwiseLogistic) -> ResidualKernel:
    return ResidualKernel(pairwise_logistic)
