"""Where a computation within a band stands, and the bounds that its weights and dual weights have there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest.geometry import Norm
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.worst import within_caps
from steepest.maxmargin.relaxed.band import Band

__all__ = ["NOTHING", "Point", "dual_above", "point_near", "take_weights"]

NOTHING = 1e-12
"""An upper bound below this, in features of size 1, is that of a margin that is not positive."""


@dataclass(frozen=True)
class Point:
    """Weights of penalised and free features, and dual weights, from which another computation may start."""

    weights: np.ndarray
    """Shape [k, p + f], in the features of a band."""
    dual: np.ndarray
    """Shape [m, k], of sum 1 less what is fixed."""
    level: float
    """The margin up to which samples have dual weight."""
    reached: float = 1.0
    """The relative gap within the band, but for rounding."""
    steps: int = 0


def point_near(band: Band, weights: np.ndarray, dual: np.ndarray) -> Point:
    """Weights [k, p + f] and dual weights [m, k] of other terms as a start: within the caps of these."""
    q = dual / dual.sum() * (1.0 - band.mass)
    if np.isfinite(band.caps).all() and q.any():
        q = within_caps(q / q.sum(), band.labels, band.caps / q.sum()) * q.sum()
    return Point(weights, q, band.threshold(band.margins(weights).min(axis=1)))


def take_weights(best: Best, band: Band, norm: Norm, W: np.ndarray, lowest: np.ndarray) -> None:
    """Keep weights, whose smallest margins in the band are ``lowest`` [m], if their level is the best."""
    size = float(norm(W[:, : band.penalised]))
    if size > 0.0:
        best.take_weights(W.copy(), band.level(W, lowest) / size)


def dual_above(band: Band, norm: Norm, W: np.ndarray, A: np.ndarray, total: float, below: float) -> float:
    """About the bound of dual weights near those of sum ``total`` whose A(q) [k, p + f] is A.

    What does not balance in free features may cost as much as margins differ by: that, of weights W, is
    ``below`` beside what the free weights are.
    """
    p = band.penalised
    price = float(np.abs(W[:, p:]).max(initial=0.0)) + max(0.0, below)
    left = float(np.abs(A[:, p:]).sum()) * price / max(float(norm(W[:, :p])), 1e-300)
    return (float(norm.dual(A[:, :p])) + left) / max(total, 1e-300)
