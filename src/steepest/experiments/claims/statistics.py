"""The statistics of verdicts: intervals and tests of a mean over data sets, and fits to curves of errors.

The replicate is the data set: shuffling the same data anew changes errors far less than drawing new data
does. All tests are one-sided t-tests, so that a mean is beyond a bound at :data:`LEVEL` exactly where the
interval of confidence :data:`CONFIDENCE` is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from steepest.errors import InvalidArgument
from steepest.theory import fit_exponent

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "FloorFit",
    "Interval",
    "data_sets_needed",
    "fit_floor",
    "fitted_exponent",
    "holm",
    "mean_interval",
    "p_above",
    "p_below",
    "p_equivalent",
    "slopes",
]

CONFIDENCE = 0.95
"""Confidence of the intervals that are shown."""

LEVEL = (1 - CONFIDENCE) / 2
"""Largest probability of each one-sided error: what a two-sided interval leaves on one of its sides."""

_MOST_DATA_SETS = 1_000_000
_FLOOR_POINTS = 24
_NOISE = 1e-6
"""Relative residuals below this are rounding: neither form of a curve fits better for them."""
_SMALLEST_EXPONENT, _LARGEST_EXPONENT = 0.05, 3.0


@dataclass(frozen=True)
class Interval:
    """A mean over data sets with its t-interval."""

    mean: float
    low: float
    high: float
    deviation: float
    """Standard deviation over the data sets."""
    count: int


def mean_interval(values: Sequence[float] | np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of independent values with its t-interval; one value has an interval without ends.

    >>> mean_interval([1.0, 2.0, 3.0]).mean
    2.0
    >>> round(mean_interval([1.0, 2.0, 3.0]).high, 4)
    4.4841
    """
    taken = np.asarray(values, float)
    if not taken.size or not np.isfinite(taken).all():
        return Interval(math.nan, math.nan, math.nan, math.nan, int(taken.size))
    mean = float(taken.mean())
    if taken.size == 1:
        return Interval(mean, -math.inf, math.inf, math.nan, 1)
    deviation = float(taken.std(ddof=1))
    half = _quantile(taken.size, confidence) * deviation / math.sqrt(taken.size)
    return Interval(mean, mean - half, mean + half, deviation, int(taken.size))


def p_above(values: Sequence[float] | np.ndarray, bound: float) -> float:
    """Return the one-sided p-value of "the mean is above the bound": 1 where nothing can be said.

    >>> round(p_above([1.0, 2.0, 3.0], 0.0), 5)
    0.03709
    """
    found = mean_interval(values)
    if math.isnan(found.mean) or found.count < 2:
        return 1.0
    if found.deviation == 0:
        return 0.0 if found.mean > bound else 1.0
    from scipy.special import stdtr

    # The lower tail, for a p-value near 1 is of no use where a tiny one keeps its digits.
    return float(stdtr(found.count - 1, (bound - found.mean) / (found.deviation / math.sqrt(found.count))))


def p_below(values: Sequence[float] | np.ndarray, bound: float) -> float:
    """Return the one-sided p-value of "the mean is below the bound"."""
    return p_above(-np.asarray(values, float), -bound)


def p_equivalent(values: Sequence[float] | np.ndarray, margin: float) -> float:
    """Return the p-value of "the mean is within ± margin": the larger of two one-sided tests.

    >>> p_equivalent([0.1, -0.1, 0.05, -0.02], 0.3) < 0.025
    True
    """
    return max(p_above(values, -margin), p_below(values, margin))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted by Holm's method, so that all of them can be read at one level together.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)


def data_sets_needed(deviation: float, effect: float, confidence: float = CONFIDENCE) -> int:
    """Return the smallest number of data sets whose t-interval is no wider than ± effect: (t sd / effect)².

    Raises:
        InvalidArgument: an effect that is not above 0.

    >>> data_sets_needed(0.24, 0.14)
    14
    """
    if not effect > 0:
        raise InvalidArgument("effect", effect, "give a number above 0")
    if not deviation > 0:
        return 2
    low, high = 1, 2
    while high < _MOST_DATA_SETS and _half_width(high, deviation, confidence) > effect:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _half_width(middle, deviation, confidence) <= effect else (middle, high)
    return high


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the least-squares slope of each row of y, shape [s, p], on x, shape [p].

    >>> slopes(np.array([0.0, 1.0, 2.0]), np.array([[1.0, 3.0, 5.0]]))
    array([2.])
    """
    centred = x - x.mean()
    return (y - y.mean(axis=1, keepdims=True)) @ centred / (centred @ centred)


@dataclass(frozen=True)
class FloorFit:
    """An error curve as c + A t^-e, beside the same without c."""

    floor: float
    """c as a share of the last error."""
    exponent: float
    advantage: float
    """By how much the AIC of c + A t^-e is below that of A t^-e; above 4 the floor is needed."""


def fit_floor(steps: np.ndarray, error: np.ndarray, decades: float = 2.0) -> FloorFit:
    """Fit error = c + A t^-e over the last decades of steps, in relative errors, and compare with c = 0.

    The exponent e is sought from 0.05 to 3; c and A are the least squares for it, and c may be negative, for
    an estimate that cannot be would always find a floor. Records are thinned to points evenly spaced in
    log t: neighbours on a curve are no independent observations. NaN where the curve has fewer than six
    points, or an error that is not above 0.

    >>> t = np.geomspace(1, 1e5, 400)
    >>> found = fit_floor(t, 0.2 + 3 * t**-0.5)
    >>> round(found.floor * (0.2 + 3 * 1e5**-0.5), 6), found.advantage > 4
    (0.2, True)
    """
    wanted = np.geomspace(steps[-1] / 10**decades, steps[-1], _FLOOR_POINTS)
    places = np.unique(np.searchsorted(steps, wanted * (1 - 1e-9)).clip(max=len(steps) - 1))
    t, e = steps[places] / steps[-1], np.asarray(error, float)[places]
    if len(places) < 6 or not (np.isfinite(e).all() and (e > 0).all()):
        return FloorFit(math.nan, math.nan, math.nan)
    y = e / e[-1]

    def with_floor(exponent: float) -> tuple[float, float]:
        # Columns are divided by y: relative residuals, as errors of a percent are alike at every height.
        columns = np.column_stack([1 / y, t**-exponent / y])
        solved, *_ = np.linalg.lstsq(columns, np.ones(len(y)), rcond=None)
        return float(np.sum((columns @ solved - 1) ** 2)), float(solved[0])

    def without(exponent: float) -> float:
        column = t**-exponent / y
        return float(np.sum((column * (column.sum() / (column @ column)) - 1) ** 2))

    exponent, residual = _least(lambda each: with_floor(each)[0], _SMALLEST_EXPONENT)
    _, plain = _least(without, -_LARGEST_EXPONENT)
    tiny = len(y) * _NOISE**2
    advantage = len(y) * math.log((plain + tiny) / (residual + tiny)) - 2
    return FloorFit(with_floor(exponent)[1], exponent, advantage)


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


def _least(residual: Callable[[float], float], lowest: float) -> tuple[float, float]:
    from scipy.optimize import minimize_scalar

    grid = np.linspace(lowest, _LARGEST_EXPONENT, 40)
    place = int(np.argmin([residual(each) for each in grid]))
    low, high = grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)]
    found = minimize_scalar(residual, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
    return float(found.x), float(found.fun)


def _half_width(count: int, deviation: float, confidence: float) -> float:
    return _quantile(count, confidence) * deviation / math.sqrt(count)


def _quantile(count: int, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, (1 + confidence) / 2))
