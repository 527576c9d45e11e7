"""Newton's method on the optimality conditions of a smooth norm, its derivatives by differences.

Where the dual norm is differentiable at A(q), its gradient is the direction, and (W, q) is optimal with
support P if

    W = D(A(q)),    margin_p(W) = γ for p in P,    Σ q = 1,    q > 0 on P,    margins ≥ γ elsewhere.

Given P these are as many equations as unknowns. Their derivatives are those of D along the pairs of P, which
one call of the norm gives by central differences. Pairs leave P where their q would turn negative and join it
where their margin falls below the others; nothing is kept that does not better a bound.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import Pairs

__all__ = ["smooth_end"]

_STEPS = 40
_PATIENCE = 8
_DIFFERENCE = 6e-6
"""Relative step of the central differences, the cube root of the rounding unit."""
_LARGEST_SYSTEM = 1500
_LARGEST_BATCH = 40_000_000
_SHARES = (1.0, 0.5, 0.25, 0.1, 0.02)
"""Shares of a step that are tried."""
_BROKEN = 1e-9
"""A pair joins the support where its margin is lower than the others by this share of them."""
_FEW = 8
"""Pairs that may join at a time, or a third of the support if that is more."""
_LEAST = 1e-10
"""Dual weights below this share of the largest have left the support."""


def smooth_end(pairs: Pairs, best: Best, gap: float, deadline: Deadline) -> None:
    """Better both bounds by Newton's method from the best dual weights, as far as it goes."""
    q = np.array(best.dual / best.dual.sum())
    support = q > _LEAST * q.max()
    idle = 0
    for _ in range(_STEPS):
        places = np.argwhere(support)
        rows = len(places)
        if rows > _LARGEST_SYSTEM or rows * np.prod(pairs.reduced.shape) > _LARGEST_BATCH or deadline.passed:
            return
        before = best.relative_gap
        step = _newton_step(pairs, q, places)
        if step is None:
            return
        q, support = _moved(pairs, best, q, places, step)
        if best.within(gap):
            return
        idle = 0 if best.relative_gap < 0.7 * before else idle + 1
        if idle >= _PATIENCE:
            return


def _newton_step(pairs: Pairs, q: np.ndarray, places: np.ndarray) -> np.ndarray | None:
    """Return the change of q at the places of the support that would make their margins equal."""
    norm = pairs.reduced.norm
    A, rows = pairs.pair_sum(q), pairs.rows(places)
    flat = rows.reshape(len(places), -1)
    lengths = np.linalg.norm(flat, axis=1)
    steps = _DIFFERENCE * np.linalg.norm(A) / np.where(lengths > 0, lengths, 1.0)
    moves = steps[:, None, None] * rows
    forward, backward = np.asarray(norm.direction(A + moves)), np.asarray(norm.direction(A - moves))
    curvature = (forward - backward).reshape(len(places), -1) @ flat.T / (2.0 * steps[:, None])
    margins = flat @ np.asarray(norm.direction(A)).ravel()
    count = len(places)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = 0.5 * (curvature + curvature.T)
    system[:count, count] = -1.0
    system[count, :count] = 1.0
    right = np.append(-margins, 1.0 - float(q.sum()))
    if not (np.isfinite(system).all() and np.isfinite(right).all()):
        return None
    solved = scipy.linalg.lstsq(system, right, cond=1e-11, lapack_driver="gelsy")
    assert solved is not None
    return solved[0][:count]


def _moved(
    pairs: Pairs, best: Best, q: np.ndarray, places: np.ndarray, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Try parts of a step, keep the one of the least gap, and mend the support there."""
    norm = pairs.reduced.norm
    index = tuple(places.T)
    tried = []
    for share in _SHARES:
        moved = np.array(q)
        moved[index] = np.maximum(q[index] + share * step, 0.0)
        total = float(moved.sum())
        if total > 0:
            tried.append(moved / total)
    sums = np.stack([pairs.pair_sum(each) for each in tried])
    uppers = np.asarray(norm.dual(sums))
    V = np.asarray(norm.direction(sums))
    sizes = np.asarray(norm(V))
    margins = np.stack([pairs.margins(each) for each in V])
    lowers = np.array([each[pairs.mask].min() for each in margins]) / np.maximum(sizes, 1e-300)
    for number, each in enumerate(tried):
        best.take_dual(each, float(uppers[number]))
        best.take_weights(V[number], float(lowers[number]))
    chosen = int(np.argmin(uppers - lowers))
    q, level = tried[chosen], float(uppers[chosen])
    kept = q > _LEAST * q.max()
    joined = pairs.mask & (margins[chosen] < level - _BROKEN * abs(level)) & ~kept
    # Many at once would leave the system without a solution near by.
    most = max(_FEW, int(kept.sum()) // 3)
    if int(joined.sum()) > most:
        joined &= margins[chosen] <= np.partition(margins[chosen][joined], most - 1)[most - 1]
    return q, kept | joined
