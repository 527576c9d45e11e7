"""What a claim measures: one quantity on each seed, with the bounds that the claim sets for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Measurement"]


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
