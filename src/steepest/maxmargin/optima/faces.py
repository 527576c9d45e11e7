"""Faces of norm balls: the weights of norm 1 on which one matrix attains its dual norm.

Every optimum W of a max margin lies on the face {‖W‖ ≤ 1, ⟨G, W⟩ = ‖G‖_*} that G = A(q) exposes, for any
optimal dual weights q, because Σ q_ic margin_ic(W) = ⟨A(q), W⟩. A face is an affine image of parameters z:
W = base + L z with a linear L whose columns are orthonormal, and its cone is {t (base + L z)}.

    max        W_ij = sign(G_ij) where G_ij ≠ 0; elsewhere z in [-1, 1]
    sum        W_ij = sign(G_ij) z_ij, z ≥ 0 of sum 1, where abs(G_ij) is largest; elsewhere 0
    spectral   W = U Vᵀ + U⊥ Z V⊥ᵀ, ‖Z‖ ≤ 1, for G = U diag(σ) Vᵀ of rank r
    nuclear    W = U S Vᵀ, S ⪰ 0 of trace 1, for the singular vectors of the largest singular value
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from steepest.geometry import Norm, Schatten

__all__ = ["Face", "exposed_face", "is_strictly_convex"]


class Face(Protocol):
    """The face of a norm ball that a matrix G of shape [r, c] exposes."""

    @property
    def base(self) -> np.ndarray:
        """The point of parameters 0, shape [r, c]."""
        ...

    @property
    def gauge(self) -> np.ndarray:
        """The matrix with ⟨gauge, t W⟩ = t for every W on the face, shape [r, c]."""
        ...

    @property
    def total(self) -> np.ndarray | None:
        """The vector a with aᵀz = 1 on the face, shape [f]; None where no equation binds z."""
        ...

    @property
    def count(self) -> int:
        """Number of parameters f."""
        ...

    def lift(self, z: np.ndarray) -> np.ndarray:
        """L z for parameters [..., f], shape [..., r, c]."""
        ...

    def pull(self, E: np.ndarray) -> np.ndarray:
        """Lᵀ E for matrices [..., r, c], shape [..., f]."""
        ...

    def at(self, G: np.ndarray, /) -> Face:
        """The face of the same dimension that another matrix, near G, exposes."""
        ...

    def turned(self, E: np.ndarray, W: np.ndarray, /) -> np.ndarray:
        """How W moves with the face as G moves along E [..., r, c] without leaving its kind of face."""
        ...

    def cuts(self, V: np.ndarray, t: float, tolerance: float, /) -> np.ndarray:
        """Matrices C, shape [v, r, c], with ⟨C, ·⟩ ≥ 0 on the cone of the face and broken by V of size t."""
        ...


def is_strictly_convex(norm: Norm) -> bool:
    """Whether the unit ball has no flat part, 1 < p < ∞, so that every optimum is the only one."""
    return 1 < float(norm.p) < float("inf")


def exposed_face(norm: Norm, G: np.ndarray, W: np.ndarray, least: float, lean: float = 1.0) -> Face:
    """Return the face that G exposes, deciding what is zero in G by the weights W that go with it.

    Near an optimum the two factors of every complementary pair have a small product (the dual weight of a
    constraint times its slack), so that the larger factor, each relative to its own size, is the one that is
    not zero; ``lean`` multiplies the slacks in this comparison. Dual factors below ``least`` count as zero,
    which makes the face larger, never too small.
    """
    if isinstance(norm, Schatten):
        U, sigma, Vt = np.linalg.svd(G)
        aligned = np.einsum("ir,ij,rj->r", U[:, : len(sigma)], W, Vt[: len(sigma)])
        relative = sigma / sigma[0]
        if norm.p == 1:
            level = np.maximum(lean * aligned / aligned.max(), least)
            return NuclearFace.of_rank(G, max(1, int(np.count_nonzero(1 - relative < level))))
        kept = (relative > lean * (1 - aligned)) & (relative > least)
        return SpectralFace.of_rank(G, max(1, int(np.count_nonzero(kept))))
    relative, sizes = np.abs(G) / np.abs(G).max(), np.abs(W) / np.abs(W).max()
    if norm.p == 1:
        return SumFace(np.where(1 - relative < np.maximum(lean * sizes, least), np.sign(G), 0.0))
    return MaxFace(np.where((relative > lean * (1 - sizes)) & (relative > least), np.sign(G), 0.0))


@dataclass(frozen=True)
class MaxFace:
    """Fixed signs where G is not zero, [-1, 1] elsewhere."""

    base: np.ndarray

    @property
    def gauge(self) -> np.ndarray:
        """The mean of W_ij / sign(G_ij) over the fixed entries."""
        return self.base / np.count_nonzero(self.base)

    @property
    def total(self) -> None:
        """No equation binds the free entries."""
        return

    @property
    def count(self) -> int:
        """Number of free entries."""
        return int(np.count_nonzero(self.base == 0))

    def lift(self, z: np.ndarray) -> np.ndarray:
        """Put parameters in the free places."""
        W = np.zeros((*z.shape[:-1], *self.base.shape))
        W[..., self.base == 0] = z
        return W

    def pull(self, E: np.ndarray) -> np.ndarray:
        """Take the free entries."""
        return E[..., self.base == 0]

    def at(self, _G: np.ndarray, /) -> MaxFace:
        """The same face: signs do not move."""
        return self

    def turned(self, E: np.ndarray, _W: np.ndarray, /) -> np.ndarray:
        """Nothing turns."""
        return np.zeros_like(E)

    def cuts(self, V: np.ndarray, t: float, tolerance: float, /) -> np.ndarray:
        """Bounds t - s V_ij ≥ 0 of free entries that are beyond."""
        places = np.argwhere((self.base == 0) & (np.abs(V) > t + tolerance))
        found = np.tile(self.gauge, (len(places), 1, 1))
        found[(np.arange(len(places)), *places.T)] -= np.sign(V[tuple(places.T)])
        return found


@dataclass(frozen=True)
class SumFace:
    """Signed non-negative entries of sum 1 where G is largest."""

    gauge: np.ndarray

    @property
    def base(self) -> np.ndarray:
        """Zero: the face is spanned by its corners."""
        return np.zeros_like(self.gauge)

    @property
    def total(self) -> np.ndarray:
        """Parameters sum to 1."""
        return np.ones(self.count)

    @property
    def count(self) -> int:
        """Number of entries that may differ from zero."""
        return int(np.count_nonzero(self.gauge))

    def lift(self, z: np.ndarray) -> np.ndarray:
        """Put parameters, with their signs, in their places."""
        W = np.zeros((*z.shape[:-1], *self.gauge.shape))
        W[..., self.gauge != 0] = z * self.gauge[self.gauge != 0]
        return W

    def pull(self, E: np.ndarray) -> np.ndarray:
        """Take the entries, with their signs."""
        return E[..., self.gauge != 0] * self.gauge[self.gauge != 0]

    def at(self, _G: np.ndarray, /) -> SumFace:
        """The same face: places do not move."""
        return self

    def turned(self, E: np.ndarray, _W: np.ndarray, /) -> np.ndarray:
        """Nothing turns."""
        return np.zeros_like(E)

    def cuts(self, V: np.ndarray, _t: float, tolerance: float, /) -> np.ndarray:
        """Signs s V_ij ≥ 0 that are broken."""
        places = np.argwhere(V * self.gauge < -tolerance)
        found = np.zeros((len(places), *V.shape))
        found[(np.arange(len(places)), *places.T)] = self.gauge[tuple(places.T)]
        return found


@dataclass(frozen=True)
class SpectralFace:
    """U Vᵀ on the range of G, any contraction between the complements."""

    U: np.ndarray
    sigma: np.ndarray
    V: np.ndarray
    left_out: np.ndarray
    right_out: np.ndarray

    @classmethod
    def of_rank(cls, G: np.ndarray, rank: int) -> SpectralFace:
        """The face of the leading singular vectors of G."""
        U, sigma, Vt = np.linalg.svd(G)
        return cls(U[:, :rank], sigma[:rank], Vt[:rank].T, U[:, rank:], Vt[rank:].T)

    @property
    def base(self) -> np.ndarray:
        """U Vᵀ."""
        return self.U @ self.V.T

    @property
    def gauge(self) -> np.ndarray:
        """U Vᵀ / r."""
        return self.base / len(self.sigma)

    @property
    def total(self) -> None:
        """No equation binds Z."""
        return

    @property
    def count(self) -> int:
        """Number of entries of Z."""
        return self.left_out.shape[1] * self.right_out.shape[1]

    def _matrix(self, z: np.ndarray) -> np.ndarray:
        return z.reshape(*z.shape[:-1], self.left_out.shape[1], self.right_out.shape[1])

    def lift(self, z: np.ndarray) -> np.ndarray:
        """U⊥ Z V⊥ᵀ."""
        return self.left_out @ self._matrix(z) @ self.right_out.T

    def pull(self, E: np.ndarray) -> np.ndarray:
        """Entries of U⊥ᵀ E V⊥."""
        return (self.left_out.T @ E @ self.right_out).reshape(*E.shape[:-2], self.count)

    def at(self, G: np.ndarray) -> SpectralFace:
        """The face of the same rank."""
        return SpectralFace.of_rank(G, len(self.sigma))

    def turned(self, E: np.ndarray, W: np.ndarray, /) -> np.ndarray:
        """Derivative of U Vᵀ + U⊥ Z V⊥ᵀ among matrices of rank r.

        With X = U⊥ᵀ E V Σ⁻¹ and Y = V⊥ᵀ Eᵀ U Σ⁻¹ the frames move by dU = U⊥ X, dV = V⊥ Y, dU⊥ = -U Xᵀ,
        dV⊥ = -V Yᵀ, and within them U Vᵀ turns by U K Vᵀ, K_ij = (F_ij - F_ji) / (σ_i + σ_j), F = Uᵀ E V.
        """
        Z = self._matrix(self.pull(W))
        F = self.U.T @ E @ self.V
        K = (F - F.swapaxes(-1, -2)) / (self.sigma[:, None] + self.sigma)
        X = self.left_out.T @ E @ self.V / self.sigma
        Yt = self.U.T @ E @ self.right_out / self.sigma[:, None]
        lower = X - Z @ Yt.swapaxes(-1, -2)
        right = Yt - X.swapaxes(-1, -2) @ Z
        inner = (self.U @ K + self.left_out @ lower) @ self.V.T
        return inner + self.U @ right @ self.right_out.T

    def cuts(self, V: np.ndarray, t: float, tolerance: float, /) -> np.ndarray:
        """Bounds t - uᵀ V v ≥ 0 at singular pairs of Z that are beyond."""
        if self.count == 0:
            return np.zeros((0, *V.shape))
        u, values, vt = np.linalg.svd(self._matrix(self.pull(V)), full_matrices=False)
        beyond = values > t + tolerance
        left, right = self.left_out @ u[:, beyond], self.right_out @ vt[beyond].T
        return self.gauge - left.T[:, :, None] * right.T[:, None, :]


@dataclass(frozen=True)
class NuclearFace:
    """Positive semidefinite matrices of trace 1 between the leading singular vectors."""

    U: np.ndarray
    V: np.ndarray
    left_out: np.ndarray
    right_out: np.ndarray
    largest: float
    rest: np.ndarray
    """Singular values beyond the leading ones, as the rectangular diagonal U⊥ᵀ G V⊥."""

    @classmethod
    def of_rank(cls, G: np.ndarray, rank: int) -> NuclearFace:
        """The face of the ``rank`` leading singular vectors of G, taken as of one singular value."""
        U, sigma, Vt = np.linalg.svd(G)
        rest = np.zeros((U.shape[0] - rank, Vt.shape[0] - rank))
        np.fill_diagonal(rest, sigma[rank:])
        return cls(U[:, :rank], Vt[:rank].T, U[:, rank:], Vt[rank:].T, float(np.mean(sigma[:rank])), rest)

    @property
    def rank(self) -> int:
        """Size of S."""
        return self.U.shape[1]

    @property
    def base(self) -> np.ndarray:
        """Zero: the face is spanned by its corners."""
        return np.zeros((len(self.U), len(self.V)))

    @property
    def gauge(self) -> np.ndarray:
        """U Vᵀ, whose product with U S Vᵀ is the trace of S."""
        return self.U @ self.V.T

    @property
    def total(self) -> np.ndarray:
        """The trace of S is 1."""
        return self._packed(np.eye(self.rank))

    @property
    def count(self) -> int:
        """Number of entries of S on and above the diagonal."""
        return self.rank * (self.rank + 1) // 2

    def _packed(self, S: np.ndarray) -> np.ndarray:
        # Off-diagonal entries times √2, so that lengths are kept.
        i, j = np.triu_indices(self.rank)
        return (S[..., i, j] + S[..., j, i]) * np.where(i == j, 0.5, np.sqrt(0.5))

    def _matrix(self, z: np.ndarray) -> np.ndarray:
        i, j = np.triu_indices(self.rank)
        S = np.zeros((*z.shape[:-1], self.rank, self.rank))
        S[..., i, j] = S[..., j, i] = z * np.where(i == j, 1.0, np.sqrt(0.5))
        return S

    def lift(self, z: np.ndarray) -> np.ndarray:
        """U S Vᵀ."""
        return self.U @ self._matrix(z) @ self.V.T

    def pull(self, E: np.ndarray) -> np.ndarray:
        """Packed symmetric part of Uᵀ E V."""
        return self._packed(self.U.T @ E @ self.V)

    def at(self, G: np.ndarray) -> NuclearFace:
        """The face of the same rank."""
        return NuclearFace.of_rank(G, self.rank)

    def turned(self, E: np.ndarray, W: np.ndarray, /) -> np.ndarray:
        """Derivative of U S Vᵀ as the leading singular vectors move, their singular value staying multiple.

        With F = Uᵀ E V the frames turn by Ω = (F - Fᵀ)/(4τ) against each other; out of their span they move
        by dU = U⊥ X, dV = V⊥ Y with Σ₂ Y + U⊥ᵀ E V = τ X and Σ₂ᵀ X + V⊥ᵀ Eᵀ U = τ Y.
        """
        S = self._matrix(self.pull(W))
        tau, rest = self.largest, self.rest
        F = self.U.T @ E @ self.V
        Omega = (F - F.swapaxes(-1, -2)) / (4 * tau)
        E21 = self.left_out.T @ E @ self.V
        E12 = (self.U.T @ E @ self.right_out).swapaxes(-1, -2)
        rows = np.sum(rest * rest, axis=1)[:, None]
        X = (tau * E21 + rest @ E12) / (tau * tau - rows)
        Y = (rest.T @ X + E12) / tau
        inner = (self.U @ (Omega @ S + S @ Omega) + self.left_out @ X @ S) @ self.V.T
        return inner + self.U @ S @ Y.swapaxes(-1, -2) @ self.right_out.T

    def cuts(self, V: np.ndarray, _t: float, tolerance: float, /) -> np.ndarray:
        """Bounds vᵀ S v ≥ 0 at eigenvectors of S that break them."""
        values, vectors = np.linalg.eigh(self._matrix(self.pull(V)))
        broken = vectors[:, values < -tolerance]
        return (self.U @ broken).T[:, :, None] * (self.V @ broken).T[:, None, :]
