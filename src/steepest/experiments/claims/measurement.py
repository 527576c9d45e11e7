"""What a claim measures: one quantity on each seed, with the bounds that the claim sets for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from steepest.arrays import as_floating, as_numpy
from steepest.errors import InvalidArgument
from steepest.experiments.claims.selection import Runs
from steepest.experiments.inputs import as_instance

__all__ = ["Measurement", "Measurements", "over_seeds", "where_unique"]


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

    @property
    def judged(self) -> tuple[tuple[str, float], ...]:
        """What is held to the bounds, each seed's value, with a name for it."""
        return tuple((f"seed {seed}", value) for seed, value in zip(self.seeds, self.values, strict=True))

    @property
    def slack(self) -> tuple[float, ...]:
        """Distance of each judged value to the nearer bound; negative if it is broken or the value is NaN."""
        distances = (min(value - self.at_least, self.at_most - value) for _, value in self.judged)
        return tuple(-math.inf if math.isnan(distance) else distance for distance in distances)

    @property
    def bounded(self) -> bool:
        """Whether the claim sets a bound for this quantity."""
        return self.at_least > -math.inf or self.at_most < math.inf

    @property
    def bound(self) -> str:
        """The bounds and what is expected in words, such as "≥ 0.4 and ≤ 0.6"; empty if there are none."""
        low = [f"≥ {self.at_least:g}"] if self.at_least > -math.inf else []
        high = [f"≤ {self.at_most:g}"] if self.at_most < math.inf else []
        claimed = [" and ".join(low + high)] if self.bounded else []
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

    Raises:
        InvalidArgument: as many values as there are seeds are not given, or bounds that are no numbers.
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


def where_unique(
    runs: Runs,
    unique: np.ndarray,
    quantity: str,
    where: str,
    values: np.ndarray,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurements:
    """Yield a measurement that is held to its bounds on the seeds of a unique optimum alone."""
    for kept, words, bounds in (
        (unique, quantity, (at_least, at_most)),
        (~unique, f"{quantity}, which is not known to be unique", (-math.inf, math.inf)),
    ):
        if kept.any():
            seeds = tuple(seed for seed, chosen in zip(runs.seeds, kept, strict=True) if chosen)
            yield Measurement(words, where, seeds, tuple(map(float, values[kept])), *bounds)
