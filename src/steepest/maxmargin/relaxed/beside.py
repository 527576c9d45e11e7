"""The norm of weights of which some are free: beside those that the norm measures, others in a large ball.

Where the large ball does not matter at the optimum, the max margin is that with free weights. Its dual norm,
‖A_V‖_* + radius ‖A_F‖, is an exact penalty for the equation A_F(q) = 0 that free weights bring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from steepest.arrays import Array, namespace
from steepest.geometry import Norm
from steepest.maxmargin.first_order.projections import BALL_PROJECTION, BallProjection
from steepest.maxmargin.interior.balls import BALL_BARRIER, Ball, BallPoint, EntryBall, EntryPoint, Solve
from steepest.maxmargin.interior.barriers import BallBarrier, hessian
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL, BallChange, Box, PolyhedralBall

__all__ = ["Beside"]


@dataclass(frozen=True)
class Beside:
    """‖[V F]‖ = max(‖V‖, ‖F‖_F / radius), V the first columns.

    >>> import steepest as st
    >>> norm = Beside(st.norm("max"), 2, 10.0)
    >>> float(norm(np.array([[3.0, -4.0, 50.0]]))), float(norm.dual(np.array([[3.0, -4.0, 50.0]])))
    (5.0, 507.0)
    """

    norm: Norm
    columns: int
    radius: float = 1.0
    anchored: bool = False
    """Whether the free weights of the last class are zero, which no margin notices."""

    def __call__(self, A: Array) -> Array:
        """Return the norm of matrices [..., r, c] as [...]."""
        xp = namespace(A)
        return xp.maximum(self.norm(A[..., : self.columns]), self._length(self._free(A)) / self.radius)

    def dual(self, A: Array) -> Array:
        """Return the dual norm of matrices [..., r, c] as [...]."""
        return self.norm.dual(A[..., : self.columns]) + self.radius * self._length(self._free(A))

    def direction(self, S: Array) -> Array:
        """Return the direction of matrices [..., r, c]: both directions side by side."""
        xp, free = namespace(S), S[..., self.columns :]
        if self.anchored:
            free = xp.concat([free[..., :-1, :], xp.zeros_like(free[..., -1:, :])], axis=-2)
        length = self._length(free)[..., None, None]
        unit = xp.where(length > 0, free / xp.where(length > 0, length, 1.0), 0.0)
        return xp.concat([self.norm.direction(S[..., : self.columns]), self.radius * unit], axis=-1)

    def _free(self, A: Array) -> Array:
        free = A[..., self.columns :]
        return free[..., :-1, :] if self.anchored else free

    def _length(self, F: Array) -> Array:
        xp: Any = namespace(F)
        return xp.sqrt(xp.sum(F * F, axis=(-2, -1)))

    def __str__(self) -> str:
        return f"{self.norm} beside free weights"


@BALL_PROJECTION.offered_by(Beside)
def _projection(norm: Beside) -> BallProjection | None:
    inner = BALL_PROJECTION.of(norm.norm)
    if inner is None or norm.anchored:
        return None

    def project(V: Array, guess: float | None) -> tuple[Array, float | None]:
        xp, free = namespace(V), V[:, norm.columns :]
        near, guess = inner.project(V[:, : norm.columns], guess)
        length = float(xp.sqrt(xp.sum(free * free)))
        shrunk = free * (norm.radius / length) if length > norm.radius else free
        return xp.concat([near, shrunk], axis=1), guess

    return BallProjection(project)


@BALL_BARRIER.offered_by(Beside)
def _barrier(norm: Beside) -> Ball | None:
    inner = BALL_BARRIER.of(norm.norm)
    return None if inner is None else _BesideBall(inner, norm.columns, norm.anchored)


@POLYHEDRAL_BALL.offered_by(Beside)
def _polyhedral(norm: Beside) -> Callable[[np.ndarray], PolyhedralBall] | None:
    inner = POLYHEDRAL_BALL.of(norm.norm)
    return None if inner is None else partial(_BesidePolyhedron.start, inner, norm.columns)


@dataclass(frozen=True)
class _BesidePolyhedron:
    """A polyhedral ball beside a box, in which free weights are: variables and multipliers side by side."""

    first: PolyhedralBall
    second: Box
    columns: int

    @classmethod
    def start(
        cls, inner: Callable[[np.ndarray], PolyhedralBall], columns: int, A: np.ndarray
    ) -> _BesidePolyhedron:
        """W = 0. The products of the box are as large as those of the ball in the mean."""
        first = inner(np.ascontiguousarray(A[:, :columns]))
        free = A[:, columns:]
        least = float((first.variables * first.multipliers).mean())
        multipliers = np.stack([np.maximum(free, 0.0), np.maximum(-free, 0.0)]) + least
        return cls(first, Box(np.ones((2, *free.shape)), multipliers), columns)

    @property
    def variables(self) -> np.ndarray:
        """Primal variables, shape [2, k, d]."""
        return np.concatenate([self.first.variables, self.second.variables], axis=2)

    @property
    def multipliers(self) -> np.ndarray:
        """Dual variables, shape [2, k, d]."""
        return np.concatenate([self.first.multipliers, self.second.multipliers], axis=2)

    @property
    def weights(self) -> np.ndarray:
        """The weights, shape [k, d]."""
        return np.concatenate([self.first.weights, self.second.weights], axis=1)

    @property
    def hessian(self) -> BallBarrier:
        """The first one's, and the diagonal of the box."""
        k = len(self.first.weights)
        first, second = self.first.hessian, self.second.hessian
        curvature = np.concatenate([each.curvature.reshape(k, -1) for each in (first, second)], axis=1)
        border = np.zeros_like(curvature)
        border[:, : self.columns] = first.u.reshape(k, -1)
        return hessian(curvature.ravel(), first.weight, border.ravel())

    def right_side(self, products: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Both right-hand sides; the border is that of the first."""
        c = self.columns
        first, pull, along = self.first.right_side(products[..., :c], A[:, :c])
        second, kept, _ = self.second.right_side(products[..., c:], A[:, c:])
        return np.concatenate([first, second], axis=1), np.concatenate([pull, kept], axis=1), along

    def change(self, products: np.ndarray, dv: np.ndarray, dsum: np.ndarray) -> BallChange:
        """Both changes."""
        c = self.columns
        first = self.first.change(products[..., :c], dv[:, :c], dsum[:, :c])
        second = self.second.change(products[..., c:], dv[:, c:], dsum[:, c:])
        variables = np.concatenate([first.variables, second.variables], axis=2)
        return BallChange(
            variables, np.concatenate([first.multipliers, second.multipliers], axis=2), first.dt
        )

    def moved(self, change: BallChange, primal: float, dual: float, A: np.ndarray) -> _BesidePolyhedron:
        """Both after steps of two lengths."""
        c = self.columns
        first, second = (
            BallChange(change.variables[..., own], change.multipliers[..., own], change.dt)
            for own in (slice(0, c), slice(c, None))
        )
        return _BesidePolyhedron(
            self.first.moved(first, primal, dual, A[:, :c]),
            self.second.moved(second, primal, dual, A[:, c:]),
            c,
        )


@dataclass(frozen=True)
class _BesideBall:
    """The product of a unit ball and a Euclidean one."""

    first: Ball
    columns: int
    anchored: bool
    wide = False

    def parameter(self, shape: tuple[int, int]) -> float:
        """The sum of both parameters."""
        return self.first.parameter((shape[0], self.columns)) + 1.0

    def at(self, V: np.ndarray) -> _BesidePoint | None:
        """The barrier at V, or None outside of one of the balls."""
        free = V[:, self.columns :]
        first = self.first.at(np.ascontiguousarray(V[:, : self.columns]))
        second = EntryBall(2.0).at(free[:-1] if self.anchored else free)
        return None if first is None or second is None else _BesidePoint(first, second, self.columns)


@dataclass(frozen=True)
class _BesidePoint:
    """The barrier at a point of the product: a sum, of which each part sees its own columns."""

    first: BallPoint
    second: EntryPoint
    columns: int

    @property
    def gradient(self) -> np.ndarray:
        """Gradient of the barrier, shape [r, c]."""
        first = self.first.gradient
        return self._joined(first, self.second.gradient)

    def hessian(self, E: np.ndarray) -> np.ndarray:
        """Hessian times a direction."""
        first, second = self._parts(E)
        return self._joined(self.first.hessian(first), self.second.hessian(second))

    def inverse_norm(self, G: np.ndarray) -> float:
        """Length of a gradient in the inverse of the Hessian."""
        first, second = self._parts(G)
        return float(np.hypot(self.first.inverse_norm(first), self.second.inverse_norm(second)))

    def whitened(self, G: np.ndarray) -> np.ndarray:
        """A gradient whose length is about that in the inverse Hessian, flat."""
        first, second = self._parts(G)
        return np.concatenate([self.first.whitened(first).ravel(), self.second.whitened(second).ravel()])

    def add_to(self, M: np.ndarray, scale: float, T: np.ndarray | None) -> None:
        """Add scale times the Hessian to the Newton matrix: each part to the blocks of its columns."""
        c, (rows, columns) = self.columns, M.shape[:2]
        # Without coordinates T the free weights are relative to the last class, as the matrix is.
        of_free = np.eye(rows) if T is None else T
        parts = ((self.first, slice(0, c), T), (self.second, slice(c, columns), of_free))
        for part, own, coordinates in parts:
            size = own.stop - own.start
            added = np.zeros((rows, size, rows, size))
            part.add_to(added, scale, coordinates)
            M[:, own, :, own] += added

    def solve(
        self, R: np.ndarray, pull: np.ndarray, back: Solve, scale: float, T: np.ndarray | None
    ) -> np.ndarray:
        """Solve with the completed Newton matrix: the free weights come with those of the first part."""
        c = self.columns
        right = (R + pull)[:, c:]
        free = right[:-1] if T is None else T.T @ right
        found: list[np.ndarray] = []

        def back_of_first(first: np.ndarray) -> np.ndarray:
            whole = back(np.concatenate([first, free], axis=1))
            found[:] = [whole[:, c:]]
            return whole[:, :c]

        V = self.first.solve(R[:, :c], pull[:, :c], back_of_first, scale, T)
        (Y,) = found
        F = np.concatenate([Y, np.zeros((1, Y.shape[1]))]) if T is None else T @ Y
        return np.concatenate([V, F], axis=1)

    def _parts(self, E: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return E[:, : self.columns], E[: self.second.shape[0], self.columns :]

    def _joined(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        missing = len(first) - len(second)
        return np.concatenate([first, np.pad(second, ((0, missing), (0, 0)))], axis=1)
