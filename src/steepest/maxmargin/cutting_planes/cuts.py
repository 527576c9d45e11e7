"""Cutting planes: a max margin from nothing but the norm's dual and its direction.

γ is the least of ‖A(q)‖_* = max_{‖V‖ ≤ 1} ⟨A(q), V⟩ over the simplex. Each direction V_j = D(A(q_j)) is a
point of the unit ball, and the best combination of those met is the value of a matrix game, a linear program:

    max_λ min_p Σ_j λ_j margin_p(V_j) = min_q max_j ⟨A(q), V_j⟩ ≤ γ.

Its λ gives weights and a lower bound, its q the next direction and an upper bound (Kelley, J. SIAM 8, 1960;
in the weights it is the fully corrective conditional gradient method). For a polyhedral ball this ends after
finitely many cuts. For a round one it would creep, since every q of a linear program is a corner: so each
round asks for the directions at a series of points between the best q so far and that corner, and the average
of corners, which costs one call of the norm and shows how the ball curves at every scale. Where the ball is
smooth, Newton's method (smooth_end.py) ends what the cuts began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize

from steepest.geometry import Norm
from steepest.maxmargin.cutting_planes.smooth_end import smooth_end
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import reduce
from steepest.problem import Classification

__all__ = ["solve_by_cuts"]

_ROUNDS = 400
_SCALES = 0.25 ** np.arange(5)
"""Shares of the ways from the best q at which directions are asked for."""
_MEMORY = 0.8
"""Share of the average of corners that stays at each new one."""
_IDLE_ROUNDS = 8
"""Rounds that a direction without a part in the best combination is kept for."""
_MOST_PAIRS = 1500
"""Pairs of smallest margin that the linear program sees at a time, more where more have dual weight."""
_BETTER, _ROUNDS_BETWEEN = 0.3, 20
"""Share of the gap at its last attempt below which Newton's method is tried again, and rounds after which."""
_TOLERANCE = 1e-10
_SAME = 1e-12
"""Directions whose margins differ by less are one; margins are of size 1."""
_NONE = 1e-12
"""Upper bound, in these units, below which there is no margin to find."""


def solve_by_cuts(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    """Propose weights and dual weights of a relative gap, or the best that cuts and Newton's method find."""
    reduced = reduce(problem, norm)
    pairs = Pairs(reduced).balanced()
    best = Best(np.zeros(reduced.shape), pairs.uniform, 0.0)
    cuts = _Cuts.start(pairs, best)
    attempted, rounds = np.inf, 0
    for rounds in range(1, _ROUNDS + 1):
        corner = cuts.solve(best)
        if corner is None or best.within(gap) or deadline.passed:
            break
        cuts.look_along(best, corner)
        if best.relative_gap <= _BETTER * attempted or rounds % _ROUNDS_BETWEEN == 0:
            attempted = best.relative_gap
            smooth_end(pairs, best, gap, deadline)
        if best.within(gap) or best.upper <= _NONE:
            break
    yield Candidate(reduced.weights(best.weights), best.dual, rounds, "cutting planes")


@dataclass
class _Cuts:
    """Directions met so far with the margins of all pairs, and how long each has been of no use."""

    pairs: Pairs
    directions: np.ndarray
    """V_j, shape [j, r, c]."""
    margins: np.ndarray
    """Shape [j, n k], at the pairs of the mask."""
    idle: np.ndarray
    average: np.ndarray
    """Fading average of the corners, shape [n, k]: single ones jump from side to side of a flat optimum."""

    @classmethod
    def start(cls, pairs: Pairs, best: Best) -> _Cuts:
        r, c = pairs.reduced.shape
        cuts = cls(
            pairs, np.zeros((0, r, c)), np.zeros((0, pairs.count)), np.zeros(0, dtype=int), pairs.uniform
        )
        cuts.add(best, pairs.uniform[None])
        return cuts

    def add(self, best: Best, duals: np.ndarray) -> None:
        """Take the directions at dual weights [s, n, k], and what bounds they give."""
        pairs, norm = self.pairs, self.pairs.reduced.norm
        sums = np.stack([pairs.pair_sum(q) for q in duals])
        uppers = np.asarray(norm.dual(sums))
        best.take_dual(duals[int(np.argmin(uppers))], float(uppers.min()))
        for V in np.asarray(norm.direction(sums)):
            margins = pairs.margins(V)[pairs.mask]
            best.take_weights(V, float(margins.min()) / max(1.0, float(norm(V))))
            known = np.abs(self.margins - margins).max(axis=1)
            if known.min(initial=np.inf) > _SAME:
                self.directions = np.concatenate([self.directions, V[None]])
                self.margins = np.concatenate([self.margins, margins[None]])
                self.idle = np.append(self.idle, 0)

    def solve(self, best: Best) -> np.ndarray | None:
        """Solve the game of the directions met; take its weights and return its dual weights [n, k]."""
        solved = _game(self.margins, best.dual[self.pairs.mask])
        if solved is None:
            return None
        shares, q = solved
        V = np.tensordot(shares, self.directions, 1)
        size = float(self.pairs.reduced.norm(V))
        lowest = float((shares @ self.margins).min())
        best.take_weights(V, lowest / size if size > 0 else 0.0)
        self.idle = np.where(shares > 0, 0, self.idle + 1)
        kept = self.idle <= _IDLE_ROUNDS
        self.directions, self.margins, self.idle = self.directions[kept], self.margins[kept], self.idle[kept]
        corner = np.zeros(self.pairs.mask.shape)
        corner[self.pairs.mask] = q
        return corner

    def look_along(self, best: Best, corner: np.ndarray) -> None:
        """Take the directions on the ways from the best dual weights to the corner and to the average."""
        self.average = _MEMORY * self.average + (1.0 - _MEMORY) * corner
        centre, scales = best.dual / best.dual.sum(), _SCALES[:, None, None]
        ways = [centre + scales * (goal - centre) for goal in (corner, self.average)]
        self.add(best, np.concatenate(ways))


def _game(margins: np.ndarray, guess: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return λ [j] and q [p] of max_λ min_p Σ λ_j margins_jp, on the simplices, or None where it failed."""
    count, pairs = margins.shape
    lowest = margins.min(axis=0)
    chosen = np.zeros(pairs, dtype=bool)
    chosen[np.argsort(lowest, kind="stable")[:_MOST_PAIRS]] = True
    chosen |= guess > 0
    while True:
        places = np.flatnonzero(chosen)
        found: Any = scipy.optimize.linprog(
            np.append(np.zeros(count), -1.0),
            A_ub=np.column_stack([-margins[:, places].T, np.ones(len(places))]),
            b_ub=np.zeros(len(places)),
            A_eq=np.append(np.ones(count), 0.0)[None],
            b_eq=np.ones(1),
            bounds=[*[(0.0, None)] * count, (None, None)],
            method="highs-ds",
            options={
                "primal_feasibility_tolerance": _TOLERANCE,
                "dual_feasibility_tolerance": _TOLERANCE,
            },
        )
        if found.x is None or found.status != 0:
            return None
        shares = np.maximum(found.x[:-1], 0.0)
        shares /= shares.sum()
        missed = ~chosen & (shares @ margins < found.x[-1] - _TOLERANCE)
        if not missed.any():
            q = np.zeros(pairs)
            q[places] = np.maximum(-found.ineqlin.marginals, 0.0)
            total = q.sum()
            return (shares, q / total) if total > 0 else None
        chosen |= missed
