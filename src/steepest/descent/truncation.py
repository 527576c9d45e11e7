"""Steps at which a spectral direction left out a singular value that was small but real."""

from __future__ import annotations

from steepest.arrays import Array, namespace
from steepest.geometry import Norm
from steepest.geometry.facts import TRUNCATION


def truncated(norm: Norm, signals: Array, cutoff: float | None = None) -> Array:
    """Return for each signal [..., k, d] whether the rank cut-off drops a singular value that is real."""
    xp = namespace(signals)
    count = TRUNCATION.of(norm)
    if count is None:
        return xp.zeros_like(signals[..., 0, 0], dtype=xp.int64)
    return xp.astype(count(signals, cutoff) > 0, xp.int64)
