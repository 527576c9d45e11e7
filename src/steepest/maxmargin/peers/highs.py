"""Max-norm and sum-norm margins as linear programs, solved by HiGHS."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.reduced import Reduced

__all__ = ["pair_matrix", "solve_linear_program"]


def pair_matrix(reduced: Reduced, pairs: np.ndarray) -> sparse.csr_array:
    """Rows (e_{y_i} - e_c) ⊗ x_i of the given pairs: the matrix times V (flattened) is their margins."""
    i, c = pairs.T
    X, d = reduced.features[i], reduced.features.shape[1]
    if reduced.mixing is not None:
        rows = reduced.mixing[reduced.labels[i]] - reduced.mixing[c]
        return sparse.csr_array((rows[:, :, None] * X[:, None, :]).reshape(len(pairs), -1))
    columns = np.concatenate([reduced.labels[i][:, None] * d, c[:, None] * d], axis=1)[
        :, :, None
    ] + np.arange(d)
    values = np.concatenate([X[:, None], -X[:, None]], axis=1)
    starts = np.arange(len(pairs) + 1) * 2 * d
    shape = (len(pairs), reduced.classes * d)
    matrix = sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=shape)
    matrix.eliminate_zeros()
    return matrix


def all_pairs(labels: np.ndarray, classes: int) -> np.ndarray:
    """Pairs (i, c) with c ≠ y_i, shape [n (k-1), 2], ordered by sample."""
    return np.argwhere(labels[:, None] != np.arange(classes))


def dense_dual(values: np.ndarray, pairs: np.ndarray, reduced: Reduced) -> np.ndarray:
    """Dual weights of pairs as an array [n, k], clipped at 0; uniform where none is positive."""
    q = np.zeros((len(reduced.labels), reduced.classes))
    q[tuple(pairs.T)] = np.maximum(values, 0.0)
    if not q.any():
        q[tuple(pairs.T)] = 1.0
    return q


def solve_linear_program(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Max margin in the max-norm (bounds on every weight) or the sum-norm (weights split by sign) by HiGHS.

    maximise γ over (W, γ) with (e_{y_i} - e_c)ᵀ W x_i ≥ γ and ‖W‖ ≤ 1. Dual weights are the solver's
    marginals of the margin constraints.
    """
    pairs = all_pairs(reduced.labels, reduced.classes)
    A: Any = pair_matrix(reduced, pairs)
    unknowns, ones = A.shape[1], sparse.csr_array(np.ones((len(pairs), 1)))
    if reduced.norm.p == 1:
        # The sum of |w| is a budget shared by the two signs of every weight.
        A = sparse.hstack([-A, A, ones], format="csc")
        budget = sparse.csr_array(np.concatenate([np.ones(2 * unknowns), [0.0]])[None, :])
        A = sparse.vstack([A, budget], format="csc")
        bounds = [(0.0, None)] * (2 * unknowns) + [(None, None)]
        right = np.concatenate([np.zeros(len(pairs)), [1.0]])
    else:
        A = sparse.hstack([-A, ones], format="csc")
        bounds = [(-1.0, 1.0)] * unknowns + [(None, None)]
        right = np.zeros(len(pairs))
    objective = np.zeros(A.shape[1])
    objective[-1] = -1.0
    tolerance = min(1e-7, max(1e-10, 1e-2 * gap))
    options = {"primal_feasibility_tolerance": tolerance, "dual_feasibility_tolerance": tolerance}
    if np.isfinite(deadline.at):
        options["time_limit"] = deadline.remaining
    result: Any = scipy.optimize.linprog(
        objective, A, right, bounds=bounds, method="highs-ipm", options=options
    )
    if result.x is None:
        weights, values = np.zeros(unknowns), np.zeros(len(pairs))
    else:
        x = result.x[:-1]
        weights = x if reduced.norm.p != 1 else x[:unknowns] - x[unknowns:]
        values = -np.asarray(result.ineqlin.marginals)[: len(pairs)]
    return Candidate(
        weights.reshape(reduced.shape),
        dense_dual(values, pairs, reduced),
        int(result.nit),
        "linear program (HiGHS)",
    )
