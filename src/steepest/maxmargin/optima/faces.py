"""Faces of norm balls: the weights of norm 1 on which one matrix attains its dual norm.

Every optimum W of a max margin lies on the face {‖W‖ ≤ 1, ⟨G, W⟩ = ‖G‖_*} that G = A(q) exposes, for any
optimal dual weights q, because Σ q_ic margin_ic(W) = ⟨A(q), W⟩. A face is an affine image of parameters z:
W = base + L z with a linear L whose columns are orthonormal, and its cone is {t (base + L z)}.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from steepest.capabilities import Capability

__all__ = ["EXPOSED_FACE", "ExposedFace", "Face"]


class Face(Protocol):
    """The face of a norm ball that a matrix G of shape [r, c] exposes."""

    @property
    def spare(self) -> bool:
        """Whether what no margin sees may be added to points of the face without leaving it."""
        ...

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


class ExposedFace(Protocol):
    """What a norm tells of its faces."""

    def __call__(self, G: np.ndarray, W: np.ndarray, least: float, lean: float = 1.0, /) -> Face:
        """Return the face that G exposes, deciding what is zero in G by the weights W that go with it.

        Near an optimum the two factors of every complementary pair have a small product (the dual weight of a
        constraint times its slack), so that the larger factor, each relative to its own size, is the one that
        is not zero; ``lean`` multiplies the slacks in this comparison. Dual factors below ``least`` count as
        zero, which makes the face larger, never too small.
        """
        ...


EXPOSED_FACE: Capability[ExposedFace] = Capability(
    "the faces of its unit ball", "The face of the unit ball that a matrix exposes, where the ball is flat."
)
