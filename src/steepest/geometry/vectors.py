"""Vector p-norms along the last axis: both families of matrix norms are these, of entries or of singular values."""

from __future__ import annotations

import math
from fractions import Fraction

from steepest.arrays import Array, namespace

Exponent = Fraction | float
"""An exact exponent p: a Fraction of at least 1, or ``math.inf``."""


def length(vectors: Array, p: Exponent) -> Array:
    """Return ‖v‖_p of vectors [..., n] as [...]: no power overflows or underflows on the way.

    A vector with an infinite entry has length infinity, one with a NaN has length NaN, an empty one 0.
    """
    xp = namespace(vectors)
    if vectors.shape[-1] == 0:
        return xp.zeros(vectors.shape[:-1], dtype=vectors.dtype, device=vectors.device)
    largest = xp.max(xp.abs(vectors), axis=-1)
    if p == math.inf:
        return largest
    return xp.where(
        xp.isfinite(largest), largest * _power_sum_root(xp.abs(unit_scaled(vectors, largest)), p), largest
    )


def steepest(vectors: Array, p: Exponent) -> Array:
    """Return the direction v ↦ argmax_{‖u‖_p ≤ 1} ⟨v, u⟩ of vectors [..., n], 0 for v = 0.

    Vectors with an entry that is not finite have no direction: theirs is NaN throughout.
    """
    xp = namespace(vectors)
    if vectors.shape[-1] == 0:
        return xp.zeros(vectors.shape, dtype=vectors.dtype, device=vectors.device)
    largest = xp.max(xp.abs(vectors), axis=-1)
    scaled = unit_scaled(vectors, largest)
    if p == math.inf:
        return xp.sign(scaled)
    if p == 1:
        first = xp.argmax(xp.abs(scaled), axis=-1, keepdims=True)
        positions = xp.arange(vectors.shape[-1], device=vectors.device)
        chosen = xp.where(positions == first, xp.sign(scaled), xp.zeros_like(scaled))
        return chosen + not_finite_as_nan(largest)[..., None]
    if p == 2:
        powers = scaled
    else:
        # sign(0) below also repairs 0 ** 0.0, which is what an exponent beyond 1e308 leads to.
        powers = xp.sign(scaled) * xp.abs(scaled) ** _as_float(1 / (Fraction(p) - 1))
    # Dividing by the powers' own p-norm keeps ‖u‖_p = 1 to rounding; the textbook divisor ‖v‖_q^(q-1)
    # would multiply the rounding of ‖v‖_q by q - 1, without bound as p tends to 1.
    total = _power_sum_root(xp.abs(powers), p)
    return powers / xp.where(largest > 0, total, xp.ones_like(total))[..., None]


def unit_scaled(arrays: Array, largest: Array) -> Array:
    """Return arrays [..., *rest] over their largest moduli [...]: 0 stays 0, not finite becomes NaN throughout."""
    xp = namespace(arrays)
    divisor = xp.where(largest > 0, largest, xp.ones_like(largest)) + not_finite_as_nan(largest)
    return arrays / xp.reshape(divisor, largest.shape + (1,) * (arrays.ndim - largest.ndim))


def not_finite_as_nan(largest: Array) -> Array:
    """Return 0 where the largest modulus is finite, NaN where it is not."""
    xp = namespace(largest)
    return xp.where(xp.isfinite(largest), xp.zeros_like(largest), xp.full_like(largest, math.nan))


def _power_sum_root(moduli: Array, p: Exponent) -> Array:
    """Return (Σ aⱼ^p)^(1/p) along the last axis, for moduli of at most 1 and a finite p."""
    xp = namespace(moduli)
    if p == 1:
        return xp.sum(moduli, axis=-1)
    if p == 2:
        return xp.sqrt(xp.sum(moduli * moduli, axis=-1))
    return xp.sum(moduli ** _as_float(p), axis=-1) ** _as_float(1 / Fraction(p))


def _as_float(exact: Exponent) -> float:
    try:
        return float(exact)
    except OverflowError:  # beyond 1e308 a power of a number below 1 is 0, as with infinity
        return math.inf
