"""Relaxed max margins by row generation: what solves its sub-problems, and what chooses the first of them."""

from __future__ import annotations

import numpy as np

from steepest.geometry import Entrywise
from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT
from steepest.maxmargin.forms.best import relative_gap
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, towards
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.forms.worst import within_caps
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.relaxed.band import band_of
from steepest.maxmargin.relaxed.inside import solve_inside
from steepest.maxmargin.relaxed.prepared import Prepared
from steepest.maxmargin.relaxed.split import serves, solve_band
from steepest.maxmargin.row_generation import paid_for, solve_by_rows

__all__ = ["solve_relaxed_by_rows"]

_PACE = 100.0
"""Steps that a digit of the gap may cost an ascent within a sub-problem."""
_MOST_GUESSED, _GUESS = 20_000, 3e-2
"""Samples from which the first ones are chosen, and the gap that they are solved to."""


def solve_relaxed_by_rows(prepared: Prepared, gap: float, deadline: Deadline) -> Candidate:
    """Return weights of levelled features, free weights beside them and dual weights of a relative gap.

    Raises:
        MissingCapability: the norm offers no barrier of its unit ball.
    """
    whole = prepared.whole
    BALL_BARRIER.required_of("norm", whole.norm, 'method="row-generation"', 'use method="auto"')
    if whole.caps is None and whole.free is None:
        return solve_by_rows(whole, gap, deadline)
    return solve_by_rows(whole, gap, deadline, _solve_part, _guessed_margins)


def _solve_part(part: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """A sub-problem by an ascent in the Frobenius norm and by the interior point in others.

    Where either falls short of the gap, by the other one, if the norm has what it needs.
    """
    found: Candidate | None = None
    if DUAL_ASCENT.of(part.norm) is not None:
        found = _ascended(part, gap, deadline)
        if _gap(part, found) <= gap:
            return found
    for inside in solve_inside(part, gap, deadline):
        if _gap(part, inside) <= gap:
            return inside
        found = inside if found is None or _gap(part, inside) < _gap(part, found) else found
    if found is None or (DUAL_ASCENT.of(part.norm) is None and serves(part.norm)):
        ascended = _ascended(part, gap, deadline)
        found = ascended if found is None or _gap(part, ascended) < _gap(part, found) else found
    return found


def _ascended(part: Reduced, gap: float, deadline: Deadline) -> Candidate:
    band, scale = band_of(part)
    point = next(solve_band(band, part.norm, gap, deadline, pace=_PACE))
    columns = part.features.shape[1]
    W = point.weights[:, :columns]
    V = W if part.mixing is None else part.mixing.T @ W
    free = None if part.free is None else point.weights[:, columns:] * scale
    return Candidate(V, point.dual, point.steps, "ascent in capped dual weights", free)


def _gap(part: Reduced, found: Candidate) -> float:
    """The relative gap within a sub-problem, where free weights are paid for what does not balance."""
    pairs = Pairs(part)
    if not found.dual.any():
        return 1.0
    q = found.dual / found.dual.sum()
    if part.caps is not None:
        q = within_caps(q, part.labels, part.caps)
    size = float(part.norm(found.weights))
    lower = pairs.level(found.weights, found.free) / size if size > 0.0 else 0.0
    upper = float(part.norm.dual(pairs.pair_sum(q)))
    if found.free is not None and part.free is not None and size > 0.0:
        upper += paid_for(towards(q, part.labels), part.free, found.free) / size
    return relative_gap(lower, upper)


def _guessed_margins(whole: Reduced) -> np.ndarray:
    """Margins for weights near those of the Frobenius norm, in features of one scale, of some samples."""
    sizes = np.maximum(np.max(np.abs(whole.features), axis=0), np.finfo(float).tiny)
    n, k = len(whole.labels), whole.classes
    order = np.argsort(whole.labels, kind="stable")
    chosen = np.sort(order[np.unique(np.linspace(0, n - 1, min(n, _MOST_GUESSED)).astype(np.int64))])
    caps = None if whole.caps is None else whole.caps[chosen]
    if caps is not None and whole.caps is not None:
        # They stand for all samples: a share of all caps as large.
        caps = caps * (whole.caps.sum() / caps.sum())
    free = None if whole.free is None else whole.free[chosen]
    X = whole.features[chosen] / sizes
    norm = Entrywise(2)
    band, scale = band_of(Reduced(X, whole.labels[chosen], k, 1.0, None, None, norm, caps, free))
    point = next(solve_band(band, norm, _GUESS, Deadline(), pace=_PACE))
    columns = X.shape[1]
    free = None if whole.free is None else point.weights[:, columns:] * scale
    return Pairs(whole).lowest(point.weights[:, :columns] / sizes, free)
