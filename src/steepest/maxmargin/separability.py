"""Evidence that data cannot be separated: dual weights q in the simplex with A(q) = 0."""

from __future__ import annotations

import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from steepest.arrays import as_numpy
from steepest.geometry import norm
from steepest.maxmargin.candidate import Deadline
from steepest.maxmargin.linear import all_pairs, pair_matrix
from steepest.maxmargin.reduce import reduce
from steepest.problem import Classification

__all__ = ["CANCELLATION", "contradiction"]

CANCELLATION = 1e-13
"""A(q) counts as zero below this fraction of the largest sum of terms that cancel, features equilibrated."""

_CORRECTIONS = 6
_LARGEST_PROGRAM = 50_000_000


def contradiction(problem: Classification, guess: np.ndarray, deadline: Deadline) -> np.ndarray | None:
    """Dual weights q [n, k] with A(q) = 0 to rounding, or None where none were found in time.

    Separability does not change when rows and columns of X are scaled, so this works in equilibrated
    features. The residual of ``guess`` is removed by weighted least squares, which central dual weights of an
    interior-point method survive; where it does not, the linear program {q ≥ 0, Σq = 1, A(q) = 0} is solved
    and its basic solution corrected likewise. What is returned is verified.
    """
    X = as_numpy(problem.features)
    columns = np.max(np.abs(X), axis=0)
    X = X / np.where(columns > 0, columns, 1.0)
    rows = np.linalg.norm(X, axis=1)
    if (rows == 0).any():
        # The margin of a pair at x = 0 is 0 whatever the weights.
        return _at_zero_sample(problem, int(np.argmin(rows)))
    reduced = reduce(Classification(X / rows[:, None], problem.labels), norm("frobenius"))
    # The guess may be that of a few samples: then only their pairs take part.
    pairs = np.argwhere(guess > 0)
    A = np.asarray(pair_matrix(reduced, pairs).todense()).T
    values = guess[tuple(pairs.T)] * rows[pairs[:, 0]]
    values = _remove_residual(A, values / values.sum())
    if values is None:
        pairs = all_pairs(reduced.labels, reduced.classes)
        if len(pairs) * len(A) > _LARGEST_PROGRAM:
            return None
        A = np.asarray(pair_matrix(reduced, pairs).todense()).T
        values = _feasible_point(A, deadline)
        values = None if values is None else _remove_residual(A, values)
    if values is None:
        return None
    q = np.zeros((problem.samples, problem.n_classes))
    q[tuple(pairs.T)] = values / rows[pairs[:, 0]]
    return q / q.sum()


def _at_zero_sample(problem: Classification, sample: int) -> np.ndarray:
    q = np.zeros((problem.samples, problem.n_classes))
    q[sample, (problem.labels[sample] + 1) % problem.n_classes] = 1.0
    return q


def _feasible_point(A: np.ndarray, deadline: Deadline) -> np.ndarray | None:
    equalities = sparse.csr_array(np.concatenate([A, np.ones((1, A.shape[1]))]))
    right = np.concatenate([np.zeros(len(A)), [1.0]])
    options = {"primal_feasibility_tolerance": 1e-10}
    if np.isfinite(deadline.at):
        options["time_limit"] = deadline.remaining
    result = scipy.optimize.linprog(
        np.zeros(A.shape[1]), A_eq=equalities, b_eq=right, method="highs-ds", options=options
    )
    return None if result.x is None or result.status != 0 else np.maximum(result.x, 0.0)


def _remove_residual(A: np.ndarray, q: np.ndarray) -> np.ndarray | None:
    """Correct q > 0 relatively (dq = q ∘ v, v of least size) until A q is rounding; None where it is not."""
    full = np.array(q)
    for _ in range(_CORRECTIONS):
        support = full > 0
        if not support.any():
            return None
        part, weights = A[:, support], full[support]
        weighted = part * weights
        squares, vectors = np.linalg.eigh(weighted @ weighted.T)
        kept = squares > 1e-14 * squares[-1]
        change = weighted.T @ (vectors[:, kept] @ ((vectors[:, kept].T @ (part @ weights)) / squares[kept]))
        # Weights that a correction would turn negative were noise of the solver that found them: they go.
        full[support] = np.maximum(weights * (1.0 - change), 0.0)
        if not np.isfinite(full).all() or not full.any():
            return None
        full /= full.sum()
    terms = np.abs(A) @ full
    cancelled = np.abs(A @ full) <= CANCELLATION * terms.max()
    return full if cancelled.all() else None
