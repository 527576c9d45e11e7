"""Exact spectral functions U f(Σ) Vᵀ, rank aware: by SVD, or by the eigenvalues of the smaller Gram matrix.

The Gram matrix X Xᵀ has the squares of the singular values, so its eigenvalues lose twice the digits. In
float32 that is harmless as long as the smallest singular value is above about a sixth of the largest;
matrices of a batch for which it is not are computed again in float64. There a Gram matrix of float32 entries
tells singular values apart down to 1e-7 of the largest, far below the rank cut-off of float32, 450 eps =
5e-5: the result is as accurate as an SVD in float32, and mostly more. Matrices in float64 that are not well
conditioned go to the laboratory's own SVD, :func:`steepest.geometry.polar_factor`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from steepest.geometry.polar import rank_cutoff, spectral_map
from steepest.optim.engines.prepared import computing_dtype, prepared
from steepest.optim.engines.products import product, symmetric_product
from steepest.optim.engines.rational import LEAST_RATIO, inverse_roots

__all__ = ["SpectralFunction", "by_gram", "by_svd", "ones"]

SpectralFunction = Callable[[Tensor], Tensor]
"""f of singular values [..., m] of any order, up to a positive factor common to a matrix; maps 0 to 0."""

_REPAY_ROOTS = 640
"""Rows of all matrices of a batch from which inverse square roots take less time than eigenvalues."""
_REPAY_ROOTS_ALONE = 160
"""Rows from which those of a single matrix do."""
_ALONE = 192
"""Rows from which matrices gain nothing from company: each fills the cache."""

_WELL_ASPECT = 2.5
"""From this aspect on random matrices are so well conditioned that a root is worth looking for."""


def ones(values: Tensor) -> Tensor:
    """Return 1 for every singular value that is not 0: the spectral function of the polar factor."""
    return (values > 0).to(values.dtype)


def by_svd(S: Tensor, function: SpectralFunction) -> Tensor:
    """Return U f(Σ) Vᵀ of matrices [..., k, d] by SVD, as the laboratory computes directions.

    >>> by_svd(torch.tensor([[3.0, 0.0], [0.0, -4.0]]), lambda values: (values > 0).to(values.dtype))
    tensor([[ 1.,  0.],
            [ 0., -1.]])
    """
    if 0 in S.shape:
        return torch.zeros_like(S)
    return (spectral_map(S.to(computing_dtype(S.dtype)), function) + 0.0).to(S.dtype)


def by_gram(S: Tensor, function: SpectralFunction) -> Tensor:
    """Return U f(Σ) Vᵀ of matrices [..., k, d] by eigenvalues of the smaller Gram matrix, corrected.

    >>> by_gram(torch.tensor([[3.0, 0.0], [0.0, -4.0]]), lambda values: (values > 0).to(values.dtype))
    tensor([[ 1.,  0.],
            [ 0., -1.]])
    """
    if 0 in S.shape:
        return torch.zeros_like(S)
    ready = prepared(S)
    # A batch of one axis, so that single matrices of it can be corrected.
    X = ready.matrix.reshape(-1, *ready.matrix.shape[-2:])
    if X.dtype == torch.float32 and _is_nearly_square(X):
        # Hardly a square matrix is well conditioned: float32 would be tried in vain.
        mapped = _corrected(X, function)
    elif function is ones and _repays_roots(X):
        mapped = _by_roots(X)
    else:
        mapped = _tried_and_corrected(X, _lower_gram(X), function)
    return ready.restored(mapped.reshape(ready.matrix.shape))


def _tried_and_corrected(X: Tensor, G: Tensor, function: SpectralFunction) -> Tensor:
    """Return U f(Σ) Vᵀ of matrices [b, m, n], of which G has the lower triangles of X Xᵀ."""
    well = _may_be_well_conditioned(G)
    if not bool(well.any()):
        return _corrected(X, function)
    if bool(well.all()):
        mapped, well = _mapped(X, G, function, rank_cutoff(X.dtype, torch))
    else:
        mapped = torch.empty_like(X)
        mapped[well], sure = _mapped(X[well], G[well], function, rank_cutoff(X.dtype, torch))
        well = well.masked_scatter(well, sure)
    if not bool(well.all()):
        mapped[~well] = _corrected(X[~well], function)
    return mapped


def _repays_roots(X: Tensor) -> bool:
    recorded = torch.is_grad_enabled() and X.requires_grad
    matrices, rows, columns = X.shape
    repays = rows >= _REPAY_ROOTS_ALONE or matrices * rows >= _REPAY_ROOTS
    may_be_well = columns >= _WELL_ASPECT * rows
    return X.dtype == torch.float32 and X.is_cpu and repays and may_be_well and not recorded


def _by_roots(X: Tensor) -> Tensor:
    """Return the polar factors of matrices [b, m, n], by inverse square roots of all or of one by one."""
    if len(X) == 1:
        return _rooted(X[0])[None]
    if X.shape[-2] < _ALONE:
        return _rooted(X)
    mapped = torch.empty_like(X)
    for matrix, place in zip(X, mapped, strict=True):
        place.copy_(_rooted(matrix))
    return mapped


def _rooted(X: Tensor) -> Tensor:
    """Return the polar factors (X Xᵀ)^(-1/2) X of matrices [b, m, n], or of a single one [m, n]."""
    tall = X.stride(-2) < X.stride(-1)
    rows = X.contiguous() if tall else X
    G = symmetric_product(rows, rows.mT)
    roots, sure = inverse_roots(G)
    if not bool(sure.any()):
        batch, grams = (each.reshape(-1, *each.shape[-2:]) for each in (X, G))
        return _tried_and_corrected(batch, grams, ones).reshape(X.shape)
    mapped = product(X.mT, roots).mT if tall else product(roots, X)
    if not bool(sure.all()):
        mapped[~sure] = _tried_and_corrected(X[~sure], G[~sure], ones)
    return mapped


def _lower_gram(X: Tensor) -> Tensor:
    """Return the lower triangle of X Xᵀ of matrices [b, m, n]; above it there may be anything."""
    return symmetric_product(X, X.mT, mirrored=False)


def _may_be_well_conditioned(G: Tensor) -> Tensor:
    """Return for which Gram matrices [b, m, m] eigenvalues are worth finding: a hint, far cheaper.

    The pivots of the first half of the rows show what is graded or of low rank.
    """
    half = -(-G.shape[-1] // 2)
    R, failures = torch.linalg.cholesky_ex(G[:, :half, :half])
    sizes = R.diagonal(dim1=-2, dim2=-1).square()
    return (failures == 0) & (sizes.amin(-1) > LEAST_RATIO * sizes.amax(-1))


def _corrected(X: Tensor, function: SpectralFunction) -> Tensor:
    if X.dtype == torch.float64:
        return spectral_map(X, function)
    wide = X.double()
    mapped, _ = _mapped(wide, _lower_gram(wide), function, rank_cutoff(torch.float32, torch))
    return mapped.to(X.dtype)


def _is_nearly_square(X: Tensor) -> bool:
    return X.shape[-1] < 1.5 * X.shape[-2]


def _mapped(X: Tensor, G: Tensor, function: SpectralFunction, cutoff: float) -> tuple[Tensor, Tensor]:
    """Return U f(Σ) Vᵀ of X [b, m, n] with Gram matrices G, and which of them [b] are well conditioned."""
    squares, Q = torch.linalg.eigh(G)
    largest = squares[:, -1:]
    well = squares[:, 0] > LEAST_RATIO * squares[:, -1]
    kept = squares > cutoff**2 * largest
    values = torch.where(kept, squares, 0.0).sqrt()
    factors = function(values) / torch.where(kept, values, 1.0)
    return product(symmetric_product(Q * factors[:, None, :], Q.mT), X), well
