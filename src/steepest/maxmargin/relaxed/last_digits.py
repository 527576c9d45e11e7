"""Free weights whose last digits are right: those of other weights are moved until the roundings agree.

Weights V, G of levelled features are W = V and B = G - V Tᵀ of the features themselves. Where offsets T are
large, rounding B costs 1e-16 of V Tᵀ, and with margins of 1e-9 that is a digit in the eighth place. V (1 + δ)
and G (1 + δ) serve as well for any tiny δ, a class at a time, and the rounding of B differs with δ: of a
thousand the best one has a thousandth of it.
"""

from __future__ import annotations

import numpy as np

from steepest.doubled import Doubled, head, precise_product, two_sum
from steepest.maxmargin.relaxed.prepared import Levelled

__all__ = ["free_weights"]

_MOST = 1 << 13
"""Changes that are tried for a class."""
_NUMBERS = 1 << 21
"""Numbers that they may have in all."""
_STEP = 2.0**-53
_ENOUGH = 1e-11
"""Errors of logits below this share of what the class is given by levelled features need no better."""


def free_weights(level: Levelled, V: np.ndarray, G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return penalised weights W [k, p] next to V and free ones B [k, f], of the same logits to rounding.

    Args:
        level: the levelled features.
        V: weights of levelled features, shape [k, p].
        G: weights of the free features beside them, shape [k, f].

    >>> from fractions import Fraction
    >>> from steepest.maxmargin.relaxed.prepared import levelled
    >>> level = levelled(np.array([[1.7e9], [1.7e9 + 1]]), np.ones((2, 1)))
    >>> W, B = free_weights(level, np.array([[-1 / 3], [1 / 3]]), np.zeros((2, 1)))
    >>> logit = float(Fraction(W[1, 0]) * Fraction(1.7e9) + Fraction(B[1, 0]))
    >>> bool(abs(logit - level.features[0, 0] / 3) < 1e-10)  # rounding B alone may cost 6e-8
    True
    """
    exact = _without_shifts(level, V, G)
    # A shift of all classes changes no margin; without it the numbers are smallest.
    shift = np.median(exact.high, axis=0)
    W, B = V.copy(), exact.high - shift
    if not V.shape[1] or not G.shape[1]:
        return W, B
    sizes = np.max(np.abs(level.free), axis=0)
    given = np.max(np.abs(V) @ np.abs(level.features).T + np.abs(G) @ np.abs(level.free).T, axis=1)
    coarse = 2.0**-53 * (np.abs(B) @ sizes) > _ENOUGH * given
    for row in np.flatnonzero(coarse & (given > 0)):
        W[row], B[row] = _chosen(level, V[row], G[row], shift, sizes)
    return W, B


def _chosen(
    level: Levelled, v: np.ndarray, g: np.ndarray, shift: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    count = max(1, min(_MOST, _NUMBERS // len(v)))
    steps = _STEP * np.arange(-(count // 2), count - count // 2)[:, None]
    W, G = v + v * steps, g + g * steps
    exact = _without_shifts(level, W, G)
    B = exact.high - shift
    # What rounding leaves of B, from differences that are exact or nearly so.
    _, lost = two_sum(exact.high, np.broadcast_to(-shift, B.shape))
    best = int(np.argmin(np.max(np.abs(lost + exact.low) * sizes, axis=1)))
    return W[best], B[best]


def _without_shifts(level: Levelled, V: np.ndarray, G: np.ndarray) -> Doubled:
    """Return G - V Tᵀ in doubled precision."""
    explained = precise_product(V, head(V), level.shifts)
    high, lost = two_sum(G, -explained.high)
    return Doubled(*two_sum(high, lost - explained.low))
