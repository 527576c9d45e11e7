"""The methods by name: what each proposes for a problem in its own units, and what it asks of a norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.arrays import as_numpy, namespace
from steepest.capabilities import Capability
from steepest.errors import MissingCapability
from steepest.features import DenseRows, Rows, SparseRows
from steepest.geometry import Norm
from steepest.maxmargin.column_generation import SINGLE_FEATURES, solve_by_columns
from steepest.maxmargin.cutting_planes.general import solve_by_cuts
from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT
from steepest.maxmargin.first_order.halpern import first_order
from steepest.maxmargin.first_order.projections import BALL_PROJECTION
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.reduced import Reduced, reduce
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.interior.central_path import solve_interior_point
from steepest.maxmargin.interior.quadratic import EUCLIDEAN, solve_quadratic
from steepest.maxmargin.peers.clarabel import CONIC_PROGRAM, solve_conic_program
from steepest.maxmargin.peers.highs import solve_linear_program
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL
from steepest.maxmargin.polyhedral.predictor_corrector import solve_polyhedral
from steepest.maxmargin.row_generation import solve_by_rows
from steepest.maxmargin.scans.solve import solve_by_scans, source_of
from steepest.maxmargin.scans.splitting import DUAL_BALL
from steepest.problem import Classification

__all__ = ["METHODS", "Method", "Solver"]

Solver = Callable[[Classification, Norm, float, Deadline], Iterator[Candidate]]
"""Proposes weights and dual weights for a relative gap; what it proposes is certified elsewhere."""

_MOST_ITERATIONS = 200_000
"""Of the first-order method: minutes on small problems, where more would gain no digit."""
_PACE, _PACE_OF_SWEEPS = 160.0, 40.0
"""Iterations and sweeps that a digit of the gap may cost; beyond, an interior point is faster."""
_ROUNDING = 0.8
"""Share of the gap that a method aims at, so that what rounding adds in the certificate has room."""
_SPARSE = 0.1
"""Share of entries that are not zero up to which products of sparse rows cost less."""


@dataclass(frozen=True)
class Method:
    """One way to solve, and the capabilities of which a norm must offer one; none is needed where empty."""

    name: str
    propose: Solver
    needs: tuple[Capability[Any], ...] = ()

    def serves(self, norm: Norm) -> bool:
        """Whether the norm offers what the method needs."""
        return not self.needs or any(each.of(norm) is not None for each in self.needs)

    def check(self, norm: Norm, name: str, remedy: str = 'use method="auto"') -> None:
        """Raise MissingCapability where the method does not serve the norm, which is told as ``name``."""
        if not self.serves(norm):
            missing = " or ".join(each.name for each in self.needs)
            raise MissingCapability("norm", name, missing, f'method="{self.name}"', remedy)


def _on_reduced(solve: Callable[[Reduced, float, Deadline], Candidate], share: float = 1.0) -> Solver:
    """A method of reduced problems, asked for a share of the gap; its weights are taken back."""

    def propose(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
        reduced = reduce(problem, norm)
        found = solve(reduced, share * gap, deadline)
        yield replace(found, weights=reduced.weights(found.weights))

    return propose


by_polyhedral = _on_reduced(solve_polyhedral, _ROUNDING)
by_quadratic = _on_reduced(solve_quadratic, _ROUNDING)
by_interior_point = _on_reduced(solve_interior_point, _ROUNDING)
by_columns = _on_reduced(solve_by_columns, _ROUNDING)


def by_coordinates(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    """Coordinate ascent in the dual, in features of size 1."""
    X = as_numpy(problem.features)
    size = float(np.max(np.abs(X)))
    if size > 0.0:
        ascend = DUAL_ASCENT.required_of("norm", norm, "coordinate ascent", 'use method="auto"')
        W, q, sweeps = ascend(
            X / size, problem.labels, problem.n_classes, _ROUNDING * gap, deadline, _PACE_OF_SWEEPS
        )
        yield Candidate(W, q, sweeps, "coordinate ascent")


def by_rows(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    """Row generation."""
    X = as_numpy(problem.features)
    yield solve_by_rows(Reduced(X, problem.labels, problem.n_classes, 1.0, None, None, norm), gap, deadline)


def by_scans(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    """A working set of pairs, found by scans."""
    source = source_of(_without_zeros(problem.rows), problem.labels, problem.n_classes)
    found = solve_by_scans(source, norm, gap, deadline)
    q = np.zeros((problem.samples, problem.n_classes))
    q[found.rows] = found.dual
    yield Candidate(found.weights, q, found.iterations, found.method)


def _without_zeros(rows: Rows) -> Rows:
    """Rows of an array most of which is zero, such as counts of words, as sparse ones; others as they are."""
    if not isinstance(rows, DenseRows) or np.count_nonzero(rows.array) > _SPARSE * rows.array.size:
        return rows
    return SparseRows(sparse.csr_array(rows.array))


def by_first_order(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline, pace: float = math.inf
) -> Iterator[Candidate]:
    """First-order iterations in features of size 1, as long as they keep a pace."""
    X = problem.features
    xp = namespace(X)
    size = float(xp.max(xp.abs(X)))
    if size > 0.0:
        W, q, iterations = first_order(
            X / size, problem.one_hot, norm, _ROUNDING * gap, deadline, _MOST_ITERATIONS, pace=pace
        )
        yield Candidate(as_numpy(W), as_numpy(q), iterations, "first-order (restarted Halpern PDHG)")


def by_quick_first_order(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    """First-order iterations while they are fast."""
    return by_first_order(problem, norm, gap, deadline, _PACE)


def by_interior_points(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    """The interior point of the linear or quadratic program where there is one, else that on the ball."""
    solver = by_interior_point
    if POLYHEDRAL_BALL.of(norm) is not None:
        solver = by_polyhedral
    elif EUCLIDEAN.of(norm) is not None:
        solver = by_quadratic
    return solver(problem, norm, gap, deadline)


QUICK = Method("first-order", by_quick_first_order, (BALL_PROJECTION,))
COORDINATES = Method("coordinate-ascent", by_coordinates, (DUAL_ASCENT,))
POLYHEDRAL = Method("interior-point", by_polyhedral, (POLYHEDRAL_BALL,))
QUADRATIC = Method("interior-point", by_quadratic, (EUCLIDEAN,))
BALL = Method("interior-point", by_interior_point, (BALL_BARRIER,))

SCANS = Method("scans", by_scans, (DUAL_ASCENT, DUAL_BALL))
RELAXED_SCANS = Method("scans", by_scans, (DUAL_ASCENT, BALL_PROJECTION))
"""What soft margins and free weights ask of a norm where features are scanned, and under which name."""
FIRST_ORDER = Method("first-order", by_first_order, (BALL_PROJECTION,))
ROWS = Method("row-generation", by_rows, (BALL_BARRIER, POLYHEDRAL_BALL))
COLUMNS = Method("column-generation", by_columns, (SINGLE_FEATURES,))
LINEAR_PROGRAMS = Method("linear-program", _on_reduced(solve_linear_program), (LINEAR_BALL,))
GENERAL = (Method("cutting-planes", solve_by_cuts),)
"""Methods that need nothing but value, dual and direction; "auto" has them of few pairs, or at last."""
METHODS = {
    each.name: each
    for each in (
        *GENERAL,
        FIRST_ORDER,
        Method("interior-point", by_interior_points, (BALL_BARRIER, POLYHEDRAL_BALL)),
        ROWS,
        COLUMNS,
        SCANS,
        Method("conic-program", _on_reduced(solve_conic_program), (CONIC_PROGRAM,)),
        LINEAR_PROGRAMS,
    )
}
"""What ``max_margin(method=...)`` may name, beside "auto"."""
