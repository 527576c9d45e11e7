"""Rates: the gap's predicted order in t (Corollaries 4.2, 4.5, 4.7), and the exponent that a run shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from scipy.special import stdtrit

from steepest.arguments import real_number, switch, whole_number
from steepest.arrays import as_floating, as_numpy
from steepest.errors import InvalidArgument
from steepest.schedules import PolynomialDecay
from steepest.theory.inputs import as_batches, as_momentum, require_parts

_BLOCKS = 3


def predicted_rate(
    exponent: float,
    samples: int,
    steps: Any,
    momentum: float = 0.0,
    batches: int = 1,
    variance_reduction: bool = False,
    *,
    relative_margin: float = 1.0,
) -> np.ndarray:
    """Return the predicted order of the margin gap for η_t = η₀ (t+1)^{-a}, up to a constant factor.

    The margin bound is [warm-up + Σ_{s<t} α η_s²] / Σ_{s<t} η_s. With D the size of α in units of R²,

        a < 1/2: (D t^{1-2a} + n w) / t^{1-a}      a = 1/2: (D log t + n w) / t^{1/2}
        a < 1:   (D - 1 + n w) / t^{1-a}           a = 1:   (D - 1 + n w) / log t

    where D = 1 without noise, 1 + m β/(1-β) with momentum, 1 + (m-1)² with variance reduction and
    1 + β/(1-β) + (m-1)² with both; w = (D/ρ)^{(1-a)/a} (a = 1: 1 + log(D/ρ)), with D/ρ at least 1, is Σ η
    until α η_t is below ρ, and n the number of samples, since the loss then has to come below 1/n: Σ η takes
    n w/ρ for that, of which the gap counts ρ times as much. At D = ρ = 1 this is Corollary 4.2. With ρ in
    units of R, as ``relative_margin``, it is the form of Corollary 4.5 that does not take ρ for a constant:
    with a small effective margin the warm-up grows as (D/ρ)^{(1-a)/a}, or as log D + log(1/ρ) at a = 1.

    Args:
        exponent: a, with 0 < a ≤ 1.
        samples: n.
        steps: t ≥ 2, a number or an array, whose shape the result has.
        momentum: β.
        batches: m, batches an epoch.
        variance_reduction: whether the signal is variance reduced.
        relative_margin: ρ / R, with 0 < ρ/R ≤ 2; 1 takes it for a constant.

    Raises:
        InvalidArgument: a, β, t or ρ/R is outside its range.

    >>> predicted_rate(0.5, samples=100, steps=np.array([100, 10_000])).round(3)
    array([10.461,  1.092])
    """
    a, momentum, batches = _as_exponent(exponent), as_momentum(momentum), as_batches(batches)
    n = real_number("samples", whole_number("samples", samples, 1), "give fewer samples")
    switch("variance_reduction", variance_reduction)
    t = as_numpy(as_floating(steps, "steps"))
    if not np.all((t >= 2) & np.isfinite(t)):
        raise InvalidArgument("steps", steps, "give steps of at least 2")
    memory = momentum / (1.0 - momentum)
    noise = 1.0 + (memory + (batches - 1) ** 2 if variance_reduction else batches * memory)
    remedy = "give ρ / R, above 0 and at most 2"
    rho = real_number("relative_margin", relative_margin, remedy, above=0)
    if rho > 2:
        raise InvalidArgument("relative_margin", relative_margin, remedy)
    slack = max(1.0, noise / rho)
    warm_up = n * (1.0 + math.log(slack) if a == 1 else slack ** ((1.0 - a) / a))
    if a < 0.5:
        accumulated = noise * t ** (1.0 - 2.0 * a)
    elif a == 0.5:
        accumulated = noise * np.log(t)
    else:
        accumulated = np.full_like(t, noise - 1.0)
    return (accumulated + warm_up) / (np.log(t) if a == 1 else t ** (1.0 - a))


def predicted_exponent(exponent: float) -> float:
    """Return e such that the gap falls like t^{-e}, up to logarithms: a for a ≤ 1/2, 1 - a above.

    Momentum and variance reduction change constants alone.

    Args:
        exponent: a of the step sizes η_t = η₀ (t+1)^{-a}.

    >>> predicted_exponent(0.3), predicted_exponent(0.5), predicted_exponent(0.75)
    (0.3, 0.5, 0.25)
    """
    exponent = _as_exponent(exponent)
    return min(exponent, 1.0 - exponent)


@dataclass(frozen=True)
class FittedRate:
    """The exponent e of gap ≈ C t^{-e} that a run shows over its last steps."""

    exponent: float
    interval: tuple[float, float]
    """Confidence interval of the exponent: of the mean over data sets for several runs, and of the slope of
    the one run's own curve for one. See :func:`fit_rate` for how often it covers."""
    confidence: float
    """Of the interval, between 0 and 1."""
    first: int
    """First step of the fit."""
    last: int
    """Last step of the fit."""
    points: int
    """Number of records in the fit, of all runs together."""
    predicted: float | None
    """The exponent that the theory predicts; None for a schedule outside its family."""
    runs: int = 1
    """Number of runs."""

    def __str__(self) -> str:
        low, high = self.interval
        beside = "" if self.predicted is None else f", predicted {self.predicted:g}"
        over = "" if self.runs == 1 else f" over {self.runs} runs"
        return (
            f"t^-{self.exponent:.3f} ({self.confidence:.0%} interval {low:.3f} to {high:.3f}{over}, "
            f"steps {self.first} to {self.last}){beside}"
        )


class RunWithErrors(Protocol):
    """What a fit reads of a run; :class:`steepest.Trajectory` with a reference is one."""

    @property
    def method(self) -> Any: ...  # noqa: D102
    @property
    def steps(self) -> np.ndarray: ...  # noqa: D102
    @property
    def relative_margin_error(self) -> Any: ...  # noqa: D102


def fit_rate(
    trajectory: RunWithErrors | Sequence[RunWithErrors], *, decades: float = 1.0, confidence: float = 0.95
) -> FittedRate:
    """Return the exponent of the relative margin error of a run, or of runs, beside the predicted one.

    The error 1 - margin(W_t) / (‖W_t‖ γ) is the gap over γ, so it has the gap's exponent. See
    :func:`fit_exponent` for how each fit is made.

    What the interval is of. Exponents differ more between data sets than any one curve tells: at 20,000 steps
    (full batch, max-norm, a = 1/2) they spread by 0.013 over 10 draws of ``gaussian`` and by 0.060 over 10 of
    ``mixture``, around 0.498 and 0.503. So the interval of one run is about the slope of that run's curve
    alone, and covered the predicted 0.5 in 15 of those 20 runs. To judge a rate give one run for each of
    several data sets: then it is Student's over their exponents, and is about their mean.

    Args:
        trajectory: a run with a reference, or several with the same schedule, each of a data set of its own.
        decades: length of the fitted stretch at the end of the run, as log₁₀(last / first).
        confidence: of the interval.

    Raises:
        InvalidArgument: fewer than five records with a positive error lie in the stretch.

    >>> from types import SimpleNamespace
    >>> t = np.arange(1, 2000)
    >>> run = SimpleNamespace(
    ...     steps=t,
    ...     relative_margin_error=3.0 / t**0.5,
    ...     method=SimpleNamespace(schedule=PolynomialDecay(0.1, 0.5)),
    ... )
    >>> str(fit_rate(run))
    't^-0.500 (95% interval 0.500 to 0.500, steps 200 to 1999), predicted 0.5'
    """
    if isinstance(trajectory, (list, tuple)):
        return _over_runs([fit_rate(each, decades=decades, confidence=confidence) for each in trajectory])
    run: Any = trajectory
    read = ("method", "steps", "relative_margin_error")
    require_parts("trajectory", run, read, "give a run with a reference, as steepest.descend returns it")
    schedule = run.method.schedule
    known = isinstance(schedule, PolynomialDecay) and 0 < schedule.exponent <= 1
    predicted = predicted_exponent(schedule.exponent) if known else None
    return fit_exponent(
        run.steps,
        run.relative_margin_error,
        decades=decades,
        confidence=confidence,
        predicted=predicted,
    )


def fit_exponent(
    steps: Any,
    gaps: Any,
    *,
    decades: float = 1.0,
    confidence: float = 0.95,
    predicted: float | None = None,
) -> FittedRate:
    """Fit gap ≈ C t^{-e} over the last steps by least squares on logarithms.

    Records are thinned to be even in log t (at most 100). They follow each other closely, and a curve that
    is no exact power bends: neither is independent noise. So the interval comes from blocks: the stretch is
    cut into three, each gets a slope of its own, and half its width is Student's t with 2 degrees of freedom
    times their standard error. With residuals of lag-one correlation φ = 0, 0.5, 0.9 and 0.97 a 95 % interval
    covers in 99, 99.8, 99 and 98 % of 400 draws (an interval from the correlation itself in 95, 95, 89 and
    79 %). Records without a positive gap carry no logarithm and are left out.

    Args:
        steps: t of each record, shape [r].
        gaps: what falls, shape [r].
        decades: how much of the end is fitted.
        confidence: of the interval.
        predicted: an exponent to compare with.

    Raises:
        InvalidArgument: shapes differ, ``confidence`` or ``decades`` cannot be used, or fewer than five
            records are left.

    >>> t = np.geomspace(10, 1000, 50)
    >>> round(fit_exponent(t, 5 * t**-0.25).exponent, 6)
    0.25
    """
    t, gap = (as_numpy(as_floating(each, name)) for each, name in ((steps, "steps"), (gaps, "gaps")))
    if t.shape != gap.shape or t.ndim != 1:
        raise InvalidArgument("gaps", gap.shape, f"give one gap a step, shape {t.shape}")
    confidence = real_number(
        "confidence", confidence, "give a number between 0 and 1, such as 0.95", above=0, below=1
    )
    decades = real_number("decades", decades, "give a positive number of decades", above=0)
    if predicted is not None:
        predicted = real_number("predicted", predicted, "give an exponent, or None")
    usable = (t >= 1) & (gap > 0)
    if usable.any():
        # Rounded in the exponent: T / 10 belongs to the last decade of T steps.
        usable &= t >= t[usable].max() * 10.0**-decades * (1 - 1e-12)
    t, gap = _thinned(t[usable], gap[usable])
    if len(t) < 5:
        raise InvalidArgument("decades", decades, f"fit a longer stretch: it has {len(t)} usable records")
    x, y = np.log(t), np.log(gap)
    slope = _slope(x, y)
    half = _half_width(x, y, confidence)
    interval = (-slope - half, -slope + half)
    return FittedRate(-slope, interval, confidence, int(t[0]), int(t[-1]), len(t), predicted)


def _thinned(t: np.ndarray, gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(t) <= 100:
        return t, gap
    wanted = np.geomspace(t[0], t[-1], 100)
    chosen = np.unique(np.clip(np.searchsorted(t, wanted * (1 - 1e-12)), 0, len(t) - 1))
    return t[chosen], gap[chosen]


def _half_width(x: np.ndarray, y: np.ndarray, confidence: float) -> float:
    ends = np.rint(np.linspace(0, len(x) - 1, _BLOCKS + 1)).astype(int)
    blocks = [slice(first, last + 1) for first, last in pairwise(ends)]
    return _students([_slope(x[block], y[block]) for block in blocks], confidence)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))


def _students(values: Sequence[float], confidence: float) -> float:
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(stdtrit(len(values) - 1, 0.5 + 0.5 * confidence)) * error


def _over_runs(fits: Sequence[FittedRate]) -> FittedRate:
    if len(fits) < 2:
        raise InvalidArgument("trajectory", len(fits), "give one run, or at least 2, each of a data set")
    if len({fit.predicted for fit in fits}) > 1:
        raise InvalidArgument("trajectory", len(fits), "give runs with the same schedule")
    exponents = [fit.exponent for fit in fits]
    mean, half = float(np.mean(exponents)), _students(exponents, fits[0].confidence)
    return replace(
        fits[0],
        exponent=mean,
        interval=(mean - half, mean + half),
        first=min(fit.first for fit in fits),
        last=max(fit.last for fit in fits),
        points=sum(fit.points for fit in fits),
        runs=len(fits),
    )


def _as_exponent(exponent: float) -> float:
    remedy = "give a number with 0 < exponent <= 1"
    number = real_number("exponent", exponent, remedy, above=0)
    if number > 1:
        raise InvalidArgument("exponent", exponent, remedy)
    return number
