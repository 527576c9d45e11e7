"""Max margins in the max-norm and the sum-norm: linear programs, solved by a primal-dual interior point.

Mehrotra's predictor and corrector (SIAM J. Optim. 2, 1992), on the programs as they are, whose central path
starts inside from W = 0 and equal dual weights. What the ball adds to the pairs is in balls.py.
The Newton system is the one that all interior points here share, in the space of weights or of samples,
whichever is smaller, and near a vertex in that of the few weights that are still free.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline, Pace
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.interior.balls import EntryPoint
from steepest.maxmargin.interior.newton import EXACT, ROUGH, Newton, Step, System, WeightsSystem
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL, BallChange, PolyhedralBall, directions
from steepest.maxmargin.polyhedral.sample_system import SamplesSystem
from steepest.maxmargin.polyhedral.vertex_system import VertexSystem

__all__ = ["operations", "solve_polyhedral"]

_MOST_ITERATIONS = 100
"""Far beyond the ten to thirty that problems take."""
_MOST_STALLED = 4
"""Iterations that hardly lessen the products after which only rounding is left."""
_ACCURATE, _ENOUGH = (1e-8, 1e-7), 10.0
"""What a Newton step may leave of its right-hand side, as many times the gap but within these bounds; beyond,
the path is lost in a few steps."""
_REST = 1e-3
"""What refinement may leave, as a share of that: slacks and A(q) are made of each point afresh, so that only
the products see it."""
_LARGEST_SYSTEM = 6000
"""Unknowns of a dense system: 300 MB and half a minute to factor."""
_NOTHING = 1e-15
"""An upper bound below this, with pair sums of size 1 at the start, is data that cannot be separated."""
_FEW_WEIGHTS = 300
"""Weights up to which the system of all of them is no dearer than that of the free ones, which it is less
accurate than."""
_SMALL, _ALL = 1e-6, 0.125
"""Dual weights below this share of the largest are not needed at a vertex, where the path may end; else it
goes on to this share of the gap, which gains digits and leaves few dual weights to keep."""
_SHARE = 0.995
"""Share of the way to the boundary that a step may go."""


def operations(samples: int, features: int, classes: int) -> float:
    """Floating-point operations of one iteration, in the cheaper of the two spaces."""
    return min(_in_weights(samples, features, classes), _in_samples(samples, features, classes))


def _in_weights(n: int, d: int, k: int) -> float:
    return ((k - 1.0) * d) ** 3 / 3 + 2.0 * n * k * d * d


def _in_samples(n: int, d: int, k: int) -> float:
    # With more samples than features X diag(1/h) Xᵀ is singular, and the true class adds nothing to it.
    return k * (float(n) * n * d + float(n) ** 3) if n <= d else math.inf


def solve_polyhedral(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Weights and dual weights of relative gap ``gap``, or the best met where rounding ends the path.

    Raises:
        MissingCapability: the norm's unit ball is not one of linear inequalities that are known.
    """
    start = POLYHEDRAL_BALL.required_of("norm", reduced.norm, 'method="interior-point"', 'use method="auto"')
    pairs, norm = Pairs(reduced).balanced(), reduced.norm
    point: _Point | None = _start(pairs, start)
    best = Best(point.ball.weights, point.q)
    least, stalled, iterations = math.inf, 0, 0
    pace = Pace(deadline)
    accurate = min(max(_ENOUGH * gap, _ACCURATE[0]), _ACCURATE[1])
    for iterations in range(_MOST_ITERATIONS):
        weights = point.ball.weights
        # The slacks are margins less γ.
        lowest = point.gamma + float(point.s.min(where=pairs.mask, initial=math.inf))
        best.take_weights(weights, lowest / max(float(norm(weights)), _NOTHING))
        best.take_dual(point.q, float(norm.dual(point.A)) / float(point.q.sum()))
        left = float(np.sum(point.s * point.q, where=pairs.mask)) + float(
            np.sum(point.ball.variables * point.ball.multipliers)
        )
        stalled = stalled + 1 if left > 0.9 * least else 0
        least = min(left, least)
        deadline.tell("interior point", iterations, best.relative_gap)
        reached = best.within(_ALL * gap) or (best.within(gap) and _by_few(pairs, best, gap))
        if reached or best.upper <= _NOTHING or stalled > _MOST_STALLED or not pace.allows():
            break
        following = _advance(pairs, point, accurate)
        if following is None:
            break
        point = following
    return Candidate(best.weights, best.dual, iterations, "interior point (linear program)")


def _by_few(pairs: Pairs, best: Best, gap: float) -> bool:
    """Whether the gap holds without the dual weights that are small beside the largest."""
    q = np.where(best.dual >= _SMALL * best.dual.max(), best.dual, 0.0)
    upper = float(pairs.reduced.norm.dual(pairs.pair_sum(q / float(q.sum()))))
    return upper - best.lower <= gap * upper


@dataclass(frozen=True)
class _Point:
    """A point strictly inside both programs."""

    ball: PolyhedralBall
    gamma: float
    q: np.ndarray
    s: np.ndarray
    """Slacks margins(W) - γ, shape [n, k], 1 at the true class."""
    A: np.ndarray
    system: int = 0
    """Place of the linear algebra that served last; those before it have failed on the way."""


def _start(pairs: Pairs, start: Callable[[np.ndarray], PolyhedralBall]) -> _Point:
    q = pairs.uniform
    A = pairs.pair_sum(q)
    ball = start(A)
    level = float((ball.variables * ball.multipliers).mean()) * pairs.count
    return _Point(ball, -level, q, np.where(pairs.mask, level, 1.0), A)


def _advance(pairs: Pairs, point: _Point, accurate: float) -> _Point | None:
    """One predictor-corrector step by the first system that is accurate enough, or else by the last.

    None where rounding leaves no step.
    """
    last: _Point | None = None
    for place in range(point.system, len(_systems(point.A.shape, accurate))):
        found = _step(pairs, point, place, accurate)
        if found is not None:
            last, accuracy = found
            if accuracy <= accurate:
                break
    return last


def _step(pairs: Pairs, point: _Point, place: int, accurate: float) -> tuple[_Point, float] | None:
    """The step by the system of that place and the accuracy of its solutions, or None where there is none."""
    local = EntryPoint(point.ball.hessian, point.A.shape)
    system = _systems(local.shape, accurate)[place](pairs, local, point.q, point.s)
    if system is None or not system.factored:
        return None
    ball, mask = point.ball, pairs.mask
    step_for = directions(
        ball,
        Newton(
            pairs,
            _diagonal(local),
            1.0,
            point.q,
            point.s,
            system,
            _border(local),
            incomplete=isinstance(system, VertexSystem),
        ),
    )
    products, on_ball = np.where(mask, point.s * point.q, 0.0), ball.variables * ball.multipliers
    number = pairs.count + on_ball.size
    mu = (float(products.sum()) + float(on_ball.sum())) / number
    rest = 1.0 - float(point.q.sum())
    step, change, accuracy = step_for(-products, -on_ball, point.A, rest, ROUGH)
    if accuracy > accurate and place + 1 < len(_systems(local.shape, accurate)):
        return None
    primal, dual = _lengths(point, step, change, mask, 1.0)
    left = np.sum((point.s + primal * step.ds) * (point.q + dual * step.dq), where=mask)
    left += np.sum(
        (ball.variables + primal * change.variables) * (ball.multipliers + dual * change.multipliers)
    )
    centre = mu * min(1.0, max(0.0, float(left) / (number * mu)) ** 3)
    step, change, accuracy = step_for(
        np.where(mask, centre - products - step.ds * step.dq, 0.0),
        centre - on_ball - change.variables * change.multipliers,
        point.A,
        rest,
        max(EXACT, _REST * accurate),
    )
    primal, dual = _lengths(point, step, change, mask, _SHARE)
    q = point.q + dual * step.dq
    A = pairs.pair_sum(q)
    moved = ball.moved(change, primal, dual, A)
    gamma = point.gamma + primal * step.dgamma
    s = np.where(mask, pairs.margins(moved.weights) - gamma, 1.0)
    inside = min(float(s.min()), float(moved.variables.min()), float(moved.multipliers.min()))
    if not (inside > 0.0 and float(q.min(where=mask, initial=math.inf)) > 0.0):
        return None
    return _Point(moved, gamma, q, s, A, place), accuracy


def _border(local: EntryPoint) -> tuple[float, np.ndarray] | None:
    b = local.barrier
    return (b.weight, b.u.reshape(local.shape)) if b.weight > 0.0 else None


def _diagonal(local: EntryPoint) -> EntryPoint:
    return EntryPoint(replace(local.barrier, weight=0.0), local.shape)


def _by_samples(pairs: Pairs, local: EntryPoint, q: np.ndarray, s: np.ndarray) -> System | None:
    n, (k, d) = len(q), local.shape
    return SamplesSystem(pairs, local, q, s) if _in_samples(n, d, k) < _in_weights(n, d, k) else None


def _by_vertex(pairs: Pairs, local: EntryPoint, q: np.ndarray, s: np.ndarray) -> System | None:
    return VertexSystem(pairs, local, q, s, _LARGEST_SYSTEM)


def _by_weights(pairs: Pairs, local: EntryPoint, q: np.ndarray, s: np.ndarray) -> System | None:
    small = local.shape[0] * local.shape[1] <= _LARGEST_SYSTEM
    return WeightsSystem(pairs, local, 1.0, q, s, _border(local)) if small else None


_SYSTEMS = (_by_samples, _by_vertex, _by_weights)
_SYSTEMS_OF_FEW = (_by_samples, _by_weights, _by_vertex, _by_weights)


def _systems(shape: tuple[int, int], accurate: float) -> tuple[Callable[..., System | None], ...]:
    """The kinds of linear algebra, in the order of trying."""
    few = shape[0] * shape[1] <= _FEW_WEIGHTS and accurate > _ACCURATE[0]
    return _SYSTEMS_OF_FEW if few else _SYSTEMS


def _lengths(
    point: _Point, step: Step, change: BallChange, mask: np.ndarray, share: float
) -> tuple[float, float]:
    """The longest steps up to 1 that keep primal, dual variables positive; a shorter one times ``share``."""
    # Slacks and dual weights of true classes do not move.
    primal = max(_rate(point.s, step.ds), _rate(point.ball.variables, change.variables))
    dual = max(
        _rate(np.where(mask, point.q, 1.0), step.dq), _rate(point.ball.multipliers, change.multipliers)
    )
    return (min(1.0, share / primal) if primal > 0 else 1.0), (min(1.0, share / dual) if dual > 0 else 1.0)


def _rate(values: np.ndarray, changes: np.ndarray) -> float:
    """Reciprocal of the step at which the first value reaches zero; not positive where none does."""
    return -float((changes / values).min())
