"""What the claims of Figures 1, 3 and 4 measure: errors, cosines and exponents against the full batch's.

"Full" is the full batch with the same momentum and without variance reduction, n the number of samples, b the
batch size and β the momentum. Cosines count only where the max-margin solution is unique.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from steepest.errors import InvalidArgument
from steepest.experiments.claims.measurement import Measurement
from steepest.experiments.claims.selection import Missing, Runs
from steepest.theory import fit_exponent, predicted_exponent

__all__ = [
    "batch_one_needs_longer",
    "fitted_exponent",
    "full_batch_converges",
    "full_batch_rate_is_attained",
    "large_momentum_recovers",
    "mini_batch_has_a_floor",
    "mini_batch_lags",
    "moderate_momentum_helps",
    "variance_reduction_recovers",
    "worst_case_is_vacuous",
]

Measurements = Iterator[Measurement]

_BELOW_ONE, _ABOVE_ONE = math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0)
_ABOVE_ZERO = math.ulp(0.0)
"""Bounds for "smaller" and "larger": equal is neither."""

_FALLING = 0.1
"""The exponent that separates an error that falls, if slowly, from one that has come to a floor."""


def fitted_exponent(steps: np.ndarray, error: np.ndarray) -> float:
    """Return α of error ≈ c · t^(-α), by least squares of log error on log t over the last decade of steps.

    The last decade is every record from a tenth of the last step on, so that the transient does not enter;
    :func:`steepest.theory.fit_exponent` does the fit. NaN where fewer than five records have an error > 0.

    >>> steps = np.geomspace(1, 1000, 50)
    >>> round(fitted_exponent(steps, 3 * steps**-0.5), 12)
    0.5
    """
    try:
        return fit_exponent(steps, error, decades=1.0).exponent
    except InvalidArgument:
        return math.nan


def full_batch_converges(runs: Runs) -> Measurements:
    """Measure the full batch's error, cosine and exponent, for every momentum.

    Corollaries 4.2 and 4.5 bound the error from above, so an exponent above the predicted one agrees with
    them. That it is near the predicted one is expected, not claimed.
    """
    predicted = predicted_exponent(runs.step_size_exponent)
    for momentum in runs.momenta:
        where = f"momentum {momentum:g}"
        errors = _error(runs, runs.samples, momentum)
        yield runs.measurement("error of the full batch", where, errors, at_most=0.12)
        cosines = runs.final("cosine", runs.samples, momentum)
        quantity = "cosine to the max-margin solution"
        yield from runs.where_unique(runs.unique_optimum, quantity, where, cosines, at_least=0.97)
        low, high = predicted - 0.1, predicted + 0.1
        exponents = _exponents(runs, runs.samples, momentum)
        yield runs.measurement("fitted exponent", where, exponents, at_least=low, expected=(low, high))


def full_batch_rate_is_attained(runs: Runs) -> Measurements:
    """Measure how far the full batch's exponent is from the predicted one, without momentum."""
    predicted = predicted_exponent(runs.step_size_exponent)
    exponents = _exponents(runs, runs.samples, 0.0)
    yield runs.measurement("fitted exponent", "momentum 0", exponents, predicted - 0.1, predicted + 0.1)


def mini_batch_lags(runs: Runs) -> Measurements:
    """Measure how far small batches without momentum stay behind, and how that depends on their size."""
    small = _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10")
    for b in small:
        yield runs.measurement("error / full batch", f"b = {b}", _ratio_to_full(runs, b, 0.0), at_least=2)
    for b, larger in pairwise(small):
        growth = _error(runs, b, 0.0) / _error(runs, larger, 0.0)
        where = f"b = {b} and {larger}"
        yield runs.measurement("error / error at the next larger b", where, growth, at_least=_ABOVE_ONE)
    full = runs.final("cosine", runs.samples, 0.0)
    for b in small:
        gain = runs.final("cosine", b, 0.0) - full
        quantity, most = "cosine - full batch's", -_ABOVE_ZERO
        yield from runs.where_unique(runs.unique_optimum, quantity, f"b = {b}", gain, at_most=most)


def mini_batch_has_a_floor(runs: Runs) -> Measurements:
    """Measure whether the error without momentum has stopped falling; batches above n/10 inform."""
    _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10")
    for b in _mini_batches(runs):
        small = b <= runs.samples / 10
        where, words = f"b = {b}", "" if small else ", b > n/10"
        bound = _FALLING if small else math.inf
        yield runs.measurement(f"fitted exponent{words}", where, _exponents(runs, b, 0.0), at_most=bound)
        yield runs.measurement(f"error{words}", where, _error(runs, b, 0.0))


def moderate_momentum_helps(runs: Runs) -> Measurements:
    """Measure what momentum 0.5 gains on none, in error and cosine, and what is left to the full batch."""
    small = _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10")
    for b in small:
        gain = _error(runs, b, 0.5) / _error(runs, b, 0.0)
        yield runs.measurement("error / error without momentum", f"b = {b}", gain, at_most=_BELOW_ONE)
        yield runs.measurement("error / full batch", f"b = {b}", _ratio_to_full(runs, b, 0.5), at_least=1.15)
    for b in small:
        gain = runs.final("cosine", b, 0.5) - runs.final("cosine", b, 0.0)
        quantity, least = "cosine - cosine without momentum", _ABOVE_ZERO
        yield from runs.where_unique(runs.unique_optimum, quantity, f"b = {b}", gain, at_least=least)


def large_momentum_recovers(runs: Runs) -> Measurements:
    """Measure errors with momentum 0.99; batches below n/20 inform."""
    large = _required(runs, lambda b: b >= runs.samples / 20, "of at least n/20")
    for b in large:
        yield runs.measurement("error / full batch", f"b = {b}", _ratio_to_full(runs, b, 0.99), at_most=1.3)
    for b in (b for b in _mini_batches(runs) if b not in large and runs.has(b, 0.99)):
        yield runs.measurement("error / full batch, b < n/20", f"b = {b}", _ratio_to_full(runs, b, 0.99))


def variance_reduction_recovers(runs: Runs) -> Measurements:
    """Measure errors with variance reduction, against the full batch of the same momentum and of none."""
    large = _required(runs, lambda b: b >= runs.samples / 20, "of at least n/20")
    without = _error(runs, runs.samples, 0.0)
    for momentum in runs.momenta:
        for b in large:
            where = f"b = {b}, momentum {momentum:g}"
            ratio = _ratio_to_full(runs, b, momentum, signal="svrg")
            yield runs.measurement("error / full batch", where, ratio, at_most=1.3)
            # "Eliminates the dependence on batch size and momentum": one error for all settings.
            one = _error(runs, b, momentum, signal="svrg") / without
            yield runs.measurement("error / full batch without momentum", where, one, at_most=1.3)


def batch_one_needs_longer(runs: Runs) -> Measurements:
    """Measure whether single samples with variance reduction still gain, and the steps that they need."""
    for momentum in runs.momenta:
        where = f"momentum {momentum:g}"
        curves = runs.curve("relative_margin_error", 1, momentum, signal="svrg")
        target = 1.3 * _error(runs, runs.samples, momentum)
        exponents = _exponents(runs, 1, momentum, signal="svrg")
        yield runs.measurement("fitted exponent of b = 1", where, exponents, at_least=_FALLING)
        needed = [_steps_needed(runs.steps, *each) for each in zip(curves, exponents, target, strict=True)]
        yield runs.measurement("steps to claim 5's bound", where, needed)


def worst_case_is_vacuous(runs: Runs) -> Measurements:
    """Measure the effective margin ρ of mini-batches without momentum and variance reduction."""
    for b in _required(runs, lambda b: b < runs.samples, "below n"):
        if runs.has(b, 0.0):
            chosen = {"batch_size": b, "momentum": 0.0, "signal": "minibatch"}
            effective = runs.dataset["effective_margin"].sel(chosen)
            if np.isnan(effective.values).all():
                raise Missing("the theory has no lemma constants of this loss, and so no effective margin")
            yield runs.measurement("effective margin ρ", f"b = {b}", effective.values, at_most=0)


def _steps_needed(steps: np.ndarray, curve: np.ndarray, exponent: float, target: float) -> float:
    # Measured where the curve ends below the target, extrapolated along its fitted power law elsewhere.
    above = np.flatnonzero(curve > target)
    if not above.size or above[-1] + 1 < len(steps):
        return float(steps[above[-1] + 1 if above.size else 0])
    if not exponent > 0:
        return math.inf
    return float(steps[-1] * (curve[-1] / target) ** (1 / exponent))


def _exponents(runs: Runs, b: int, momentum: float, signal: str = "minibatch") -> list[float]:
    curves = runs.curve("relative_margin_error", b, momentum, signal)
    return [fitted_exponent(runs.steps, curve) for curve in curves]


def _error(runs: Runs, b: int, momentum: float, signal: str = "minibatch") -> np.ndarray:
    # Ratios of errors that the certified margin cannot tell from 0 would compare noise.
    return np.maximum(runs.final("relative_margin_error", b, momentum, signal), runs.resolution)


def _ratio_to_full(runs: Runs, b: int, momentum: float, signal: str = "minibatch") -> np.ndarray:
    return _error(runs, b, momentum, signal) / _error(runs, runs.samples, momentum)


def _mini_batches(runs: Runs) -> list[int]:
    return [b for b in runs.batch_sizes if b < runs.samples]


def _required(runs: Runs, wanted: Callable[[int], bool], words: str) -> list[int]:
    chosen = [b for b in _mini_batches(runs) if wanted(b)]
    if not chosen:
        raise Missing(f"the experiment has no mini-batch size {words} (n = {runs.samples})")
    return chosen
