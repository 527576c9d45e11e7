"""The claims of Corollaries 4.2, 4.5 and 4.7: exponents for several a, and what m and β do to prefactors.

A prefactor is the C of error ≈ C t^(-e) over the last decade, with e the predicted exponent; the corollaries
bound it from above, by functions of m and β that :func:`steepest.theory.predicted_rate` evaluates. "Grows no
faster" is a slope of at most 1 of the logarithm of the measured prefactor on that of the predicted one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from steepest.experiments.claims.claim import claim
from steepest.experiments.claims.measurement import Measurements, over_seeds
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.claims.statistics import fitted_exponent, slopes
from steepest.experiments.dimensions import PLAIN_SIGNAL, REDUCED_SIGNAL
from steepest.theory import batches_per_epoch, predicted_exponent, predicted_rate

__all__ = [
    "exponents_follow_the_schedule",
    "prefactor",
    "prefactors_in_batches",
    "prefactors_in_momentum",
    "prefactors_of_reduced",
]

_LEAST_POINTS = 3


@claim(
    "exponents-follow-the-schedule",
    "With step sizes t^-a the full batch's error falls at least as fast as Corollary 4.2 says.",
    "fitted exponent ≥ the predicted one - 0.1 (a < 1); at a = 1 an error that falls over the last decade",
)
def exponents_follow_the_schedule(runs: Runs) -> Measurements:
    """Measure the exponent of the full batch on each data set, and of the full batch with every momentum."""
    a = runs.step_size_exponent
    for momentum in runs.momenta:
        errors = runs.curve("relative_margin_error", runs.samples, momentum)
        exponents = [fitted_exponent(runs.steps, each) for each in errors]
        # At a = 1 the prediction is 1 / log t, slower than any power.
        least = predicted_exponent(a) - 0.1 if a < 1 else 0.0
        where = f"a = {a:g}, momentum {momentum:g}"
        yield over_seeds(runs, "exponent of the full batch", where, exponents, at_least=least)


@claim(
    "prefactors-grow-no-faster-in-momentum",
    "The prefactor grows no faster with β than Corollary 4.5 says: as 1 + m β/(1-β) at most.",
    "slope of log prefactor on its predicted logarithm over β ≤ 1, at every b",
)
def prefactors_in_momentum(runs: Runs) -> Measurements:
    """Measure the slope over momenta, at every batch size with runs of three momenta or more.

    Without momentum small batches may have a floor, which is no prefactor; so β = 0 counts for the full batch
    alone.
    """
    yield from _slopes(
        runs,
        "β",
        [
            (f"b = {b}", [(b, beta, PLAIN_SIGNAL) for beta in runs.momenta if beta > 0 or b == runs.samples])
            for b in runs.batch_sizes
        ],
    )


@claim(
    "prefactors-grow-no-faster-in-batches",
    "At fixed β the prefactor grows no faster with m than Corollary 4.5 says.",
    "slope of log prefactor on its predicted logarithm over m ≤ 1, at every β > 0",
)
def prefactors_in_batches(runs: Runs) -> Measurements:
    """Measure the slope over batch sizes, at every positive momentum."""
    yield from _slopes(
        runs,
        "m",
        [
            (f"momentum {beta:g}", [(b, beta, PLAIN_SIGNAL) for b in runs.batch_sizes])
            for beta in runs.momenta
            if beta > 0
        ],
    )


@claim(
    "prefactors-of-reduced-grow-no-faster",
    "With variance reduction the prefactor grows no faster with m than Corollary 4.7 says: as 1 + (m-1)².",
    "slope of log prefactor on its predicted logarithm over m ≤ 1, at every β",
)
def prefactors_of_reduced(runs: Runs) -> Measurements:
    """Measure the slope over batch sizes with variance reduction, at every momentum."""
    yield from _slopes(
        runs,
        "m",
        [
            (f"momentum {beta:g}", [(b, beta, REDUCED_SIGNAL) for b in runs.batch_sizes])
            for beta in runs.momenta
        ],
    )


def prefactor(steps: np.ndarray, error: np.ndarray, exponent: float) -> float:
    """Return C of error ≈ C t^(-exponent) over the last decade of steps; NaN where no error is positive.

    >>> steps = np.geomspace(1, 1000, 50)
    >>> round(prefactor(steps, 3 * steps**-0.5, 0.5), 12)
    3.0
    """
    late = (steps >= steps[-1] / 10 * (1 - 1e-12)) & (error > 0)
    if not late.any():
        return math.nan
    return float(np.exp(np.mean(np.log(error[late]) + exponent * np.log(steps[late]))))


Settings = tuple[int, float, str]
"""Batch size, momentum, signal."""


def _slopes(runs: Runs, over: str, groups: Sequence[tuple[str, list[Settings]]]) -> Measurements:
    measured = 0
    for where, chosen in groups:
        there = [each for each in chosen if runs.has(*each)]
        if len(there) < _LEAST_POINTS:
            continue
        measured += 1
        predicted = np.log([_predicted(runs, each) for each in there])
        found = np.log([_prefactors(runs, each) for each in there])
        label, quantity = f"a = {runs.step_size_exponent:g}, {where}", f"slope of the prefactor over {over}"
        yield over_seeds(runs, quantity, label, slopes(predicted, found.T), at_most=1.0)
        for settings, values in zip(there, np.exp(found), strict=True):
            yield over_seeds(runs, "prefactor", f"{label}: {runs.words(*settings)}", values)
    if not measured:
        raise Missing(f"no {_LEAST_POINTS} values of {over} to fit a prefactor over")


def _prefactors(runs: Runs, settings: Settings) -> list[float]:
    exponent = predicted_exponent(runs.step_size_exponent)
    return [prefactor(runs.steps, each, exponent) for each in runs.curve("relative_margin_error", *settings)]


def _predicted(runs: Runs, settings: Settings) -> float:
    batch_size, momentum, signal = settings
    batches = batches_per_epoch(runs.samples, batch_size)
    reduced = signal == REDUCED_SIGNAL
    a, last = runs.step_size_exponent, float(runs.last_step)
    return float(predicted_rate(a, runs.samples, last, momentum, batches, reduced))
