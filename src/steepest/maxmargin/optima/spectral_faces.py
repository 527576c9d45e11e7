"""Faces of the balls of the spectral and the nuclear norm, between singular vectors.

spectral   W = U Vᵀ + U⊥ Z V⊥ᵀ, ‖Z‖ ≤ 1, for G = U diag(σ) Vᵀ of rank r
nuclear    W = U S Vᵀ, S ⪰ 0 of trace 1, for the singular vectors of the largest singular value
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["NuclearFace", "SpectralFace"]


@dataclass(frozen=True)
class SpectralFace:
    """U Vᵀ on the range of G, any contraction between the complements."""

    U: np.ndarray
    sigma: np.ndarray
    V: np.ndarray
    left_out: np.ndarray
    right_out: np.ndarray
    spare = True

    @classmethod
    def exposed(cls, G: np.ndarray, W: np.ndarray, least: float, lean: float = 1.0) -> SpectralFace:
        """The face that G exposes, as :data:`EXPOSED_FACE` says."""
        relative, aligned = _along(G, W)
        kept = (relative > lean * (1 - aligned)) & (relative > least)
        return cls.of_rank(G, max(1, int(np.count_nonzero(kept))))

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
    spare = False

    @classmethod
    def exposed(cls, G: np.ndarray, W: np.ndarray, least: float, lean: float = 1.0) -> NuclearFace:
        """The face that G exposes, as :data:`EXPOSED_FACE` says."""
        relative, aligned = _along(G, W)
        level = np.maximum(lean * aligned / aligned.max(), least)
        return cls.of_rank(G, max(1, int(np.count_nonzero(1 - relative < level))))

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


def _along(G: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values of G over the largest, and what W has between their singular vectors."""
    U, sigma, Vt = np.linalg.svd(G)
    return sigma / sigma[0], np.einsum("ir,ij,rj->r", U[:, : len(sigma)], W, Vt[: len(sigma)])
