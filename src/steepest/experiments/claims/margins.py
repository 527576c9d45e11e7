"""The claims of Figures 1, 3 and 4: errors, cosines and exponents against the full batch's.

"Full" is the full batch with the same momentum and without variance reduction, n the number of samples, b the
batch size and β the momentum. Cosines count only where the max-margin solution is unique.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from steepest.experiments.claims.claim import LONG_RUN, claim
from steepest.experiments.claims.measurement import Measurements, over_seeds, where_unique
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.claims.statistics import fitted_exponent
from steepest.experiments.dimensions import PLAIN_SIGNAL, REDUCED_SIGNAL
from steepest.theory import predicted_exponent

__all__ = [
    "batch_one_needs_longer",
    "full_batch_converges",
    "full_batch_rate_is_attained",
    "large_momentum_recovers",
    "mini_batch_has_a_floor",
    "mini_batch_lags",
    "moderate_momentum_helps",
    "variance_reduction_recovers",
    "worst_case_is_vacuous",
]

_BELOW_ONE, _ABOVE_ONE = math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0)
_ABOVE_ZERO = math.ulp(0.0)
"""Bounds for "smaller" and "larger": equal is neither."""

_FALLING = 0.1
"""The exponent that separates an error that falls, if slowly, from one that has come to a floor."""


@claim(
    "full-batch-converges",
    "The full batch converges to the max-margin solution, at least at the predicted rate.",
    "error ≤ 0.12; fitted exponent ≥ the predicted one - 0.1; cosine ≥ 0.97 where the solution is unique",
)
def full_batch_converges(runs: Runs) -> Measurements:
    """Measure the full batch's error, cosine and exponent, for every momentum.

    Corollaries 4.2 and 4.5 bound the error from above, so an exponent above the predicted one agrees with
    them. That it is near the predicted one is expected, not claimed.
    """
    predicted = predicted_exponent(runs.step_size_exponent)
    for momentum in runs.momenta:
        where = f"momentum {momentum:g}"
        errors = _error(runs, runs.samples, momentum)
        yield over_seeds(runs, "error of the full batch", where, errors, at_most=0.12)
        cosines = runs.final("cosine", runs.samples, momentum)
        quantity = "cosine to the max-margin solution"
        yield from where_unique(runs, runs.unique_optimum, quantity, where, cosines, at_least=0.97)
        low, high = predicted - 0.1, predicted + 0.1
        exponents = _exponents(runs, runs.samples, momentum)
        yield over_seeds(runs, "fitted exponent", where, exponents, at_least=low, expected=(low, high))


@claim(
    "full-batch-rate-is-attained",
    "The full batch converges at the predicted rate and not faster.",
    "β = 0: fitted exponent within 0.1 of the predicted one",
    steps=LONG_RUN,
)
def full_batch_rate_is_attained(runs: Runs) -> Measurements:
    """Measure how far the full batch's exponent is from the predicted one, without momentum."""
    predicted = predicted_exponent(runs.step_size_exponent)
    exponents = _exponents(runs, runs.samples, 0.0)
    yield over_seeds(runs, "fitted exponent", "momentum 0", exponents, predicted - 0.1, predicted + 0.1)


@claim(
    "mini-batch-without-momentum-lags",
    "Without momentum small batches stay behind the full batch, the more the smaller they are.",
    "b ≤ n/10: error ≥ 2 × full, and it grows as b shrinks; cosine below full where the solution is unique",
)
def mini_batch_lags(runs: Runs) -> Measurements:
    """Measure how far small batches without momentum stay behind, and how that depends on their size."""
    small = _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10")
    for b in small:
        yield over_seeds(runs, "error / full batch", f"b = {b}", _ratio_to_full(runs, b, 0.0), at_least=2)
    for b, larger in pairwise(small):
        growth = _error(runs, b, 0.0) / _error(runs, larger, 0.0)
        where = f"b = {b} and {larger}"
        yield over_seeds(runs, "error / error at the next larger b", where, growth, at_least=_ABOVE_ONE)
    full = runs.final("cosine", runs.samples, 0.0)
    for b in small:
        gain = runs.final("cosine", b, 0.0) - full
        quantity, most = "cosine - full batch's", -_ABOVE_ZERO
        yield from where_unique(runs, runs.unique_optimum, quantity, f"b = {b}", gain, at_most=most)


@claim(
    "mini-batch-without-momentum-has-a-floor",
    "Without momentum small batches do not converge to the max margin at all, however long they run.",
    "b ≤ n/10: error falls no faster than t^-0.1 over the last decade of steps",
    steps=LONG_RUN,
)
def mini_batch_has_a_floor(runs: Runs) -> Measurements:
    """Measure whether the error without momentum has stopped falling; batches above n/10 inform."""
    _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10")
    for b in _mini_batches(runs):
        small = b <= runs.samples / 10
        where, words = f"b = {b}", "" if small else ", b > n/10"
        bound = _FALLING if small else math.inf
        yield over_seeds(runs, f"fitted exponent{words}", where, _exponents(runs, b, 0.0), at_most=bound)
        yield over_seeds(runs, f"error{words}", where, _error(runs, b, 0.0))


@claim(
    "moderate-momentum-helps-partly",
    "Momentum 0.5 brings small batches closer, but not all the way.",
    "β = 0.5, b ≤ n/10: error below that of β = 0, and ≥ 1.15 × full; cosine above that of β = 0 "
    "where the solution is unique",
)
def moderate_momentum_helps(runs: Runs) -> Measurements:
    """Measure what momentum 0.5 gains on none, in error and cosine, and what is left to the full batch."""
    small = _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10")
    for b in small:
        gain = _error(runs, b, 0.5) / _error(runs, b, 0.0)
        yield over_seeds(runs, "error / error without momentum", f"b = {b}", gain, at_most=_BELOW_ONE)
        yield over_seeds(runs, "error / full batch", f"b = {b}", _ratio_to_full(runs, b, 0.5), at_least=1.15)
    for b in small:
        gain = runs.final("cosine", b, 0.5) - runs.final("cosine", b, 0.0)
        quantity, least = "cosine - cosine without momentum", _ABOVE_ZERO
        yield from where_unique(runs, runs.unique_optimum, quantity, f"b = {b}", gain, at_least=least)


@claim(
    "large-momentum-recovers",
    "Momentum 0.99 brings mini-batches to the full batch's error.",
    "β = 0.99, b ≥ n/20: error ≤ 1.3 × full",
)
def large_momentum_recovers(runs: Runs) -> Measurements:
    """Measure errors with momentum 0.99; batches below n/20 inform."""
    large = _required(runs, lambda b: b >= runs.samples / 20, "of at least n/20")
    for b in large:
        yield over_seeds(runs, "error / full batch", f"b = {b}", _ratio_to_full(runs, b, 0.99), at_most=1.3)
    for b in (b for b in _mini_batches(runs) if b not in large and runs.has(b, 0.99)):
        yield over_seeds(runs, "error / full batch, b < n/20", f"b = {b}", _ratio_to_full(runs, b, 0.99))


@claim(
    "variance-reduction-recovers",
    "Variance reduction brings mini-batches to the full batch's error, whatever size and momentum.",
    "any β, b ≥ n/20, variance reduction: error ≤ 1.3 × full, and ≤ 1.3 × full without momentum",
)
def variance_reduction_recovers(runs: Runs) -> Measurements:
    """Measure errors with variance reduction, against the full batch of the same momentum and of none."""
    large = _required(runs, lambda b: b >= runs.samples / 20, "of at least n/20")
    without = _error(runs, runs.samples, 0.0)
    for momentum in runs.momenta:
        for b in large:
            where = f"b = {b}, momentum {momentum:g}"
            ratio = _ratio_to_full(runs, b, momentum, signal=REDUCED_SIGNAL)
            yield over_seeds(runs, "error / full batch", where, ratio, at_most=1.3)
            # "Eliminates the dependence on batch size and momentum": one error for all settings.
            one = _error(runs, b, momentum, signal=REDUCED_SIGNAL) / without
            yield over_seeds(runs, "error / full batch without momentum", where, one, at_most=1.3)


@claim(
    "batch-one-needs-longer",
    "With variance reduction even single samples get there, given more steps.",
    "b = 1, variance reduction: error falls at least as t^-0.1 over the last decade of steps",
)
def batch_one_needs_longer(runs: Runs) -> Measurements:
    """Measure whether single samples with variance reduction still gain, and the steps that they need."""
    for momentum in runs.momenta:
        where = f"momentum {momentum:g}"
        curves = runs.curve("relative_margin_error", 1, momentum, signal=REDUCED_SIGNAL)
        target = 1.3 * _error(runs, runs.samples, momentum)
        exponents = _exponents(runs, 1, momentum, signal=REDUCED_SIGNAL)
        yield over_seeds(runs, "fitted exponent of b = 1", where, exponents, at_least=_FALLING)
        needed = [_steps_needed(runs.steps, *each) for each in zip(curves, exponents, target, strict=True)]
        yield over_seeds(runs, "steps to claim 5's bound", where, needed)


@claim(
    "worst-case-condition-is-vacuous",
    "The theory's condition for convergence without momentum never holds for mini-batches.",
    "ρ ≤ 0 for every b < n without momentum and variance reduction",
    steps=0,
)
def worst_case_is_vacuous(runs: Runs) -> Measurements:
    """Measure the effective margin ρ of mini-batches without momentum and variance reduction."""
    for b in _required(runs, lambda b: b < runs.samples, "below n"):
        if runs.has(b, 0.0):
            effective = runs.chosen(b, 0.0)["effective_margin"]
            if np.isnan(effective.values).all():
                raise Missing("the theory has no lemma constants of this loss, and so no effective margin")
            yield over_seeds(runs, "effective margin ρ", f"b = {b}", effective.values, at_most=0)


def _steps_needed(steps: np.ndarray, curve: np.ndarray, exponent: float, target: float) -> float:
    # Measured where the curve ends below the target, extrapolated along its fitted power law elsewhere.
    above = np.flatnonzero(curve > target)
    if not above.size or above[-1] + 1 < len(steps):
        return float(steps[above[-1] + 1 if above.size else 0])
    if not exponent > 0:
        return math.inf
    return float(steps[-1] * (curve[-1] / target) ** (1 / exponent))


def _exponents(runs: Runs, b: int, momentum: float, signal: str = PLAIN_SIGNAL) -> list[float]:
    curves = runs.curve("relative_margin_error", b, momentum, signal)
    return [fitted_exponent(runs.steps, curve) for curve in curves]


def _error(runs: Runs, b: int, momentum: float, signal: str = PLAIN_SIGNAL) -> np.ndarray:
    # Ratios of errors that the certified margin cannot tell from 0 would compare noise.
    return np.maximum(runs.final("relative_margin_error", b, momentum, signal), runs.resolution)


def _ratio_to_full(runs: Runs, b: int, momentum: float, signal: str = PLAIN_SIGNAL) -> np.ndarray:
    return _error(runs, b, momentum, signal) / _error(runs, runs.samples, momentum)


def _mini_batches(runs: Runs) -> list[int]:
    return [b for b in runs.batch_sizes if b < runs.samples]


def _required(runs: Runs, wanted: Callable[[int], bool], words: str) -> list[int]:
    chosen = [b for b in _mini_batches(runs) if wanted(b)]
    if not chosen:
        raise Missing(f"the experiment has no mini-batch size {words} (n = {runs.samples})")
    return chosen
