"""Evidence that data cannot be separated: dual weights q in the simplex with A(q) = 0."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from steepest.arrays import as_numpy
from steepest.geometry import norm
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.least_change import least_change
from steepest.maxmargin.forms.pairs import Pairs, all_pairs
from steepest.maxmargin.forms.reduced import Reduced, reduce
from steepest.problem import Classification

__all__ = ["CANCELLATION", "contradiction", "repeated_sample"]

CANCELLATION = 1e-13
"""A(q) counts as zero below this fraction of the largest sum of terms that cancel, features equilibrated."""

_CORRECTIONS = 6
"""Corrections of dual weights: each gains digits, and may leave out weights that it turns negative."""
_FEW = (4, 12, 40, 120, 400)
"""Numbers of largest dual weights that are tried alone."""
_SAME = 8 * np.finfo(np.float64).eps
"""Multiples of a sample differ by two divisions and what rounded the data: a few last digits."""
_LARGEST_PROGRAM = 50_000_000
"""Numbers in a linear program that HiGHS still solves in minutes."""


def repeated_sample(problem: Classification) -> np.ndarray | None:
    """Dual weights q [n, k] with A(q) = 0 where one point, or its multiple, has two labels; else None.

    One product with X and no copy of it: multiples of a sample, each divided by its largest entry, have the
    same place along any direction.
    """
    X, y = as_numpy(problem.features), problem.labels
    largest = np.maximum(X.max(axis=1), -X.min(axis=1))
    if (largest == 0).any():
        return _at_zero_sample(problem, int(np.argmin(largest)))
    along = X @ np.random.default_rng(0).normal(size=X.shape[1]) / largest
    order = np.argsort(along, kind="stable")
    first, second = order[:-1], order[1:]
    near = along[second] - along[first] <= X.shape[1] * _SAME * np.max(np.abs(along))
    for i, j in np.column_stack([first, second])[near & (y[first] != y[second])]:
        unit, other = X[i] / largest[i], X[j] / largest[j]
        if np.max(np.abs(unit - other)) <= _SAME:
            return _dual(problem, np.array([[i, y[j]], [j, y[i]]]), largest[[j, i]])
    return None


def contradiction(
    problem: Classification, guess: np.ndarray, deadline: Deadline, *, thorough: bool = True
) -> np.ndarray | None:
    """Dual weights q [n, k] with A(q) = 0 to rounding, or None where none were found in time.

    Separability does not change when rows and columns of X are scaled, so this works in equilibrated
    features. The residual of ``guess`` is removed by weighted least squares, from its largest weights alone,
    which finds a contradiction among a few samples, and from all of them, which central dual weights of an
    interior-point method survive. Where none is found so, the linear program {q ≥ 0, Σq = 1, A(q) = 0} is
    solved and its basic solution corrected likewise. What is returned is verified.

    Unless it is to be ``thorough``, only what takes a fraction of a second is tried.
    """
    X = as_numpy(problem.features)
    columns = np.max(np.abs(X), axis=0)
    X = X / np.where(columns > 0, columns, 1.0)
    rows = np.linalg.norm(X, axis=1)
    if (rows == 0).any():
        # The margin of a pair at x = 0 is 0 whatever the weights.
        return _at_zero_sample(problem, int(np.argmin(rows)))
    reduced = reduce(Classification(X / rows[:, None], problem.labels), norm("frobenius"))
    for pairs in _supports(guess, thorough):
        values = guess[tuple(pairs.T)] * rows[pairs[:, 0]]
        values = _remove_residual(_columns(reduced, pairs), values / values.sum())
        if values is not None:
            return _dual(problem, pairs, values / rows[pairs[:, 0]])
    pairs = all_pairs(reduced.labels, reduced.classes)
    if not thorough or len(pairs) * math.prod(reduced.shape) > _LARGEST_PROGRAM:
        return None
    A = _columns(reduced, pairs)
    values = _feasible_point(A, deadline)
    values = None if values is None else _remove_residual(A, values)
    return None if values is None else _dual(problem, pairs, values / rows[pairs[:, 0]])


def _columns(reduced: Reduced, pairs: np.ndarray) -> np.ndarray:
    """Return the matrix that maps the dual weights of pairs to A(q)."""
    return Pairs(reduced).rows(pairs).reshape(len(pairs), -1).T


def _dual(problem: Classification, pairs: np.ndarray, values: np.ndarray) -> np.ndarray:
    q = np.zeros((problem.samples, problem.n_classes))
    q[tuple(pairs.T)] = values
    return q / q.sum()


def _supports(guess: np.ndarray, thorough: bool) -> Iterator[np.ndarray]:
    """Yield the pairs of largest dual weight, few of them first, and all that have any at last."""
    pairs = np.argwhere(guess > 0)
    order = np.argsort(-guess[tuple(pairs.T)], kind="stable")
    for count in _FEW:
        if count < len(pairs):
            yield pairs[order[:count]]
    if thorough or len(pairs) <= _FEW[-1]:
        yield pairs


def _at_zero_sample(problem: Classification, sample: int) -> np.ndarray:
    other = (problem.labels[sample] + 1) % problem.n_classes
    return _dual(problem, np.array([[sample, other]]), np.ones(1))


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
        change = least_change(part * weights)
        # Weights that a correction would turn negative were noise of the solver that found them: they go.
        full[support] = np.maximum(weights * (1.0 - change), 0.0)
        full[full < CANCELLATION * full.max()] = 0.0
        if not np.isfinite(full).all() or not full.any():
            return None
        full /= full.sum()
    terms = np.abs(A) @ full
    cancelled = np.abs(A @ full) <= CANCELLATION * terms.max()
    return full if cancelled.all() else None
