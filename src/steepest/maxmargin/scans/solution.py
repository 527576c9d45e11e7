"""The solution of data that is scanned: certified block by block, with dual weights where there are any."""

from __future__ import annotations

import time

import numpy as np
import scipy.sparse as sparse

from steepest.features import Block
from steepest.geometry import Norm
from steepest.maxmargin.certificates.bounds import dual_above
from steepest.maxmargin.forms.best import relative_gap
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.scans.bounds import margin_below_by_scan
from steepest.maxmargin.scans.solve import Found, solve_by_scans, source_of
from steepest.maxmargin.separability.decision import against
from steepest.maxmargin.solution import MaxMarginSolution, Status
from steepest.problem import Classification

__all__ = ["scanned_solution"]

_CUTOFF, _CUTOFF_OF_GAP = 1e-8, 1e-4
"""Dual weights below this fraction of the largest are left out, or below this share of the gap."""
_LARGEST = 1 << 24
"""Numbers of the samples among which a contradiction is looked for."""


def scanned_solution(
    problem: Classification, norm: Norm, by: Norm, gap: float, deadline: Deadline
) -> MaxMarginSolution:
    """Solve by scans, and certify by a scan: nothing of the size of the features is ever in memory.

    ``by`` is the norm to solve in, of which ``norm`` is itself or a multiple.
    """
    started = time.perf_counter()
    source = source_of(problem.rows, problem.labels, problem.n_classes)
    found = solve_by_scans(source, by, gap, deadline)
    size = float(norm(found.weights))
    W = found.weights / size if size > 0.0 else found.weights
    lower = max(0.0, margin_below_by_scan(source, W, norm))
    rows, q = _simplex(problem, found, min(_CUTOFF, _CUTOFF_OF_GAP * gap))
    features = problem.rows.take(rows)
    impossible = None
    if not lower > 0.0:
        impossible = _contradiction(problem, rows, features, q, deadline)
        q = q if impossible is None else impossible
    upper = dual_above(features, problem.labels[rows], q, norm)
    # Pages of zeros that nothing is written to take no memory.
    dual = np.zeros((problem.samples, problem.n_classes))
    dual[rows] = q
    ended = Status.STOPPED if deadline.stopped else Status.GAP_NOT_REACHED
    status = Status.SOLVED if relative_gap(lower, upper) <= gap else ended
    W = W if lower > 0.0 else np.zeros_like(W)
    for array in (W, dual):
        array.setflags(write=False)
    return MaxMarginSolution(
        norm=norm,
        weights=W,
        margin=lower,
        upper_bound=upper,
        relative_gap=relative_gap(lower, upper),
        dual=dual,
        separable=False if impossible is not None else (True if lower > 0.0 else None),
        seconds=time.perf_counter() - started,
        iterations=found.iterations,
        method=found.method,
        status=status if impossible is None else Status.NOT_SEPARABLE,
        problem=problem,
    )


def _simplex(problem: Classification, found: Found, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """The samples with dual weight, and their dual weights, of sum 1."""
    q = np.where(found.dual >= cutoff * found.dual.max(initial=0.0), found.dual, 0.0)
    kept = q.any(axis=1)
    if not kept.any():
        first = int(found.rows[0]) if len(found.rows) else 0
        q = np.ones((1, problem.n_classes))
        q[0, problem.labels[first]] = 0.0
        return np.array([first]), q / q.sum()
    return found.rows[kept], q[kept] / q.sum()


def _contradiction(
    problem: Classification, rows: np.ndarray, features: Block, q: np.ndarray, deadline: Deadline
) -> np.ndarray | None:
    """Dual weights that show some samples, and so all, not to be separable; None where none were found."""
    if len(rows) * problem.dimension > _LARGEST:
        return None
    dense = features.toarray() if sparse.issparse(features) else features
    # Of the classes that take part alone, of which the others say nothing.
    classes = np.union1d(problem.labels[rows], np.nonzero(q.any(axis=0))[0])
    labels = problem.labels[rows]
    missing = np.setdiff1d(classes, labels)
    if len(missing):
        more = np.array([int(np.argmax(problem.labels == label)) for label in missing])
        other = problem.rows.take(more)
        dense = np.concatenate([dense, other.toarray() if sparse.issparse(other) else other])
        labels = np.concatenate([labels, missing])
    guess = np.zeros((len(labels), len(classes)))
    guess[: len(rows)] = q[:, classes]
    found = against(Classification(dense, labels), guess, deadline, thorough=False)
    if found is None or found.separable is not False or found.dual[len(rows) :].any():
        return None
    whole = np.zeros_like(q)
    whole[:, classes] = found.dual[: len(rows)]
    return whole
