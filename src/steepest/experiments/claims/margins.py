"""The claims of Figures 1, 3 and 4: errors, cosines and exponents against the full batch's.

"Full" is the full batch with the same momentum and without variance reduction, n the number of samples, b the
batch size and β the momentum. Cosines count only where the max-margin solution is unique.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from steepest.experiments.claims.claim import LONG_RUN, claim
from steepest.experiments.claims.measurement import SMALLEST_RATIO, Measurements, mean_is, over_seeds
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.claims.statistics import fit_floor, fitted_exponent, slopes
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

_FALLING = 0.1
"""The exponent that separates an error that falls, if slowly, from one that has come to a floor."""

_SLACK = 0.05
"""By how much the mean exponent may be below the predicted one: non-inferiority."""

_SAME = 1.3
"""The factor within which two errors are the same."""

_STRETCHES = 2
"""Late stretches of half a decade of steps in which something is asked to fall."""

_PAPER = "Section 5, Figures 1, 3 and 4"


@claim(
    "full-batch-converges",
    "The full batch converges to the max-margin solution, at least at the predicted rate.",
    "mean exponent of the error > the predicted one - 0.05; 1 - cosine falls in both of the last two "
    "half-decades of steps where the solution is unique, and in a long run shows no floor",
    sentence="(a)-(b) show that without momentum, the implicit bias converges to max-margin solution in the "
    f"full-batch case; Corollaries 4.2 and 4.5 ({_PAPER})",
)
def full_batch_converges(runs: Runs) -> Measurements:
    """Measure the full batch's exponent and how its cosine still rises, for every momentum.

    Corollaries 4.2 and 4.5 bound the error from above, so an exponent above the predicted one agrees with
    them. That it is near the predicted one is expected, not claimed.
    """
    predicted = predicted_exponent(runs.step_size_exponent)
    for momentum in runs.momenta:
        where = f"momentum {momentum:g}"
        exponents = _exponents(runs, runs.samples, momentum)
        quantity = "fitted exponent"
        for one in mean_is(
            runs, "above", predicted - _SLACK, quantity, where, exponents, ratio=False, smallest=_SLACK
        ):
            yield replace(one, expected=(predicted - 2 * _SLACK, predicted + 2 * _SLACK))
        yield from _falls(runs, "1 - cosine", where, _angle_curve(runs, runs.samples, momentum))


@claim(
    "full-batch-rate-is-attained",
    "The full batch converges at the predicted rate and not faster.",
    "β = 0: mean exponent > the predicted one - 0.1 and < the predicted one + 0.1",
    steps=LONG_RUN,
)
def full_batch_rate_is_attained(runs: Runs) -> Measurements:
    """Measure how far the full batch's exponent is from the predicted one, without momentum."""
    predicted, exponents = predicted_exponent(runs.step_size_exponent), _exponents(runs, runs.samples, 0.0)
    for asked, bound in (("above", predicted - 2 * _SLACK), ("below", predicted + 2 * _SLACK)):
        yield from mean_is(
            runs, asked, bound, "fitted exponent", "momentum 0", exponents, ratio=False, smallest=_SLACK
        )


@claim(
    "mini-batch-without-momentum-lags",
    "Without momentum small batches stay behind the full batch, the more the smaller they are.",
    "b ≤ n/10: mean error and 1 - cosine > 1.15 × full; slope of log error on log b < 0 (1 - cosine where "
    "the solution is unique)",
    sentence="... but fails under mini-batch sampling ((a)-(b)); with the margin gap shrinking as the batch "
    f"size increases ({_PAPER}; Section 4.1)",
)
def mini_batch_lags(runs: Runs) -> Measurements:
    """Measure how far small batches without momentum stay behind, and how that depends on their size."""
    small = _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10")
    for b in small:
        yield from _compared(runs, "above", SMALLEST_RATIO, "full batch", (b, 0.0), (runs.samples, 0.0))
    if len(small) > 1:
        errors = np.log([_error(runs, b, 0.0) for b in small]).T
        values = slopes(np.log(small), errors)
        where = f"b = {small[0]} to {small[-1]}"
        quantity = "slope of log error on log b"
        yield from mean_is(
            runs, "below", 0.0, quantity, where, values, ratio=False, smallest=_SLACK, opposite=-_SLACK
        )


@claim(
    "mini-batch-without-momentum-has-a-floor",
    "Without momentum small batches do not converge to the max margin at all, however long they run.",
    "b ≤ n/10: the floor of error = floor + A t^-e over the last two decades of steps is above 0 in the "
    "mean, and needed (AIC better by more than 4)",
    steps=LONG_RUN,
)
def mini_batch_has_a_floor(runs: Runs) -> Measurements:
    """Measure the floors that are fitted to errors without momentum; batches above n/10 inform."""
    _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10")
    for b in _mini_batches(runs):
        floors, advantages = _floors(runs, runs.curve("relative_margin_error", b, 0.0))
        share, needed = "floor / last error", "AIC won by a floor"
        if b <= runs.samples / 10:
            where = f"b = {b}"
            yield from mean_is(runs, "above", 0.0, share, where, floors, ratio=False, smallest=_SLACK)
            yield from mean_is(runs, "above", 4.0, needed, where, advantages, ratio=False, smallest=1.0)
        else:
            yield over_seeds(runs, f"{share}, b > n/10", f"b = {b}", floors)
        yield over_seeds(runs, "error", f"b = {b}", _error(runs, b, 0.0))


@claim(
    "moderate-momentum-helps-partly",
    "Momentum 0.5 brings small batches closer, but not all the way.",
    "β = 0.5, b ≤ n/10: mean error and 1 - cosine below those of β = 0, and > 1.15 × full (1 - cosine where "
    "the solution is unique)",
    sentence="(c)-(d) show that moderate momentum partially improves convergence, yielding smaller relative "
    f"error and higher cosine similarity than the no-momentum case, though discrepancies remain ({_PAPER})",
)
def moderate_momentum_helps(runs: Runs) -> Measurements:
    """Measure what momentum 0.5 gains on none, in error and cosine, and what is left to the full batch."""
    for b in _required(runs, lambda b: b <= runs.samples / 10, "of at most n/10"):
        none, full = "that without momentum", "full batch"
        yield from _compared(runs, "below", 1.0, none, (b, 0.5), (b, 0.0), opposite=1 / SMALLEST_RATIO)
        yield from _compared(runs, "above", SMALLEST_RATIO, full, (b, 0.5), (runs.samples, 0.5))


@claim(
    "large-momentum-recovers",
    "Momentum 0.99 brings mini-batches of every size to the full batch's error.",
    "β = 0.99, every b: mean error and 1 - cosine from 1/1.3 to 1.3 × full (1 - cosine where the solution "
    "is unique)",
    sentence="(e)-(f) show that sufficiently large momentum enables convergence even with small batches "
    f"({_PAPER})",
)
def large_momentum_recovers(runs: Runs) -> Measurements:
    """Measure errors and cosines with momentum 0.99 at every batch size."""
    for b in _required(runs, lambda b: b < runs.samples, "below n"):
        yield from _compared(runs, "equivalent", _SAME, "full batch", (b, 0.99), (runs.samples, 0.99))


@claim(
    "variance-reduction-recovers",
    "Variance reduction brings mini-batches of every size to the full batch's error, whatever the momentum.",
    "variance reduction, every b and β: mean error and 1 - cosine from 1/1.3 to 1.3 × full, and error so of "
    "the full batch without momentum (1 - cosine where the solution is unique)",
    sentence="(g)-(i) confirm that variance reduction eliminates the dependence on batch size and momentum, "
    f"ensuring convergence to the full-batch max-margin solution across all settings ({_PAPER})",
)
def variance_reduction_recovers(runs: Runs) -> Measurements:
    """Measure errors with variance reduction, against the full batch of the same momentum and of none."""
    for momentum in runs.momenta:
        for b in _required(runs, lambda b: b < runs.samples, "below n"):
            these = b, momentum, REDUCED_SIGNAL
            yield from _compared(runs, "equivalent", _SAME, "full batch", these, (runs.samples, momentum))
            if momentum != 0:
                # "Eliminates the dependence on batch size and momentum": one error for all settings.
                words, full = "full batch without momentum", (runs.samples, 0.0)
                yield from _compared(runs, "equivalent", _SAME, words, these, full, cosine=False)


@claim(
    "batch-one-needs-longer",
    "With variance reduction even single samples get there, given more steps.",
    "b = 1, variance reduction: mean exponent of the error > 0.1 over the last decade of steps",
    sentence="variance reduction ensures convergence regardless of batch size, albeit at a slower "
    "convergence rate (Section 1, Theorem 4.6)",
)
def batch_one_needs_longer(runs: Runs) -> Measurements:
    """Measure whether single samples with variance reduction still gain, and the steps that they need."""
    for momentum in runs.momenta:
        where = f"momentum {momentum:g}"
        curves = runs.curve("relative_margin_error", 1, momentum, signal=REDUCED_SIGNAL)
        target = _SAME * _error(runs, runs.samples, momentum)
        exponents = _exponents(runs, 1, momentum, signal=REDUCED_SIGNAL)
        quantity = "fitted exponent of b = 1"
        yield from mean_is(runs, "above", _FALLING, quantity, where, exponents, ratio=False, smallest=_SLACK)
        needed = [_steps_needed(runs.steps, *each) for each in zip(curves, exponents, target, strict=True)]
        yield over_seeds(runs, f"steps to {_SAME:g} times the full batch's error", where, needed)


@claim(
    "worst-case-condition-is-vacuous",
    "The theory's condition for convergence without momentum never holds for mini-batches.",
    "ρ ≤ 0 on every data set, for every b < n without momentum and variance reduction",
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
    with np.errstate(over="ignore"):
        return float(steps[-1] * (curve[-1] / target) ** (1 / exponent))


def _compared(
    runs: Runs,
    asked: str,
    bound: float,
    other: str,
    these: tuple[Any, ...],
    those: tuple[Any, ...],
    cosine: bool = True,
    opposite: float | None = None,
) -> Measurements:
    """Yield the ratio of the errors of two settings, and of 1 - cosine where the solution is unique."""
    b, momentum, *signal = these
    where = f"b = {b}, momentum {momentum:g}" + (", variance reduction" if signal else "")
    steps = np.log(runs.steps)
    pairs = [("error", "relative_margin_error", None)]
    pairs += [("1 - cosine", "cosine", runs.unique_optimum)] if cosine else []
    for name, variable, kept in pairs:
        curves = [_curve(runs, variable, *settings) for settings in (these, those)]
        ratios = curves[0] / curves[1]
        drift = trend = floor = None
        if asked == "equivalent":
            late = _late_stretches(runs.steps)
            drift, trend = (
                np.array([slopes(steps[part], np.log(each[:, part])) for part in late]).reshape(-1, len(each))
                for each in (ratios, curves[0])
            )
            if runs.last_step >= LONG_RUN:
                floor = np.array(_floors(runs, curves[0]))
        yield from mean_is(
            runs,
            asked,
            bound,
            f"{name} / {other}",
            where,
            ratios[:, -1],
            opposite=opposite,
            kept=kept,
            drift=drift,
            trend=trend,
            floor=floor,
        )


def _falls(runs: Runs, name: str, where: str, curves: np.ndarray) -> Measurements:
    """Yield that a curve falls in each late stretch where the solution is unique, and has no floor."""
    unique = runs.unique_optimum
    for part in _late_stretches(runs.steps):
        words = f"slope of log({name}) in log t, steps {runs.steps[part][0]:,} to {runs.steps[part][-1]:,}"
        values = slopes(np.log(runs.steps[part]), np.log(curves[:, part]))
        yield from mean_is(
            runs,
            "below",
            0.0,
            words,
            where,
            values,
            ratio=False,
            smallest=_SLACK,
            opposite=-_SLACK,
            kept=unique,
        )
    if runs.last_step >= LONG_RUN:
        floors, _ = _floors(runs, curves)
        words = f"floor of {name} / its last value"
        yield from mean_is(
            runs, "below", 0.5, words, where, floors, ratio=False, smallest=_SLACK, kept=unique
        )


def _late_stretches(steps: np.ndarray) -> list[slice]:
    """Return the records of the last half-decades of steps, in order; none of too few records."""
    ends = np.searchsorted(steps, steps[-1] * 10 ** (-0.5 * np.arange(_STRETCHES, -1, -1)) * (1 - 1e-9))
    stretches = [slice(low, high + 1) for low, high in pairwise(ends.tolist())]
    return stretches if all(part.stop - part.start >= 3 for part in stretches) else []


def _floors(runs: Runs, curves: np.ndarray) -> tuple[list[float], list[float]]:
    found = [fit_floor(runs.steps, curve) for curve in curves]
    return [each.floor for each in found], [each.advantage for each in found]


def _angle_curve(runs: Runs, b: int, momentum: float, signal: str = PLAIN_SIGNAL) -> np.ndarray:
    return _curve(runs, "cosine", b, momentum, signal)


def _curve(runs: Runs, variable: str, b: int, momentum: float, signal: str = PLAIN_SIGNAL) -> np.ndarray:
    # Errors, or 1 - cosine; what the certified margin cannot tell from 0 would compare noise.
    curve = runs.curve(variable, b, momentum, signal)
    return np.maximum(1 - curve if variable == "cosine" else curve, runs.resolution)


def _exponents(runs: Runs, b: int, momentum: float, signal: str = PLAIN_SIGNAL) -> list[float]:
    curves = runs.curve("relative_margin_error", b, momentum, signal)
    return [fitted_exponent(runs.steps, curve) for curve in curves]


def _error(runs: Runs, b: int, momentum: float, signal: str = PLAIN_SIGNAL) -> np.ndarray:
    # Ratios of errors that the certified margin cannot tell from 0 would compare noise.
    return np.maximum(runs.final("relative_margin_error", b, momentum, signal), runs.resolution)


def _mini_batches(runs: Runs) -> list[int]:
    return [b for b in runs.batch_sizes if b < runs.samples]


def _required(runs: Runs, wanted: Callable[[int], bool], words: str) -> list[int]:
    chosen = [b for b in _mini_batches(runs) if wanted(b)]
    if not chosen:
        raise Missing(f"the experiment has no mini-batch size {words} (n = {runs.samples})")
    return chosen
