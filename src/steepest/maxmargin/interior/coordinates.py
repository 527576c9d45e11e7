"""A norm in other coordinates of the features: ‖V‖ is that of W = V C, where margins are those of Z = X C⁻¹.

Features that are nearly dependent, such as dates beside a column of ones, leave an interior point in W no
digits: its Newton matrix has the square of their condition. In the coordinates of features Z that are well
conditioned the same matrix is the sum of one that is well conditioned and the Hessian of the ball, which is
graded as C is, and both keep their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.arrays import Array, namespace
from steepest.geometry import Norm
from steepest.maxmargin.interior.balls import BALL_BARRIER, Ball, BallPoint, Solve

__all__ = ["InCoordinates"]


@dataclass(frozen=True, eq=False)
class InCoordinates:
    """‖V‖ = ‖V C‖ for the norm of W = V C, with C of full rank.

    >>> import steepest as st
    >>> norm = InCoordinates(st.norm("max"), np.diag([2.0, 1.0]), np.diag([0.5, 1.0]))
    >>> float(norm(np.array([[3.0, -4.0]]))), float(norm.dual(np.array([[3.0, -4.0]])))
    (6.0, 5.5)
    """

    norm: Norm
    to_weights: np.ndarray
    """C, shape [r, d]."""
    from_weights: np.ndarray
    """U, shape [r, d], with C Uᵀ = I: A(q) of the features X is that of Z times U."""

    def __call__(self, V: Array) -> Array:
        """Return the norm of matrices [..., m, r] as [...]."""
        return self.norm(V @ self._like(V, self.to_weights))

    def dual(self, A: Array) -> Array:
        """Return the dual norm of matrices [..., m, r] as [...]."""
        return self.norm.dual(A @ self._like(A, self.from_weights))

    def direction(self, S: Array) -> Array:
        """Return the direction of matrices [..., m, r]: that of the norm, in these coordinates."""
        of_weights = self.norm.direction(S @ self._like(S, self.from_weights))
        return of_weights @ self._like(S, self.from_weights.T)

    def _like(self, A: Array, matrix: np.ndarray) -> Any:
        xp = namespace(A)
        return matrix if xp is namespace(matrix) else xp.asarray(matrix)

    def __str__(self) -> str:
        return f"{self.norm} in other coordinates"


@BALL_BARRIER.offered_by(InCoordinates)
def _barrier(norm: InCoordinates) -> Ball | None:
    inner = BALL_BARRIER.of(norm.norm)
    return None if inner is None else _Ball(inner, norm.to_weights, norm.from_weights)


@dataclass(frozen=True)
class _Ball:
    """The unit ball in other coordinates, for points that are wide in those of the weights."""

    inner: Ball
    to_weights: np.ndarray
    from_weights: np.ndarray
    wide = False

    def parameter(self, shape: tuple[int, int]) -> float:
        """The parameter does not depend on coordinates."""
        return self.inner.parameter((shape[0], self.to_weights.shape[1]))

    def at(self, V: np.ndarray) -> _Point | None:
        """The barrier at V, or None outside."""
        point = self.inner.at(np.ascontiguousarray(V @ self.to_weights))
        return None if point is None else _Point(point, self.to_weights, self.from_weights)


@dataclass(frozen=True)
class _Point:
    """The barrier at a point: gradients are multiplied by Cᵀ, and directions by C."""

    inner: BallPoint
    to_weights: np.ndarray
    from_weights: np.ndarray

    @property
    def gradient(self) -> np.ndarray:
        """Gradient of the barrier, shape [m, r]."""
        return self.inner.gradient @ self.to_weights.T

    def hessian(self, E: np.ndarray) -> np.ndarray:
        """Hessian times a direction."""
        return self.inner.hessian(E @ self.to_weights) @ self.to_weights.T

    def inverse_norm(self, G: np.ndarray) -> float:
        """Length of a gradient in the inverse of the Hessian."""
        return self.inner.inverse_norm(G @ self.from_weights)

    def whitened(self, G: np.ndarray) -> np.ndarray:
        """A gradient in coordinates where its Euclidean length is about that in the inverse Hessian."""
        return self.inner.whitened(G @ self.from_weights)

    def add_to(self, M: np.ndarray, scale: float, T: np.ndarray | None) -> None:
        """Add scale times the Hessian to the Newton matrix."""
        rows, d = M.shape[0], self.to_weights.shape[1]
        of_weights = np.zeros((rows, d, rows, d))
        self.inner.add_to(of_weights, scale, T)
        C = self.to_weights
        half = np.tensordot(of_weights, C.T, axes=(3, 0))
        M += np.tensordot(C, half, axes=(1, 1)).transpose(1, 0, 2, 3)

    def solve(
        self, R: np.ndarray, pull: np.ndarray, back: Solve, scale: float, T: np.ndarray | None
    ) -> np.ndarray:
        """Solve with the completed Newton matrix; differences of classes stay in these coordinates."""
        if T is not None:
            return T @ back(T.T @ (R + pull))
        found: list[np.ndarray] = []

        def back_of_weights(right: np.ndarray) -> np.ndarray:
            found[:] = [back(right @ self.to_weights.T)]
            return found[0] @ self.to_weights

        U = self.from_weights
        dW = self.inner.solve(R @ U, pull @ U, back_of_weights, scale, None)
        (Y,) = found
        return np.concatenate([Y, np.zeros((1, Y.shape[1]))]) + dW[-1] @ U.T
