"""Self-concordant barriers of the unit ball of a vector p-norm, with gradient and Hessian.

The ball is lifted, Σ t_j ≤ 1 with |v_j| ≤ t_j^(1/p) (a power cone for each entry), and the barrier is the
smallest value over t of

    F(v, t) = -Σ_j [log(t_j^(2/p) - v_j²) + (1 - 1/p) log t_j] - log(1 - Σ_j t_j):

a partial minimum of a self-concordant barrier is one. Its Hessian is a diagonal plus a rank-one matrix.
Close to the boundary everything is written in e = t^(1/p) - |v|, so that nothing cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["BallBarrier", "barrier_parameter", "evaluate", "hessian"]

_OUTER_STEPS, _INNER_STEPS = 60, 60


@dataclass(frozen=True)
class BallBarrier:
    """Derivatives of the barrier at an interior point v: Hessian diag(``curvature``) + ``weight`` u uᵀ."""

    gradient: np.ndarray
    curvature: np.ndarray
    weight: float
    u: np.ndarray
    ratio: np.ndarray
    """gradient / v, finite at 0."""
    divided: np.ndarray | None
    """(g_i - g_j) / (v_i - v_j) for non-negative v, shape [N, N], where asked for."""


def barrier_parameter(p: float, size: int) -> float:
    """ν of the barrier: what the duality gap of a central point is proportional to."""
    return 1.0 if p == 2.0 else float(size) if p == math.inf else 2.0 * size + 1.0


def hessian(curvature: np.ndarray, weight: float = 0.0, u: np.ndarray | None = None) -> BallBarrier:
    """A Hessian diag(curvature) + weight u uᵀ on its own, as linear programs have it; no gradient."""
    none = np.zeros_like(curvature)
    return BallBarrier(none, curvature, weight, none if u is None else u, curvature, None)


def evaluate(v: np.ndarray, p: float, pairwise: bool = False) -> BallBarrier | None:
    """Barrier derivatives at v, or None where ‖v‖_p ≥ 1. Schatten norms ask for ``pairwise`` differences."""
    if p == 2.0:
        return _euclidean(v, pairwise)
    if p == math.inf:
        return _box(v, pairwise)
    return _power(v, p, pairwise)


def _euclidean(v: np.ndarray, pairwise: bool) -> BallBarrier | None:
    room = 1.0 - float(v @ v)
    if room <= 0.0:
        return None
    ratio = np.full_like(v, 2.0 / room)
    divided = np.full((len(v), len(v)), 2.0 / room) if pairwise else None
    return BallBarrier(ratio * v, ratio, 4.0 / room**2, v, ratio, divided)


def _box(v: np.ndarray, pairwise: bool) -> BallBarrier | None:
    room = (1.0 - v) * (1.0 + v)
    if room.min() <= 0.0:
        return None
    ratio = 2.0 / room
    divided = 2.0 * (1.0 + np.outer(v, v)) / np.outer(room, room) if pairwise else None
    return BallBarrier(ratio * v, 2.0 * (1.0 + v * v) / room**2, 0.0, v, ratio, divided)


def _power(v: np.ndarray, p: float, pairwise: bool) -> BallBarrier | None:
    size = np.abs(v)
    lifted = _lift(size, p)
    if lifted is None:
        return None
    e, tau = lifted
    a = size + e
    D = e * (e + 2.0 * size)
    ratio = 2.0 / D
    x = a * a / D
    # F_tt and F_vv F_tt - F_vt², with the common factor a^(-2p) left out and the cancelling terms combined.
    tt = (4.0 / p**2) * x * x - (2.0 / p) * (2.0 / p - 1.0) * x + (1.0 - 1.0 / p)
    determinant = (4.0 / p) * a * a / D**3 * (D + (2.0 - 2.0 / p) * v * v)
    determinant += 2.0 * (a * a + v * v) * (1.0 - 1.0 / p) / D**2
    curvature = determinant / tt
    u = -4.0 / p * v * a ** (2.0 + p) / (D * D * tt)
    weight = tau * tau / (1.0 + tau * tau * float(np.sum(a ** (2.0 * p) / tt)))
    divided = _divided_differences(size, a, D, tau, p, curvature) if pairwise else None
    return BallBarrier(ratio * v, curvature, weight, u, ratio, divided)


def _lift(size: np.ndarray, p: float) -> tuple[np.ndarray, float] | None:
    """The minimising lift (e, τ = 1 / (1 - Σt)), by Newton's method for log τ within a bracket."""
    powers = size**p
    room = 1.0 - float(powers.sum())
    if room <= 0.0:
        return None
    # With u = |v_j|^p / t_j, τ (t_j - |v_j|^p) = (1-u) (2/p) / (1 - u^(2/p)) + (1-u) (1 - 1/p) is between
    # ½ and 2, so τ is known within a factor of four.
    low = math.log((1.0 + 0.5 * len(size)) / room)
    high = math.log((1.0 + 2.0 * len(size)) / room)
    z = 0.5 * (low + high)
    e = _shared(size, powers, math.exp(-z), p)
    for _ in range(_OUTER_STEPS):
        e, growth = _entries(size, e, z, p)
        # τ (1 - Σt) = 1, as log τ + log room = log(1 + Σ τ (t_j - |v_j|^p)), whose right side changes slowly.
        tau, increase = math.exp(z), _increase(size, e, powers, p)
        whole = 1.0 + tau * float(increase.sum())
        balance = z + math.log(room) - math.log(whole)
        low, high = (z, high) if balance < 0.0 else (low, z)
        change = -balance / (1.0 - tau * float((increase - growth).sum()) / whole)
        if abs(change) <= 1e-13:
            break
        new = z + change
        if not low < new < high:
            new = 0.5 * (low + high)
        if new == z:
            break
        z = new
    return e, math.exp(z)


def _shared(size: np.ndarray, powers: np.ndarray, share: float, p: float) -> np.ndarray:
    """The e with (size + e)^p = size^p + share."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        grown = size * np.expm1(np.log1p(share / powers) / p)
    return np.where(powers > 1e-6 * share, grown, (share + powers) ** (1.0 / p) - size)


def _entries(size: np.ndarray, e: np.ndarray, z: float, p: float) -> tuple[np.ndarray, np.ndarray]:
    """Solve ∂F/∂t_j = 0 at τ = exp(z) for every e_j, and return -dt_j / dz beside.

    Newton's method in log e on a concave (p ≥ 1) decreasing function of bounded slope.
    """
    if p == 1.0:
        r = np.hypot(math.exp(-z), size)
        return math.exp(-z) * (1.0 + math.exp(-z) / (r + size)), math.exp(-z) * (1.0 + math.exp(-z) / r)
    growth = np.zeros_like(e)
    for _ in range(_INNER_STEPS):
        a = size + e
        D = e * (e + 2.0 * size)
        a_p = a**-p
        first = (2.0 / p) * a * a * a_p / D
        second = (1.0 - 1.0 / p) * a_p
        total = first + second
        slope = e * (first * ((2.0 - p) / a - 2.0 * a / D) - p * second / a) / total
        change = (z - np.log(total)) / slope
        growth = -p * e / (a * a_p * slope)
        e = e * np.exp(np.clip(change, -2.0, 2.0))
        if float(np.max(np.abs(change))) < 1e-10:
            break
    return e, growth


def _increase(size: np.ndarray, e: np.ndarray, powers: np.ndarray, p: float) -> np.ndarray:
    """(size + e)^p - size^p without cancellation."""
    small = e < 1e-2 * size
    safe = np.where(small, size, 1.0)
    return np.where(
        small, powers * np.expm1(p * np.log1p(np.where(small, e, 0.0) / safe)), (size + e) ** p - powers
    )


def _divided_differences(
    s: np.ndarray, a: np.ndarray, D: np.ndarray, tau: float, p: float, curvature: np.ndarray
) -> np.ndarray:
    if p == 1.0:
        # Here a = 1/τ + r with r² = 1/τ² + s², so the difference quotient has a closed form.
        r = np.hypot(1.0 / tau, s)
        rr, ss = np.outer(r, r), np.outer(s, s)
        mixed = (1.0 / tau**2) * (1.0 / tau**2 + s[:, None] ** 2 + s[None] ** 2) / (rr + ss)
        bracket = 1.0 / tau + (1.0 / tau**2 + mixed) / (r[:, None] + r[None])
        return tau * bracket / np.outer(a, a)
    difference = s[:, None] - s[None]
    near = np.abs(difference) <= 1e-6 * (s[:, None] + s[None]) + 1e-300
    gradient = 2.0 * s / D
    quotient = (gradient[:, None] - gradient[None]) / np.where(near, 1.0, difference)
    middle = np.sqrt(np.outer(curvature, curvature))
    return np.where(near | (quotient <= 0.0), middle, quotient)
