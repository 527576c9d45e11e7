"""Steps at which a spectral direction left out a singular value that was small but real."""

from __future__ import annotations

from steepest.arrays import Array, namespace
from steepest.geometry import RANK_CUTOFF, Norm, Schatten
from steepest.geometry.polar import singular_values

ROUNDING = 1e-15
"""Relative size up to which a singular value cannot be told from rounding of the matrix."""


def truncated(norm: Norm, signals: Array) -> Array:
    """Return for each signal [..., k, d] whether the rank cut-off drops a singular value that is real.

    Only Schatten norms with p > 2 give small singular values a weight that is worth counting.
    """
    xp = namespace(signals)
    if not isinstance(norm, Schatten) or norm.p <= 2:
        return xp.zeros(signals.shape[:-2], dtype=xp.int64)
    values, _ = singular_values(signals)
    ratio = values / xp.where(values[..., :1] > 0, values[..., :1], 1.0)
    return xp.astype(xp.any((ratio > ROUNDING) & (ratio <= RANK_CUTOFF), axis=-1), xp.int64)
