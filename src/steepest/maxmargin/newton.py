"""The Newton system of the interior-point method: formed over pairs of classes, factored once, refined.

Newton systems are formed in coordinates in which the last class is the origin: there the pair (a, c) touches
the blocks of two classes only, and the shift of all classes, which no margin sees, is no part of the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.linalg

from steepest.maxmargin.balls import BallPoint
from steepest.maxmargin.reduce import Reduced

__all__ = ["Newton", "Path", "Point", "Step"]

_REFINEMENTS = 8
_ADDED = (0.0, 1e-15, 1e-13, 1e-11, 1e-9)


@dataclass(frozen=True)
class Point:
    """An interior point: weights, margin level γ, dual weights, slacks, the pair sum A(q), and the ball."""

    V: np.ndarray
    gamma: float
    q: np.ndarray
    s: np.ndarray
    A: np.ndarray
    ball: BallPoint

    @property
    def products(self) -> np.ndarray:
        """S ∘ q, shape [n, k]."""
        return self.s * self.q


@dataclass(frozen=True)
class Step:
    """A change of (V, γ, q, s) and of the pair sum A(q), in the coordinates of the norm."""

    dv: np.ndarray
    dgamma: float
    dq: np.ndarray
    ds: np.ndarray
    dsum: np.ndarray


class Path(Protocol):
    """What the system needs to know of the problem whose central path is followed."""

    reduced: Reduced
    X: np.ndarray
    members: list[np.ndarray]
    pairs: np.ndarray
    count: int
    kappa: float
    size: float
    T: np.ndarray | None

    def margins(self, V: np.ndarray) -> np.ndarray:
        """Pair margins, 0 at the true class."""
        ...

    def towards(self, q: np.ndarray) -> np.ndarray:
        """A(q) in class coordinates, shape [k, c]."""
        ...

    def in_norm(self, A: np.ndarray) -> np.ndarray:
        """Coordinates of the norm from class coordinates."""
        ...


class Newton:
    """One factored Newton system of the path."""

    def __init__(self, path: Path, point: Point, mu: float):
        self.path, self.point, self.scale = path, point, path.kappa * mu
        self.theta = np.where(path.pairs, point.q / point.s, 0.0)
        self.total = float(self.theta.sum())
        self.g = path.towards(self.theta)
        M = self._matrix()
        size = M.shape[0] * M.shape[1]
        M = M.reshape(size, size)
        flat = self.g[:-1].ravel()
        M -= np.outer(flat / self.total, flat)
        self.factor, self.factored = _factor(M)
        self.norm_g = path.in_norm(self.g)

    def _matrix(self) -> np.ndarray:
        """κμH + AᵀΘA, shape [rows, c, rows, c]."""
        path, rows, columns = self.path, self.path.reduced.classes - 1, self.path.X.shape[1]
        M = np.zeros((rows, columns, rows, columns))
        k = path.reduced.classes
        for a, members in enumerate(path.members):
            X = path.size * path.X[members]
            theta = self.theta[members]
            weighted = (theta[:, :, None] * X[:, None, :]).reshape(len(members), -1)
            grams = (X.T @ weighted).reshape(columns, k, columns)
            for c in range(k):
                if c == a:
                    continue
                gram = grams[:, c, :]
                if a < rows:
                    M[a, :, a, :] += gram
                if c < rows:
                    M[c, :, c, :] += gram
                if a < rows and c < rows:
                    M[a, :, c, :] -= gram
                    M[c, :, a, :] -= gram
        self.point.ball.add_to(M, self.scale, path.T)
        return M

    def solve(self, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray) -> Step:
        """Solve κμH dV - A(dq) = r1 + pull, Σdq = r2, s dq + q ds = r3 with ds = margins(dV) - dγ, refined.

        ``pull`` is a pair sum: its columns sum to zero, which no rounding of it may spoil.
        """
        step = self._once(r1, pull, r2, r3)
        size = self._size(r1, pull, r2, r3)
        previous = np.inf
        for _ in range(_REFINEMENTS):
            rest = self._residual(step, r1, pull, r2, r3)
            length = self._size(*rest)
            if not length < 0.5 * previous or length <= 1e-13 * size:
                break
            previous = length
            more = self._once(*rest)
            step = Step(
                step.dv + more.dv,
                step.dgamma + more.dgamma,
                step.dq + more.dq,
                step.ds + more.ds,
                step.dsum + more.dsum,
            )
        return step

    def _once(self, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray) -> Step:
        path, s = self.path, self.point.s
        ratio = r3 / s
        missing = (r2 - float(ratio.sum())) / self.total
        pull = pull + path.in_norm(path.towards(ratio) + missing * self.g)
        dV = self.point.ball.solve(r1, pull, self._back, self.scale, path.T)
        dgamma = missing + float(np.sum(self.norm_g * dV)) / self.total
        ds = np.where(path.pairs, path.margins(dV) - dgamma, 0.0)
        dq = ratio - self.theta * ds
        return Step(dV, dgamma, dq, ds, path.in_norm(path.towards(dq)))

    def _back(self, right: np.ndarray) -> np.ndarray:
        flat = scipy.linalg.cho_solve(self.factor, right.ravel(), check_finite=False)
        return flat.reshape(right.shape)

    def _residual(
        self, step: Step, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
        point = self.point
        first = r1 - self.scale * point.ball.hessian(step.dv)
        return first, pull + step.dsum, r2 - float(step.dq.sum()), r3 - point.s * step.dq - point.q * step.ds

    def _size(self, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray) -> float:
        # In the units of the step: gradients by the local norm, products by their mean.
        length = self.point.ball.inverse_norm(r1 + pull) / self.scale
        return length + abs(r2) + float(np.abs(r3).max()) * self.path.count


def _factor(M: np.ndarray) -> tuple[Any, bool]:
    """Cholesky factor of M, with as little added to the diagonal as lets it exist; refinement undoes it."""
    diagonal = np.diagonal(M).copy()
    for added in _ADDED:
        np.fill_diagonal(M, diagonal * (1.0 + added))
        try:
            factor = scipy.linalg.cho_factor(M, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            continue
        if np.isfinite(factor[0][-1]).all():
            return factor, True
    return None, False
