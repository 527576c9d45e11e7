"""Inverse square roots of well-conditioned Gram matrices, by one rational step and one polynomial.

An eigenvalue decomposition in single precision costs as much as five to ten products of its size. Where the
extreme eigenvalues are near each other, two steps do: with G scaled to eigenvalues in [ℓ², 1], the best
rational function of its type, σ ↦ σ (a + b σ²) / (1 + c σ²), brings all singular values near 1 (Nakatsukasa,
Bai and Gygi, "Optimizing Halley's iteration for computing the matrix polar decomposition", SIAM Journal on
Matrix Analysis and Applications 31, 2010), for one Cholesky decomposition and its inverse; and with I + H for
what G has become, a short series of (I + H)^(-1/2) does the rest.

The bounds of the eigenvalues are estimates, from a few steps of Lanczos; of small matrices they are bounds
from the fourth powers of G and of its inverse. What comes of them is certified:
that no eigenvalue of H is outside of the interval for which the series was made is shown by a Cholesky
decomposition of h² I - H².
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steepest.optim.engines.products import plus_product, symmetric_product

__all__ = ["LEAST_RATIO", "inverse_roots"]

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

LEAST_RATIO = 1 / 40
"""From this ratio of the extreme eigenvalues on, a Gram matrix loses less than two digits."""

_LARGE = 384
"""Rows from which a product costs more than some steps of Lanczos that save one."""
_REPAY_LANCZOS = 48
"""Rows from which steps of Lanczos take less time than powers of a Gram matrix and of its inverse."""
_LANCZOS_STEPS = {False: 12, True: 20}
_MARGINS = {False: ((0.8, 1.05), (0.4, 1.2)), True: ((0.92, 1.02), (0.5, 1.1))}
"""By how much extreme eigenvalues may lie outside of what Lanczos has seen, tried in turn."""
_SLACK = 1.1
"""By how much the eigenvalues of H may be larger than they are meant to be."""
_TRUNCATION = 5e-6
"""Error of a series that is short enough to be taken."""


def inverse_roots(G: Tensor) -> tuple[Tensor, Tensor]:
    """Return G^(-1/2) of symmetric matrices on the host, and of which of them that is certified.

    They are [b, m, m], or a single one [m, m], which takes less time than a batch of one: here and below,
    numbers of matrices are [b], or a single one. G stays as it is. Of a matrix whose eigenvalues are not
    shown to be positive and within a ratio of about :data:`LEAST_RATIO` there may be anything in the place of
    the root.

    >>> roots, sure = inverse_roots(torch.tensor([[[4.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]]))
    >>> roots[0], sure
    (tensor([[0.5000, 0.0000],
            [0.0000, 1.0000]]), tensor([ True, False]))
    """
    lowest, highest = _extremes(G) if G.shape[-1] >= _REPAY_LANCZOS else _bounds(G)
    sure = np.zeros(lowest.shape, dtype=bool)
    roots = None
    for below, above in _MARGINS[G.shape[-1] >= _LARGE]:
        least, most = below * lowest, above * highest
        tried = ~sure & (least > LEAST_RATIO * most)
        steps = _steps(np.sqrt(np.where(tried, least, LEAST_RATIO) / np.where(tried, most, 1.0)))
        is_short = 5 / 64 * steps.largest**3 < _TRUNCATION
        # No root depends on those that are found beside it, but for rounding.
        for own, short in ((tried & is_short, True), (tried & ~is_short, False)):
            if own.all():
                roots, sure = _roots(G, most, steps, short)
            elif own.any():
                roots = torch.empty_like(G) if roots is None else roots
                which = torch.from_numpy(own)
                roots[which], sure[own] = _roots(G[which], most[own], steps.of(own), short)
        if sure.all():
            break
    return torch.empty_like(G) if roots is None else roots, torch.as_tensor(sure)


class _Steps(NamedTuple):
    """Rational steps G ↦ I + H = R G R with R = p + q (I + c G)⁻¹, and the largest modulus of H.

    They are NumPy's: of a few numbers it makes others in a third of the time of PyTorch.
    """

    p: Floats
    q: Floats
    c: Floats
    largest: Floats

    def of(self, which: Bools) -> _Steps:
        """Return the steps of some matrices."""
        return _Steps(*(each[which] for each in self))


def _steps(least: Floats) -> _Steps:
    """Return the best steps for singular values in [least, 1]: these go to a range around 1.

    >>> bool(_steps(np.array([0.5])).largest < 0.0051)
    True
    """
    square = least * least
    d = (4 * (1 - square)) ** (1 / 3) / square ** (2 / 3)
    root = np.sqrt(1 + d)
    a = root + 0.5 * np.sqrt(8 - 4 * d + 8 * (2 - square) / (square * root))
    b = (a - 1) ** 2 / 4
    c = a + b - 1
    reached = least * (a + b * square) / (1 + c * square)
    middle = 2 / (1 + reached)
    return _Steps(middle * b / c, middle * (a - b / c), c, middle * middle - 1)


def _roots(G: Tensor, highest: Floats, steps: _Steps, short: bool) -> tuple[Tensor, Bools]:
    """Return G^(-1/2) by a step and a series, and of which matrices that is certified."""
    p, q, c, largest = steps
    shifted = G * _factors(c / highest, G)
    _add_to_diagonal(shifted, 1.0)
    T, found = _inverse(shifted)
    # The step multiplies by R = p + q T with T = (I + c G)⁻¹. As G T = (I - T) / c, the matrix R G R has no
    # other product in it than T².
    H = symmetric_product(T, T.mT).mul_(_factors(-q * q / c, G))
    _add(H, T, q * (q - 2 * p) / c)
    _add(H, G, p * p / highest)
    _add_to_diagonal(H, 2 * p * q / c - 1)
    squares = symmetric_product(H, H.mT)
    sure = found & _are_within(squares, _SLACK * largest)
    root = np.sqrt(highest)
    R = T.mul_(_factors(q / root, G))
    _add_to_diagonal(R, p / root)
    return symmetric_product(_series(H, squares, largest, short), R.mT), sure


def _inverse(G: Tensor) -> tuple[Tensor, Bools]:
    """Return the inverses of positive definite matrices, and which of them are; of others I."""
    # Which triangle takes less time differs by a third, as PyTorch clears the other.
    upper = G.ndim == 3
    factor, failed = torch.linalg.cholesky_ex(G, upper=upper)
    found = failed.numpy() == 0
    if not found.all():
        factor[torch.as_tensor(~found)] = torch.eye(G.shape[-1], dtype=G.dtype)
    # Its columns lie together; transposed, which changes nothing else, no product needs a copy of it.
    return torch.cholesky_inverse(factor, upper=upper).mT, found


def _factors(values: Floats | float, like: Tensor) -> float | Tensor:
    """Return numbers of matrices as what those are multiplied by."""
    if isinstance(values, np.ndarray) and values.ndim:
        return torch.from_numpy(values).to(like.dtype)[:, None, None]
    # PyTorch takes NumPy's own numbers too, but in ten times the time.
    return float(values)


def _add(matrices: Tensor, others: Tensor, values: Floats) -> None:
    """Add values times others to matrices, in place."""
    factors = _factors(values, matrices)
    if isinstance(factors, float):
        matrices.add_(others, alpha=factors)
    else:
        # PyTorch's addcmul takes many times as long where factors are broadcast.
        matrices.add_(others * factors)


def _add_to_diagonal(matrices: Tensor, values: Floats | float) -> None:
    factors = _factors(values, matrices)
    _diagonal(matrices).add_(factors[:, :, 0] if isinstance(factors, Tensor) else factors)


def _diagonal(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1)


def _series(H: Tensor, squares: Tensor, largest: Floats, short: bool) -> Tensor:
    """Return (I + H)^(-1/2) for eigenvalues of H up to a modulus, given H².

    The series of 1 - h/2 + 3h²/8 - 5h³/16 + 35h⁴/128 - 63h⁵/256 ends with h² or h⁴. Of the first term that is
    left out the Chebyshev polynomial of lower degree that is nearest to it is kept.
    """
    r = largest * largest
    if short:
        found = squares.mul(3 / 8)
        _add(found, H, -1 / 2 - 15 / 64 * r)
    else:
        higher = squares.mul(35 / 128)
        _add(higher, H, -5 / 16 - 315 / 1024 * r)
        found = plus_product(squares, 3 / 8, higher, squares.mT, 1.0, symmetric=True)
        _add(found, H, -1 / 2 + 315 / 4096 * r * r)
    _add_to_diagonal(found, 1.0)
    return found


def _are_within(squares: Tensor, largest: Floats) -> Bools:
    """Return of which matrices H no eigenvalue has a modulus above its ``largest``, given all H²."""
    left = squares.neg()
    _add_to_diagonal(left, largest * largest)
    return torch.linalg.cholesky_ex(left, upper=left.ndim == 3)[1].numpy() == 0


def _bounds(G: Tensor) -> tuple[Floats, Floats]:
    """Return bounds of the extreme eigenvalues, each within a factor of m^(1/8).

    λ ≤ ‖G⁴‖^(1/4) in the Frobenius norm, and G⁻¹ has the inverse eigenvalues. NaN where one is not above 0.
    """
    size = _diagonal(G).amax(-1)[..., None, None]
    scaled = G / size
    inverse, found = _inverse(scaled)
    highest, most = (_largest_by_powers(each) for each in (scaled, inverse))
    sizes = size[..., 0, 0].double().numpy()
    return np.where(found, sizes / most, math.nan), sizes * highest


def _largest_by_powers(G: Tensor) -> Floats:
    squares = G @ G
    return (torch.linalg.matrix_norm((squares @ squares).double()) ** 0.25).numpy()


def _extremes(G: Tensor) -> tuple[Floats, Floats]:
    """Return estimates of the extreme eigenvalues, which lie between the true ones."""
    side = G.shape[-1]
    # A start without structure, which is the same for all: a direction never depends on what came before.
    v = torch.arange(1, side + 1, dtype=G.dtype).mul_(0.6180339887).remainder_(1.0).sub_(0.5)
    v = (v / torch.linalg.vector_norm(v)).expand(*G.shape[:-2], side)
    before, beta = torch.zeros_like(v), torch.zeros(*G.shape[:-2], 1, dtype=G.dtype)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for _ in range(min(_LANCZOS_STEPS[side >= _LARGE], side)):
        w, alpha = _times(G, v)
        w.addcmul_(alpha, v, value=-1).addcmul_(beta, before, value=-1)
        beta = torch.linalg.vector_norm(w, dim=-1, keepdim=True)
        diagonal.append(alpha)
        beside.append(beta)
        before, v = v, w / beta
    alphas, betas = (torch.cat(each, -1).double().numpy() for each in (diagonal, beside))
    found = np.linalg.eigvalsh(_tridiagonal(alphas, betas[..., :-1]))
    return found[..., 0], found[..., -1]


def _times(G: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return w = G v and w·v."""
    if G.ndim == 2:
        w = torch.mv(G, v)
        return w, torch.dot(w, v)[None]
    # As rows: a batch of matrices times columns takes ten times as long.
    w = torch.bmm(v[:, None], G)[:, 0]
    return w, torch.linalg.vecdot(w, v)[:, None]


def _tridiagonal(alphas: Floats, betas: Floats) -> Floats:
    """Return the lower triangles of the matrices of Lanczos [..., s, s] from [..., s] and [..., s - 1].

    What has come to an end, be it by rounding, goes on with what it began with: between the extremes too.
    """
    goes_on = np.logical_and.accumulate(betas > 1e-5 * abs(alphas[..., :-1]), axis=-1)
    steps = np.arange(alphas.shape[-1])
    found = np.zeros((*alphas.shape, alphas.shape[-1]))
    found[..., 0, 0] = alphas[..., 0]
    found[..., steps[1:], steps[1:]] = np.where(goes_on, alphas[..., 1:], alphas[..., :1])
    found[..., steps[1:], steps[:-1]] = np.where(goes_on, betas, 0.0)
    return found
