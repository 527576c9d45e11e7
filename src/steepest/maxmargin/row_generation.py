"""Max margins of many samples by row generation: few samples are near any decision boundary.

The dual weights of a sub-problem are dual weights of the whole, so its upper bound holds for the whole; its
weights bound the whole from below by the margins of all samples. Samples that violate are added until both
meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT, coordinate_ascent
from steepest.maxmargin.forms.best import Best, relative_gap
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, towards
from steepest.maxmargin.forms.reduced import Reduced, reduce_features
from steepest.maxmargin.forms.worst import shares_of_worst
from steepest.maxmargin.interior.central_path import solve_interior_point
from steepest.maxmargin.interior.quadratic import EUCLIDEAN, solve_quadratic
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL
from steepest.maxmargin.polyhedral.predictor_corrector import solve_polyhedral

__all__ = ["paid_for", "solve_by_rows", "solve_part"]

_ROOM, _LEVELS = 1.5, 64
"""What caps of a sub-problem sum to at least, where dual weights sum to 1; steps of a class's share."""

_MOST_ROUNDS = 40
"""Far beyond the two to six that problems take."""
_DROPPED = 3.0
"""Samples whose margin is this many times the smallest leave the sub-problem."""
_SLACK = 5.0
"""Samples whose margin is above the smallest by less than this many gaps join: they would soon violate."""
_PACE, _PACE_OF_GUESS = 100.0, 8.0
"""Sweeps that a digit of the gap may cost coordinate ascent, in sub-problems and for the first guess."""
_COARSE = 1e-2
"""Gap of the first rounds, and of the guess that chooses their samples."""


Part = Callable[[Reduced, float, Deadline], Candidate]
"""Solves a sub-problem to a relative gap."""
Guess = Callable[[Reduced], np.ndarray]
"""Smallest margins of all samples for some weights, shape [n], of any unit."""


def solve_by_rows(
    whole: Reduced, gap: float, deadline: Deadline, solve: Part | None = None, guess: Guess | None = None
) -> Candidate:
    """Weights and dual weights of relative gap ``gap``, from sub-problems of samples of small margin.

    With caps, samples below the level are at their caps, so that sub-problems have all of these; free
    weights are as free in them as in the whole.

    Args:
        whole: the problem in all classes and features.
        gap: the relative gap to reach.
        deadline: when to stop.
        solve: what solves sub-problems; without, :func:`solve_part`, which knows hard margins alone.
        guess: what the first sub-problem is chosen by; without, that of hard margins.
    """
    y, norm, pairs = whole.labels, whole.norm, Pairs(whole)
    share = 40 + 8 * whole.features.shape[1] // whole.classes
    margins = (guess or _guessed_margins)(whole)
    chosen = _lowest(margins, y, share) | _needed(margins, whole)
    tolerance, iterations, method = max(gap, _COARSE), 0, ""
    nothing = np.zeros((whole.classes, whole.features.shape[1]))
    best: Best = Best((nothing, None), np.ones(pairs.mask.shape))
    for _ in range(_MOST_ROUNDS):
        rows = np.nonzero(chosen)[0]
        part = _part(whole, rows)
        found = (solve or solve_part)(part, 0.8 * tolerance, deadline)
        iterations, method = iterations + found.iterations, found.method
        W = part.weights(found.weights)
        q = np.zeros(pairs.mask.shape)
        q[rows] = found.dual / found.dual.sum()
        size = float(norm(W)) or 1.0
        margins = pairs.lowest(W, found.free) / size
        best.take_weights((W, found.free), _levels(margins, whole.caps)[0])
        best.take_dual(q, _upper(whole, rows, q[rows], found.free, size))
        level, threshold = _levels(margins[rows], None if whole.caps is None else whole.caps[rows])
        deadline.tell("row generation", iterations, best.relative_gap)
        if best.within(gap) or level <= 0.0 or deadline.passed:
            break
        violating = ~chosen & (margins < threshold - 0.1 * gap * level * _most_forgiving(whole.caps))
        if not violating.any() and tolerance <= 0.5 * gap:
            break
        solved = tolerance
        # A solve to the end costs little more than one on the way, and may be the last one.
        if violating.sum() <= len(rows):
            tolerance = 0.5 * gap
        keep = chosen & (margins < threshold + (_DROPPED - 1.0) * level)
        for label in np.unique(y):
            # Every class stays present, by its lowest sample.
            members = np.nonzero(y == label)[0]
            keep[members[np.argmin(margins[members])]] = True
        # Samples that hardly keep the level would violate that of the next weights.
        near = ~chosen & (margins < threshold + _SLACK * solved * level)
        most = 2 * share if whole.caps is None else max(2 * share, len(rows) // whole.classes)
        chosen = keep | _lowest(np.where(near, margins, np.inf), y, most) | _needed(margins, whole)
    W, free = best.weights
    return Candidate(W, best.dual, iterations, f"row generation, {method}", free)


def _part(whole: Reduced, rows: np.ndarray) -> Reduced:
    """The problem of some samples, reduced; free weights are those of the whole."""
    part = reduce_features(whole.features[rows], whole.labels[rows], whole.classes, whole.norm)
    return replace(
        part,
        caps=None if whole.caps is None else whole.caps[rows],
        free=None if whole.free is None else whole.free[rows] / part.scale,
    )


def _upper(whole: Reduced, rows: np.ndarray, q: np.ndarray, free: np.ndarray | None, size: float) -> float:
    """About the bound of dual weights q [m, k], where free weights are paid for what does not balance."""
    T = towards(q, whole.labels[rows])
    upper = float(whole.norm.dual(T.T @ whole.features[rows]))
    if free is None or whole.free is None:
        return upper
    return upper + paid_for(T, whole.free[rows], free) / size


def paid_for(T: np.ndarray, features: np.ndarray, free: np.ndarray) -> float:
    """What free weights [k, f] as large as these may gain from dual weights T [m, k] that do not balance."""
    left = np.abs(T.T @ features)
    return 2.0 * float((left * np.abs(free).max(axis=0)).sum())


def _levels(margins: np.ndarray, caps: np.ndarray | None) -> tuple[float, float]:
    """The mean of the worst margins and the largest of these: both are the smallest margin without caps."""
    if caps is None:
        return float(margins.min()), float(margins.min())
    shares = shares_of_worst(margins, caps)
    return float(shares @ margins), float(margins[shares > 0].max())


def _most_forgiving(caps: np.ndarray | None) -> float:
    """ν, by which what one sample lies below the level counts less than what all do; 1 without caps."""
    return 1.0 if caps is None else 1.0 / max(1.0, float(caps.sum()))


def _needed(margins: np.ndarray, whole: Reduced) -> np.ndarray:
    """Mask of the samples of small margin without which caps would leave dual weights too little room.

    Where weights are free, as much leaves each class as comes to it, half of all at most.
    """
    needed = np.zeros(len(margins), dtype=bool)
    caps = whole.caps
    if caps is None:
        return needed
    _fill(needed, np.arange(len(caps)), margins, caps, _ROOM)
    if whole.free is None:
        return needed
    classes = np.unique(whole.labels)
    members = [np.nonzero(whole.labels == label)[0] for label in classes]
    sums = np.array([caps[each].sum() for each in members])
    levels = 0.5 * _ROOM * np.arange(1, _LEVELS + 1) / _LEVELS
    together = np.minimum(sums[:, None], levels).sum(axis=0)
    level = float(levels[np.argmax(together >= min(_ROOM, together[-1]))])
    for each in members:
        _fill(needed, each, margins, caps, level)
    return needed


def _fill(mask: np.ndarray, members: np.ndarray, margins: np.ndarray, caps: np.ndarray, total: float) -> None:
    """Take the members of smallest margin into a mask until their caps sum to ``total``, or all of them."""
    order = members[np.argsort(margins[members], kind="stable")]
    mask[order[: 1 + int(np.searchsorted(np.cumsum(caps[order]), total))]] = True


def solve_part(part: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Weights and dual weights of a sub-problem, by the fastest of the exact methods that its norm has."""
    if POLYHEDRAL_BALL.of(part.norm) is not None:
        return solve_polyhedral(part, gap, deadline)
    ascend = DUAL_ASCENT.of(part.norm)
    if ascend is not None:
        pairs = Pairs(part)
        W, q, sweeps = ascend(part.features, part.labels, part.classes, gap, deadline, _PACE)
        V = pairs.in_norm(W)
        lower, upper = pairs.bounds(V, pairs.pair_sum(q) / float(q.sum()))
        # Its own gap is without rounding.
        if relative_gap(lower, upper) <= 1.25 * gap:
            return Candidate(V, q, sweeps, "coordinate ascent")
    if EUCLIDEAN.of(part.norm) is not None:
        found = solve_quadratic(part, gap, deadline)
        pairs = Pairs(part)
        if (
            relative_gap(*pairs.bounds(found.weights, pairs.pair_sum(found.dual) / float(found.dual.sum())))
            <= gap
        ):
            return found
    return solve_interior_point(part, gap, deadline)


def _guessed_margins(whole: Reduced) -> np.ndarray:
    """Margins after a few sweeps towards the Frobenius max margin, in features of one scale."""
    X, y, k = whole.features, whole.labels, whole.classes
    sizes = np.maximum(np.max(np.abs(X), axis=0), np.finfo(float).tiny)
    W, _, _ = coordinate_ascent(X / sizes, y, k, _COARSE, Deadline(), _PACE_OF_GUESS)
    return Pairs(whole).lowest(W / sizes)


def _lowest(margins: np.ndarray, y: np.ndarray, share: int) -> np.ndarray:
    """Mask of the ``share`` samples of smallest finite margin in every class."""
    mask = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = np.nonzero((y == label) & np.isfinite(margins))[0]
        mask[members[np.argsort(margins[members], kind="stable")[:share]]] = True
    return mask
