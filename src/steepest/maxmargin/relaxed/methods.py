"""Methods for relaxed max margins in turn: what each proposes for a prepared problem, not certified yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from steepest.geometry import Norm
from steepest.maxmargin.column_generation import solve_by_columns
from steepest.maxmargin.first_order.halpern import first_order
from steepest.maxmargin.first_order.projections import BALL_PROJECTION
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.peers.clarabel import solve_conic_program
from steepest.maxmargin.peers.highs import solve_linear_program
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.relaxed.all_at_caps import only_dual
from steepest.maxmargin.relaxed.band import Band, band_of
from steepest.maxmargin.relaxed.beside import Beside
from steepest.maxmargin.relaxed.cuts import solve_relaxed_by_cuts
from steepest.maxmargin.relaxed.inside import RADIUS, solve_inside
from steepest.maxmargin.relaxed.near_samples import by_near_samples
from steepest.maxmargin.relaxed.point import Point, point_near
from steepest.maxmargin.relaxed.prepared import Prepared
from steepest.maxmargin.relaxed.proposal import Proposal
from steepest.maxmargin.relaxed.rows import solve_relaxed_by_rows
from steepest.maxmargin.relaxed.split import serves, solve_band

__all__ = ["proposed"]

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
_ON_REDUCED: dict[str, Callable[[Reduced, float, Deadline], Candidate]] = {
    "column-generation": solve_by_columns,
    "conic-program": solve_conic_program,
    "linear-program": solve_linear_program,
}
"""Methods that take free features and caps as the reduced problem has them."""


def proposed(
    prepared: Prepared,
    norm: Norm,
    gap: float,
    method: str,
    deadline: Deadline,
    start: Proposal | None = None,
) -> Iterator[Proposal]:
    """The method of that name, or of "auto" in turn those that the norm and the size of the problem allow.

    ``start`` has weights of penalised and of free features, not levelled, of a problem alike.
    """
    only = only_dual(prepared.reduced.labels, prepared.reduced.classes, prepared.reduced.caps)
    if only is not None:
        yield _of_only_dual(prepared, norm, only)
    if method == "auto":
        yield from _in_turn(prepared, norm, gap, deadline, start)
    elif method == "scans":
        yield from _by_ascent(prepared, norm, gap, deadline, start, _PACE_OF_LARGE)
    elif method == "interior-point":
        yield from _by_interior_point(prepared, gap, deadline)
    elif method == "first-order":
        yield from _by_first_order(prepared, norm, gap, deadline)
    elif method == "row-generation":
        # Its weights are those of the features that are only levelled.
        found = solve_relaxed_by_rows(prepared, gap, deadline)
        yield _proposal(prepared, found, found.weights)
    elif method == "cutting-planes":
        yield _back(prepared, solve_relaxed_by_cuts(prepared, gap, deadline))
    else:
        yield _back(prepared, _ON_REDUCED[method](prepared.reduced, gap, deadline))


def _in_turn(
    prepared: Prepared, norm: Norm, gap: float, deadline: Deadline, start: Proposal | None
) -> Iterator[Proposal]:
    """Methods in turn.

    Among the samples near the level of a start, where there is one. An ascent where the problem is large, an
    interior point where its system is small enough, cuts where pairs are few or no projection is known,
    first-order steps where a projection is known and no interior point.
    """
    rows = prepared.reduced.classes - 1
    columns = prepared.reduced.features.shape[1] + prepared.mixed.shape[1]
    barrier, projection = BALL_BARRIER.of(norm) is not None, BALL_PROJECTION.of(norm) is not None
    small = len(prepared.reduced.labels) * rows <= _MOST_PAIRS
    inside = barrier and rows * columns <= _LARGEST_SYSTEM
    large = not (small or inside)
    costly = len(prepared.reduced.labels) * (rows * columns) ** 2 > _COSTLY
    near = inside and not costly and start is not None
    # Where an interior point is quick, gradient steps in polyhedral norms take longer from anywhere.
    goes_on = start is not None and not (near and LINEAR_BALL.of(norm) is not None)
    if serves(norm) and (large or costly or goes_on):
        pace = _PACE_OF_LARGE if large else _PACE_OF_REST if costly else _PACE
        yield from _by_ascent(prepared, norm, gap, deadline, start, pace)
    if near and start is not None:
        yield from by_near_samples(
            prepared, lambda part: _by_interior_point(part, gap, deadline), deadline, start
        )
    if inside:
        yield from _by_interior_point(prepared, gap, deadline)
        if serves(norm):
            # Near the largest ν caps leave an interior point no room, which an ascent does without.
            yield from _by_ascent(prepared, norm, gap, deadline, start, _PACE_OF_REST)
    elif projection and small:
        yield from _by_first_order(prepared, norm, gap, deadline, _PACE)
    if small or not projection:
        yield _back(prepared, solve_relaxed_by_cuts(prepared, gap, deadline))
    if projection and not inside:
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
    reduced, c = prepared.reduced, prepared.level.features.shape[1]
    band, scale = band_of(replace(prepared.whole, free=reduced.free))
    for point in solve_band(band, norm, gap, deadline, _point_of(prepared, band, scale, start), pace):
        free = prepared.of_free(point.weights[:, c:] * (scale / reduced.scale))
        yield Proposal(point.weights[:, :c], free, point.dual, point.steps, "ascent in capped dual weights")


def _back(prepared: Prepared, found: Candidate) -> Proposal:
    """What a method found in the reduced problem."""
    return _proposal(prepared, found, prepared.reduced.weights(found.weights))


def _proposal(prepared: Prepared, found: Candidate, weights: np.ndarray) -> Proposal:
    free = np.zeros((len(weights), 0)) if found.free is None else found.free
    return Proposal(weights, prepared.of_free(free), found.dual, found.iterations, found.method)


def _by_interior_point(prepared: Prepared, gap: float, deadline: Deadline) -> Iterator[Proposal]:
    for found in solve_inside(prepared.reduced, gap, deadline):
        yield _back(prepared, found)


def _by_first_order(
    prepared: Prepared, norm: Norm, gap: float, deadline: Deadline, pace: float = np.inf
) -> Iterator[Proposal]:
    """In all classes and features, where projections are known."""
    level, reduced = prepared.level, prepared.reduced
    X = np.concatenate([level.features / reduced.scale, prepared.mixed], axis=1)
    ball = Beside(norm, level.features.shape[1], RADIUS) if prepared.mixed.shape[1] else norm
    one_hot = reduced.labels[:, None] == np.arange(reduced.classes)
    W, q, iterations = first_order(
        X, one_hot, ball, gap, deadline, _MOST_ITERATIONS, pace=pace, caps=reduced.caps
    )
    c = level.features.shape[1]
    yield Proposal(
        W[:, :c], prepared.of_free(W[:, c:]), q, iterations, "first-order (restarted Halpern PDHG)"
    )
