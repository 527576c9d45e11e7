"""Norm balls as the interior-point method sees them: barrier gradient, Hessian and its inverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from steepest.capabilities import Capability
from steepest.maxmargin.interior.barriers import BallBarrier, barrier_parameter, evaluate

Solve = Callable[[np.ndarray], np.ndarray]
"""Solve with the factored Newton matrix, right-hand sides of shape [k-1, c]."""

__all__ = [
    "BALL_BARRIER",
    "Ball",
    "BallPoint",
    "Barrier",
    "BarrierPoint",
    "EntryBall",
    "EntryPoint",
    "SpectralBall",
    "SpectralPoint",
]


class BarrierPoint(Protocol):
    """A barrier at one interior point V, shape [r, c]."""

    @property
    def gradient(self) -> np.ndarray:
        """Gradient of the barrier, shape [r, c]."""
        ...

    def hessian(self, E: np.ndarray) -> np.ndarray:
        """Hessian times a direction, both of shape [r, c]."""
        ...

    def inverse_norm(self, G: np.ndarray) -> float:
        """Length of a gradient in the inverse of the Hessian."""
        ...

    def whitened(self, G: np.ndarray) -> np.ndarray:
        """A gradient in coordinates where its Euclidean length is about that in the inverse Hessian."""
        ...


class BallPoint(BarrierPoint, Protocol):
    """The barrier of a ball at one interior point, with what a Newton system has of it."""

    def add_to(self, M: np.ndarray, scale: float, T: np.ndarray | None) -> None:
        """Add scale times the Hessian to the Newton matrix M, shape [k-1, c, k-1, c], in its coordinates."""
        ...

    def solve(
        self, R: np.ndarray, pull: np.ndarray, back: Solve, scale: float, T: np.ndarray | None
    ) -> np.ndarray:
        """Change of V, from the right-hand side R + pull and the solve with the completed Newton matrix."""
        ...


class Barrier(Protocol):
    """A self-concordant barrier of a convex set."""

    def parameter(self, shape: tuple[int, int]) -> float:
        """Barrier parameter for points of a shape."""
        ...

    def at(self, V: np.ndarray) -> BarrierPoint | None:
        """The barrier at V, or None outside of the set."""
        ...


class Ball(Barrier, Protocol):
    """A unit ball with a self-concordant barrier."""

    @property
    def wide(self) -> bool:
        """Whether its points must have no more rows than columns."""
        ...

    def at(self, V: np.ndarray) -> BallPoint | None:
        """The barrier at V, or None where ‖V‖ ≥ 1."""
        ...


BALL_BARRIER: Capability[Ball] = Capability(
    "a barrier of its unit ball", "A self-concordant barrier of the unit ball with its Hessian, factored."
)


@dataclass(frozen=True)
class EntryBall:
    """The ball of the entry-wise p-norm.

    With coordinates that mix the classes, as reductions for unitarily invariant norms have them, p must be 2.
    """

    p: float
    wide = False

    def parameter(self, shape: tuple[int, int]) -> float:
        """Barrier parameter for all entries."""
        return barrier_parameter(self.p, shape[0] * shape[1])

    def at(self, V: np.ndarray) -> EntryPoint | None:
        """The barrier at V, or None outside."""
        barrier = evaluate(V.ravel(), self.p)
        return None if barrier is None else EntryPoint(barrier, (V.shape[0], V.shape[1]))


@dataclass(frozen=True)
class SpectralBall:
    """The ball of the Schatten p-norm."""

    p: float
    wide = True

    def parameter(self, shape: tuple[int, int]) -> float:
        """Barrier parameter for the singular values."""
        return barrier_parameter(self.p, min(shape))

    def at(self, V: np.ndarray) -> SpectralPoint | None:
        """The barrier at V, or None outside."""
        return SpectralPoint.at(V, self.p)


@dataclass(frozen=True)
class EntryPoint:
    """Entry-wise norms: the Hessian is diagonal plus rank one."""

    barrier: BallBarrier
    shape: tuple[int, int]

    @property
    def gradient(self) -> np.ndarray:
        """Gradient of the barrier, shape [r, c]."""
        return self.barrier.gradient.reshape(self.shape)

    def hessian(self, E: np.ndarray) -> np.ndarray:
        """Hessian times a direction."""
        b, e = self.barrier, E.ravel()
        return (b.curvature * e + b.weight * float(b.u @ e) * b.u).reshape(self.shape)

    def inverse_norm(self, G: np.ndarray) -> float:
        """Length of a gradient in the inverse of the Hessian."""
        return float(np.sqrt(_inverse_square(self.barrier, G.ravel())))

    def whitened(self, G: np.ndarray) -> np.ndarray:
        """A gradient times the inverse root of the Hessian's diagonal, then of the rest, I plus rank one."""
        b = self.barrier
        root = np.sqrt(b.curvature)
        y, u = G.ravel() / root, np.sqrt(b.weight) * b.u / root
        square = float(u @ u)
        if square > 0.0:
            # 1 - (1 + |u|²)^(-1/2) without cancellation.
            stretched = np.sqrt(1.0 + square)
            y = y - (float(u @ y) / (stretched * (1.0 + stretched))) * u
        return y.reshape(self.shape)

    def add_to(self, M: np.ndarray, scale: float, T: np.ndarray | None) -> None:
        """Add the Hessian to M; with T = None the common shift of all classes is eliminated."""
        b = self.barrier
        if T is None:
            h, total, _, u, v, damped = self._shift(scale)
            columns = np.arange(M.shape[1])
            blocks = -h[:-1, None] * h[None, :-1] / total
            # h_a - h_a² / Σh without cancellation, where one class has nearly all of the curvature.
            others = np.stack([np.delete(h, a, axis=0).sum(axis=0) for a in range(len(h) - 1)])
            blocks[np.arange(len(h) - 1), np.arange(len(h) - 1)] = h[:-1] * others / total
            M[:, columns, :, columns] += blocks.transpose(2, 0, 1)
            if damped:
                left = (u[:-1] - h[:-1] * v / total).ravel()
                M.reshape(len(left), len(left))[...] += np.outer(damped * left, left)
            return
        # Only the Frobenius norm has coordinates T, and there all curvatures are equal.
        _add_identity_blocks(M, scale * b.curvature[0] * (T.T @ T))
        u = (T.T @ b.u.reshape(self.shape)).ravel()
        M.reshape(len(u), len(u))[...] += np.outer(scale * b.weight * u, u)

    def solve(
        self, R: np.ndarray, pull: np.ndarray, back: Solve, scale: float, T: np.ndarray | None
    ) -> np.ndarray:
        """Solve with the completed Newton matrix; with T = None find the common shift too."""
        if T is not None:
            return T @ back(T.T @ (R + pull))
        # V = (Y + t, t): the Hessian h + w u uᵀ acts on t as diag(total) + w v vᵀ. Pair sums pull at Y only.
        h, total, w, u, v, damped = self._shift(scale)
        sums = R.sum(axis=0)
        t = sums / total - damped * float(np.sum(v * sums / total)) * v / total
        Y = back((R + pull)[:-1] - h[:-1] * t - w * float(np.sum(v * t)) * u[:-1])
        rest = sums - np.sum(h[:-1] * Y, axis=0)
        along = (float(np.sum(u[:-1] * Y)) + float(np.sum(v * rest / total))) * (damped / w if w else 1.0)
        t = (rest - w * along * v) / total
        return np.concatenate([Y, np.zeros((1, Y.shape[1]))]) + t

    def _shift(self, scale: float) -> tuple[np.ndarray, np.ndarray, float, np.ndarray, np.ndarray, float]:
        b = self.barrier
        h, u, w = scale * b.curvature.reshape(self.shape), b.u.reshape(self.shape), scale * b.weight
        total, v = h.sum(axis=0), u.sum(axis=0)
        return h, total, w, u, v, w / (1.0 + w * float(np.sum(v * v / total)))


@dataclass(frozen=True)
class SpectralPoint:
    """Schatten norms, for V = U diag(σ) Wᵀ of shape [r, c] with r ≤ c.

    In the coordinates Uᵀ E W the Hessian of a function of the singular values is the function's own Hessian
    on the diagonal, (f_i - f_j)/(σ_i - σ_j) on symmetric and (f_i + f_j)/(σ_i + σ_j) on antisymmetric pairs
    (i, j), and f_i / σ_i on the columns beyond r (Lewis and Sendov, SIAM J. Matrix Anal. Appl. 23, 2001).
    """

    barrier: BallBarrier
    U: np.ndarray
    sigma: np.ndarray
    W: np.ndarray
    gradient: np.ndarray
    """Gradient of the barrier, shape [r, c]."""

    @classmethod
    def at(cls, V: np.ndarray, p: float) -> SpectralPoint | None:
        """The barrier of the Schatten-p ball at V, or None outside."""
        U, sigma, Wt = np.linalg.svd(V, full_matrices=False)
        barrier = evaluate(sigma, p, pairwise=True)
        return None if barrier is None else cls(barrier, U, sigma, Wt.T, (U * barrier.gradient) @ Wt)

    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        g, s = self.barrier.gradient, self.sigma
        total = s[:, None] + s[None]
        antisymmetric = np.where(
            total > 0, (g[:, None] + g[None]) / np.where(total > 0, total, 1.0), self.barrier.ratio[0]
        )
        assert self.barrier.divided is not None
        return self.barrier.divided, antisymmetric

    def hessian(self, E: np.ndarray) -> np.ndarray:
        """Hessian times a direction."""
        b = self.barrier
        left = self.U.T @ E
        core = left @ self.W
        symmetric, antisymmetric = self._pairs()
        new = 0.5 * (symmetric * (core + core.T) + antisymmetric * (core - core.T))
        diagonal = np.diagonal(core)
        new[np.diag_indices(len(b.u))] = b.curvature * diagonal + b.weight * float(b.u @ diagonal) * b.u
        # What is outside the row space of V sees only g_i / σ_i.
        outside = b.ratio[:, None] * left
        return self.U @ (outside + (new - b.ratio[:, None] * core) @ self.W.T)

    def inverse_norm(self, G: np.ndarray) -> float:
        """Length of a gradient in the inverse of the Hessian."""
        b = self.barrier
        left = self.U.T @ G
        core = left @ self.W
        symmetric, antisymmetric = self._pairs()
        even, odd = core + core.T, core - core.T
        np.fill_diagonal(even, 0.0)
        square = 0.25 * float(np.sum(even * even / symmetric + odd * odd / antisymmetric))
        square += _inverse_square(b, np.diagonal(core))
        outside = left - core @ self.W.T
        square += float(np.sum(outside * outside / b.ratio[:, None]))
        return float(np.sqrt(square))

    def whitened(self, G: np.ndarray) -> np.ndarray:
        """A gradient whose symmetric and antisymmetric parts are divided by the roots of their curvatures."""
        b = self.barrier
        left = self.U.T @ G
        core = left @ self.W
        symmetric, antisymmetric = self._pairs()
        even, odd = core + core.T, core - core.T
        new = 0.5 * (even / np.sqrt(symmetric) + odd / np.sqrt(antisymmetric))
        new[np.diag_indices(len(b.u))] = np.diagonal(core) / np.sqrt(b.curvature)
        outside = left - core @ self.W.T
        return np.concatenate([new, outside / np.sqrt(b.ratio)[:, None]], axis=1)

    def add_to(self, M: np.ndarray, scale: float, T: np.ndarray | None) -> None:
        """Add scale (T ⊗ I)ᵀ H (T ⊗ I) to M."""
        b, r = self.barrier, len(self.sigma)
        UT = self.U.T if T is None else self.U.T @ T
        _add_identity_blocks(M, scale * (UT.T * b.ratio) @ UT)
        symmetric, antisymmetric = self._pairs()
        core = np.zeros((r, r, r, r))
        i, j = np.indices((r, r)).reshape(2, -1)
        core[i, j, i, j] = 0.5 * (symmetric + antisymmetric).ravel()
        core[i, j, j, i] += 0.5 * (symmetric - antisymmetric).ravel()
        d = np.arange(r)
        core[d[:, None], d[:, None], d[None], d[None]] = np.diag(b.curvature) + b.weight * np.outer(b.u, b.u)
        core[i, j, i, j] -= b.ratio[i]
        core = np.einsum("ia,ijkl,kb->ajbl", scale * UT, core, UT, optimize=True)
        for a in range(core.shape[0]):
            for c in range(a, core.shape[0]):
                block = self.W @ core[a, :, c, :] @ self.W.T
                M[a, :, c, :] += block
                if c != a:
                    M[c, :, a, :] += block.T

    def solve(
        self,
        R: np.ndarray,
        pull: np.ndarray,
        back: Solve,
        scale: float,  # noqa: ARG002 (part of the protocol)
        T: np.ndarray | None,
    ) -> np.ndarray:
        """Solve with the completed Newton matrix."""
        R = R + pull
        return back(R) if T is None else T @ back(T.T @ R)


def _inverse_square(b: BallBarrier, g: np.ndarray) -> float:
    """gᵀ (diag + weight u uᵀ)⁻¹ g, as the part orthogonal to u and the part along it: neither cancels."""
    root = np.sqrt(b.curvature)
    y, u = g / root, np.sqrt(b.weight) * b.u / root
    square = float(u @ u)
    if square == 0.0:
        return float(y @ y)
    along = float(u @ y)
    across = y - (along / square) * u
    return float(across @ across) + along * along / (square * (1.0 + square))


def _add_identity_blocks(M: np.ndarray, small: np.ndarray) -> None:
    columns = np.arange(M.shape[1])
    M[:, columns, :, columns] += small
