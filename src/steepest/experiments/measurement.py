"""What a claim measures: one quantity on each seed, with the bounds that the claim sets for it."""

from __future__ import annotations

import math
import statistics
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
    by_median: bool = False
    """Whether the median over the seeds is held to the bounds, rather than every seed."""

    @property
    def judged(self) -> tuple[tuple[str, float], ...]:
        """What is held to the bounds: each seed's value, or their median, with a name for it."""
        if self.by_median:
            return (("median over seeds", statistics.median(self.values)),)
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
        """The bounds in words, such as "≥ 0.4 and ≤ 0.6 (median)"; empty if there are none."""
        low = [f"≥ {self.at_least:g}"] if self.at_least > -math.inf else []
        high = [f"≤ {self.at_most:g}"] if self.at_most < math.inf else []
        words = " and ".join(low + high)
        return f"{words} (median)" if words and self.by_median else words
