"""What solvers know about norms of rows and of columns; those of equal exponents are entry-wise norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from steepest.arrays import Array
from steepest.capabilities import Capability
from steepest.geometry.facts import CANONICAL
from steepest.geometry.rows import ColumnNorm, RowNorm
from steepest.maxmargin.column_generation import SINGLE_FEATURES
from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT
from steepest.maxmargin.first_order.projections import BALL_PROJECTION, BallProjection, project_rows
from steepest.maxmargin.first_order.scaled_projections import SCALED_PROJECTION
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.optima.faces import EXPOSED_FACE
from steepest.maxmargin.peers.clarabel import CONIC_PROGRAM, Form, linear_form
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL, LinearBall, budgets, largest_of_groups
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL
from steepest.maxmargin.scans.splitting import DUAL_BALL


def _of_entries(capability: Capability[Any], norm: RowNorm | ColumnNorm) -> Any:
    """What the entry-wise norm of the same values offers, where there is one."""
    same = CANONICAL.of(norm)
    return None if same is None else capability.of(same)


for _capability in (
    BALL_BARRIER,
    DUAL_ASCENT,
    EXPOSED_FACE,
    POLYHEDRAL_BALL,
    SCALED_PROJECTION,
    SINGLE_FEATURES,
):
    _capability.offered_by(RowNorm, ColumnNorm)(partial(_of_entries, _capability))


@BALL_PROJECTION.offered_by(RowNorm, ColumnNorm)
def _projection(norm: RowNorm | ColumnNorm) -> BallProjection | None:
    entries = _of_entries(BALL_PROJECTION, norm)
    if entries is not None or not (norm.inner == 2 or norm.outer == math.inf):
        return entries
    project = partial(project_rows, inner=float(norm.inner), outer=float(norm.outer))
    return BallProjection(project if isinstance(norm, RowNorm) else partial(_transposed, project))


def _transposed(
    project: Callable[[Array, float | None], tuple[Array, float | None]], V: Array, guess: float | None
) -> tuple[Array, float | None]:
    nearest, guess = project(V.T, guess)
    return nearest.T, guess


@DUAL_BALL.offered_by(RowNorm, ColumnNorm)
def _dual_projection(norm: RowNorm | ColumnNorm) -> BallProjection | None:
    return _projection(norm.dual_norm)


@LINEAR_BALL.offered_by(RowNorm, ColumnNorm)
def _linear_ball(norm: RowNorm | ColumnNorm) -> Callable[[tuple[int, int]], LinearBall] | None:
    form = {(1, math.inf): budgets, (math.inf, 1): largest_of_groups}.get((norm.inner, norm.outer))
    if form is None:
        return _of_entries(LINEAR_BALL, norm)
    axis = 0 if isinstance(norm, RowNorm) else 1
    return lambda shape: form(shape, np.indices(shape)[axis])


@CONIC_PROGRAM.offered_by(RowNorm, ColumnNorm)
def _conic_program(norm: RowNorm | ColumnNorm) -> Form | None:
    ball = _linear_ball(norm)
    return _of_entries(CONIC_PROGRAM, norm) if ball is None else partial(linear_form, ball=ball)
