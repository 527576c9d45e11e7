"""Max margins of many samples by row generation: few samples are near any decision boundary.

The dual weights of a sub-problem are dual weights of the whole, so its upper bound holds for the whole; its
weights bound the whole from below by the margins of all samples. Samples that violate are added until both
meet.
"""

from __future__ import annotations

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT, coordinate_ascent
from steepest.maxmargin.forms.best import Best, relative_gap
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced, reduce
from steepest.maxmargin.interior.central_path import solve_interior_point
from steepest.maxmargin.interior.quadratic import EUCLIDEAN, solve_quadratic
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL
from steepest.maxmargin.polyhedral.predictor_corrector import solve_polyhedral
from steepest.problem import Classification, margins_of_logits

__all__ = ["solve_by_rows", "solve_part"]

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


def solve_by_rows(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Candidate:
    """Weights and dual weights of relative gap ``gap``, from sub-problems of samples of small margin."""
    X, y = as_numpy(problem.features), problem.labels
    chosen = _lowest(_guessed_margins(problem, X), y, _first_share(problem))
    tolerance, iterations, method = max(gap, _COARSE), 0, ""
    best = Best(
        np.zeros((problem.n_classes, problem.dimension)), np.ones((problem.samples, problem.n_classes))
    )
    for _ in range(_MOST_ROUNDS):
        rows = np.nonzero(chosen)[0]
        part = reduce(Classification(X[rows], y[rows]), norm)
        found = solve_part(part, 0.8 * tolerance, deadline)
        iterations, method = iterations + found.iterations, found.method
        W = part.weights(found.weights)
        q = np.zeros((problem.samples, problem.n_classes))
        q[rows] = found.dual / found.dual.sum()
        size = float(norm(W))
        margins = _row_margins(problem, W) / (size if size > 0 else 1.0)
        best.take_weights(W, float(margins.min()))
        best.take_dual(q, float(norm.dual(problem.pair_sum(q))))
        level = float(margins[rows].min())
        deadline.tell("row generation", iterations, best.relative_gap)
        if best.within(gap) or level <= 0.0 or deadline.passed:
            break
        violating = ~chosen & (margins < level * (1.0 - 0.1 * gap))
        if not violating.any() and tolerance <= 0.5 * gap:
            break
        solved = tolerance
        # A solve to the end costs little more than one on the way, and may be the last one.
        if violating.sum() <= len(rows):
            tolerance = 0.5 * gap
        keep = chosen & (margins < _DROPPED * level)
        for label in range(problem.n_classes):
            # Every class stays present, by its lowest sample, so that labels keep their meaning.
            members = np.nonzero(y == label)[0]
            keep[members[np.argmin(margins[members])]] = True
        # Samples that hardly keep the level would violate that of the next weights.
        near = ~chosen & (margins < level * (1.0 + _SLACK * solved))
        chosen = keep | _lowest(np.where(near, margins, np.inf), y, 2 * _first_share(problem))
    return Candidate(best.weights, best.dual, iterations, f"row generation, {method}")


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


def _first_share(problem: Classification) -> int:
    """Samples of every class to begin with: some more than there are unknowns, over all classes."""
    return 40 + 8 * problem.dimension // problem.n_classes


def _row_margins(problem: Classification, W: np.ndarray) -> np.ndarray:
    """Smallest margin of every sample, shape [n]."""
    return as_numpy(problem.pair_margins(W)).min(axis=1)


def _guessed_margins(problem: Classification, X: np.ndarray) -> np.ndarray:
    """Margins after a few sweeps towards the Frobenius max margin, in features of one scale."""
    sizes = np.maximum(np.max(np.abs(X), axis=0), np.finfo(float).tiny)
    Z = X / sizes
    W, _, _ = coordinate_ascent(Z, problem.labels, problem.n_classes, _COARSE, Deadline(), _PACE_OF_GUESS)
    margins = margins_of_logits(np, Z @ W.T, as_numpy(problem.one_hot))
    return np.min(margins, axis=1, where=~as_numpy(problem.one_hot), initial=np.inf)


def _lowest(margins: np.ndarray, y: np.ndarray, share: int) -> np.ndarray:
    """Mask of the ``share`` samples of smallest finite margin in every class."""
    mask = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = np.nonzero((y == label) & np.isfinite(margins))[0]
        mask[members[np.argsort(margins[members], kind="stable")[:share]]] = True
    return mask
