"""A certified solution made accurate on its face, by Newton's method on the optimality conditions.

On the face of the norm ball that A(q) exposes, with the support pairs P, an optimal pair (W, q) satisfies

    margin_p(W) = γ for p in P,    Lᵀ A(q) = τ a,    Σ q = 1,    aᵀ z = 1

with a as in faces.py (0 for the max-norm and the spectral norm), and W moves with A(q) where the ball
is curved. Each step is solved to least norm, so that where the optimum is not unique the nearest is found;
active sets are mended between steps, and only certified progress is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.certificates.bounds import Bounds, dual_above, margin_below
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.optima.faces import EXPOSED_FACE, ExposedFace, Face

__all__ = ["Refined", "refine"]

_STEPS = 12
"""Newton steps; from a gap of 1e-4 they need four where the active set is right."""
_TIGHT = 1e-14
"""Gap that only rounding is left of."""
_CLOSED = 1e-10
"""Gap at which no other guess of the active set is needed."""
_LEANS = (1.0, 0.1, 10.0, 0.01, 100.0, 0.001)
"""How many times its slack a dual weight has to be to count as not zero, in the order of trying."""
_LEAST = 1e-12
"""Relative size below which dual factors count as zero: interior points leave no more on inactive pairs."""
_CUTOFF = 1e-13
"""Relative size of directions of a Newton system that are rounding of its entries."""
_LARGEST_ROWS = 30_000_000
"""Numbers in the rows of the support pairs that are still formed."""
_SMALL_SYSTEM = 800
"""Unknowns of the systems for which more than one guess of the active set is tried."""
_LARGEST_SYSTEM = 3000
"""Unknowns of the least-squares systems that are still solved."""


@dataclass(frozen=True)
class Refined:
    """Weights on a face and dual weights that expose it, in reduced coordinates."""

    reduced: Reduced
    face: Face
    weights: np.ndarray
    """V, of norm 1 to rounding."""
    dual: np.ndarray
    """q, shape [n, k], of sum 1."""
    bounds: Bounds
    """What both certify in the reduced features."""

    @property
    def gap(self) -> float:
        """Certified relative gap, not below 1e-16."""
        return max(self.bounds.relative_gap, 1e-16)


def refine(reduced: Reduced, V: np.ndarray, q: np.ndarray) -> Refined | None:
    """Return (V, q) made as accurate as Newton's method can.

    None where the system is too large, and where the norm offers no faces: balls of 1 < p < ∞ have none, and
    there the end of an interior point is as accurate by itself. Which factor of a complementary pair is zero
    is a guess where both are small, so several are tried.
    """
    exposed = EXPOSED_FACE.of(reduced.norm)
    if exposed is None:
        return None
    best: Refined | None = None
    for lean in _LEANS:
        start = _placed(reduced, exposed, V, q, lean)
        support = _support(reduced, start, lean)
        if not support.any() or _too_large(int(support.sum()), start.face):
            return best
        found = _iterated(start, support)
        if best is None or found.gap < best.gap:
            best = found
        if best.gap <= _CLOSED or int(support.sum()) + start.face.count > _SMALL_SYSTEM:
            break
    return best


def _iterated(here: Refined, support: np.ndarray) -> Refined:
    best, stalled = here, 0
    for _ in range(_STEPS):
        pairs = np.argwhere(support)
        moved = None if not len(pairs) or _too_large(len(pairs), here.face) else _step(here, pairs)
        if moved is None:
            break
        support = _mended(moved, support)
        placed = _at(replace(moved, dual=np.where(support, np.maximum(moved.dual, 0.0), 0.0)))
        if placed is None:
            break
        # The first step may lose before the next ones gain.
        stalled = 0 if placed.gap < 0.5 * here.gap else stalled + 1
        here = placed
        best = here if here.gap < best.gap else best
        if best.gap <= _TIGHT or stalled >= 2:
            break
    return best


def _too_large(pairs: int, face: Face) -> bool:
    return pairs + face.count > _LARGEST_SYSTEM or pairs * face.base.size > _LARGEST_ROWS


def _placed(reduced: Reduced, exposed: ExposedFace, V: np.ndarray, q: np.ndarray, lean: float) -> Refined:
    V = V / float(reduced.norm(V))
    bounds = _bounds(reduced, V, q)
    least = max(_LEAST, 10 * bounds.relative_gap)
    face = exposed(Pairs(reduced).pair_sum(q), V, least, lean)
    return Refined(reduced, face, V, q, bounds)


def _at(moved: Refined) -> Refined | None:
    q = moved.dual
    total = float(q.sum())
    if not (np.isfinite(total) and total > 0 and np.isfinite(moved.weights).all()):
        return None
    q = q / total
    face = moved.face.at(Pairs(moved.reduced).pair_sum(q))
    z = face.pull(moved.weights - face.base)
    if face.total is not None:
        z = z / float(face.total @ z)
    V = face.base + face.lift(z)
    return Refined(moved.reduced, face, V, q, _bounds(moved.reduced, V, q))


def _bounds(reduced: Reduced, V: np.ndarray, q: np.ndarray) -> Bounds:
    # In full classes, since the certificate takes differences of rows.
    mixed = Pairs(reduced).in_classes(V)
    lower = margin_below(reduced.features, reduced.labels, mixed, reduced.norm)
    return Bounds(lower, dual_above(reduced.features, reduced.labels, q, reduced.norm))


def _support(reduced: Reduced, here: Refined, lean: float) -> np.ndarray:
    margins = _margins(reduced, here.weights)
    lowest = float(margins.min())
    slack = np.where(np.isfinite(margins), (margins - lowest) / abs(lowest), np.inf)
    relative = here.dual / here.dual.max()
    return (relative > lean * slack) & (relative > max(_LEAST, here.gap))


def _margins(reduced: Reduced, V: np.ndarray) -> np.ndarray:
    """Margins of all pairs, shape [n, k], infinite at the true class."""
    pairs = Pairs(reduced)
    return np.where(pairs.mask, pairs.margins(V), np.inf)


def _mended(moved: Refined, support: np.ndarray) -> np.ndarray:
    """Leave out pairs of negative dual weight, take in pairs whose margin fell below the others."""
    margins = _margins(moved.reduced, moved.weights)
    level = float(np.mean(margins[support]))
    spread = float(np.ptp(margins[support]))
    missed = margins < level - max(1e-10 * abs(level), spread)
    return (support & (moved.dual > 0)) | missed


def _step(here: Refined, pairs: np.ndarray) -> Refined | None:
    reduced, face, places = here.reduced, here.face, tuple(pairs.T)
    rows = Pairs(reduced).rows(pairs)
    flat = rows.reshape(len(pairs), -1)
    pulled = face.pull(rows)
    m, f = pulled.shape
    bound = 0 if face.total is None else 1
    # Unknowns: changes of q and z, the new γ and the new τ.
    system = np.zeros((m + f + 1 + bound, m + f + 1 + bound))
    system[:m, :m] = flat @ face.turned(rows, here.weights).reshape(m, -1).T
    system[:m, m : m + f] = pulled
    system[m : m + f, :m] = pulled.T
    system[:m, m + f] = system[m + f, :m] = -1.0
    if face.total is not None:
        system[m : m + f, -1] = system[-1, m : m + f] = -face.total
    q = here.dual[places]
    G = Pairs(reduced).pair_sum(here.dual)
    z = face.pull(here.weights - face.base)
    right = [-(flat @ here.weights.ravel()), -face.pull(G), np.array([float(q.sum()) - 1.0])]
    if face.total is not None:
        right.append(np.array([float(face.total @ z) - 1.0]))
    try:
        solved: Any = scipy.linalg.lstsq(system, np.concatenate(right), cond=_CUTOFF, lapack_driver="gelsy")
    except (scipy.linalg.LinAlgError, ValueError):
        # A step too far may leave numbers that are not finite, which SciPy refuses by a ValueError.
        return None
    x = solved[0]
    change = np.zeros_like(here.dual)
    change[places] = x[:m]
    weights = (
        here.weights + face.turned(Pairs(reduced).pair_sum(change), here.weights) + face.lift(x[m : m + f])
    )
    return replace(here, weights=weights, dual=here.dual + change)
