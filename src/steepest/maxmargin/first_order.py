"""Max margins by a first-order method: restarted, reflected Halpern primal-dual hybrid gradient.

The saddle point max_{‖W‖ ≤ 1} min_{q ∈ simplex} ⟨A(q), W⟩ costs one product with X each way an iteration.
The iteration and its restarts follow Lu and Yang, "Restarted Halpern PDHG for linear programming"
(arXiv 2407.16144), with projections on the norm ball and the simplex in place of bounds.
"""

from __future__ import annotations

import math
from typing import Any

from steepest.arrays import Array, namespace
from steepest.geometry import Norm
from steepest.maxmargin.candidate import Deadline
from steepest.maxmargin.projections import project_ball, project_simplex

__all__ = ["first_order"]

_CHECK_EVERY = 40
_SUFFICIENT, _NECESSARY, _LONG = 0.2, 0.8, 0.36
_POWER_ITERATIONS = 60


def first_order(
    X: Array,
    one_hot: Array,
    norm: Norm,
    gap: float,
    deadline: Deadline = Deadline(),  # noqa: B008
    limit: int = 1_000_000,
    start: tuple[Array, Array] | None = None,
    pace: float = math.inf,
) -> tuple[Array, Array, int]:
    """Weights and dual weights whose relative gap is about ``gap``, and the iterations they took.

    Args:
        X: features of size about 1, shape [n, d], a NumPy array or a tensor on any device.
        one_hot: whether sample i is of class c, shape [n, k].
        norm: the norm of the ball.
        gap: relative gap (evaluated without allowances for rounding) to stop at.
        deadline: when to stop with the best so far.
        limit: most iterations.
        start: weights [k, d] and dual weights [n, k] to start from.
        pace: iterations that a digit of the gap may cost; once behind this by two digits the method gives up.

    Returns:
        The weights with the best lower bound and the dual weights with the best upper bound met.
    """
    xp = namespace(X)
    hot = xp.astype(one_hot, X.dtype)
    saddle = _Saddle(xp, X, hot, one_hot, norm)
    if start is None:
        W = xp.zeros((hot.shape[1], X.shape[1]), dtype=X.dtype, device=X.device)
        q = (1.0 - hot) / float(hot.shape[0] * (hot.shape[1] - 1))
    else:
        W, q = start
    M = saddle.margins(W)
    size = saddle.operator_norm()
    best = _Best(xp, W, q)
    if size == 0.0:
        return W, q, 0
    weight = 1.0 / math.sqrt(hot.shape[0] * (hot.shape[1] - 1))
    anchor, since, total = (W, q, M), 0, 0
    first_residual = previous = math.inf
    while total < limit:
        W_new, q_new, M_new = saddle.step(W, q, M, 0.99 / (size * weight), 0.99 * weight / size)
        if total % _CHECK_EVERY == 0:
            best.update(W_new, saddle.lower(W_new, M_new), q_new, saddle.upper(q_new))
            # A margin that stays at zero while the upper bound vanishes is data that cannot be separated.
            if best.gap <= gap or best.upper <= 1e-13 or deadline.passed:
                break
            if best.gap > 10.0 ** (2.0 - total / pace):
                break
        dW, dq, dM = W_new - W, q_new - q, M_new - M
        residual = _metric(xp, dW, dq, dM, size, weight)
        total, since = total + 1, since + 1
        if since == 1:
            first_residual = residual
        elif (
            residual <= _SUFFICIENT * first_residual
            or (residual <= _NECESSARY * first_residual and residual > previous)
            or since >= max(_LONG * total, 20)
        ):
            moved_W, moved_q = _size(xp, W_new - anchor[0]), _size(xp, q_new - anchor[1])
            if moved_W > 0 and moved_q > 0:
                weight = math.exp(0.5 * math.log(moved_q / moved_W) + 0.5 * math.log(weight))
            W, q, M = anchor = (W_new, q_new, M_new)
            since, first_residual, previous = 0, math.inf, math.inf
            continue
        previous = residual
        keep, back = since / (since + 1.0), 1.0 / (since + 1.0)
        W = keep * (W_new + dW) + back * anchor[0]
        q = keep * (q_new + dq) + back * anchor[1]
        M = keep * (M_new + dM) + back * anchor[2]
    return best.W, best.q, total


class _Saddle:
    """The bilinear form, its two projections, and what warm-starts them."""

    def __init__(self, xp: Any, X: Array, hot: Array, one_hot: Array, norm: Norm):
        self.xp, self.X, self.hot, self.one_hot, self.norm = xp, X, hot, one_hot, norm
        self.ball_guess: float | None = None
        self.threshold = -math.inf

    def margins(self, W: Array) -> Array:
        """Pair margins [n, k], 0 at the true class."""
        logits = self.X @ W.T
        return self.xp.sum(logits * self.hot, axis=1, keepdims=True) - logits

    def pair_sum(self, q: Array) -> Array:
        """A(q) [k, d] for q that is 0 at the true class."""
        return (self.hot * self.xp.sum(q, axis=1, keepdims=True) - q).T @ self.X

    def step(self, W: Array, q: Array, M: Array, tau: float, sigma: float) -> tuple[Array, Array, Array]:
        """One step of the primal-dual hybrid gradient method."""
        xp = self.xp
        W_new, self.ball_guess = project_ball(W + tau * self.pair_sum(q), self.norm, self.ball_guess)
        M_new = self.margins(W_new)
        target = xp.where(self.one_hot, -xp.inf, q - sigma * (2.0 * M_new - M))
        q_new, self.threshold = project_simplex(target, self.threshold)
        return W_new, q_new, M_new

    def lower(self, W: Array, M: Array) -> float:
        """Smallest margin / ‖W‖."""
        size = float(self.norm(W))
        return float(self.xp.min(self.xp.where(self.one_hot, self.xp.inf, M))) / size if size > 0 else 0.0

    def upper(self, q: Array) -> float:
        """‖A(q)‖_*."""
        return float(self.norm.dual(self.pair_sum(q)))

    def operator_norm(self) -> float:
        """Largest singular value of W ↦ margins, by power iteration, with one percent to spare."""
        xp = self.xp
        W = self.pair_sum((1.0 - self.hot) * xp.abs(xp.sum(self.X, axis=1, keepdims=True) + 1e-3))
        value = 0.0
        for _ in range(_POWER_ITERATIONS):
            length = _size(xp, W)
            if length == 0.0:
                break
            W = W / length
            W = self.pair_sum(self.margins(W))
            new = math.sqrt(_size(xp, W))
            if abs(new - value) <= 1e-4 * new:
                value = new
                break
            value = new
        return 1.01 * value


class _Best:
    """The best bound of each side met so far."""

    def __init__(self, xp: Any, W: Array, q: Array):
        self.xp, self.W, self.q, self.lower, self.upper = xp, W, q, -math.inf, math.inf

    def update(self, W: Array, lower: float, q: Array, upper: float) -> None:
        if lower > self.lower:
            self.W, self.lower = W, lower
        if upper < self.upper:
            self.q, self.upper = q, upper

    @property
    def gap(self) -> float:
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0


def _size(xp: Any, A: Array) -> float:
    return math.sqrt(float(xp.sum(A * A)))


def _metric(xp: Any, dW: Array, dq: Array, dM: Array, size: float, weight: float) -> float:
    """Length of a step in the norm in which the method contracts, divided by sqrt(‖A‖)."""
    squares = weight * float(xp.sum(dW * dW)) + float(xp.sum(dq * dq)) / weight
    return math.sqrt(max(0.0, squares / 0.99 + 2.0 * float(xp.sum(dq * dM)) / size))
