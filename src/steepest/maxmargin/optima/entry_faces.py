"""Faces of the balls of the max-norm and the sum-norm, which fix entries.

max        W_ij = sign(G_ij) where G_ij ≠ 0; elsewhere z in [-1, 1]
sum        W_ij = sign(G_ij) z_ij, z ≥ 0 of sum 1, where abs(G_ij) is largest; elsewhere 0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["MaxFace", "SumFace"]


@dataclass(frozen=True)
class MaxFace:
    """Fixed signs where G is not zero, [-1, 1] elsewhere."""

    base: np.ndarray
    spare = False

    @classmethod
    def exposed(cls, G: np.ndarray, W: np.ndarray, least: float, lean: float = 1.0) -> MaxFace:
        """The face that G exposes, as :data:`EXPOSED_FACE` says."""
        relative, sizes = np.abs(G) / np.abs(G).max(), np.abs(W) / np.abs(W).max()
        return cls(np.where((relative > lean * (1 - sizes)) & (relative > least), np.sign(G), 0.0))

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
    spare = False

    @classmethod
    def exposed(cls, G: np.ndarray, W: np.ndarray, least: float, lean: float = 1.0) -> SumFace:
        """The face that G exposes, as :data:`EXPOSED_FACE` says."""
        relative, sizes = np.abs(G) / np.abs(G).max(), np.abs(W) / np.abs(W).max()
        return cls(np.where(1 - relative < np.maximum(lean * sizes, least), np.sign(G), 0.0))

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
