"""Max margins as linear programs, solved by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, all_pairs, dense_dual, free_margins, free_of_all
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL

__all__ = ["MarginProgram", "solve_linear_program"]


@dataclass(frozen=True)
class MarginProgram:
    """Maximise γ - caps · ξ over x, γ and ξ ≥ 0 with margin of x + ξ_i ≥ γ for every pair (i, c).

    Its multipliers are dual weights: they sum to 1, each sample's to its cap at most, and in unknowns without
    bounds the sums of the margins' rows vanish.
    """

    margins: Any
    """From x to the margins of pairs, shape [s, u]."""
    pairs: np.ndarray
    """(i, c), shape [s, 2]."""
    caps: np.ndarray | None
    """Of the samples; without, none may lie below the level, and there is no ξ."""
    bounds: Sequence[tuple[float, float]]
    """Of x, u of them."""
    rows: Any = None
    """Of inequalities rows @ x ≤ right, shape [r, u]."""
    right: np.ndarray | None = None
    total: np.ndarray | None = None
    """What x is to have the product 1 with, shape [u]."""

    def solve(self, tolerance: float, deadline: Deadline, method: str = "highs") -> Any:
        """What SciPy's linprog returns, x before γ and ξ."""
        s, u = self.margins.shape
        n = 0 if self.caps is None else len(self.caps)
        A: Any = [-self.margins, sparse.csr_array(np.ones((s, 1)))]
        if n:
            A.append(sparse.csr_array((-np.ones(s), (np.arange(s), self.pairs[:, 0])), shape=(s, n)))
        A = sparse.hstack(A, format="csc")
        right = np.zeros(s)
        if self.rows is not None and self.right is not None:
            others = sparse.hstack([self.rows, sparse.csr_array((len(self.right), 1 + n))])
            A, right = sparse.vstack([A, others], format="csc"), np.concatenate([right, self.right])
        options: dict[str, Any] = {
            "primal_feasibility_tolerance": tolerance,
            "dual_feasibility_tolerance": tolerance,
        }
        if np.isfinite(deadline.at):
            options["time_limit"] = deadline.remaining
        return scipy.optimize.linprog(
            np.concatenate([np.zeros(u), [-1.0], np.zeros(0) if self.caps is None else self.caps]),
            A,
            right,
            None if self.total is None else np.pad(self.total, (0, 1 + n))[None],
            None if self.total is None else [1.0],
            [*self.bounds, (None, None), *[(0.0, None)] * n],
            method=method,
            options=options,
        )


def solve_linear_program(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Max margin by HiGHS: maximise γ over (x, γ) with (e_{y_i} - e_c)ᵀ W x_i ≥ γ and W = L x in the ball.

    Free weights of all classes but the last are unknowns without bounds. Dual weights are the solver's
    multipliers of the margin constraints.

    Raises:
        MissingCapability: the norm offers no such ball.
    """
    offer = LINEAR_BALL.required_of("norm", reduced.norm, 'method="linear-program"', 'use method="auto"')
    ball = offer(reduced.shape)
    pairs, k = all_pairs(reduced.labels, reduced.classes), reduced.classes
    free = np.zeros((len(reduced.labels), 0)) if reduced.free is None else reduced.free
    of_ball: Any = Pairs(reduced).matrix(pairs) @ ball.lift
    margins: Any = sparse.hstack([of_ball, free_margins(free, reduced.labels, k, pairs)], format="csr")
    m, count = ball.lift.shape[1], margins.shape[1] - ball.lift.shape[1]
    program = MarginProgram(
        margins,
        pairs,
        reduced.caps,
        [ball.bounds] * m + [(-np.inf, np.inf)] * count,
        sparse.hstack([ball.rows, sparse.csr_array((ball.rows.shape[0], count))]),
        ball.right,
    )
    found = program.solve(min(1e-7, max(1e-10, 1e-2 * gap)), deadline, "highs-ipm")
    x, values = np.zeros(m + count), np.zeros(len(pairs))
    if found.x is not None:
        x, values = found.x[: m + count], -np.asarray(found.ineqlin.marginals)[: len(pairs)]
    return Candidate(
        (ball.lift @ x[:m]).reshape(reduced.shape),
        dense_dual(values, pairs, (len(reduced.labels), k)),
        int(found.nit),
        "linear program (HiGHS)",
        None if reduced.free is None else free_of_all(x[m:], k),
    )
