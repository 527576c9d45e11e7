"""Max margins as conic programs, solved by Clarabel: Frobenius, spectral, nuclear and entry-wise p."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.extras import require
from steepest.geometry import Entrywise, Norm
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.reduced import Reduced, is_unitarily_invariant
from steepest.maxmargin.peers.highs import all_pairs, dense_dual, pair_matrix

__all__ = ["has_cone", "solve_conic_program"]

_Outcome = tuple[np.ndarray, np.ndarray, int]
_Run = Callable[..., _Outcome]


def _clarabel() -> Any:  # a compiled module without type stubs
    import clarabel

    return clarabel


def has_cone(norm: Norm) -> bool:
    """Whether the norm's ball is one that Clarabel's cones describe."""
    return isinstance(norm, Entrywise) or norm.p in (1, 2, np.inf)


def solve_conic_program(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Max margin by Clarabel, in the form that is smallest for the norm.

    Frobenius: min ½‖W‖² with margins ≥ 1. Spectral: the ball as [[I, W], [Wᵀ, I]] ⪰ 0. Nuclear: the dual,
    min t with [[tI, A(q)], [A(q)ᵀ, tI]] ⪰ 0. Entry-wise p: a power cone for every weight.
    """
    require("peers", 'method="conic-program"')
    pairs = all_pairs(reduced.labels, reduced.classes)
    A = pair_matrix(reduced, pairs)
    norm = reduced.norm
    if norm.p == 2:
        form = _quadratic
    elif is_unitarily_invariant(norm):
        form = _spectral if norm.p == np.inf else _nuclear
    else:
        form = _power
    tolerance = min(1e-8, max(1e-11, 1e-2 * gap))

    def run(P: Any, objective: np.ndarray, rows: Any, right: np.ndarray, cones: list) -> _Outcome:
        return _run(P, objective, rows, right, cones, tolerance, deadline)

    weights, values, iterations = form(reduced.shape, float(norm.p), A, run)
    return Candidate(
        weights.reshape(reduced.shape),
        dense_dual(values, pairs, reduced),
        iterations,
        "conic program (Clarabel)",
    )


def _run(
    P: Any,
    objective: np.ndarray,
    A: Any,
    right: np.ndarray,
    cones: list,
    tolerance: float,
    deadline: Deadline,
) -> _Outcome:
    clarabel = _clarabel()
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    if np.isfinite(deadline.at):
        settings.time_limit = deadline.remaining
    P = sparse.csc_matrix((len(objective), len(objective))) if P is None else P
    solution = clarabel.DefaultSolver(P, objective, sparse.csc_matrix(A), right, cones, settings).solve()
    x, z = np.array(solution.x), np.array(solution.z)
    finite = np.isfinite(x).all() and np.isfinite(z).all()
    return (
        (x, z, solution.iterations) if finite else (np.zeros_like(x), np.zeros_like(z), solution.iterations)
    )


def _quadratic(_shape: tuple[int, int], _p: float, A: Any, run: _Run) -> _Outcome:
    clarabel = _clarabel()
    m, unknowns = A.shape
    P = sparse.csc_matrix(sparse.identity(unknowns))
    x, z, iterations = run(P, np.zeros(unknowns), -A, -np.ones(m), [clarabel.NonnegativeConeT(m)])
    return x, z, iterations


def _spectral(shape: tuple[int, int], _p: float, A: Any, run: _Run) -> _Outcome:
    clarabel = _clarabel()
    m, unknowns = A.shape
    rows, columns = shape
    size = rows + columns
    ones = sparse.csr_array(np.ones((m, 1)))
    margins = sparse.hstack([-A, ones])
    places = _off_diagonal(rows, columns)
    count = size * (size + 1) // 2
    block = sparse.csr_array(
        (np.full(unknowns, -np.sqrt(2.0)), (places, np.arange(unknowns))), shape=(count, unknowns + 1)
    )
    right = np.concatenate([np.zeros(m), _svec_identity(size)])
    cones = [clarabel.NonnegativeConeT(m), clarabel.PSDTriangleConeT(size)]
    objective = np.concatenate([np.zeros(unknowns), [-1.0]])
    x, z, iterations = run(None, objective, sparse.vstack([margins, block]), right, cones)
    return x[:-1], z[:m], iterations


def _nuclear(shape: tuple[int, int], _p: float, A: Any, run: _Run) -> _Outcome:
    clarabel = _clarabel()
    m, unknowns = A.shape
    rows, columns = shape
    size = rows + columns
    places = _off_diagonal(rows, columns)
    count = size * (size + 1) // 2
    scatter = sparse.csr_array(
        (np.full(unknowns, -np.sqrt(2.0)), (places, np.arange(unknowns))), (count, unknowns)
    )
    block = sparse.hstack([scatter @ A.T, sparse.csr_array(-_svec_identity(size)[:, None])])
    simplex = sparse.csr_array(np.concatenate([np.ones(m), [0.0]])[None, :])
    positive = sparse.hstack([-sparse.identity(m), sparse.csr_array((m, 1))])
    right = np.concatenate([[1.0], np.zeros(m + count)])
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(m), clarabel.PSDTriangleConeT(size)]
    objective = np.concatenate([np.zeros(m), [1.0]])
    x, z, iterations = run(None, objective, sparse.vstack([simplex, positive, block]), right, cones)
    # The multiplier of the semidefinite block is minus the optimal weights, off the diagonal.
    return -z[1 + m :][places], x[:m], iterations


def _power(_shape: tuple[int, int], p: float, A: Any, run: _Run) -> _Outcome:
    clarabel = _clarabel()
    m, unknowns = A.shape
    # Unknowns (W, t, γ): |w|^p ≤ t · 1^(p-1) for each weight, Σ t ≤ 1.
    margins = sparse.hstack([-A, sparse.csr_array((m, unknowns)), sparse.csr_array(np.ones((m, 1)))])
    budget = sparse.csr_array(np.concatenate([np.zeros(unknowns), np.ones(unknowns), [0.0]])[None, :])
    index = np.arange(unknowns)
    cone = sparse.csr_array(
        (
            np.full(2 * unknowns, -1.0),
            (np.concatenate([3 * index, 3 * index + 2]), np.concatenate([unknowns + index, index])),
        ),
        shape=(3 * unknowns, 2 * unknowns + 1),
    )
    fixed = np.zeros(3 * unknowns)
    fixed[1::3] = 1.0
    right = np.concatenate([np.zeros(m), [1.0], fixed])
    cones = [clarabel.NonnegativeConeT(m + 1)] + [clarabel.PowerConeT(1 / p)] * unknowns
    objective = np.zeros(2 * unknowns + 1)
    objective[-1] = -1.0
    x, z, iterations = run(None, objective, sparse.vstack([margins, budget, cone]), right, cones)
    return x[:unknowns], z[:m], iterations


def _off_diagonal(rows: int, columns: int) -> np.ndarray:
    """Places in the packed upper triangle, column by column, of block entries (a, rows + b)."""
    a, b = np.divmod(np.arange(rows * columns), columns)
    column = rows + b
    return column * (column + 1) // 2 + a


def _svec_identity(size: int) -> np.ndarray:
    packed = np.zeros(size * (size + 1) // 2)
    index = np.arange(size)
    packed[index * (index + 1) // 2 + index] = 1.0
    return packed
