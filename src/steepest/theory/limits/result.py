"""What is predicted of a method's direction, with the errors of the prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["LimitDirection", "LimitError", "LimitPath"]

Kind = Literal["exact", "predicted", "not available"]
"""Proven for every data set; predicted by the mean field; or neither."""


@dataclass(frozen=True)
class LimitError:
    """Parts of the error estimate, each in units of the relative margin error."""

    samples: float = 0.0
    """Standard deviation between independent samples of batches or moments; 0 where every batch was taken."""
    doubling: float = 0.0
    """Change over the last doubling of R for a limit; at a given R what halving the path's steps changes."""
    width: float = 0.0
    """How far the signs of the max-norm, made sharper and extrapolated to exact ones, are still open."""
    steps: float = 0.0
    """Of a run at a given R, whose steps are not infinitely small: its scatter about the mean field, and with
    momentum the growth of margins within the average."""

    @property
    def total(self) -> float:
        """The estimate: the parts added up."""
        return self.samples + self.doubling + self.width + self.steps


@dataclass(frozen=True)
class LimitPath:
    """Relative margin errors along the path that was followed, on the first sample of batches."""

    lengths: np.ndarray
    """R = Σ η, shape [s]."""
    relative_errors: np.ndarray
    """Of W(R), what a run shows, shape [s]."""
    limit_errors: np.ndarray
    """Of F(W(R)) = dW/dR, which nears the limit sooner, shape [s]."""


@dataclass(frozen=True)
class LimitDirection:
    """Where a method goes: a direction of norm 1, its margin, and how sure that is."""

    problem: str
    """Name of the data."""
    norm: str
    """Name of the norm."""
    batch_size: int
    """b."""
    kind: Kind
    """Whether this is proven, predicted or not available."""
    status: str
    """What was done and what that means, in words."""
    max_margin: float
    """γ, in units of the features: the certified lower bound."""
    direction: np.ndarray | None = None
    """Shape [k, d], of norm 1; None where it is not available."""
    margin: float = math.nan
    """Smallest margin of the direction, in units of the features."""
    error: LimitError = LimitError()
    """The error estimate of ``relative_error``."""
    at: float | None = None
    """R, for the state there; None for the limit R → ∞."""
    weights: np.ndarray | None = None
    """W(R), shape [k, d], where ``at`` is given and the state is known with its length."""
    path: LimitPath | None = None
    """What the mean field went through; None for closed forms."""

    @property
    def available(self) -> bool:
        """Whether there is a direction."""
        return self.direction is not None

    @property
    def relative_error(self) -> float:
        """1 - margin/γ; NaN where no direction is available."""
        return 1.0 - self.margin / self.max_margin

    def finds_max_margin(self, tolerance: float = 2e-3) -> bool | None:
        """Return whether the relative error is at most ``tolerance``, with twice its estimate on either side.

        None where the estimate is too large to tell, or nothing is available.
        """
        if not self.available:
            return None
        slack = 2.0 * self.error.total
        if self.relative_error + slack <= tolerance:
            return True
        return False if self.relative_error - slack > tolerance else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything but arrays of weights, for JSON."""
        return {
            "problem": self.problem,
            "norm": self.norm,
            "batch_size": self.batch_size,
            "kind": self.kind,
            "status": self.status,
            "at": self.at,
            "max_margin": self.max_margin,
            "margin": self.margin,
            "relative_error": self.relative_error,
            "error_estimate": self.error.total,
            "error_parts": {
                "samples": self.error.samples,
                "doubling": self.error.doubling,
                "width": self.error.width,
                "steps": self.error.steps,
            },
            "finds_max_margin": self.finds_max_margin(),
        }
