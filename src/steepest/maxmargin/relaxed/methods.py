"""Methods for relaxed max margins in turn: what each proposes for a prepared problem, not certified yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from steepest.geometry import Norm
from steepest.maxmargin.first_order.halpern import first_order
from steepest.maxmargin.first_order.projections import BALL_PROJECTION
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.interior.central_path import solve_interior_point
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL
from steepest.maxmargin.polyhedral.predictor_corrector import solve_polyhedral
from steepest.maxmargin.relaxed.all_at_caps import only_dual
from steepest.maxmargin.relaxed.band import Band, joined_columns
from steepest.maxmargin.relaxed.beside import Beside
from steepest.maxmargin.relaxed.cuts import solve_relaxed_by_cuts
from steepest.maxmargin.relaxed.near_samples import by_near_samples
from steepest.maxmargin.relaxed.point import Point, point_near
from steepest.maxmargin.relaxed.prepared import Prepared
from steepest.maxmargin.relaxed.proposal import Proposal
from steepest.maxmargin.relaxed.split import serves, solve_band
from steepest.maxmargin.scans.saddle import is_box
from steepest.maxmargin.scans.working_set import row_squares

__all__ = ["proposed"]

Solver = Callable[[Reduced, float, Deadline], Candidate]

_RADIUS = 100.0
"""Size of the ball of free weights, for features of size 1 in a problem of size 1."""
_WIDER, _REACHED, _WIDEST = 100.0, 0.1, 1e8
"""By what the ball grows where free weights come to this share of its radius, and its largest radius."""
_OF_GAP = 0.1
"""Share of the gap that a linear program is solved to, whose dual weights are balanced afterwards."""
_OF_BUDGET = 3e-8
"""Gap down to which one with a budget comes, as in the sum-norm: on the digits it ends at 1.4e-8."""
_LARGEST_SYSTEM = 3000
"""Unknowns of a Newton system that is formed for all pairs of classes: some seconds an iteration."""
_COSTLY = 2e9
"""Operations of a Newton system, a tenth of a second, from which on an ascent goes first: of many samples few
matter."""
_MOST_ITERATIONS = 200_000
_PACE, _PACE_OF_REST, _PACE_OF_LARGE = 160.0, 600.0, 2500.0
"""Iterations that a digit of the gap may cost before an interior point, after it, and where there is none."""
_MOST_PAIRS = 3000
"""Pairs of a linear program over directions that takes a fraction of a second."""


def proposed(
    prepared: Prepared,
    norm: Norm,
    gap: float,
    method: str,
    deadline: Deadline,
    start: Proposal | None = None,
) -> Iterator[Proposal]:
    """Methods in turn; of "auto" those that the norm and the size of the problem allow.

    Among the samples near the level of a start, where there is one. An ascent where the problem is large, an
    interior point where its system is small enough, cuts where pairs are few or no projection is known,
    first-order steps where a projection is known and no interior point.

    ``start`` has weights of penalised and of free features, not levelled, of a problem alike.
    """
    only = only_dual(prepared.reduced.labels, prepared.reduced.classes, prepared.reduced.caps)
    if only is not None:
        yield _of_only_dual(prepared, norm, only)
    rows = prepared.reduced.classes - 1
    columns = prepared.reduced.features.shape[1] + prepared.mixed.shape[1]
    barrier, projection = BALL_BARRIER.of(norm) is not None, BALL_PROJECTION.of(norm) is not None
    if method == "scans":
        yield from _by_ascent(prepared, norm, gap, deadline, start, _PACE_OF_LARGE)
        return
    small = len(prepared.reduced.labels) * rows <= _MOST_PAIRS
    inside = barrier and rows * columns <= _LARGEST_SYSTEM
    large = not (small or inside)
    costly = len(prepared.reduced.labels) * (rows * columns) ** 2 > _COSTLY
    near = method == "auto" and inside and not costly and start is not None
    # Where an interior point is quick, gradient steps in polyhedral norms take longer from anywhere.
    goes_on = start is not None and not (near and LINEAR_BALL.of(norm) is not None)
    if method == "auto" and serves(norm) and (large or costly or goes_on):
        pace = _PACE_OF_LARGE if large else _PACE_OF_REST if costly else _PACE
        yield from _by_ascent(prepared, norm, gap, deadline, start, pace)
    if near and start is not None:
        yield from by_near_samples(
            prepared, lambda part: _by_interior_point(part, norm, gap, deadline), deadline, start
        )
    if method == "interior-point":
        BALL_BARRIER.required_of("norm", norm, 'method="interior-point"', 'use method="auto"')
    if method == "interior-point" or (method == "auto" and inside):
        yield from _by_interior_point(prepared, norm, gap, deadline)
        if method == "auto" and serves(norm):
            # Near the largest ν caps leave an interior point no room, which an ascent does without.
            yield from _by_ascent(prepared, norm, gap, deadline, start, _PACE_OF_REST)
    elif method == "auto" and projection and small:
        yield from _by_first_order(prepared, norm, gap, deadline, _PACE)
    if method == "cutting-planes" or (method == "auto" and (small or not projection)):
        yield _back(prepared, solve_relaxed_by_cuts(prepared, gap, deadline), 1.0)
    if method == "first-order" or (method == "auto" and projection and not inside):
        yield from _by_first_order(prepared, norm, gap, deadline)


def _of_only_dual(prepared: Prepared, norm: Norm, q: np.ndarray) -> Proposal:
    """The weights that dual weights without a choice lead to."""
    level, labels = prepared.level, prepared.reduced.labels
    W = np.asarray(norm.direction(towards(q, labels).T @ level.features), dtype=float)
    free = np.zeros((len(W), level.free.shape[1]))
    return Proposal(W, free, q, 1, "direction of the caps")


def _point_of(prepared: Prepared, band: Band, scale: float, start: Proposal | None) -> Point | None:
    """Where an ascent starts from, in its features."""
    if start is None or not start.weights.any() or not start.dual.any():
        return None
    mixed = prepared.mixed_weights(start.weights, start.free) * (prepared.reduced.scale / scale)
    weights = np.concatenate([start.weights, mixed], axis=1)
    return point_near(band, weights, start.dual)


def _by_ascent(
    prepared: Prepared, norm: Norm, gap: float, deadline: Deadline, start: Proposal | None, pace: float
) -> Iterator[Proposal]:
    """In all classes and features, by ascent in the dual among the samples that matter."""
    level, reduced = prepared.level, prepared.reduced
    c, k = level.features.shape[1], reduced.classes
    scale = float(np.sqrt(np.mean(row_squares(level.features)))) or 1.0
    caps = np.full(len(reduced.labels), np.inf) if reduced.caps is None else reduced.caps
    features = joined_columns(level.features / scale, prepared.mixed)
    band = Band(features, reduced.labels, k, c, caps, np.zeros((k, features.shape[1])))
    for point in solve_band(band, norm, gap, deadline, _point_of(prepared, band, scale, start), pace):
        free = prepared.of_free(point.weights[:, c:] * (scale / reduced.scale))
        yield Proposal(point.weights[:, :c], free, point.dual, point.steps, "ascent in capped dual weights")


def _back(prepared: Prepared, found: Candidate, radius: float) -> Proposal:
    return Proposal(*prepared.weights(found.weights, radius), found.dual, found.iterations, found.method)


def _by_interior_point(prepared: Prepared, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Proposal]:
    linear = prepared.reduced.caps is None and POLYHEDRAL_BALL.of(norm) is not None
    if linear and (gap >= _OF_BUDGET or is_box(norm)):
        # Half as many steps as from the centre of the ball, in a system of what is still free.
        yield from _within_balls(prepared, norm, solve_polyhedral, _OF_GAP * gap, deadline)
    if deadline.passed:
        return
    yield from _within_balls(prepared, norm, solve_interior_point, gap, deadline)


def _within_balls(
    prepared: Prepared, norm: Norm, solve: Solver, gap: float, deadline: Deadline
) -> Iterator[Proposal]:
    """With free weights in larger and larger balls."""
    radius = _RADIUS
    while True:
        found = solve(prepared.beside(radius, norm), gap, deadline)
        yield _back(prepared, found, radius)
        free = found.weights[:, found.weights.shape[1] - prepared.mixed.shape[1] :]
        if float(np.linalg.norm(free)) < _REACHED or radius >= _WIDEST or deadline.passed:
            return
        radius *= _WIDER


def _by_first_order(
    prepared: Prepared, norm: Norm, gap: float, deadline: Deadline, pace: float = np.inf
) -> Iterator[Proposal]:
    """In all classes and features, where projections are known."""
    level, reduced = prepared.level, prepared.reduced
    X = np.concatenate([level.features / reduced.scale, prepared.mixed], axis=1)
    ball = Beside(norm, level.features.shape[1], _RADIUS) if prepared.mixed.shape[1] else norm
    one_hot = reduced.labels[:, None] == np.arange(reduced.classes)
    W, q, iterations = first_order(
        X, one_hot, ball, gap, deadline, _MOST_ITERATIONS, pace=pace, caps=reduced.caps
    )
    c = level.features.shape[1]
    yield Proposal(
        W[:, :c], prepared.of_free(W[:, c:]), q, iterations, "first-order (restarted Halpern PDHG)"
    )
