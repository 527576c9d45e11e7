"""The polar factor and the singular values behind it: exact, rank aware, scaled against overflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from steepest.arrays import Array, namespace
from steepest.errors import InvalidArgument
from steepest.geometry.matrices import matrices
from steepest.geometry.vectors import not_finite_as_nan, unit_scaled

RANK_CUTOFF = 450 * 2.0**-52
"""In float64, singular values at or below this times the largest count as zero: 450 eps, about 1e-13."""

_QR_ASPECT = 4
"""From this ratio of the sides on, QR of the long side and SVD of the small factor is the quicker way."""


def rank_cutoff(dtype: Any, xp: Any) -> float:
    """Return the relative rank cut-off of a dtype: 450 eps, about 1e-13 in float64 and 5e-5 in float32."""
    return 450 * float(xp.finfo(dtype).eps)


def polar_factor(S: Array, cutoff: float | None = None) -> Array:
    """Return the polar factor U Vᵀ of S = U diag(σ) Vᵀ, over the singular values that are not zero.

    It is the steepest-descent direction of the spectral norm.

    Args:
        S: matrices [..., k, d].
        cutoff: singular values at or below ``cutoff`` times the largest count as zero; by default 450 eps
            of the dtype that the arithmetic runs in, about 1e-13 in float64 and 5e-5 in float32.

    Returns:
        The polar factors [..., k, d]; 0 for S = 0, NaN for an S with an entry that is not finite.

    Raises:
        InvalidArgument: S is not an array of matrices, or the cut-off is not in [0, 1).

    >>> import numpy as np
    >>> polar_factor(np.array([[3.0, 0.0], [0.0, -1e-3]]))
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    S, dtype = (given := matrices("S", S))
    xp = namespace(S)
    return given.returned(spectral_map(S, lambda s: xp.astype(s > 0, s.dtype), cutoff))


def singular_values(S: Array) -> tuple[Array, Array]:
    """Return the singular values of S [..., k, d] over its largest modulus, and that modulus [...].

    The values [..., min(k, d)] descend and lie in [0, √(k d)], so that no power of them overflows; they are
    NaN for an S with an entry that is not finite.
    """
    xp = namespace(S)
    scaled, largest = _unit_scaled_finite(S)
    if S.shape[-2] > S.shape[-1]:
        scaled = xp.matrix_transpose(scaled)
    rows, columns = scaled.shape[-2:]
    if rows <= 1:
        values = xp.sqrt(xp.sum(scaled * scaled, axis=-1))
    elif columns >= _QR_ASPECT * rows:
        values = xp.linalg.svdvals(xp.linalg.qr(xp.matrix_transpose(scaled)).R)
    else:
        values = xp.linalg.svdvals(scaled)
    return values + not_finite_as_nan(largest)[..., None], largest


def spectral_map(S: Array, function: Callable[[Array], Array], cutoff: float | None = None) -> Array:
    """Return U diag(function(σ)) Vᵀ of S = U diag(σ) Vᵀ, with the σ at or below the cut-off set to zero.

    The function receives the singular values of S over its largest modulus and must map 0 to 0.
    """
    xp = namespace(S)
    if cutoff is None:
        cutoff = rank_cutoff(S.dtype, xp)
    elif not 0 <= cutoff < 1:
        raise InvalidArgument(
            "cutoff", cutoff, "give a number in [0, 1), relative to the largest singular value"
        )
    scaled, largest = _unit_scaled_finite(S)
    wide = S.shape[-2] <= S.shape[-1]
    result = _wide_spectral_map(scaled if wide else xp.matrix_transpose(scaled), function, cutoff)
    result = result if wide else xp.matrix_transpose(result)
    return result + not_finite_as_nan(largest)[..., None, None]


def _wide_spectral_map(S: Array, function: Callable[[Array], Array], cutoff: float) -> Array:
    xp = namespace(S)
    rows, columns = S.shape[-2:]
    if rows <= 1:
        values = xp.sqrt(xp.sum(S * S, axis=-1, keepdims=True))
        return S / xp.where(values > 0, values, xp.ones_like(values)) * function(values)
    if columns >= _QR_ASPECT * rows:
        Q, R = xp.linalg.qr(xp.matrix_transpose(S))
        return xp.matmul(_wide_spectral_map(xp.matrix_transpose(R), function, cutoff), xp.matrix_transpose(Q))
    U, values, Vt = xp.linalg.svd(S, full_matrices=False)
    kept = xp.where(values > cutoff * values[..., :1], values, xp.zeros_like(values))
    return xp.matmul(U * function(kept)[..., None, :], Vt)


def _unit_scaled_finite(S: Array) -> tuple[Array, Array]:
    """Return S over its largest modulus, with 0 for matrices that LAPACK would refuse, and that modulus."""
    xp = namespace(S)
    if 0 in S.shape[-2:]:
        return S, xp.zeros(S.shape[:-2], dtype=S.dtype, device=S.device)
    largest = xp.max(xp.abs(S), axis=(-2, -1))
    scaled = unit_scaled(S, largest)
    return xp.where(xp.isfinite(largest)[..., None, None], scaled, xp.zeros_like(scaled)), largest
