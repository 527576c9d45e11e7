"""Least squares of non-negative unknowns, for systems that are as ill-conditioned as data can be."""

from __future__ import annotations

import numpy as np

__all__ = ["non_negative"]

_ROUNDING = 16 * np.finfo(float).eps
"""Gradients below this share of the largest that there could be are rounding."""
_TRIES = 3
"""Changes of the active set, for each unknown, after which it does not end."""


def non_negative(A: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """Return argmin_{x ≥ 0} ‖A x - b‖ for A [m, n]; None where rounding keeps it from ending.

    Active sets: an unknown of steepest descent becomes free, and those that the least squares of the free
    ones turn negative are held at 0 again (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter
    23). Each system is solved by orthogonal factors, columns scaled to length 1.

    >>> non_negative(np.array([[1.0, -1.0]]), np.array([-2.0])).tolist()
    [0.0, 2.0]
    """
    if not A.size:
        return np.zeros(A.shape[1])
    lengths = np.linalg.norm(A, axis=0)
    scaled = A / np.where(lengths > 0, lengths, 1.0)
    n = A.shape[1]
    x, free = np.zeros(n), np.zeros(n, dtype=bool)
    refused = lengths == 0
    least = _ROUNDING * max(A.shape) * float(np.linalg.norm(b))
    for _ in range(_TRIES * n + 10):
        descent = np.where(free | refused, -np.inf, scaled.T @ (b - scaled @ x))
        best = int(np.argmax(descent))
        if not descent[best] > least:
            return x / np.where(lengths > 0, lengths, 1.0)
        free[best] = True
        moved = _toward_least_squares(scaled, b, x, free)
        if moved is None or not free[best]:
            # Rounding alone made it look like descent.
            free[best], refused[best] = False, True
            if moved is None:
                continue
        else:
            refused = lengths == 0
        x = moved
    return None


def _toward_least_squares(A: np.ndarray, b: np.ndarray, x: np.ndarray, free: np.ndarray) -> np.ndarray | None:
    """Return the least squares of the free unknowns, of which those on the way to negative are held at 0."""
    while free.any():
        target = np.zeros_like(x)
        target[free] = np.linalg.lstsq(A[:, free], b, rcond=None)[0]
        if not np.isfinite(target).all():
            return None
        falling = free & (target <= 0)
        if not falling.any():
            return target
        shares = x[falling] / np.maximum(x[falling] - target[falling], np.finfo(float).tiny)
        x = np.maximum(x + shares.min() * (target - x), 0.0)
        # At least the one that stopped the step; others that are 0 by rounding too.
        held = falling & (x <= _ROUNDING * x.max(initial=0.0))
        held[np.flatnonzero(falling)[np.argmin(shares)]] = True
        x[held] = 0.0
        free &= ~held
    return np.zeros_like(x)
