"""Relaxed max margins in any norm with a dual and a direction, by cutting planes.

Directions V_j = D(A(q_j)) are points of the unit ball. The best convex combination of those met, with the
best free weights and levels of the samples beside it, is a linear program; its multipliers are dual weights
within their caps with A(q) = 0 in the free features, and say where the next direction is to be asked for.
Asking at points between the best dual weights so far and those shows how the ball curves at every scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, all_pairs, dense_dual, free_margins, free_of_all
from steepest.maxmargin.forms.worst import mean_of_worst
from steepest.maxmargin.peers.highs import MarginProgram
from steepest.maxmargin.relaxed.prepared import Prepared

__all__ = ["solve_relaxed_by_cuts", "widest_free_margin"]

_ROUNDS, _STALLED = 300, 40
"""Most rounds, and rounds without better bounds after which rounding is all that is left."""
_SCALES = 0.25 ** np.arange(6)
"""Shares of the ways from the best dual weights at which directions are asked for."""
_IDLE_ROUNDS = 12
"""Rounds that a direction without a part in the best combination is kept for."""
_TOLERANCE = 1e-10


@dataclass
class _Cuts:
    """The directions met, as they are and by the margins of all pairs; the first is 0."""

    pairs: Pairs
    places: np.ndarray
    free: Any
    """Margins of the free weights of all classes but the last, sparse, shape [P, (k - 1) f]."""
    directions: list[np.ndarray] = field(default_factory=list)
    margins: list[np.ndarray] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)

    def add(self, V: np.ndarray) -> None:
        """Keep a direction."""
        self.directions.append(V)
        self.margins.append(self.pairs.margins(V)[tuple(self.places.T)])
        self.idle.append(0)

    def solve(self, deadline: Deadline) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return the shares of the directions, the free weights and the dual weights of the pairs."""
        J, f = len(self.directions), self.free.shape[1]
        bounds = [(0.0, np.inf)] * J + [(-np.inf, np.inf)] * f
        total = np.concatenate([np.ones(J), np.zeros(f)])
        margins: Any = sparse.hstack([sparse.csr_array(np.array(self.margins).T), self.free], format="csr")
        program = MarginProgram(margins, self.places, self.pairs.reduced.caps, bounds, total=total)
        found = _optimum(program, deadline)
        if found is None:
            return None
        return found.x[:J], found.x[J : J + f], np.maximum(-found.ineqlin.marginals, 0.0)

    def forget(self, shares: np.ndarray) -> None:
        """Leave out directions that had no part for long; the first is kept."""
        idle = [0 if share > 0 else rounds + 1 for share, rounds in zip(shares, self.idle, strict=True)]
        kept = [j for j, rounds in enumerate(idle) if j == 0 or rounds <= _IDLE_ROUNDS]
        self.directions = [self.directions[j] for j in kept]
        self.margins = [self.margins[j] for j in kept]
        self.idle = [idle[j] for j in kept]


def solve_relaxed_by_cuts(prepared: Prepared, gap: float, deadline: Deadline) -> Candidate:
    """Return weights, free ones beside them and dual weights of a relative gap, or the best met."""
    pairs = Pairs(prepared.reduced).balanced()
    places = all_pairs(pairs.y, prepared.reduced.classes)
    cuts = _Cuts(pairs, places, free_margins(prepared.mixed, pairs.y, prepared.reduced.classes, places))
    cuts.add(np.zeros(prepared.reduced.shape))
    shape = pairs.mask.shape
    norm = prepared.reduced.norm
    best = Best((np.zeros(prepared.reduced.shape), np.zeros(cuts.free.shape[1])), None, 0.0)
    stalled, calls = 0, 0
    for _ in range(_ROUNDS):
        solved = cuts.solve(deadline)
        if solved is None:
            break
        shares, free, values = solved
        V = np.tensordot(shares, np.array(cuts.directions), 1)
        size = float(norm(V))
        level = _level(pairs, places, V, cuts.free @ free)
        better = size > 0 and best.take_weights((V, free), level / size)
        cuts.forget(shares)
        corner = dense_dual(values, places, shape)
        corner = corner / corner.sum()
        start = corner if best.dual is None else best.dual
        for share in _SCALES if best.dual is not None else (1.0,):
            q = start + share * (corner - start)
            A = pairs.pair_sum(q)
            D = np.asarray(norm.direction(A), dtype=float)
            calls += 1
            if np.isfinite(D).all():
                cuts.add(D)
                better = best.take_dual(q, float(np.sum(A * D))) or better
        stalled = 0 if better else stalled + 1
        deadline.tell("cutting planes", calls, best.relative_gap if best.lower > 0 else 1.0)
        if best.within(gap) or best.upper <= 1e-13 or deadline.passed or stalled > _STALLED:
            break
    V, free = best.weights
    dual = np.zeros(shape) if best.dual is None else best.dual
    F = None if prepared.reduced.free is None else free_of_all(free, shape[1]) / pairs.size
    return Candidate(V, dual, calls, "cutting planes", F)


def widest_free_margin(
    free: np.ndarray, y: np.ndarray, k: int, caps: np.ndarray | None, deadline: Deadline
) -> np.ndarray | None:
    """Return the weights [k, f] of entries up to 1 of the largest level in free features [m, f] alone.

    None where the linear program was not solved.
    """
    places = all_pairs(y, k)
    scale = np.maximum(np.max(np.abs(free), axis=0), np.finfo(float).tiny)
    margins = free_margins(free / scale, y, k, places)
    count = (k - 1) * free.shape[1]
    found = _optimum(MarginProgram(margins, places, caps, [(-1.0, 1.0)] * count), deadline)
    return None if found is None else free_of_all(found.x[:count], k) / scale


def _optimum(program: MarginProgram, deadline: Deadline) -> Any:
    """What HiGHS found, or None where that is no optimum."""
    found = program.solve(_TOLERANCE, deadline)
    return found if found.x is not None and found.status == 0 else None


def _level(pairs: Pairs, places: np.ndarray, V: np.ndarray, free: np.ndarray) -> float:
    margins = pairs.margins(V)
    margins[tuple(places.T)] += free
    if pairs.reduced.caps is None:
        return float(margins[pairs.mask].min())
    return mean_of_worst(np.where(pairs.mask, margins, np.inf).min(axis=1), pairs.reduced.caps)
