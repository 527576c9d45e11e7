"""Max margins of many features by few of them, in norms whose optima need no more than that.

Where the dual norm is the largest of what single features give, as in the sum-norm, weights of some
features alone bound γ from below for all, and their dual weights say which other features are worth having:
those where |A(q)| is above the level. Features join until there are none (Dantzig and Wolfe, Oper. Res. 8,
1960).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from steepest.capabilities import Capability
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced, reduce_features
from steepest.maxmargin.peers.highs import solve_linear_program

__all__ = ["SINGLE_FEATURES", "solve_by_columns"]

SINGLE_FEATURES: Capability[Callable[[np.ndarray], np.ndarray]] = Capability(
    "a dual norm of single features",
    "What each feature of A(q) [k, d] gives, shape [d], the largest of which is the dual norm.",
)

_FIRST, _JOINING = 4, 1
"""Features to begin with, and at most so many that join in a round, times the number of samples."""
_MOST_ROUNDS = 200
_ENOUGH = 0.1
"""Share of the gap by which a feature must be above the level to join."""


def solve_by_columns(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Weights and dual weights of relative gap ``gap``, from linear programs in some of the features.

    Free features are in all of them, so that A(q) is 0 there for the dual weights of each.

    Raises:
        MissingCapability: the dual norm is not the largest of what single features give.
    """
    norm = reduced.norm
    given = SINGLE_FEATURES.required_of("norm", norm, 'method="column-generation"', 'use method="auto"')
    pairs, X, k = Pairs(reduced), reduced.features, reduced.classes
    n, d = X.shape
    worth = given(pairs.pair_sum(pairs.uniform))
    chosen = np.zeros(d, dtype=bool)
    chosen[np.argsort(-worth, kind="stable")[: _FIRST * n]] = True
    free = None if reduced.free is None else np.zeros((k, reduced.free.shape[1]))
    best: Best = Best((np.zeros((k, d)), free), pairs.uniform, 0.0)
    iterations = 0
    for _ in range(_MOST_ROUNDS):
        columns = np.flatnonzero(chosen)
        part = reduce_features(X[:, columns], reduced.labels, k, norm)
        part = replace(
            part, caps=reduced.caps, free=None if reduced.free is None else reduced.free / part.scale
        )
        found = solve_linear_program(part, 0.1 * gap, deadline)
        iterations += found.iterations
        W = np.zeros((k, d))
        W[:, columns] = part.weights(found.weights)
        size = float(norm(W))
        q = found.dual / found.dual.sum()
        worth = given(pairs.pair_sum(q))
        best.take_weights((W, found.free), pairs.level(W, found.free) / size if size > 0.0 else 0.0)
        best.take_dual(q, float(worth.max()))
        deadline.tell("column generation", iterations, best.relative_gap)
        level = float(worth[columns].max())
        joining = np.flatnonzero(~chosen & (worth > level * (1.0 + _ENOUGH * gap)))
        if best.within(gap) or not len(joining) or deadline.passed:
            break
        order = np.argsort(-worth[joining], kind="stable")
        chosen[joining[order[: max(1, _JOINING * n)]]] = True
    W, free = best.weights
    return Candidate(W, best.dual, iterations, "column generation (HiGHS)", free)
