"""Exact reductions: the same max margin in fewer, well-scaled unknowns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.geometry.facts import UNITARILY_INVARIANT, is_true
from steepest.problem import Classification

__all__ = ["Reduced", "reduce", "reduce_features"]

_RANK_CUTOFF = 4e-16
"""Directions this much smaller than the largest, times sqrt(max(n, d)), are rounding of the others."""


@dataclass(frozen=True)
class Reduced:
    """A max-margin problem in reduced coordinates V: W = ``mixing`` V ``basis``ᵀ, X = scale Z basisᵀ.

    The norm of V equals the norm of W, and the margins of V in ``features``, times ``scale``, are those of W.
    """

    features: np.ndarray
    """Z, shape [n, r], with largest row norm 1."""
    labels: np.ndarray
    """Class of each sample, shape [n]."""
    classes: int
    """Number of classes k."""
    scale: float
    """Size of the features that was divided out."""
    basis: np.ndarray | None
    """Orthonormal columns, shape [d, r], that span the rows of X; None where features are kept."""
    mixing: np.ndarray | None
    """Orthonormal columns, shape [k, k-1], orthogonal to the all-ones vector; None where classes are kept."""
    norm: Norm
    caps: np.ndarray | None = None
    """Most that the dual weights of each sample may sum to, where those of all sum to 1, shape [n]: of soft
    margins. None where one sample may have all, as in hard margins."""
    free: np.ndarray | None = None
    """Features of free weights beside Z, shape [n, f]: their margins are added to those of V in Z. None where
    there are none."""
    even: bool = False
    """Whether interior points start from as much dual weight from any class to any other, as a free intercept
    asks of it, instead of equal dual weights: those of unequal classes would press on its large ball."""

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of V."""
        return (self.classes if self.mixing is None else self.classes - 1), self.features.shape[1]

    def weights(self, V: np.ndarray) -> np.ndarray:
        """W of reduced coordinates V."""
        W = V if self.mixing is None else self.mixing @ V
        return W if self.basis is None else W @ self.basis.T

    def coordinates(self, W: np.ndarray) -> np.ndarray:
        """Reduced coordinates of W, projected where it is not in their range."""
        V = W if self.mixing is None else self.mixing.T @ W
        return V if self.basis is None else V @ self.basis


def reduce(problem: Classification, norm: Norm) -> Reduced:
    """Scale the features, and for unitarily invariant norms leave out what no optimum needs.

    Projecting W onto the row space of X and onto the complement of the all-ones vector changes no
    margin, and no unitarily invariant norm grows under a projection. Of other norms nothing is assumed.
    """
    return reduce_features(as_numpy(problem.features), problem.labels, problem.n_classes, norm)


def reduce_features(X: np.ndarray, labels: np.ndarray, k: int, norm: Norm) -> Reduced:
    """Do the same for features X [n, d] and labels [n] of k classes, of which some may have no sample."""
    largest = float(np.max(np.abs(X), initial=0.0))
    scale = 2.0 ** float(np.floor(np.log2(largest))) if largest > 0 else 1.0
    features = X / scale
    size = float(np.sqrt(np.max(np.einsum("ij,ij->i", features, features)))) or 1.0
    features, scale = features / size, scale * size
    if not is_true(UNITARILY_INVARIANT, norm):
        return Reduced(features, labels, k, scale, None, None, norm)
    basis = _row_space(features)
    reduced = features if basis is None else features @ basis
    mixing = scipy.linalg.helmert(k).T
    return Reduced(np.ascontiguousarray(reduced), labels, k, scale, basis, mixing, norm)


def _row_space(X: np.ndarray) -> np.ndarray | None:
    """Orthonormal columns that span the rows of X, or None where they span everything."""
    n, d = X.shape
    tall: Any = X if n <= d else scipy.linalg.qr(X, mode="r", check_finite=False)[0][:d]
    triangle: Any = scipy.linalg.qr(tall.T, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(triangle[1]))
    cutoff = _RANK_CUTOFF * np.sqrt(max(n, d)) * diagonal[0]
    rank = int(np.count_nonzero(diagonal > cutoff)) if diagonal[0] > 0 else 1
    return None if rank == d else np.ascontiguousarray(triangle[0][:, :rank])
