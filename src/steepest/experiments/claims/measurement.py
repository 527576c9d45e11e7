"""What a claim measures: one quantity on each seed, with what the claim asks of it.

Two kinds of question are asked. What is proven, or exact, must be within its bounds on every seed, and one
exception refutes it (:func:`over_seeds`). What is seen is asked of the mean over data sets (:func:`mean_is`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from numbers import Real

import numpy as np

from steepest.arrays import as_floating, as_numpy
from steepest.errors import InvalidArgument
from steepest.experiments.claims.selection import Runs
from steepest.experiments.inputs import as_instance

__all__ = ["SMALLEST_RATIO", "Asked", "MeanTest", "Measurement", "Measurements", "mean_is", "over_seeds"]

_LARGEST_LOGARITHM = 700.0
"""What is larger has an exponential beyond any number that says something."""

SMALLEST_RATIO = 1.15
"""The smallest ratio of two errors that counts as a difference, unless a claim says another."""


class Asked(Enum):
    """What is asked of a mean over data sets."""

    ABOVE = "above"
    BELOW = "below"
    EQUIVALENT = "equivalent"
    """Within a factor of 1, either way: "the same", which no test of a difference can show."""


@dataclass(frozen=True)
class MeanTest:
    """What a claim asks of the mean of a quantity over data sets."""

    asked: Asked
    bound: float
    """In units of the quantity; for EQUIVALENT the factor, such as 1.3."""
    smallest: float
    """Smallest effect that counts: a factor for ratios, otherwise a difference."""
    opposite: float
    """Where the opposite begins: a mean beyond this, and not shown to be beyond the bound, contradicts."""
    ratio: bool = True
    """Whether the values are ratios, whose logarithms are averaged."""
    drift: tuple[tuple[float, ...], ...] = ()
    """For EQUIVALENT: slopes of the log-ratio in log t, a tuple over seeds for each late stretch of steps."""
    trend: tuple[tuple[float, ...], ...] = ()
    """For EQUIVALENT: the same slopes of the log of what is compared, itself."""
    floor: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """For EQUIVALENT after long runs: the fitted floors over seeds, and their advantages in AIC."""

    def scaled(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return values on the scale on which they are averaged."""
        taken = np.asarray(values, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(taken) if self.ratio else taken

    def shown(self, value: float) -> float:
        """Return a mean, or an end of its interval, in units of the quantity; inf beyond 1e304."""
        if not self.ratio:
            return value
        return math.inf if value > _LARGEST_LOGARITHM else math.exp(value)

    @property
    def words(self) -> str:
        """What is asked, such as "mean > 1.15"."""
        if self.asked is Asked.EQUIVALENT:
            return f"mean from 1/{self.bound:g} to {self.bound:g}"
        return f"mean {'>' if self.asked is Asked.ABOVE else '<'} {self.bound:.4g}"


@dataclass(frozen=True)
class Measurement:
    """One quantity, measured on each seed, and the bounds that the claim sets for it (or none: to inform)."""

    quantity: str
    where: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    at_least: float = -math.inf
    at_most: float = math.inf
    expected: tuple[float, float] | None = None
    """A range in which the values should lie, though the claim does not say so: no part of the verdict."""
    test: MeanTest | None = None
    """What is asked of the mean over data sets, in place of bounds for each of them."""

    @property
    def judged(self) -> tuple[tuple[str, float], ...]:
        """What is held to the bounds, each seed's value, with a name for it."""
        return tuple((f"seed {seed}", value) for seed, value in zip(self.seeds, self.values, strict=True))

    @property
    def slack(self) -> tuple[float, ...]:
        """Distance of each judged value to the nearer bound; negative if it is broken or the value is NaN."""
        return tuple(self._slack(value) for _, value in self.judged)

    def _slack(self, value: float) -> float:
        if math.isnan(value):
            return -math.inf
        # Nothing is asked on a side without a bound; there ∞ - ∞ would be no number.
        above = math.inf if self.at_least == -math.inf else value - self.at_least
        below = math.inf if self.at_most == math.inf else self.at_most - value
        return min(above, below)

    @property
    def bounded(self) -> bool:
        """Whether the claim sets a bound for this quantity on every seed."""
        return self.at_least > -math.inf or self.at_most < math.inf

    @property
    def bound(self) -> str:
        """What is asked and expected in words, such as "≥ 0.4 on every seed"; empty if nothing is."""
        low = [f"≥ {self.at_least:g}"] if self.at_least > -math.inf else []
        high = [f"≤ {self.at_most:g}"] if self.at_most < math.inf else []
        claimed = [" and ".join(low + high) + " on every seed"] if self.bounded else []
        claimed += [self.test.words] if self.test is not None else []
        expected = [] if self.expected is None else [f"expected {self.expected[0]:g} to {self.expected[1]:g}"]
        return "; ".join(claimed + expected)

    @property
    def unexpected(self) -> tuple[float, ...]:
        """The values outside the expected range."""
        if self.expected is None:
            return ()
        low, high = self.expected
        return tuple(value for value in self.values if not low <= value <= high)


Measurements = Iterator[Measurement]


def over_seeds(
    runs: Runs,
    quantity: str,
    where: str,
    values: Sequence[float] | np.ndarray,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    expected: tuple[float, float] | None = None,
) -> Measurement:
    """Return a measurement with one value for each seed of the runs.

    Args:
        runs: what was measured, as a claim is called with it.
        quantity: what the values are, in words.
        where: of which of the runs, in words.
        values: one for each seed, shape [seeds].
        at_least: the claim holds where the value of every seed is at least this.
        at_most: and at most this.
        expected: an interval outside of which a value is remarked on; no part of the verdict.

    Raises:
        InvalidArgument: as many values as there are seeds are not given, or bounds that are no numbers.

    ::

        @claim("small-error", "The full batch ends near the max margin.", "relative margin error ≤ 0.05")
        def small_error(runs):
            errors = runs.final("relative_margin_error", runs.samples, 0.0)
            yield over_seeds(runs, "relative margin error", "full batch", errors, at_most=0.05)
    """
    as_instance("runs", runs, Runs, "give the Runs that a claim is called with")
    for name, bound in (("at_least", at_least), ("at_most", at_most)):
        as_instance(name, bound, Real, "give a number")
    taken = as_numpy(as_floating(values, "values"))
    if taken.shape != (len(runs.seeds),):
        raise InvalidArgument("values", values, f"give one value for each of the {len(runs.seeds)} seeds")
    return Measurement(
        quantity, where, runs.seeds, tuple(taken.tolist()), float(at_least), float(at_most), expected
    )


def mean_is(
    runs: Runs,
    asked: Asked | str,
    bound: float,
    quantity: str,
    where: str,
    values: Sequence[float] | np.ndarray,
    *,
    ratio: bool = True,
    smallest: float = SMALLEST_RATIO,
    opposite: float | None = None,
    kept: np.ndarray | None = None,
    drift: np.ndarray | None = None,
    trend: np.ndarray | None = None,
    floor: np.ndarray | None = None,
) -> Measurements:
    """Yield a measurement whose mean over data sets is asked to be above, below or equivalent to a bound.

    Args:
        runs: those that were measured.
        asked: "above", "below" or "equivalent" (within a factor ``bound`` of 1).
        bound: in units of the quantity.
        quantity: what it is, such as "error / full batch".
        where: the settings, such as "b = 5".
        values: one for each seed.
        ratio: whether they are ratios, averaged in their logarithms.
        smallest: the smallest effect that counts, a factor for ratios and else a difference; what is
            undecided needs enough data sets for an interval of ± this.
        opposite: where the opposite begins, by default at the bound. "Smaller", a ratio below 1, is
            contradicted too where the mean is shown to be so near 1 that the difference does not count.
        kept: the seeds that count, such as those of a unique solution, shape [seeds]; the others inform.
        drift: slopes of the log-ratio in log t in late stretches of steps, shape [stretches, seeds].
        trend: the same of the log of what is compared, itself.
        floor: fitted floors and their advantages in AIC, shape [2, seeds].

    Raises:
        InvalidArgument: as many values as there are seeds are not given.
    """
    one = over_seeds(runs, quantity, where, values)
    chosen = np.ones(len(runs.seeds), bool) if kept is None else kept

    def only(array: np.ndarray | None) -> tuple[tuple[float, ...], ...]:
        return () if array is None else tuple(tuple(map(float, row[chosen])) for row in array)

    floors = only(floor)
    test = MeanTest(
        Asked(asked),
        float(bound),
        smallest,
        float(bound if opposite is None else opposite),
        ratio,
        only(drift),
        only(trend),
        (floors[0], floors[1]) if floors else None,
    )
    for among, words, tested in (
        (chosen, quantity, test),
        (~chosen, f"{quantity}, not known to be unique", None),
    ):
        if among.any():
            seeds = tuple(seed for seed, taken in zip(one.seeds, among, strict=True) if taken)
            taken = tuple(value for value, taken in zip(one.values, among, strict=True) if taken)
            yield Measurement(words, where, seeds, taken, test=tested)
