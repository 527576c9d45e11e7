"""What solvers know about entry-wise norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from steepest.geometry import Entrywise
from steepest.geometry.vectors import exponent_as_float
from steepest.maxmargin.column_generation import SINGLE_FEATURES
from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT, DualAscent, coordinate_ascent
from steepest.maxmargin.first_order.projections import (
    BALL_PROJECTION,
    ENTRIES,
    BallCode,
    BallProjection,
    project_entries,
)
from steepest.maxmargin.first_order.scaled_projections import (
    SCALED_PROJECTION,
    ScaledProjection,
    project_scaled_box,
    project_scaled_sum,
)
from steepest.maxmargin.interior.balls import BALL_BARRIER, Ball, EntryBall
from steepest.maxmargin.interior.quadratic import EUCLIDEAN
from steepest.maxmargin.optima.entry_faces import MaxFace, SumFace
from steepest.maxmargin.optima.faces import EXPOSED_FACE, ExposedFace
from steepest.maxmargin.peers.clarabel import CONIC_PROGRAM, Form, linear_form, power_form, quadratic_form
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL, LinearBall, box, budget
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL, Box, Budget, PolyhedralBall
from steepest.maxmargin.scans.splitting import DUAL_BALL


@BALL_PROJECTION.offered_by(Entrywise)
def _projection(norm: Entrywise) -> BallProjection:
    p = exponent_as_float(norm.p)
    return BallProjection(partial(project_entries, p=p), BallCode(ENTRIES, p))


@DUAL_BALL.offered_by(Entrywise)
def _dual_projection(norm: Entrywise) -> BallProjection:
    return _projection(norm.dual_norm)


@SCALED_PROJECTION.offered_by(Entrywise)
def _scaled_projection(norm: Entrywise) -> ScaledProjection | None:
    return {math.inf: project_scaled_box, 1: project_scaled_sum}.get(norm.p)


@BALL_BARRIER.offered_by(Entrywise)
def _barrier(norm: Entrywise) -> Ball:
    return EntryBall(exponent_as_float(norm.p))


@EUCLIDEAN.offered_by(Entrywise)
def _euclidean(norm: Entrywise) -> bool | None:
    return True if norm.p == 2 else None


@DUAL_ASCENT.offered_by(Entrywise)
def _ascent(norm: Entrywise) -> DualAscent | None:
    return coordinate_ascent if norm.p == 2 else None


@POLYHEDRAL_BALL.offered_by(Entrywise)
def _polyhedral_ball(norm: Entrywise) -> Callable[[np.ndarray], PolyhedralBall] | None:
    return {math.inf: Box.start, 1: Budget.start}.get(norm.p)


@LINEAR_BALL.offered_by(Entrywise)
def _linear_ball(norm: Entrywise) -> Callable[[tuple[int, int]], LinearBall] | None:
    return {math.inf: box, 1: budget}.get(norm.p)


@SINGLE_FEATURES.offered_by(Entrywise)
def _single_features(norm: Entrywise) -> Callable[[np.ndarray], np.ndarray] | None:
    return (lambda A: np.abs(A).max(axis=-2)) if norm.p == 1 else None


@CONIC_PROGRAM.offered_by(Entrywise)
def _conic_program(norm: Entrywise) -> Form:
    ball = _linear_ball(norm)
    if ball is not None:
        return partial(linear_form, ball=ball)
    return quadratic_form if norm.p == 2 else partial(power_form, p=exponent_as_float(norm.p))


@EXPOSED_FACE.offered_by(Entrywise)
def _exposed_face(norm: Entrywise) -> ExposedFace | None:
    return {math.inf: MaxFace.exposed, 1: SumFace.exposed}.get(norm.p)
