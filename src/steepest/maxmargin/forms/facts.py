"""Temporary."""

from __future__ import annotations

import numpy as np

from steepest.geometry import Entrywise, Norm, Schatten

_UNIT = 2.0**-53


def is_unitarily_invariant(norm: Norm) -> bool:
    return isinstance(norm, Schatten) or (isinstance(norm, Entrywise) and norm.p == 2)


def is_strictly_convex(norm: Norm) -> bool:
    return isinstance(norm, Entrywise | Schatten) and 1 < float(norm.p) < float("inf")


def dual_of_error(norm: Norm, error: np.ndarray) -> float:
    # Entry-wise norms grow with absolute values; a Schatten norm is at most r^(1/p - 1/2) Frobenius norms.
    if isinstance(norm, Schatten):
        dual = norm.dual_norm
        exponent = max(0.0, 1 / float(dual.p) - 0.5) if np.isfinite(float(dual.p)) else 0.0
        return float(np.linalg.norm(error)) * min(error.shape) ** exponent
    return float(norm.dual(error))


def norm_rounding(norm: Norm, shape: tuple[int, ...]) -> float:
    """Relative rounding error of a norm: entry-wise sums are done pairwise, singular values by LAPACK."""
    if isinstance(norm, Entrywise):
        return (200 + int(np.prod(shape)).bit_length()) * _UNIT
    return 2 * max(shape) * min(shape) * _UNIT
