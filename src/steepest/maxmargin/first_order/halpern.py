"""Max margins by a first-order method: restarted, reflected Halpern primal-dual hybrid gradient.

The saddle point max_{‖W‖ ≤ 1} min_{q ∈ simplex} ⟨A(q), W⟩ costs one product with X each way an iteration.
The iteration and its restarts follow Lu and Yang, "Restarted Halpern PDHG for linear programming"
(arXiv 2407.16144), with projections on the norm ball and the simplex in place of bounds.

Two engines take the same iterations: compiled loops for NumPy arrays (compiled.py), and the array API for
tensors on any device, and for soft margins and balls that compiled loops do not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from steepest.arrays import Array, as_numpy, namespace
from steepest.geometry import Norm
from steepest.maxmargin.first_order.projections import (
    BALL_PROJECTION,
    BallCode,
    BallProjection,
    project_capped_simplex,
    project_simplex,
)
from steepest.maxmargin.first_order.state import Data
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.forms.worst import mean_of_worst
from steepest.problem import margins_of_logits, towards_true_class

__all__ = ["first_order"]

_CHECK_EVERY, _LEAST_EVERY = 40, 4
"""Iterations between two looks at the bounds, which cost one: most, and fewest on large problems."""
_OPERATIONS_BETWEEN = 4e9
"""Operations between two looks at bounds and deadline, where problems are so large that this comes first."""
_SUFFICIENT, _NECESSARY, _LONG = 0.2, 0.8, 0.36
"""Restart where the residual has fallen to 0.2 of the first, or to 0.8 and rises again, or after 0.36 of all
iterations: the conditions and values of PDLP (Applegate et al., NeurIPS 2021)."""
_SHARE = 0.99
"""Share of the largest step sizes for which the iteration contracts."""
_POWER_ITERATIONS = 60
"""Enough for two digits of the operator's norm, of which one percent is given away anyway."""
_NOTHING = 1e-13
"""An upper bound below this, in features of size 1, is data that cannot be separated."""


def first_order(
    X: Array,
    one_hot: Array,
    norm: Norm,
    gap: float,
    deadline: Deadline = Deadline(),  # noqa: B008
    limit: int = 1_000_000,
    start: tuple[Array, Array] | None = None,
    pace: float = math.inf,
    caps: Array | None = None,
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
        caps: of soft margins, most that the dual weights of each sample may sum to, shape [n].

    Returns:
        The weights with the best lower bound and the dual weights with the best upper bound met.

    Raises:
        MissingCapability: the norm offers no projection on its unit ball.
    """
    ball = BALL_PROJECTION.required_of("norm", norm, 'method="first-order"', 'use method="auto"')
    saddle, (n, k) = _Saddle.of(X, one_hot, norm), one_hot.shape
    xp = saddle.xp
    if start is None:
        W = xp.zeros((k, X.shape[1]), dtype=X.dtype, device=X.device)
        of_sample = 1.0 / n if caps is None else (caps / xp.sum(caps))[:, None]
        q = xp.astype(~one_hot, X.dtype) * of_sample / float(k - 1)
    else:
        W, q = start
    largest = saddle.operator_norm()
    if largest == 0.0:
        return W, q, 0
    iterates = _iterates(saddle, ball, W, q, largest, caps)
    best = Best(W, q)
    work = 8.0 * n * X.shape[1] * k
    every = max(_LEAST_EVERY, min(_CHECK_EVERY, int(_OPERATIONS_BETWEEN / work)))
    total = 0
    while total < limit:
        steps = every if total else 1
        iterates.advance(steps)
        total += steps
        W, q, margin, A = iterates.now()
        # Weights are inside the ball, so that their margin is a bound; at its boundary it is the best one.
        size = float(norm(W)) if total == 1 else 1.0
        if margin > best.lower * size:
            best.take_weights(xp.asarray(W, copy=True), margin / size if size > 0 else 0.0)
        bound = float(norm.dual(A))
        if bound < best.upper:
            best.take_dual(xp.asarray(q, copy=True), bound)
        deadline.tell("first-order", total, best.relative_gap)
        behind = best.relative_gap > 10.0 ** (2.0 - total / pace)
        # A margin that stays at zero while the upper bound vanishes is data that cannot be separated.
        if best.within(gap) or best.upper <= _NOTHING or deadline.passed or behind:
            break
    return best.weights, best.dual, total


class _Iterates(Protocol):
    """The state of the iteration in one engine."""

    def advance(self, steps: int) -> None:
        """Go on by a number of iterations."""
        ...

    def now(self) -> tuple[Array, Array, float, Array]:
        """W [k, d], q [n, k], the level of W and A(q) [k, d]; valid until the next advance."""
        ...


def _iterates(
    saddle: _Saddle, ball: BallProjection, W: Array, q: Array, size: float, caps: Array | None
) -> _Iterates:
    """The engine: compiled loops where the ball has them, without caps, and the arrays are NumPy's."""
    if isinstance(saddle.X, np.ndarray) and ball.code is not None and caps is None:
        return _Compiled(saddle, ball.code, W, q, size)
    return _Generic(saddle, ball, W, q, size, caps)


@dataclass(frozen=True)
class _Saddle:
    """The bilinear form ⟨A(q), W⟩ of features X, for arrays of any library."""

    xp: Any
    X: Array
    one_hot: Array
    margins: Callable[[Array], Array]
    """Pair margins [n, k] of W, 0 at the true class."""
    pair_sum: Callable[[Array], Array]
    """A(q) [k, d] for q that is 0 at the true class."""

    @classmethod
    def of(cls, X: Array, one_hot: Array, norm: Norm) -> _Saddle:
        """The form as the solvers' pairs have it for NumPy arrays, as problems have it for tensors."""
        xp = namespace(X)
        if isinstance(X, np.ndarray):
            k = one_hot.shape[1]
            pairs = Pairs(Reduced(X, np.argmax(one_hot, axis=1), k, 1.0, None, None, norm))
            return cls(xp, X, one_hot, pairs.margins, pairs.pair_sum)
        return cls(
            xp,
            X,
            one_hot,
            lambda W: margins_of_logits(xp, X @ W.T, one_hot),
            lambda q: towards_true_class(xp, q, one_hot).T @ X,
        )

    def operator_norm(self) -> float:
        """Largest singular value of W ↦ margins, by power iteration, with one percent to spare."""
        xp = self.xp
        # Any start will do that is not orthogonal to the largest singular vector, such as one without zeros.
        rows = xp.abs(xp.sum(self.X, axis=1, keepdims=True) + 1e-3)
        W = self.pair_sum(xp.where(self.one_hot, 0.0, rows))
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


class _Compiled:
    """Compiled loops on NumPy arrays."""

    def __init__(self, saddle: _Saddle, code: BallCode, W: np.ndarray, q: np.ndarray, size: float):
        # Compiled code is slow to import and only some methods need it.
        from steepest.maxmargin.first_order import compiled

        self._compiled, self._code = compiled, code
        y = np.argmax(saddle.one_hot, axis=1)
        self.data = Data(np.ascontiguousarray(saddle.X), y, size)
        self.off = ~np.asarray(saddle.one_hot)
        self.state = compiled.first_state(
            W, q, saddle.margins(W), 1.0 / math.sqrt(max(1, int(self.off.sum())))
        )

    def advance(self, steps: int) -> None:
        """Go on by a number of iterations."""
        self._compiled.advance(self.data, self._code, self.state, steps)

    def now(self) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
        """W, q, the smallest margin and A(q)."""
        W, q, M = self.state.new
        return W, q, float(np.min(M, where=self.off, initial=math.inf)), self.state.scratch.A


class _Generic:
    """The array API: for tensors on any device, balls without compiled loops, and soft margins."""

    def __init__(
        self,
        saddle: _Saddle,
        ball: BallProjection,
        W: Array,
        q: Array,
        size: float,
        caps: Array | None = None,
    ):
        self.xp, self.one_hot, self.caps = saddle.xp, saddle.one_hot, caps
        self.saddle, self.ball, self.size = saddle, ball, size
        self.weight = 1.0 / math.sqrt(q.shape[0] * (q.shape[1] - 1))
        self.current = self.new = self.anchor = (W, q, saddle.margins(W))
        self.total = self.since = 0
        self.first_residual = self.previous = math.inf
        self.ball_guess: float | None = None
        self.threshold = -math.inf

    def advance(self, steps: int) -> None:
        """Go on by a number of iterations."""
        for _ in range(steps):
            self._iterate()

    def now(self) -> tuple[Array, Array, float, Array]:
        """W, q, the level of W and A(q)."""
        W, q, M = self.new
        lowest = self.xp.min(self.xp.where(self.one_hot, self.xp.inf, M), axis=1)
        if self.caps is None:
            return W, q, float(self.xp.min(lowest)), self.saddle.pair_sum(q)
        level = mean_of_worst(as_numpy(lowest), as_numpy(self.caps))
        return W, q, level, self.saddle.pair_sum(q)

    def _iterate(self) -> None:
        xp, (W, q, M) = self.xp, self.current
        self.new = W_new, q_new, M_new = self._step()
        residual = self._metric()
        self.total, self.since = self.total + 1, self.since + 1
        if self.since == 1:
            self.first_residual = residual
        elif (
            residual <= _SUFFICIENT * self.first_residual
            or (residual <= _NECESSARY * self.first_residual and residual > self.previous)
            or self.since >= max(_LONG * self.total, 20)
        ):
            moved_W, moved_q = _size(xp, W_new - self.anchor[0]), _size(xp, q_new - self.anchor[1])
            if moved_W > 0 and moved_q > 0:
                self.weight = math.sqrt(self.weight * moved_q / moved_W)
            self.current = self.anchor = self.new
            self.since, self.previous = 0, math.inf
            return
        self.previous = residual
        keep, back = self.since / (self.since + 1.0), 1.0 / (self.since + 1.0)
        W0, q0, M0 = self.anchor
        self.current = (
            keep * (2.0 * W_new - W) + back * W0,
            keep * (2.0 * q_new - q) + back * q0,
            keep * (2.0 * M_new - M) + back * M0,
        )

    def _step(self) -> tuple[Array, Array, Array]:
        """One step of the primal-dual hybrid gradient method."""
        xp, saddle, (W, q, M) = self.xp, self.saddle, self.current
        tau, sigma = _SHARE / (self.size * self.weight), _SHARE * self.weight / self.size
        W_new, self.ball_guess = self.ball.project(W + tau * saddle.pair_sum(q), self.ball_guess)
        M_new = saddle.margins(W_new)
        target = xp.where(self.one_hot, -xp.inf, q - sigma * (2.0 * M_new - M))
        if self.caps is None:
            q_new, self.threshold = project_simplex(target, self.threshold)
        else:
            q_new, self.threshold = project_capped_simplex(target, self.caps, self.threshold)
        return W_new, q_new, M_new

    def _metric(self) -> float:
        """Length of a step in the norm in which the method contracts, divided by sqrt(‖A‖)."""
        xp = self.xp
        dW, dq, dM = (after - before for after, before in zip(self.new, self.current, strict=True))
        squares = self.weight * float(xp.sum(dW * dW)) + float(xp.sum(dq * dq)) / self.weight
        return math.sqrt(max(0.0, squares / _SHARE + 2.0 * float(xp.sum(dq * dM)) / self.size))


def _size(xp: Any, A: Array) -> float:
    return math.sqrt(float(xp.sum(A * A)))
