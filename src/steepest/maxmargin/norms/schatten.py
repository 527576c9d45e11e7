"""What solvers know about Schatten norms; the one of p = 2 is the Frobenius norm, which needs no SVD."""

from __future__ import annotations

import math
from functools import partial

from steepest.geometry import Schatten
from steepest.geometry.vectors import exponent_as_float
from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT, DualAscent, coordinate_ascent
from steepest.maxmargin.first_order.projections import (
    BALL_PROJECTION,
    ENTRIES,
    SINGULAR_VALUES,
    BallCode,
    BallProjection,
    project_entries,
    project_singular_values,
)
from steepest.maxmargin.interior.balls import BALL_BARRIER, Ball, EntryBall, SpectralBall
from steepest.maxmargin.optima.faces import EXPOSED_FACE, ExposedFace
from steepest.maxmargin.optima.spectral_faces import NuclearFace, SpectralFace
from steepest.maxmargin.peers.clarabel import (
    CONIC_PROGRAM,
    Form,
    nuclear_form,
    quadratic_form,
    spectral_form,
)
from steepest.maxmargin.scans.splitting import DUAL_BALL


@BALL_PROJECTION.offered_by(Schatten)
def _projection(norm: Schatten) -> BallProjection:
    p = exponent_as_float(norm.p)
    if p == 2.0:
        return BallProjection(partial(project_entries, p=p), BallCode(ENTRIES, p))
    return BallProjection(partial(project_singular_values, p=p), BallCode(SINGULAR_VALUES, p))


@DUAL_BALL.offered_by(Schatten)
def _dual_projection(norm: Schatten) -> BallProjection:
    return _projection(norm.dual_norm)


@BALL_BARRIER.offered_by(Schatten)
def _barrier(norm: Schatten) -> Ball:
    return EntryBall(2.0) if norm.p == 2 else SpectralBall(exponent_as_float(norm.p))


@DUAL_ASCENT.offered_by(Schatten)
def _ascent(norm: Schatten) -> DualAscent | None:
    return coordinate_ascent if norm.p == 2 else None


@CONIC_PROGRAM.offered_by(Schatten)
def _conic_program(norm: Schatten) -> Form | None:
    return {math.inf: spectral_form, 2: quadratic_form, 1: nuclear_form}.get(norm.p)


@EXPOSED_FACE.offered_by(Schatten)
def _exposed_face(norm: Schatten) -> ExposedFace | None:
    return {math.inf: SpectralFace.exposed, 1: NuclearFace.exposed}.get(norm.p)
