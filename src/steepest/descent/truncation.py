"""Steps at which a spectral direction left out a singular value that was small but real."""

from __future__ import annotations

from steepest.arrays import Array, namespace
from steepest.geometry import Norm, Schatten, singular_values_below_cutoff


def truncated(norm: Norm, signals: Array) -> Array:
    """Return for each signal [..., k, d] whether the rank cut-off drops a singular value that is real.

    Only Schatten norms with p > 2 give small singular values a weight that is worth counting.
    """
    xp = namespace(signals)
    if not isinstance(norm, Schatten) or norm.p <= 2:
        return xp.zeros_like(signals[..., 0, 0], dtype=xp.int64)
    return xp.astype(singular_values_below_cutoff(signals) > 0, xp.int64)
