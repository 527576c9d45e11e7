"""Max margins as linear programs, solved by HiGHS."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, all_pairs, dense_dual
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL

__all__ = ["solve_linear_program"]


def solve_linear_program(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Max margin by HiGHS: maximise γ over (x, γ) with (e_{y_i} - e_c)ᵀ W x_i ≥ γ and W = L x in the ball.

    Dual weights are the solver's marginals of the margin constraints.

    Raises:
        MissingCapability: the norm offers no such ball.
    """
    offer = LINEAR_BALL.required_of("norm", reduced.norm, 'method="linear-program"', 'use method="auto"')
    ball = offer(reduced.shape)
    pairs = all_pairs(reduced.labels, reduced.classes)
    margins: Any = Pairs(reduced).matrix(pairs) @ ball.lift
    level = sparse.csr_array(np.ones((len(pairs), 1)))
    A: Any = sparse.vstack(
        [
            sparse.hstack([-margins, level]),
            sparse.hstack([ball.rows, sparse.csr_array((ball.rows.shape[0], 1))]),
        ],
        format="csc",
    )
    right = np.concatenate([np.zeros(len(pairs)), ball.right])
    objective = np.zeros(A.shape[1])
    objective[-1] = -1.0
    tolerance = min(1e-7, max(1e-10, 1e-2 * gap))
    options = {"primal_feasibility_tolerance": tolerance, "dual_feasibility_tolerance": tolerance}
    if np.isfinite(deadline.at):
        options["time_limit"] = deadline.remaining
    result: Any = scipy.optimize.linprog(
        objective,
        A,
        right,
        bounds=[ball.bounds] * (A.shape[1] - 1) + [(None, None)],
        method="highs-ipm",
        options=options,
    )
    if result.x is None:
        weights, values = np.zeros(ball.lift.shape[0]), np.zeros(len(pairs))
    else:
        weights = ball.lift @ result.x[:-1]
        values = -np.asarray(result.ineqlin.marginals)[: len(pairs)]
    return Candidate(
        weights.reshape(reduced.shape),
        dense_dual(values, pairs, (len(reduced.labels), reduced.classes)),
        int(result.nit),
        "linear program (HiGHS)",
    )
