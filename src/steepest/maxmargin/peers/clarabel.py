"""Max margins as conic programs, by Clarabel: spectral, nuclear, entry-wise and polyhedral row norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.capabilities import Capability
from steepest.extras import require
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, all_pairs, dense_dual
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.peers.linear_balls import LinearBall

__all__ = [
    "CONIC_PROGRAM",
    "Form",
    "linear_form",
    "nuclear_form",
    "power_form",
    "quadratic_form",
    "solve_conic_program",
    "spectral_form",
]

Cone = tuple[str, float]
"""Clarabel's name of a cone, and its size or exponent."""
Outcome = tuple[np.ndarray, np.ndarray, int]
"""Solution, multipliers and iterations; or weights, dual weights of the pairs and iterations."""
Run = Callable[[Any, np.ndarray, Any, np.ndarray, list[Cone]], Outcome]
"""Solves min ½ xᵀP x + cᵀx with b - A x in the cones, from P (or None), c, A, b and the cones."""
Form = Callable[[tuple[int, int], Any, Run], Outcome]
"""Weights, dual weights and iterations, from the shape of the weights, the pairs' matrix and a solver."""

CONIC_PROGRAM: Capability[Form] = Capability(
    "a unit ball in Clarabel's cones", "The max-margin problem as a conic program over its unit ball."
)


def solve_conic_program(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Max margin by Clarabel, in the form that is smallest for the norm.

    Raises:
        MissingCapability: the norm offers no conic program.
        MissingExtra: Clarabel is not installed.
    """
    form = CONIC_PROGRAM.required_of("norm", reduced.norm, 'method="conic-program"', 'use method="auto"')
    require("peers", 'method="conic-program"')
    import clarabel

    pairs = all_pairs(reduced.labels, reduced.classes)
    tolerance = min(1e-8, max(1e-11, 1e-2 * gap))

    def run(P: Any, objective: np.ndarray, rows: Any, right: np.ndarray, cones: list[Cone]) -> Outcome:
        return _run(clarabel, (P, objective, rows, right, cones), tolerance, deadline)

    weights, values, iterations = form(reduced.shape, Pairs(reduced).matrix(pairs), run)
    return Candidate(
        weights.reshape(reduced.shape),
        dense_dual(values, pairs, (len(reduced.labels), reduced.classes)),
        iterations,
        "conic program (Clarabel)",
    )


def _run(
    clarabel: Any,
    program: tuple[Any, np.ndarray, Any, np.ndarray, list[Cone]],
    tolerance: float,
    deadline: Deadline,
) -> Outcome:
    P, objective, A, right, cones = program
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    if np.isfinite(deadline.at):
        settings.time_limit = deadline.remaining
    P = sparse.csc_matrix((len(objective), len(objective))) if P is None else P
    sets = [getattr(clarabel, name)(size) for name, size in cones]
    solution = clarabel.DefaultSolver(P, objective, sparse.csc_matrix(A), right, sets, settings).solve()
    x, z = np.array(solution.x), np.array(solution.z)
    finite = np.isfinite(x).all() and np.isfinite(z).all()
    return (
        (x, z, solution.iterations) if finite else (np.zeros_like(x), np.zeros_like(z), solution.iterations)
    )


def quadratic_form(_shape: tuple[int, int], A: Any, run: Run) -> Outcome:
    """Frobenius norm: min ½‖W‖² with margins ≥ 1."""
    m, unknowns = A.shape
    P = sparse.csc_matrix(sparse.identity(unknowns))
    x, z, iterations = run(P, np.zeros(unknowns), -A, -np.ones(m), [("NonnegativeConeT", m)])
    return x, z, iterations


def spectral_form(shape: tuple[int, int], A: Any, run: Run) -> Outcome:
    """Spectral norm: max γ with margins ≥ γ and [[I, W], [Wᵀ, I]] ⪰ 0."""
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
    cones = [("NonnegativeConeT", m), ("PSDTriangleConeT", size)]
    objective = np.concatenate([np.zeros(unknowns), [-1.0]])
    x, z, iterations = run(None, objective, sparse.vstack([margins, block]), right, cones)
    return x[:-1], z[:m], iterations


def nuclear_form(shape: tuple[int, int], A: Any, run: Run) -> Outcome:
    """Nuclear norm, by its dual: min t over q in the simplex with [[tI, A(q)], [A(q)ᵀ, tI]] ⪰ 0."""
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
    cones = [("ZeroConeT", 1), ("NonnegativeConeT", m), ("PSDTriangleConeT", size)]
    objective = np.concatenate([np.zeros(m), [1.0]])
    x, z, iterations = run(None, objective, sparse.vstack([simplex, positive, block]), right, cones)
    # The multiplier of the semidefinite block is minus the optimal weights, off the diagonal.
    return -z[1 + m :][places], x[:m], iterations


def linear_form(
    shape: tuple[int, int], A: Any, run: Run, ball: Callable[[tuple[int, int]], LinearBall]
) -> Outcome:
    """Polyhedral norms: max γ over (x, γ) with margins(L x) ≥ γ, B x ≤ b and bounds on x."""
    there = ball(shape)
    m, (_, size) = A.shape[0], there.lift.shape
    one = sparse.eye_array(size, format="csr")
    limits = [(one, there.bounds[1]), (-one, -there.bounds[0])]
    kept = [(rows, np.full(size, value)) for rows, value in limits if np.isfinite(value)]
    kept.append((there.rows, there.right))
    in_x = sparse.vstack([-(A @ there.lift), *(rows for rows, _ in kept)])
    right = np.concatenate([np.zeros(m), *(values for _, values in kept)])
    level = np.concatenate([np.ones(m), np.zeros(len(right) - m)])
    objective = np.concatenate([np.zeros(size), [-1.0]])
    program = sparse.hstack([in_x, sparse.csr_array(level[:, None])])
    x, z, iterations = run(None, objective, program, right, [("NonnegativeConeT", len(right))])
    return there.lift @ x[:-1], z[:m], iterations


def power_form(_shape: tuple[int, int], A: Any, run: Run, p: float) -> Outcome:
    """Entry-wise p-norm, 1 < p < ∞: max γ with |w|^p ≤ t · 1^(p-1) for each weight and Σ t ≤ 1."""
    m, unknowns = A.shape
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
    cones = [("NonnegativeConeT", m + 1)] + [("PowerConeT", 1 / p)] * unknowns
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
