"""Max margins of many samples by row generation: few samples are near any decision boundary.

The dual weights of a sub-problem are dual weights of the whole, so its upper bound holds for the whole; its
weights bound the whole from below by the margins of all samples. Samples that violate are added until both
meet.
"""

from __future__ import annotations

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.maxmargin.first_order.coordinate import coordinate_ascent
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced, reduce
from steepest.maxmargin.interior.central_path import solve_interior_point
from steepest.maxmargin.polyhedral.predictor_corrector import is_polyhedral, solve_polyhedral
from steepest.problem import Classification

__all__ = ["solve_by_rows"]

_MOST_ROUNDS = 40
_DROPPED, _SLACK = 3.0, 5.0
_PACE, _PACE_OF_GUESS = 100.0, 8.0


def solve_by_rows(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Candidate:
    """Weights and dual weights of relative gap ``gap``, from sub-problems of samples of small margin."""
    X, y = as_numpy(problem.features), problem.labels
    chosen = _lowest(_guessed_margins(X, y, problem.n_classes), y, _first_share(problem))
    tolerance, iterations, method = max(gap, 1e-2), 0, ""
    best: tuple[float, np.ndarray] = (-np.inf, np.zeros((problem.n_classes, problem.dimension)))
    bound: tuple[float, np.ndarray] = (np.inf, np.ones((problem.samples, problem.n_classes)))
    for _ in range(_MOST_ROUNDS):
        rows = np.nonzero(chosen)[0]
        part = reduce(Classification(X[rows], y[rows]), norm)
        found = _solve(part, 0.8 * tolerance, deadline)
        iterations, method = iterations + found.iterations, found.method
        W = part.weights(found.weights)
        q = np.zeros((problem.samples, problem.n_classes))
        q[rows] = found.dual / found.dual.sum()
        size = float(norm(W))
        upper = float(norm.dual(problem.pair_sum(q)))
        margins = _row_margins(X @ W.T, y) / (size if size > 0 else 1.0)
        lowest = float(margins.min())
        best = max(best, (lowest, W), key=lambda pair: pair[0])
        bound = min(bound, (upper, q), key=lambda pair: pair[0])
        level = float(margins[rows].min())
        reached = (bound[0] - best[0]) / bound[0] if bound[0] > 0 else 0.0
        if reached <= gap or level <= 0.0 or deadline.passed:
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
    return Candidate(best[1], bound[1], iterations, f"row generation, {method}")


def _solve(part: Reduced, gap: float, deadline: Deadline) -> Candidate:
    if is_polyhedral(part.norm):
        return solve_polyhedral(part, gap, deadline)
    if part.norm.p == 2 and part.mixing is not None:
        W, q, sweeps = coordinate_ascent(part.features, part.labels, part.classes, gap, deadline, _PACE)
        V = part.mixing.T @ W
        lower, upper = Pairs(part).bounds(V, part.pair_sum(q) / float(q.sum()))
        if upper - lower <= 1.25 * gap * upper:
            return Candidate(V, q, sweeps, "coordinate ascent")
    return solve_interior_point(part, gap, deadline)


def _first_share(problem: Classification) -> int:
    return 40 + 8 * problem.dimension // problem.n_classes


def _row_margins(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    margins = logits[np.arange(len(y)), y][:, None] - logits
    margins[np.arange(len(y)), y] = np.inf
    return margins.min(axis=1)


def _guessed_margins(X: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Margins after a few sweeps towards the Frobenius max margin, in features of one scale."""
    Z = X / np.maximum(np.max(np.abs(X), axis=0), np.finfo(float).tiny)
    W, _, _ = coordinate_ascent(Z, y, classes, 1e-2, Deadline(), _PACE_OF_GUESS)
    return _row_margins(Z @ W.T, y)


def _lowest(margins: np.ndarray, y: np.ndarray, share: int) -> np.ndarray:
    """Mask of the ``share`` samples of smallest finite margin in every class."""
    mask = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = np.nonzero((y == label) & np.isfinite(margins))[0]
        mask[members[np.argsort(margins[members], kind="stable")[:share]]] = True
    return mask
