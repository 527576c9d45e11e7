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
from typing import NamedTuple

import torch
from torch import Tensor

from steepest.optim.engines.products import plus_product, symmetric_product

__all__ = ["LEAST_RATIO", "inverse_roots"]

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
    """Return G^(-1/2) of symmetric matrices [b, m, m] on the host, and of which [b] that is certified.

    G stays as it is. Of a matrix whose eigenvalues are not shown to be positive and within a ratio of about
    :data:`LEAST_RATIO` there may be anything in the place of the root.

    >>> roots, sure = inverse_roots(torch.tensor([[[4.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]]))
    >>> roots[0], sure
    (tensor([[0.5000, 0.0000],
            [0.0000, 1.0000]]), tensor([ True, False]))
    """
    lowest, highest = _extremes(G) if G.shape[-1] >= _REPAY_LANCZOS else _bounds(G)
    sure = torch.zeros(len(G), dtype=torch.bool)
    roots = torch.empty_like(G)
    for below, above in _MARGINS[G.shape[-1] >= _LARGE]:
        least, most = below * lowest, above * highest
        tried = ~sure & (least > LEAST_RATIO * most)
        steps = _steps((least / most).clamp(min=LEAST_RATIO).sqrt())
        is_short = 5 / 64 * steps.largest**3 < _TRUNCATION
        # No root depends on those that are found beside it, but for rounding.
        for own, short in ((tried & is_short, True), (tried & ~is_short, False)):
            if bool(own.all()):
                roots, sure = _roots(G, most, steps, short)
            elif bool(own.any()):
                roots[own], sure[own] = _roots(G[own], most[own], steps.of(own), short)
        if bool(sure.all()):
            break
    return roots, sure


class _Steps(NamedTuple):
    """Rational steps G ↦ I + H = R G R with R = p + q (I + c G)⁻¹, and the largest modulus of H; each [b]."""

    p: Tensor
    q: Tensor
    c: Tensor
    largest: Tensor

    def of(self, which: Tensor) -> _Steps:
        """Return the steps of some matrices."""
        return _Steps(*(each[which] for each in self))


def _steps(least: Tensor) -> _Steps:
    """Return the best steps for singular values in [least, 1]: these go to a range around 1.

    >>> bool(_steps(torch.tensor([0.5])).largest < 0.0051)
    True
    """
    square = least * least
    d = (4 * (1 - square)) ** (1 / 3) / square ** (2 / 3)
    root = torch.sqrt(1 + d)
    a = root + 0.5 * torch.sqrt(8 - 4 * d + 8 * (2 - square) / (square * root))
    b = (a - 1) ** 2 / 4
    c = a + b - 1
    reached = least * (a + b * square) / (1 + c * square)
    middle = 2 / (1 + reached)
    return _Steps(middle * b / c, middle * (a - b / c), c, middle * middle - 1)


def _roots(G: Tensor, highest: Tensor, steps: _Steps, short: bool) -> tuple[Tensor, Tensor]:
    """Return G^(-1/2) [b, m, m] by a step and a series, and of which [b] that is certified."""
    p, q, c, largest = (each.to(G.dtype)[:, None, None] for each in steps)
    sizes = highest.to(G.dtype)[:, None, None]
    shifted = G * (c / sizes)
    _diagonal(shifted).add_(1.0)
    T, found = _inverse(shifted)
    # The step multiplies by R = p + q T with T = (I + c G)⁻¹. As G T = (I - T) / c, the matrix R G R has no
    # other product in it than T².
    H = symmetric_product(T, T.mT).mul_(-q * q / c)
    _add(H, T, q * (q - 2 * p) / c)
    _add(H, G, p * p / sizes)
    _diagonal(H).add_((2 * p * q / c - 1)[:, 0])
    squares = symmetric_product(H, H.mT)
    sure = found & _are_within(squares, _SLACK * largest)
    R = T.mul_(q / sizes.sqrt())
    _diagonal(R).add_((p / sizes.sqrt())[:, 0])
    return symmetric_product(_series(H, squares, largest, short), R.mT), sure


def _inverse(G: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverses [b, m, m] of positive definite matrices, and which of them [b] are; of others I."""
    # Which triangle takes less time differs by a third, as PyTorch clears the other.
    upper = len(G) > 1
    factor, failed = torch.linalg.cholesky_ex(G, upper=upper)
    found = failed == 0
    if not bool(found.all()):
        factor[~found] = torch.eye(G.shape[-1], dtype=G.dtype)
    return torch.cholesky_inverse(factor, upper=upper), found


def _add(matrices: Tensor, others: Tensor, factors: Tensor) -> None:
    """Add factors [b, 1, 1] times others to matrices [b, m, m], in place."""
    if len(factors) == 1:
        matrices.add_(others, alpha=float(factors))
    else:
        # PyTorch's addcmul takes many times as long where factors are broadcast.
        matrices.add_(others * factors)


def _diagonal(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1)


def _series(H: Tensor, squares: Tensor, largest: Tensor, short: bool) -> Tensor:
    """Return (I + H)^(-1/2) for eigenvalues of H up to a modulus [b, 1, 1], given H².

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
    _diagonal(found).add_(1.0)
    return found


def _are_within(squares: Tensor, largest: Tensor) -> Tensor:
    """Return of which matrices H no eigenvalue has a modulus above its ``largest``, given all H²."""
    left = squares.neg()
    _diagonal(left).add_((largest * largest)[:, 0])
    return torch.linalg.cholesky_ex(left, upper=len(left) > 1)[1] == 0


def _bounds(G: Tensor) -> tuple[Tensor, Tensor]:
    """Return bounds [b] of the extreme eigenvalues, each within a factor of m^(1/8).

    λ ≤ ‖G⁴‖^(1/4) in the Frobenius norm, and G⁻¹ has the inverse eigenvalues. NaN where one is not above 0.
    """
    size = _diagonal(G).amax(-1)[:, None, None]
    scaled = G / size
    inverse, found = _inverse(scaled)
    highest, most = (_largest_by_powers(each) for each in (scaled, inverse))
    sizes = size[:, 0, 0].double()
    return torch.where(found, sizes / most, math.nan), sizes * highest


def _largest_by_powers(G: Tensor) -> Tensor:
    squares = G @ G
    return torch.linalg.matrix_norm((squares @ squares).double()) ** 0.25


def _extremes(G: Tensor) -> tuple[Tensor, Tensor]:
    """Return estimates [b] of the extreme eigenvalues, which lie between the true ones."""
    side = G.shape[-1]
    # A start without structure, which is the same for all: a direction never depends on what came before.
    v = torch.arange(1, side + 1, dtype=G.dtype).mul_(0.6180339887).remainder_(1.0).sub_(0.5)
    # As a row: a batch of matrices times columns takes ten times as long.
    v = (v / torch.linalg.vector_norm(v)).expand(len(G), 1, side)
    before, beta = torch.zeros_like(v), torch.zeros(len(G), 1, 1, dtype=G.dtype)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for _ in range(min(_LANCZOS_STEPS[side >= _LARGE], side)):
        w = v @ G
        alpha = (w * v).sum(-1, keepdim=True)
        w.addcmul_(alpha, v, value=-1).addcmul_(beta, before, value=-1)
        beta = torch.linalg.vector_norm(w, dim=-1, keepdim=True)
        diagonal.append(alpha)
        beside.append(beta)
        before, v = v, w / beta
    found = torch.linalg.eigvalsh(_tridiagonal(torch.cat(diagonal, 1), torch.cat(beside, 1)))
    return found[:, 0], found[:, -1]


def _tridiagonal(diagonal: Tensor, beside: Tensor) -> Tensor:
    """Return the matrices of Lanczos [b, s, s] from what its steps found, [b, s, 1] each.

    What has come to an end, be it by rounding, goes on with what it began with: between the extremes too.
    """
    alphas, betas = diagonal[:, :, 0].double(), beside[:, :-1, 0].double()
    goes_on = (betas > 1e-5 * alphas[:, :-1].abs()).byte().cummin(-1).values.bool()
    alphas[:, 1:] = torch.where(goes_on, alphas[:, 1:], alphas[:, :1])
    return torch.diag_embed(alphas) + torch.diag_embed(torch.where(goes_on, betas, 0.0), -1)
