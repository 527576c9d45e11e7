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

    @property
    def slack(self) -> tuple[float, ...]:
        """Distance to the nearer bound for each seed; negative if it is broken or the value is NaN."""
        distances = (min(value - self.at_least, self.at_most - value) for value in self.values)
        return tuple(-math.inf if math.isnan(distance) else distance for distance in distances)

    @property
    def bounded(self) -> bool:
        """Whether the claim sets a bound for this quantity."""
        return self.at_least > -math.inf or self.at_most < math.inf
