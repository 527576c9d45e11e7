"""Weights as floats that are given as fractions, of roundings that agree in the margins.

Where features nearly cancel, rounding weights costs 1e-16 of what cancels. W (1 + δ) serves as well for any
tiny δ, a class at a time, and is rounded otherwise: of thousands the best one loses some ten thousand times
less.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from steepest.doubled import two_sum

__all__ = ["nearest_floats"]

_MOST, _NUMBERS = 1 << 13, 1 << 22
"""Changes that are tried for a class, and numbers that they may have in all."""
_STEP = 2.0**-50
_ENOUGH = 1e-12
"""Errors of logits below this share of the margins need no better."""


def nearest_floats(rows: list[list[Fraction]], X: np.ndarray, margin: float) -> np.ndarray:
    """Return weights [k, d] near the exact ones whose logits in X [n, d] are nearly theirs, times 1 + δ.

    >>> exact = [[Fraction(1, 3), -Fraction(10**9 + 1, 3)]]
    >>> W = nearest_floats(exact, np.array([[1e9 + 1, 1.0]]), 1e-9)
    >>> logit = Fraction(W[0, 0]) * (10**9 + 1) + Fraction(W[0, 1])
    >>> bool(abs(logit) < 1e-11)  # rounding alone may cost 6e-8
    True
    """
    high = np.array([[float(each) for each in row] for row in rows])
    low = np.array(
        [
            [float(each - Fraction(h)) for each, h in zip(row, highs, strict=True)]
            for row, highs in zip(rows, high.tolist(), strict=True)
        ]
    )
    W = high.copy()
    lost = np.max(np.abs(X @ low.T), axis=0)
    count = max(1, min(_MOST, _NUMBERS // X.size))
    for row in np.flatnonzero(lost > _ENOUGH * margin).tolist():
        steps = _STEP * np.arange(count)[:, None]
        tried, rounded = two_sum(
            np.broadcast_to(high[row], (count, X.shape[1])), high[row] * steps + low[row]
        )
        errors = np.max(np.abs(rounded @ X.T), axis=1)
        W[row] = tried[int(np.argmin(errors))]
    return W
