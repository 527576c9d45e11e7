"""Projections on unit balls in features of other sizes, so that steps can differ from feature to feature."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from steepest.capabilities import Capability
from steepest.compilation import compiled_and_kept

__all__ = ["SCALED_PROJECTION", "ScaledProjection", "project_scaled_box", "project_scaled_sum"]

_STEPS = 100
"""Most steps of Newton's method, which needs five to ten."""

_NEAR = 0.7
"""Share of the guess at which the search for a threshold begins."""

ScaledProjection = Callable[[np.ndarray, np.ndarray, float | None], tuple[np.ndarray, float | None]]
"""Nearest point of {V : ‖V / sizes‖ ≤ 1} to V [k, d] for sizes [d], and a number that speeds the next one."""

SCALED_PROJECTION: Capability[ScaledProjection] = Capability(
    "a projection on its unit ball in features of other sizes",
    "The Euclidean projection on {V : ‖V / sizes‖ ≤ 1}, for steps of their own for every feature.",
)


def project_scaled_box(
    V: np.ndarray, sizes: np.ndarray, guess: float | None
) -> tuple[np.ndarray, float | None]:
    """Nearest V with entries up to ``sizes`` [d].

    >>> project_scaled_box(np.array([[2.0, -0.5]]), np.array([1.5, 0.25]), None)[0]
    array([[ 1.5 , -0.25]])
    """
    return np.clip(V, -sizes, sizes), guess


def project_scaled_sum(
    V: np.ndarray, sizes: np.ndarray, guess: float | None
) -> tuple[np.ndarray, float | None]:
    """Nearest V with Σ abs(V) / sizes ≤ 1 for sizes [d]: entries shrink by θ / sizes.

    >>> project_scaled_sum(np.array([[2.0, -3.0]]), np.array([1.0, 2.0]), None)[0]
    array([[ 0., -2.]])
    """
    out = np.empty_like(V)
    threshold = _scaled_sum(V, 1.0 / sizes.astype(np.float64), 0.0 if guess is None else guess, out)
    return out, threshold


_plain = numba.njit(nogil=True, error_model="numpy")


@_plain
def _collected(V, inverse, least, sizes, slopes):
    """Write the abs(V) above ``least`` / sizes, and their 1 / sizes; return how many there are."""
    count = 0
    for c in range(V.shape[0]):
        for j in range(V.shape[1]):
            size = abs(V[c, j])
            if size > least * inverse[j]:
                sizes[count] = size
                slopes[count] = inverse[j]
                count += 1
    return count


@_plain
def _excess(sizes, slopes, count, threshold):
    """Σ max(abs(V) - θ / sizes, 0) / sizes - 1, and minus its slope in θ."""
    total, slope = -1.0, 0.0
    for place in range(count):
        over = sizes[place] - threshold * slopes[place]
        if over > 0.0:
            total += over * slopes[place]
            slope += slopes[place] * slopes[place]
    return total, slope


@compiled_and_kept
def _scaled_sum(V, inverse, start, out):
    """Write the projection into ``out``; return θ, for which ``start`` is a guess.

    Newton's method on a convex function that falls converges from the left. It begins at a share of the
    guess, unless θ is below that, and looks only at what is above it there: few entries of many.
    """
    sizes, slopes = np.empty(V.size, V.dtype), np.empty(V.size)
    threshold = _NEAR * start
    count = _collected(V, inverse, threshold, sizes, slopes)
    total, slope = _excess(sizes, slopes, count, threshold)
    if total < 0.0 and threshold > 0.0:
        threshold = 0.0
        count = _collected(V, inverse, threshold, sizes, slopes)
        total, slope = _excess(sizes, slopes, count, threshold)
    for _ in range(_STEPS):
        if total <= 0.0 or slope == 0.0:
            break
        new = threshold + total / slope
        if new <= threshold:
            break
        threshold = new
        total, slope = _excess(sizes, slopes, count, threshold)
    for c in range(V.shape[0]):
        for j in range(V.shape[1]):
            over = max(abs(V[c, j]) - threshold * inverse[j], 0.0)
            out[c, j] = over if V[c, j] > 0.0 else -over
    return threshold
