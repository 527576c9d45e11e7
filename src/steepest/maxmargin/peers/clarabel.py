"""Max margins as conic programs, by Clarabel: spectral, nuclear, entry-wise and polyhedral row norms.

Of soft margins the level is γ - caps · ξ, where samples lie ξ below γ, and free weights are unknowns that no
cone bounds; in the dual of the nuclear norm caps and A(q) = 0 in the free features are conditions on q.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.capabilities import Capability
from steepest.extras import require
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, all_pairs, dense_dual, free_margins, free_of_all
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.peers.linear_balls import LinearBall

__all__ = [
    "CONIC_PROGRAM",
    "Form",
    "Margins",
    "Outcome",
    "linear_form",
    "nuclear_form",
    "power_form",
    "quadratic_form",
    "solve_conic_program",
    "spectral_form",
]

Cone = tuple[str, float]
"""Clarabel's name of a cone, and its size or exponent."""
Run = Callable[[Any, np.ndarray, Any, np.ndarray, list[Cone]], tuple[np.ndarray, np.ndarray, int]]
"""Solves min ½ xᵀP x + cᵀx with b - A x in the cones, from P (or None), c, A, b and the cones: returns the
solution, the multipliers and the number of iterations."""


@dataclass(frozen=True)
class Margins:
    """The margins of pairs (i, c) by weights w and free weights f, which may lie ξ_i ≥ 0 below the level."""

    weights: Any
    """From w, flattened, to margins, shape [s, m]."""
    free: Any
    """From f, shape [s, g]."""
    samples: Any
    """From ξ, a one for the sample of each pair, shape [s, n]; n = 0 where none may lie below."""
    caps: np.ndarray
    """What each ξ_i takes from the level, shape [n]."""

    @classmethod
    def of(cls, reduced: Reduced, pairs: np.ndarray) -> Margins:
        """Those of a reduced problem."""
        s, labels, k = len(pairs), reduced.labels, reduced.classes
        none = np.zeros((len(labels), 0))
        free = free_margins(none if reduced.free is None else reduced.free, labels, k, pairs)
        caps = np.zeros(0) if reduced.caps is None else reduced.caps
        ones = np.ones(s if len(caps) else 0)
        places = (np.arange(len(ones)), pairs[: len(ones), 0])
        samples = sparse.csr_array((ones, places), shape=(s, len(caps)))
        return cls(Pairs(reduced).matrix(pairs), free, samples, caps)

    @property
    def count(self) -> int:
        """Number of pairs."""
        return self.weights.shape[0]


@dataclass(frozen=True)
class Outcome:
    """What a form makes of Clarabel's solution."""

    weights: np.ndarray
    """Shape [m]."""
    free: np.ndarray
    """Shape [g]."""
    dual: np.ndarray
    """Dual weights of the pairs, shape [s]."""
    iterations: int


Form = Callable[[tuple[int, int], Margins, Run], Outcome]
"""Solves, from the shape of the weights, the margins and a solver."""

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

    def run(
        P: Any, objective: np.ndarray, rows: Any, right: np.ndarray, cones: list[Cone]
    ) -> tuple[np.ndarray, np.ndarray, int]:
        return _run(clarabel, (P, objective, rows, right, cones), tolerance, deadline)

    found = form(reduced.shape, Margins.of(reduced, pairs), run)
    return Candidate(
        found.weights.reshape(reduced.shape),
        dense_dual(found.dual, pairs, (len(reduced.labels), reduced.classes)),
        found.iterations,
        "conic program (Clarabel)",
        None if reduced.free is None else free_of_all(found.free, reduced.classes),
    )


def _run(
    clarabel: Any,
    program: tuple[Any, np.ndarray, Any, np.ndarray, list[Cone]],
    tolerance: float,
    deadline: Deadline,
) -> tuple[np.ndarray, np.ndarray, int]:
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


@dataclass(frozen=True)
class _Ball:
    """Weights w = L x of a unit ball: {x : b - B x in the cones}."""

    lift: Any
    """L, sparse, shape [m, u]."""
    rows: Any
    """B, sparse, shape [r, u]."""
    right: np.ndarray
    """b, shape [r]."""
    cones: list[Cone]


def _largest_level(margins: Margins, ball: _Ball, run: Run) -> Outcome:
    """Max γ - caps · ξ over (x, f, ξ, γ) with margins + ξ ≥ γ, ξ ≥ 0 and w in the ball."""
    s, g, n, u = margins.count, margins.free.shape[1], len(margins.caps), ball.lift.shape[1]
    of_margins = [-(margins.weights @ ball.lift), -margins.free, -margins.samples, np.ones((s, 1))]
    blocks = [
        _joined(of_margins),
        _joined([(n, u + g), -sparse.eye_array(n), (n, 1)]),
        _joined([ball.rows, (len(ball.right), g + n + 1)]),
    ]
    objective = np.concatenate([np.zeros(u + g), margins.caps, [-1.0]])
    right = np.concatenate([np.zeros(s + n), ball.right])
    cones = [("NonnegativeConeT", s + n), *ball.cones]
    x, z, iterations = run(None, objective, sparse.vstack(blocks), right, cones)
    return Outcome(ball.lift @ x[:u], x[u : u + g], z[:s], iterations)


def _joined(blocks: Sequence[Any]) -> Any:
    """Blocks side by side, of which a shape stands for zeros."""
    return sparse.hstack([sparse.csr_array(each) for each in blocks], format="csr")


def quadratic_form(_shape: tuple[int, int], margins: Margins, run: Run) -> Outcome:
    """Frobenius norm: min ½‖W‖² with margins + ξ ≥ γ and γ - caps · ξ ≥ 1."""
    s, (g, n) = margins.count, (margins.free.shape[1], len(margins.caps))
    m = margins.weights.shape[1]
    blocks = [
        _joined([-margins.weights, -margins.free, -margins.samples, np.ones((s, 1))]),
        _joined([(n, m + g), -sparse.eye_array(n), (n, 1)]),
        _joined([(1, m + g), margins.caps[None, :], [[-1.0]]]),
    ]
    P = sparse.csc_matrix(sparse.diags(np.concatenate([np.ones(m), np.zeros(g + n + 1)])))
    right = np.concatenate([np.zeros(s + n), [-1.0]])
    cones: list[Cone] = [("NonnegativeConeT", s + n + 1)]
    x, z, iterations = run(P, np.zeros(m + g + n + 1), sparse.vstack(blocks), right, cones)
    return Outcome(x[:m], x[m : m + g], z[:s], iterations)


def spectral_form(shape: tuple[int, int], margins: Margins, run: Run) -> Outcome:
    """Spectral norm: [[I, W], [Wᵀ, I]] ⪰ 0."""
    (rows, columns), m = shape, shape[0] * shape[1]
    size = rows + columns
    count, places = size * (size + 1) // 2, _off_diagonal(rows, columns)
    block = sparse.csr_array((np.full(m, -np.sqrt(2.0)), (places, np.arange(m))), shape=(count, m))
    ball = _Ball(sparse.eye_array(m), block, _svec_identity(size), [("PSDTriangleConeT", size)])
    return _largest_level(margins, ball, run)


def nuclear_form(shape: tuple[int, int], margins: Margins, run: Run) -> Outcome:
    """Nuclear norm, by its dual: min t over q in the simplex with [[tI, A(q)], [A(q)ᵀ, tI]] ⪰ 0.

    Free weights and ξ are the multipliers of A(q) = 0 in free features and of Σ_c q_ic ≤ caps_i.
    """
    s, (g, n) = margins.count, (margins.free.shape[1], len(margins.caps))
    rows, columns = shape
    size, m = rows + columns, rows * columns
    places = _off_diagonal(rows, columns)
    count = size * (size + 1) // 2
    scatter = sparse.csr_array((np.full(m, -np.sqrt(2.0)), (places, np.arange(m))), (count, m))
    blocks = [
        _joined([np.ones((1, s)), (1, 1)]),
        _joined([margins.free.T, (g, 1)]),
        _joined([-sparse.eye_array(s), (s, 1)]),
        _joined([margins.samples.T, (n, 1)]),
        _joined([scatter @ margins.weights.T, -_svec_identity(size)[:, None]]),
    ]
    right = np.concatenate([[1.0], np.zeros(g + s), margins.caps, np.zeros(count)])
    cones: list[Cone] = [("ZeroConeT", 1 + g), ("NonnegativeConeT", s + n), ("PSDTriangleConeT", size)]
    objective = np.concatenate([np.zeros(s), [1.0]])
    x, z, iterations = run(None, objective, sparse.vstack(blocks), right, cones)
    # The multiplier of the semidefinite block is minus the optimal weights, off the diagonal.
    weights = -np.sqrt(2.0) * z[1 + g + s + n :][places]
    return Outcome(weights, z[1 : 1 + g], x[:s], iterations)


def linear_form(
    shape: tuple[int, int],
    margins: Margins,
    run: Run,
    ball: Callable[[tuple[int, int]], LinearBall],
) -> Outcome:
    """Polyhedral norms: B x ≤ b and bounds on x."""
    there = ball(shape)
    size = there.lift.shape[1]
    one = sparse.eye_array(size, format="csr")
    limits = [(one, there.bounds[1]), (-one, -there.bounds[0])]
    kept = [(rows, np.full(size, value)) for rows, value in limits if np.isfinite(value)]
    kept.append((there.rows, there.right))
    right = np.concatenate([values for _, values in kept])
    rows = sparse.vstack([rows for rows, _ in kept])
    return _largest_level(margins, _Ball(there.lift, rows, right, [("NonnegativeConeT", len(right))]), run)


def power_form(_shape: tuple[int, int], margins: Margins, run: Run, p: float) -> Outcome:
    """Entry-wise p-norm, 1 < p < ∞: |w|^p ≤ t · 1^(p-1) for each weight and Σ t ≤ 1, in x = (w, t)."""
    m = margins.weights.shape[1]
    index = np.arange(m)
    budget = sparse.csr_array(np.concatenate([np.zeros(m), np.ones(m)])[None, :])
    places = (np.concatenate([3 * index, 3 * index + 2]), np.concatenate([m + index, index]))
    cone = sparse.csr_array((np.full(2 * m, -1.0), places), shape=(3 * m, 2 * m))
    fixed = np.zeros(3 * m)
    fixed[1::3] = 1.0
    cones: list[Cone] = [("NonnegativeConeT", 1), *[("PowerConeT", 1 / p)] * m]
    lift = sparse.hstack([sparse.eye_array(m), sparse.csr_array((m, m))], format="csr")
    right = np.concatenate([[1.0], fixed])
    return _largest_level(margins, _Ball(lift, sparse.vstack([budget, cone]), right, cones), run)


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
