"""Inverse square roots of well-conditioned Gram matrices, by one rational step and one polynomial.

An eigenvalue decomposition in single precision costs as much as five to ten products of its size. Where the
extreme eigenvalues are near each other, two steps do: with G scaled to eigenvalues in [ℓ², 1], the best
rational function of its type, σ ↦ σ (a + b σ²) / (1 + c σ²), brings all singular values near 1 (Nakatsukasa,
Bai and Gygi, "Optimizing Halley's iteration for computing the matrix polar decomposition", SIAM Journal on
Matrix Analysis and Applications 31, 2010), for one Cholesky decomposition and its inverse; and with I + H for
what G has become, a short series of (I + H)^(-1/2) does the rest.

The bounds of the eigenvalues are estimates, from a few steps of Lanczos. What comes of them is certified:
that no eigenvalue of H is outside of the interval for which the series was made is shown by a Cholesky
decomposition of h² I - H².
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from steepest.optim.engines.products import plus_product, symmetric_product

__all__ = ["LEAST_RATIO", "inverse_root"]

LEAST_RATIO = 1 / 40
"""From this ratio of the extreme eigenvalues on, a Gram matrix loses less than two digits."""

_LARGE = 384
"""Rows from which a product costs more than some steps of Lanczos that save one."""
_LANCZOS_STEPS = {False: 12, True: 20}
_MARGINS = {False: ((0.8, 1.05), (0.4, 1.2)), True: ((0.92, 1.02), (0.5, 1.1))}
"""By how much extreme eigenvalues may lie outside of what Lanczos has seen, tried in turn."""
_SLACK = 1.1
"""By how much the eigenvalues of H may be larger than they are meant to be."""
_TRUNCATION = 5e-6
"""Error of a series that is short enough to be taken."""


def inverse_root(G: Tensor) -> Tensor | None:
    """Return G^(-1/2) of a symmetric matrix [m, m] on the host, which stays as it is.

    None if its eigenvalues are not shown to be positive and within a ratio of about :data:`LEAST_RATIO`.

    >>> inverse_root(torch.tensor([[4.0, 0.0], [0.0, 1.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 1.0000]])
    """
    lowest, highest = _extremes(G)
    for below, above in _MARGINS[G.shape[-1] >= _LARGE]:
        root = _root(G, below * lowest, above * highest)
        if root is not None:
            return root
    return None


def _root(G: Tensor, lowest: float, highest: float) -> Tensor | None:
    """Return G^(-1/2) if its eigenvalues are in about this interval, and that is not too long; else None."""
    if not lowest > LEAST_RATIO * highest:
        return None
    step = _step(math.sqrt(lowest / highest))
    shifted = G * (step.c / highest)
    shifted.diagonal().add_(1.0)
    factor, failed = torch.linalg.cholesky_ex(shifted)
    if int(failed):
        return None
    T = torch.cholesky_inverse(factor)
    # The step multiplies by R = p + q T with T = (I + c G)⁻¹. As G T = (I - T) / c, the matrix R G R has no
    # other product in it than T².
    p, q, c = step.p, step.q, step.c
    H = plus_product(T, q * (q - 2 * p) / c, T, T.mT, -q * q / c, symmetric=True)
    H.add_(G, alpha=p * p / highest)
    H.diagonal().add_(2 * p * q / c - 1)
    squares = symmetric_product(H, H.mT)
    if not _is_within(squares, _SLACK * step.largest):
        return None
    R = T.mul_(q / math.sqrt(highest))
    R.diagonal().add_(p / math.sqrt(highest))
    return symmetric_product(_series(H, squares, step.largest), R.mT)


class _Step(NamedTuple):
    """The rational step G ↦ I + H = R G R with R = p + q (I + c G)⁻¹, and the largest modulus of H."""

    p: float
    q: float
    c: float
    largest: float


def _step(least: float) -> _Step:
    """Return the best step for singular values in [least, 1]: these go to a range around 1.

    >>> _step(0.5).largest < 0.0051
    True
    """
    square = least * least
    d = (4 * (1 - square)) ** (1 / 3) / square ** (2 / 3)
    root = math.sqrt(1 + d)
    a = root + 0.5 * math.sqrt(8 - 4 * d + 8 * (2 - square) / (square * root))
    b = (a - 1) ** 2 / 4
    c = a + b - 1
    reached = least * (a + b * square) / (1 + c * square)
    middle = 2 / (1 + reached)
    return _Step(middle * b / c, middle * (a - b / c), c, middle * middle - 1)


def _series(H: Tensor, squares: Tensor, largest: float) -> Tensor:
    """Return (I + H)^(-1/2) for eigenvalues of H up to a modulus, given H².

    The series of 1 - h/2 + 3h²/8 - 5h³/16 + 35h⁴/128 - 63h⁵/256 ends with h² or h⁴. Of the first term that is
    left out the Chebyshev polynomial of lower degree that is nearest to it is kept.
    """
    r = largest * largest
    if 5 / 64 * largest**3 < _TRUNCATION:
        found = squares.mul(3 / 8).add_(H, alpha=-1 / 2 - 15 / 64 * r)
    else:
        higher = squares.mul(35 / 128).add_(H, alpha=-5 / 16 - 315 / 1024 * r)
        found = plus_product(squares, 3 / 8, higher, squares.mT, 1.0, symmetric=True)
        found.add_(H, alpha=-1 / 2 + 315 / 4096 * r * r)
    found.diagonal().add_(1.0)
    return found


def _is_within(squares: Tensor, largest: float) -> bool:
    """Return whether no eigenvalue of H has a modulus above ``largest``, given H²."""
    left = squares.neg()
    left.diagonal().add_(largest * largest)
    return int(torch.linalg.cholesky_ex(left)[1]) == 0


def _extremes(G: Tensor) -> tuple[float, float]:
    """Return estimates of the extreme eigenvalues, which lie between the true ones."""
    side = G.shape[-1]
    # A start without structure, which is the same for all: a direction never depends on what came before.
    v = torch.arange(1, side + 1, dtype=G.dtype).mul_(0.6180339887).remainder_(1.0).sub_(0.5)
    v /= torch.linalg.vector_norm(v)
    before, beta = torch.zeros_like(v), 0.0
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(_LANCZOS_STEPS[side >= _LARGE], side)):
        w = torch.mv(G, v)
        diagonal.append(float(torch.dot(w, v)))
        w.sub_(v, alpha=diagonal[-1]).sub_(before, alpha=beta)
        beta = float(torch.linalg.vector_norm(w))
        if not beta > 1e-5 * abs(diagonal[-1]):
            break
        beside.append(beta)
        before, v = v, w / beta
    beside = beside[: len(diagonal) - 1]
    T = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    T += torch.diag(torch.tensor(beside, dtype=torch.float64), -1)
    found = torch.linalg.eigvalsh(T)
    return float(found[0]), float(found[-1])
