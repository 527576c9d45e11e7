"""Euclidean projections on the simplex and on the unit ball of every norm, for NumPy arrays and tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from steepest.arrays import Array, namespace
from steepest.capabilities import Capability

__all__ = [
    "BALL_PROJECTION",
    "ENTRIES",
    "SINGULAR_VALUES",
    "BallCode",
    "BallProjection",
    "project_capped_simplex",
    "project_entries",
    "project_rows",
    "project_simplex",
    "project_singular_values",
]

_SWEEPS = 100
"""Most steps of the scalar Newton methods, which need five to ten."""

ENTRIES, SINGULAR_VALUES = range(2)
"""What the vector p-norm is taken of in compiled projections."""


class BallCode(NamedTuple):
    """A unit ball as compiled loops know it: of the p-norm of entries or of singular values."""

    kind: int
    """ENTRIES or SINGULAR_VALUES."""
    p: float


@dataclass(frozen=True)
class BallProjection:
    """The Euclidean projection on a norm's unit ball."""

    project: Callable[[Array, float | None], tuple[Array, float | None]]
    """Nearest point of {‖V‖ ≤ 1} to V of shape [k, d], a NumPy array or a tensor, with a number that speeds
    the next projection nearby; that number, or None, is its second argument."""
    code: BallCode | None = None
    """The same in compiled loops; None where there is none, and iterations are made of array operations."""


BALL_PROJECTION: Capability[BallProjection] = Capability(
    "a projection on its unit ball",
    "The Euclidean projection on the unit ball, which first-order steps end in.",
)


def project_simplex(v: Array, start: float = -math.inf) -> tuple[Array, float]:
    """Nearest point max(v - θ, 0) of the simplex {q ≥ 0, Σq = 1}, and θ; entries of -inf give 0.

    Newton's method on the convex, piecewise linear Σ max(v - θ, 0) = 1 from the left ends in finitely many
    steps (Michelot, J. Optim. Theory Appl. 50, 1986; Condat, Math. Program. 158, 2016), without sorting.
    ``start`` is a guess of θ, for instance that of a point nearby.

    >>> import numpy as np
    >>> project_simplex(np.array([1.0, 0.5, -2.0]))[0].tolist()
    [0.75, 0.25, 0.0]
    """
    xp = namespace(v)
    threshold = float(xp.max(v)) - 1.0
    if start > threshold:
        excess = float(xp.sum(xp.clip(v - start, 0.0, None)))
        threshold = start if excess >= 1.0 else threshold
    for _ in range(_SWEEPS):
        above = v > threshold
        count = float(xp.sum(xp.astype(above, v.dtype)))
        new = (float(xp.sum(xp.where(above, v, 0.0))) - 1.0) / count
        if new <= threshold:
            break
        threshold = new
    return xp.clip(v - threshold, 0.0, None), threshold


def project_capped_simplex(v: Array, caps: Array, start: float = -math.inf) -> tuple[Array, float]:
    """Nearest point of {q ≥ 0, Σq = 1, Σ_c q_ic ≤ caps_i} to v [n, k], and its threshold θ.

    It is max(v - θ - λ_i, 0) with λ_i > 0 in rows at their caps alone. Σ_i min(cap_i, Σ_c max(v_ic - θ, 0))
    = 1 is solved for θ by Newton's method within a bracket, then each full row for its λ_i by sorting.
    Entries of -inf give 0; ``start`` is a guess of θ. The caps sum to 1 or more.

    >>> import numpy as np
    >>> project_capped_simplex(np.array([[5.0, 0.0], [0.25, 0.0]]), np.array([0.75, 0.75]))[0].tolist()
    [[0.75, 0.0], [0.25, 0.0]]
    """
    xp = namespace(v)
    k = v.shape[1]
    # With θ at the largest entry less 1 nothing more than 1 is left; far below all rows are full.
    high = float(xp.max(v))
    low = float(xp.min(xp.max(v, axis=1))) - float(xp.max(caps)) - 1.0
    threshold = start if low < start < high else high - 1.0 / v.shape[0]
    for _ in range(_SWEEPS):
        above = v > threshold
        rows = xp.sum(xp.where(above, v - threshold, 0.0), axis=1)
        free = rows < caps
        total = float(xp.sum(xp.where(free, rows, caps)))
        if abs(total - 1.0) <= 1e-15 * k:
            break
        low, high = (threshold, high) if total > 1.0 else (low, threshold)
        slope = float(xp.sum(xp.where(free[:, None] & above, 1.0, 0.0)))
        new = threshold + (total - 1.0) / slope if slope > 0 else math.inf
        if not low < new < high:
            new = 0.5 * (low + high)
        if new == threshold:
            break
        threshold = new
    q = xp.clip(v - threshold, 0.0, None)
    full = xp.sum(q, axis=1) > caps
    if not bool(xp.any(full)):
        return q, threshold
    # Of the k largest entries of a row, the j largest are positive as long as the j-th is above λ_j.
    descending = xp.flip(xp.sort(q, axis=1), axis=1)
    counts = xp.arange(1, k + 1, dtype=v.dtype)
    thresholds = (xp.cumulative_sum(descending, axis=1) - caps[:, None]) / counts
    positive = xp.astype(descending > thresholds, v.dtype)
    last = xp.max(xp.where(positive > 0, thresholds, -math.inf), axis=1)
    return xp.where(full[:, None], xp.clip(q - last[:, None], 0.0, None), q), threshold


def project_entries(V: Array, guess: float | None, p: float) -> tuple[Array, float | None]:
    """Nearest point of the ball of the entry-wise p-norm, and a guess for the next projection nearby.

    >>> import numpy as np
    >>> project_entries(np.array([[2.0, -0.5]]), None, math.inf)[0]
    array([[ 1. , -0.5]])
    """
    xp = namespace(V)
    if p == 2.0:
        return _shrink(V, p, guess)
    magnitudes, guess = _shrink(xp.abs(V), p, guess)
    return xp.sign(V) * magnitudes, guess


def project_singular_values(V: Array, guess: float | None, p: float) -> tuple[Array, float | None]:
    """Nearest point of the ball of the Schatten p-norm, and a guess for the next projection nearby.

    The singular values are projected, found from the eigenvectors of the smaller of VVᵀ and VᵀV: only the
    factor f(σ)/σ is used, so that small singular values lose nothing.

    >>> import numpy as np
    >>> project_singular_values(np.diag([2.0, 0.5]), None, math.inf)[0]
    array([[1. , 0. ],
           [0. , 0.5]])
    """
    xp = namespace(V)
    wide = V.shape[0] <= V.shape[1]
    gram = V @ V.T if wide else V.T @ V
    squares, U = xp.linalg.eigh(gram)
    singular = xp.sqrt(xp.clip(squares, 0.0, None))
    kept, guess = _shrink(singular, p, guess)
    factor = xp.where(singular > 0, kept / xp.where(singular > 0, singular, 1.0), 1.0)
    core = (U * factor) @ U.T
    return (core @ V if wide else V @ core), guess


def project_rows(V: Array, guess: float | None, inner: float, outer: float) -> tuple[Array, float | None]:
    """Nearest point of the ball of the outer norm of the inner norms of rows, for inner = 2 or outer = inf.

    >>> import numpy as np
    >>> project_rows(np.array([[3.0, 4.0], [0.3, 0.4]]), None, 2.0, math.inf)[0]
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    xp = namespace(V)
    if inner == 2.0:
        lengths = xp.linalg.vector_norm(V, axis=1, keepdims=True)
        kept, guess = _shrink(lengths, outer, guess)
        return V * (kept / xp.where(lengths > 0, lengths, 1.0)), guess
    return xp.stack([project_entries(V[i, :], None, inner)[0] for i in range(V.shape[0])]), None


def _shrink(a: Array, p: float, guess: float | None) -> tuple[Array, float | None]:
    """Project non-negative a (any a for p = 2) on the ball of the vector p-norm."""
    xp = namespace(a)
    if p == math.inf:
        return xp.clip(a, None, 1.0), None
    if p == 2.0:
        size = math.sqrt(float(xp.sum(a * a)))
        return (a / size if size > 1.0 else a), None
    if p == 1.0:
        if float(xp.sum(a)) <= 1.0:
            return a, None
        return project_simplex(a, -math.inf if guess is None else guess)
    if float(xp.sum(a**p)) <= 1.0:
        return a, guess
    return _shrink_general(xp, a, p, guess)


def _shrink_general(xp: Any, a: Array, p: float, guess: float | None) -> tuple[Array, float]:
    """Solve w + λ w^(p-1) = a with Σ w^p = 1 for λ: Newton in log λ, kept in a bracket."""
    low, high = 0.0, math.inf
    scale = float(xp.max(a))
    multiplier = guess if guess else scale
    w = a
    for _ in range(_SWEEPS):
        w = _shifted_root(xp, a, p, multiplier)
        power = w ** (p - 1.0)
        total = float(xp.sum(power * w))
        if abs(total - 1.0) <= 1e-14 * p:
            break
        low, high = (multiplier, high) if total > 1.0 else (low, multiplier)
        if high - low <= 1e-15 * low:
            break
        # d(w)/d(λ) = -w^(p-1) / (1 + λ (p-1) w^(p-2)); written with w in the numerator, fine at w = 0.
        slope = float(xp.sum(power * power * w / xp.where(w > 0, w + multiplier * (p - 1.0) * power, 1.0)))
        step = math.log(total) * total / (p * multiplier * slope) if slope > 0 else math.inf
        proposal = multiplier * math.exp(max(-20.0, min(20.0, step)))
        if not low < proposal < high:
            proposal = (
                math.sqrt(low * high)
                if low > 0 and high < math.inf
                else multiplier * (4.0 if total > 1 else 0.25)
            )
        multiplier = proposal
    size = float(xp.sum(w**p)) ** (1.0 / p)
    return w / size, multiplier


def _shifted_root(xp: Any, a: Array, p: float, multiplier: float) -> Array:
    """Root of w + λ w^(p-1) = a, by Newton from the right on a convex function: it descends to the root."""
    exponent = max(p - 1.0, 1.0 / (p - 1.0))
    if p >= 2.0:
        linear, curved = 1.0, multiplier
    else:
        # In u = w^(p-1) the equation is u^(1/(p-1)) + λ u = a: again convex, with an exponent above 1.
        linear, curved = multiplier, 1.0
    u = xp.minimum(a / linear, (a / curved) ** (1.0 / exponent))
    for _ in range(_SWEEPS):
        power = curved * u ** (exponent - 1.0)
        new = (a + (exponent - 1.0) * power * u) / (linear + exponent * power)
        change = float(xp.max(xp.abs(new - u)))
        u = new
        if change <= 4e-16 * float(xp.max(u)):
            break
    return u if p >= 2.0 else u ** (1.0 / (p - 1.0))
