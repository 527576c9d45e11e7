"""Vector p-norms along the last axis: norms of matrices are these, of entries or of singular values."""

from __future__ import annotations

import math
from fractions import Fraction

from array_api_compat import device

from steepest.arrays import Array, namespace

Exponent = Fraction | float
"""An exact exponent p: a Fraction of at least 1, or ``math.inf``."""


def length(vectors: Array, p: Exponent) -> Array:
    """Return ‖v‖_p = (Σ |v_j|^p)^(1/p) of vectors [..., n] as [...], safe from overflow.

    An empty vector has length 0, one with an infinite entry has length infinity, one with a NaN has length
    NaN.

    >>> import numpy as np
    >>> float(length(np.array([3e300, 4e300]), Fraction(2)))
    5e+300
    """
    xp = namespace(vectors)
    if vectors.shape[-1] == 0:
        return xp.sum(vectors, axis=-1)
    largest = xp.max(xp.abs(vectors), axis=-1)
    if p == math.inf:
        return largest
    lengths = _power_sum_root(xp.abs(unit_scaled(vectors, largest)), p)
    return xp.where(xp.isfinite(largest), largest * lengths, largest)


def steepest(vectors: Array, p: Exponent) -> Array:
    """Return argmax_{‖u‖_p ≤ 1} ⟨v, u⟩ of vectors v [..., n], 0 for v = 0.

    With 1/p + 1/q = 1: u_j = sign(v_j) |v_j|^(q-1) / ‖v‖_q^(q-1); sign(v_j) for p = infinity; for p = 1 the
    signed unit at the first entry of largest modulus. Vectors with an entry that is not finite have no
    direction: NaN.

    >>> import numpy as np
    >>> steepest(np.array([1.0, -2.0, 2.0]), math.inf), steepest(np.array([1.0, -2.0, 2.0]), Fraction(1))
    (array([ 1., -1.,  1.]), array([ 0., -1.,  0.]))
    """
    xp = namespace(vectors)
    if vectors.shape[-1] == 0:
        return xp.zeros_like(vectors)
    largest = xp.max(xp.abs(vectors), axis=-1)
    scaled = unit_scaled(vectors, largest)
    if p == math.inf:
        return xp.sign(scaled)
    if p == 1:
        first = xp.argmax(xp.abs(scaled), axis=-1, keepdims=True)
        places = xp.arange(scaled.shape[-1], device=device(scaled))
        chosen = xp.where(places == first, xp.sign(scaled), xp.zeros_like(scaled))
        return chosen + not_finite_as_nan(largest)[..., None]
    # sign(0) = 0 also repairs 0 ** 0.0, which an exponent p beyond the range of floats leads to.
    powers = (
        scaled if p == 2 else xp.sign(scaled) * xp.abs(scaled) ** exponent_as_float(1 / (Fraction(p) - 1))
    )
    # Dividing by the powers' own p-norm keeps ‖u‖_p = 1 to rounding; the textbook divisor ‖v‖_q^(q-1)
    # would multiply the rounding of ‖v‖_q by q - 1, without bound as p tends to 1.
    total = _power_sum_root(xp.abs(powers), p)
    return powers / xp.where(largest > 0, total, 1.0)[..., None]


def unit_scaled(arrays: Array, largest: Array) -> Array:
    """Return arrays [..., *rest] over their largest moduli [...]: 0 stays 0, one not finite becomes NaN."""
    xp = namespace(arrays)
    divisor = xp.where(xp.isfinite(largest), xp.where(largest > 0, largest, 1.0), math.nan)
    # NumPy 1 takes Python floats beside an array without dimensions for float64.
    divisor = xp.astype(divisor, arrays.dtype, copy=False)
    return arrays / divisor[(..., *(None,) * (arrays.ndim - largest.ndim))]


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
    return xp.sum(moduli ** exponent_as_float(p), axis=-1) ** exponent_as_float(1 / Fraction(p))


def exponent_as_float(exact: Exponent) -> float:
    """Return an exponent as a float: inf beyond 1e308, where powers of numbers below 1 are 0 in either case.

    >>> exponent_as_float(Fraction(4, 3)), exponent_as_float(Fraction(10) ** 400)
    (1.3333333333333333, inf)
    """
    try:
        return float(exact)
    except OverflowError:
        return math.inf
