"""Max margins by a primal-dual interior-point method on the norm ball itself.

Path followed: κμ∇F(V) = A(q), s_ic q_ic = μ, Σq = 1 with slacks s = margins(V) - γ and F the barrier of
the ball. V = 0 with uniform q is always strictly feasible. The ball is treated as in Skajaa and Ye, "A
homogeneous interior-point algorithm for nonsymmetric convex conic optimization" (Math. Program. 150, 2015),
with second-order corrections from the same factorisation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from steepest.maxmargin.balls import ball_parameter, ball_point
from steepest.maxmargin.candidate import Candidate, Deadline
from steepest.maxmargin.newton import Newton, Point, Step
from steepest.maxmargin.reduce import Reduced, is_unitarily_invariant

__all__ = ["solve_interior_point"]

_MOST_ITERATIONS = 200
_STEPS = (
    0.9999,
    0.999,
    0.99,
    0.98,
    0.96,
    0.93,
    0.9,
    0.85,
    0.8,
    0.7,
    0.6,
    0.5,
    0.4,
    0.3,
    0.2,
    0.1,
    0.05,
    0.02,
    0.0,
)
_DAMPINGS = ((1.0, 1.0), (1.0, 0.0), (0.5, 0.0), (0.25, 0.0))
_PROXIMITY = 0.9
_SMALLEST_PRODUCT = 1e-3


def solve_interior_point(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Weights and dual weights of relative gap ``gap``, or the best met where rounding ends the path."""
    rows, columns = reduced.shape
    if is_unitarily_invariant(reduced.norm) and rows > columns:
        # Zero features make V wide, as its singular value decomposition below wants it, and cost nothing.
        features = np.pad(reduced.features, ((0, 0), (0, rows - columns)))
        wide = solve_interior_point(replace(reduced, features=features), gap, deadline)
        return replace(wide, weights=wide.weights[:, :columns])
    path = _Path(reduced)
    point = path.start()
    best_lower, best_upper = -np.inf, np.inf
    V, q = point.V, point.q
    stalled, iterations = 0, 0
    for iterations in range(_MOST_ITERATIONS):  # noqa: B007
        lower, upper = path.bounds(point)
        improved = lower > best_lower or upper < best_upper
        if lower > best_lower:
            best_lower, V = lower, point.V
        if upper < best_upper:
            best_upper, q = upper, point.q
        stalled = 0 if improved else stalled + 1
        if (
            best_upper - best_lower <= gap * best_upper
            or best_upper <= 1e-15
            or stalled > 5
            or deadline.passed
        ):
            break
        following = path.advance(point)
        if following is None:
            break
        point = following
    return Candidate(V, q, iterations, "interior point")


class _Path:
    """The central path of one problem.

    ``T`` maps weights Y of all classes but the last, which is the origin, to coordinates of the norm where
    that has k - 1 rows; entry-wise norms other than Frobenius keep all k rows.
    """

    def __init__(self, reduced: Reduced):
        self.reduced = reduced
        self.X, self.y = reduced.features, reduced.labels
        n, k = len(self.y), reduced.classes
        self.pairs = np.ones((n, k), dtype=bool)
        self.pairs[np.arange(n), self.y] = False
        self.count = n * (k - 1)
        self.T = None if reduced.mixing is None else reduced.mixing[:-1].T
        self.members = [np.nonzero(self.y == a)[0] for a in range(k)]
        self.kappa = max(1.0, 0.1 * self.count / ball_parameter(reduced))
        self.size = 1.0

    def margins(self, V: np.ndarray) -> np.ndarray:
        """Pair margins, 0 at the true class."""
        logits = self.X @ (V if self.reduced.mixing is None else self.reduced.mixing @ V).T
        return self.size * (logits[np.arange(len(self.y)), self.y][:, None] - logits)

    def towards(self, q: np.ndarray) -> np.ndarray:
        """Aᵀ in class coordinates, shape [k, c]."""
        T = -q
        T[np.arange(len(self.y)), self.y] = q.sum(axis=1)
        return self.size * (T.T @ self.X)

    def in_norm(self, A: np.ndarray) -> np.ndarray:
        """Coordinates of the norm from class coordinates."""
        return A if self.reduced.mixing is None else self.reduced.mixing.T @ A

    def start(self) -> Point:
        V = np.zeros(self.reduced.shape)
        q = np.where(self.pairs, 1.0 / self.count, 0.0)
        A = self.in_norm(self.towards(q))
        value = float(self.reduced.norm.dual(A))
        if value > 0:
            self.size, A = 1.0 / value, A / value
        ball = ball_point(self.reduced, V)
        assert ball is not None
        mu = ball.inverse_norm(A) / (0.3 * self.kappa) + 1e-12
        s = np.where(self.pairs, mu * self.count, 1.0)
        return Point(V, -mu * self.count, q, s, A, ball)

    def bounds(self, point: Point) -> tuple[float, float]:
        size = float(self.reduced.norm(point.V))
        margin = float((point.s + point.gamma)[self.pairs].min())
        return (margin / size if size > 0 else 0.0), float(self.reduced.norm.dual(point.A))

    def advance(self, point: Point) -> Point | None:
        """One predictor-corrector step, the longest that stays near the path; None where there is none."""
        mu = float(point.products.sum()) / self.count
        system = Newton(self, point, mu)
        if not system.factored:
            return None
        scale, k = self.kappa * mu, self.pairs
        gradient, none = scale * point.ball.gradient, np.zeros_like(point.V)
        centre = system.solve(
            -gradient, point.A, 1.0 - float(point.q.sum()), np.where(k, mu - point.products, 0.0)
        )
        tangent = system.solve(gradient, none, 0.0, np.where(k, -mu, 0.0))
        centre2 = system.solve(-scale * self._curl(point, centre.dv), none, 0.0, -centre.ds * centre.dq)
        tangent2 = system.solve(
            scale * (point.ball.hessian(tangent.dv) - self._curl(point, tangent.dv)),
            none,
            0.0,
            -tangent.ds * tangent.dq,
        )
        for damping, second in _DAMPINGS:
            for alpha in _STEPS:
                parts = (
                    (damping, centre),
                    (second * damping**2, centre2),
                    (alpha, tangent),
                    (second * alpha**2, tangent2),
                )
                following = self._moved(point, parts, mu)
                if following is not None:
                    return following
        return None

    def _curl(self, point: Point, d: np.ndarray) -> np.ndarray:
        """½∇³F[d, d], by a central difference of the gradient at distance 0.05 in the local norm."""
        length = float(np.sqrt(max(0.0, np.sum(d * point.ball.hessian(d)))))
        if length == 0.0:
            return np.zeros_like(d)
        h = 0.05 / length
        ahead, behind = ball_point(self.reduced, point.V + h * d), ball_point(self.reduced, point.V - h * d)
        if ahead is None or behind is None:
            return np.zeros_like(d)
        return (ahead.gradient + behind.gradient - 2.0 * point.ball.gradient) / (2.0 * h * h)

    def _moved(self, point: Point, parts: tuple[tuple[float, Step], ...], mu: float) -> Point | None:
        s, q = point.s.copy(), point.q.copy()
        for weight, step in parts:
            s += weight * step.ds
            q += weight * step.dq
        products = (s * q)[self.pairs]
        if s[self.pairs].min() <= 0 or q[self.pairs].min() <= 0:
            return None
        new_mu = float(products.mean())
        if products.min() < _SMALLEST_PRODUCT * new_mu or new_mu > 2 * mu:
            return None
        V = point.V + sum(weight * step.dv for weight, step in parts)
        ball = ball_point(self.reduced, V)
        if ball is None:
            return None
        A = point.A + sum(weight * step.dsum for weight, step in parts)
        scale = self.kappa * new_mu
        if not ball.inverse_norm(A - scale * ball.gradient) <= _PROXIMITY * scale:
            return None
        gamma = point.gamma + sum(weight * step.dgamma for weight, step in parts)
        q = q / q.sum()
        margins = self.margins(V)
        s = np.where(self.pairs, margins - gamma, 1.0)
        lowest = float(s[self.pairs].min())
        if lowest <= 0:
            return None
        return Point(V, gamma, q, s, self.in_norm(self.towards(q)), ball)
