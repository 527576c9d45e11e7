"""Max margins by a primal-dual interior-point method on the norm ball itself.

Path followed: κμ∇F(V) = A(q), s_ic q_ic = μ, Σq = 1 with slacks s = margins(V) - γ and F the barrier of
the ball. V = 0 with uniform q is always strictly feasible. The ball is treated as in Skajaa and Ye, "A
homogeneous interior-point algorithm for nonsymmetric convex conic optimization" (Math. Program. 150, 2015),
with second-order corrections from the same factorisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline, Pace
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.forms.worst import within_caps
from steepest.maxmargin.interior.balls import BALL_BARRIER, Ball, Barrier, BarrierPoint
from steepest.maxmargin.interior.newton import Newton, Step, System, WeightsSystem

__all__ = ["Path", "Point", "solve_interior_point"]

_MOST_ITERATIONS = 200
"""Far beyond the twenty to sixty that problems take."""
_FALLS = 0.99
"""Share of the least μ below which an iteration has come further."""
_MOST_STALLED = 5
"""Iterations without better bounds inside after which only rounding is left."""
# fmt: off
_STEPS = (
    0.9999, 0.999, 0.99, 0.98, 0.96, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.0
)
# fmt: on
"""Shares of the way along the path, longest first: to try one costs less than another factorisation."""
_DAMPINGS = ((1.0, 1.0), (1.0, 0.0), (0.5, 0.0), (0.25, 0.0))
"""Shares of the way to the path and of the second-order corrections, fullest first."""
_PROXIMITIES = (0.9, 0.5, 0.2)
"""Distances from the path, in the local norm, that a step may end at: below 1 it can come back most times,
and the closer the more surely. A path that is lost begins anew with the next."""
_LOST, _FAR = 0.5, 1e-3
"""The relative gap from which on a path that ends was lost, where the upper bound, of size 1 at the start,
is still above the second: rounding ends one much later."""
_SMALLEST_PRODUCT = 1e-3
"""Share of μ below which no product s q may fall, so that no pair leaves the path behind."""
_AT_START = 0.3
"""Distance from the path of the start, V = 0 with equal dual weights, which sets its μ."""
_BALL_SHARE = 0.1
"""What the ball weighs beside the pairs: where these are many it would hardly count otherwise."""
_CLOSE = 1e-3
"""The gap from which on the end of the path is looked ahead to."""
_APART = 0.05
"""Distance of the central difference for third derivatives, in the local norm: its error is its square."""
_NOTHING = 1e-15
"""An upper bound below this, with pair sums of size 1 at the start, is data that cannot be separated."""


def solve_interior_point(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Weights and dual weights of relative gap ``gap``, or the best met where rounding ends the path.

    Raises:
        MissingCapability: the norm offers no barrier of its unit ball.
    """
    norm = reduced.norm
    ball = BALL_BARRIER.required_of("norm", norm, 'method="interior-point"', 'use method="auto"')
    rows, columns = reduced.shape
    if ball.wide and rows > columns:
        # Zero features make V wide, as its singular value decomposition below wants it, and cost nothing.
        features = np.pad(reduced.features, ((0, 0), (0, rows - columns)))
        wide = _followed(replace(reduced, features=features), ball, gap, deadline)
        return replace(wide, weights=wide.weights[:, :columns])
    return _followed(reduced, ball, gap, deadline)


def _followed(reduced: Reduced, ball: Ball, gap: float, deadline: Deadline) -> Candidate:
    """The end of the central path, which is followed more closely where it is lost."""
    path = Path.of(Pairs(reduced).balanced(), ball, WeightsSystem)
    first = path.start()
    best, iterations = Best(first.V, first.q), 0
    for proximity in _PROXIMITIES:
        iterations += _follow(replace(path, proximity=proximity), first, best, gap, deadline)
        if best.relative_gap < _LOST or best.upper < _FAR or deadline.passed:
            break
    return Candidate(best.weights, best.dual, iterations, "interior point")


def _follow(path: Path, first: Point, best: Best, gap: float, deadline: Deadline) -> int:
    """Follow a path from its first point, keep the best met, and return the number of iterations."""
    point: Point | None = first
    inside, stalled, least, iterations = Best(point.V, point.q), 0, np.inf, 0
    pace = Pace(deadline)
    for iterations in range(_MOST_ITERATIONS):
        lower, upper = path.consider(best, point.V, point.q)
        # Progress is that of points inside: their ends run ahead of them, and not evenly.
        improved = [inside.take_weights(point.V, lower), inside.take_dual(point.q, upper)]
        # Far from the end free weights in a large ball hold both bounds back while the path goes on.
        mu, far = float(point.products.mean()), inside.relative_gap >= _LOST and inside.upper >= _FAR
        stalled = 0 if any(improved) or (far and mu < _FALLS * least) else stalled + 1
        least = min(least, mu)
        deadline.tell("interior point", iterations, best.relative_gap)
        if best.within(gap) or best.upper <= _NOTHING or stalled > _MOST_STALLED or not pace.allows():
            break
        directions = path.directions(point)
        if directions is None:
            break
        if upper - lower <= _CLOSE * upper:
            path.consider(best, *directions.end(point))
            if best.within(gap):
                break
        point = path.follow(point, directions)
        if point is None:
            break
    return iterations


@dataclass(frozen=True)
class Point:
    """An interior point: weights, margin level γ, dual weights, slacks, the pair sum A(q), and the ball."""

    V: np.ndarray
    gamma: float
    q: np.ndarray
    s: np.ndarray
    A: np.ndarray
    ball: BarrierPoint

    @property
    def products(self) -> np.ndarray:
        """S ∘ q, shape [n, k]."""
        return self.s * self.q


@dataclass(frozen=True)
class _Directions:
    """Steps to the central path and along it to μ = 0, each with its second-order correction."""

    mu: float
    centre: Step
    centre2: Step
    tangent: Step
    tangent2: Step

    def parts(self, damping: float, alpha: float, second: float) -> tuple[tuple[float, Step], ...]:
        """The steps with their weights, for shares of the way to the path and along it."""
        return (
            (damping, self.centre),
            (second * damping**2, self.centre2),
            (alpha, self.tangent),
            (second * alpha**2, self.tangent2),
        )

    def end(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """V and q where the path is expected to end, at μ = 0: more accurate than any point inside."""
        V, q = point.V, point.q
        for weight, step in self.parts(1.0, 1.0, 1.0):
            V, q = V + weight * step.dv, q + weight * step.dq
        return V, np.maximum(q, 0.0)


@dataclass(frozen=True)
class Path:
    """The central path of one problem; κ weighs the barrier of the ball against those of the pairs."""

    pairs: Any
    """:class:`Pairs`, or what has their margins and pair sums."""
    ball: Barrier
    system: Callable[[Any, Any, float, np.ndarray, np.ndarray], System]
    """The Newton system of pairs at a point of the ball, for a weight of its Hessian, q and slacks."""
    kappa: float
    proximity: float = _PROXIMITIES[0]
    """Distance from the path, in the local norm, that a step may end at."""

    @classmethod
    def of(cls, pairs: Any, ball: Barrier, system: Callable[..., System]) -> Path:
        """The path of pairs in a ball."""
        share = _BALL_SHARE * pairs.count / ball.parameter(pairs.reduced.shape)
        return cls(pairs, ball, system, max(1.0, share))

    def consider(self, best: Best, V: np.ndarray, q: np.ndarray) -> tuple[float, float]:
        """Keep what is better of V and q, and return the bounds of the two."""
        q = np.where(self.pairs.mask, q, 0.0)
        total = float(q.sum())
        if not total > 0.0:
            return -np.inf, np.inf
        q, caps = q / total, self.pairs.reduced.caps
        if caps is not None:
            q = within_caps(q, self.pairs.y, caps)
        lower, upper = self.pairs.bounds(V, self.pairs.pair_sum(q))
        best.take_weights(V, lower)
        best.take_dual(q, upper)
        return lower, upper

    def start(self) -> Point:
        """The point of no weights and equal dual weights."""
        pairs = self.pairs
        V = np.zeros(pairs.reduced.shape)
        A = pairs.pair_sum(pairs.uniform)
        ball = self.ball.at(V)
        assert ball is not None
        # With a floor, for data whose equal dual weights happen to be optimal already.
        mu = ball.inverse_norm(A) / (_AT_START * self.kappa) + 1e-12
        return Point(V, -mu * self._size, *self._slots_at_start(mu), A, ball)

    @property
    def _size(self) -> float:
        """One over the mean dual weight of pairs."""
        return float(self.pairs.mask.sum())

    def _slots_at_start(self, mu: float) -> tuple[np.ndarray, np.ndarray]:
        """Dual weights and slacks of all slots, of products of about μ."""
        pairs, q = self.pairs, self.pairs.uniform.copy()
        below = mu * self._size
        if pairs.reduced.caps is None:
            return q, np.where(pairs.mask, below, 1.0)
        left = pairs.reduced.caps - q.sum(axis=1)
        levels = (mu / left)[:, None]
        q[pairs.index, pairs.y] = left
        return q, np.where(pairs.mask, below + levels, levels)

    def directions(self, point: Point) -> _Directions | None:
        """What leads to the path and along it, to second order; None where the system has no factors."""
        mu = float(point.products.sum()) / self.pairs.count
        scale, k = self.kappa * mu, self.pairs.slots
        matrix = self.system(self.pairs, point.ball, scale, point.q, point.s)
        if not matrix.factored:
            return None
        system = Newton(self.pairs, point.ball, scale, point.q, point.s, matrix)
        gradient, none = scale * point.ball.gradient, np.zeros_like(point.V)
        centre, _ = system.solve(
            -gradient,
            point.A,
            1.0 - float(point.q.sum(where=self.pairs.mask)),
            np.where(k, mu - point.products, 0.0),
        )
        tangent, _ = system.solve(gradient, none, 0.0, np.where(k, -mu, 0.0))
        centre2, _ = system.solve(-scale * self._curl(point, centre.dv), none, 0.0, -centre.ds * centre.dq)
        tangent2, _ = system.solve(
            scale * (point.ball.hessian(tangent.dv) - self._curl(point, tangent.dv)),
            none,
            0.0,
            -tangent.ds * tangent.dq,
        )
        return _Directions(mu, centre, centre2, tangent, tangent2)

    def follow(self, point: Point, directions: _Directions) -> Point | None:
        """The longest step that stays near the path; None where there is none."""
        for damping, second in _DAMPINGS:
            for alpha in _STEPS:
                following = self._moved(point, directions.parts(damping, alpha, second), directions.mu)
                if following is not None:
                    return following
        return None

    def centred(self, point: Point, directions: _Directions) -> Point | None:
        """The point after a whole step to the path and none along it, or None."""
        return self._moved(point, directions.parts(1.0, 0.0, 1.0), directions.mu)

    def _curl(self, point: Point, d: np.ndarray) -> np.ndarray:
        """½∇³F[d, d], by a central difference of the gradient in the local norm."""
        length = float(np.sqrt(max(0.0, np.sum(d * point.ball.hessian(d)))))
        if length == 0.0:
            return np.zeros_like(d)
        h = _APART / length
        ahead, behind = self.ball.at(point.V + h * d), self.ball.at(point.V - h * d)
        if ahead is None or behind is None:
            return np.zeros_like(d)
        return (ahead.gradient + behind.gradient - 2.0 * point.ball.gradient) / (2.0 * h * h)

    def _moved(self, point: Point, parts: tuple[tuple[float, Step], ...], mu: float) -> Point | None:
        s, q = point.s.copy(), point.q.copy()
        for weight, step in parts:
            s += weight * step.ds
            q += weight * step.dq
        mask, slots = self.pairs.mask, self.pairs.slots
        products = (s * q)[slots]
        if s[slots].min() <= 0 or q[slots].min() <= 0:
            return None
        new_mu = float(products.mean())
        if products.min() < _SMALLEST_PRODUCT * new_mu or new_mu > 2 * mu:
            return None
        V = point.V + sum(weight * step.dv for weight, step in parts)
        ball = self.ball.at(V)
        if ball is None:
            return None
        A = point.A + sum(weight * step.dsum for weight, step in parts)
        scale = self.kappa * new_mu
        if not ball.inverse_norm(A - scale * ball.gradient) <= self.proximity * scale:
            return None
        gamma = point.gamma + sum(weight * step.dgamma for weight, step in parts)
        margins = self.pairs.margins(V) - gamma
        if self.pairs.reduced.caps is None:
            q, s = q / q.sum(), np.where(mask, margins, 1.0)
        else:
            levels = s[self.pairs.index, self.pairs.y][:, None]
            s = np.where(mask, margins + levels, levels)
        if s.min() <= 0:
            return None
        return Point(V, gamma, q, s, self.pairs.pair_sum(np.where(mask, q, 0.0)), ball)
