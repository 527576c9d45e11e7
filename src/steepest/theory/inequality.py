"""An inequality as a value: its two sides, kept so that a reader can see how tight it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Inequality:
    """The claim left ≤ right of one lemma, evaluated on data.

    Sides that involve a gradient or a loss are divided by the proxy G, so that they stay ordinary numbers
    when the loss is 1e-1000.

    >>> claim = Inequality("C.1", left=3.0, right=4.0)
    >>> claim.holds(), claim.ratio
    (True, 0.75)
    """

    lemma: str
    """Number of the lemma in the paper."""
    left: Any
    """Smaller side, a number or an array."""
    right: Any
    """Larger side, of the shape of ``left``."""

    @property
    def ratio(self) -> float:
        """Largest left / right: 1 is a tight inequality, above 1 a broken one; 0 where both sides vanish."""
        left, right = np.asarray(self.left, dtype=float), np.asarray(self.right, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(left <= 0, np.where(right < 0, np.inf, 0.0), left / right)
        return float(np.max(np.where((right <= 0) & (left > 0), np.inf, ratio)))

    def holds(self, slack: float = 1e-9) -> bool:
        """Whether left ≤ right, up to a slack relative to the larger side, and 1e-12 for rounding near 0."""
        left, right = np.asarray(self.left, dtype=float), np.asarray(self.right, dtype=float)
        return bool(np.all(left <= right + slack * np.maximum(np.abs(left), np.abs(right)) + 1e-12))
