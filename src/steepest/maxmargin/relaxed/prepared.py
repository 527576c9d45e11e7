"""Data with free weights in coordinates that a solver can tell apart, and the way back.

Weights V of the penalised features X and free weights F of the others give the same logits as V in the
features X - L T and other free weights, for any T: what the free features L explain of X is taken out, so
that large offsets, such as that of dates, cost no digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg

from steepest.doubled import head, precise_product
from steepest.geometry import Norm
from steepest.maxmargin.forms.reduced import Reduced, reduce_features
from steepest.maxmargin.relaxed.terms import Terms

__all__ = ["Levelled", "Prepared", "levelled", "prepare", "prepare_levelled"]

_INDEPENDENT = 1e-12
"""What is left of a free feature below this share of it is explained by the others."""


@dataclass(frozen=True)
class Levelled:
    """Penalised features without what free features explain of them: Z = X - L T but for rounding."""

    features: np.ndarray
    """Z, shape [m, p]."""
    error: np.ndarray
    """Bound on its rounding errors, shape [m, p]."""
    free: np.ndarray
    """L, those of the free features that no others explain, shape [m, f]."""
    places: np.ndarray
    """Which of the free features these are, shape [f]."""
    shifts: np.ndarray
    """T, shape [f, p]."""


def levelled(X: np.ndarray, free: np.ndarray) -> Levelled:
    """Return features X [m, p] levelled by free features [m, f].

    >>> dates = np.array([[20240101.0], [20240102.0], [20240103.0]])
    >>> levelled(dates, np.ones((3, 1))).features.ravel().tolist()
    [-1.0, 0.0, 1.0]
    """
    if not free.any():
        # Free features of zeros explain nothing, and no weights of theirs do anything.
        none = np.zeros(0, dtype=int)
        return Levelled(X, np.zeros_like(X), free[:, none], none, np.zeros((0, X.shape[1])))
    sizes = np.max(np.abs(free), axis=0)
    scaled = free / np.where(sizes > 0, sizes, 1.0)
    found: Any = scipy.linalg.qr(scaled, mode="r", pivoting=True, check_finite=False)
    triangle, order = found[-2:]
    pivots = np.abs(np.diag(triangle))
    places = np.sort(order[: int(np.count_nonzero(pivots > _INDEPENDENT * pivots[0]))])
    L = free[:, places]
    scaled = scaled[:, places]
    T = np.linalg.lstsq(scaled, X, rcond=None)[0] / sizes[places][:, None]
    explained = precise_product(L, head(L), T.T)
    Z = (X - explained.high) - explained.low
    terms = np.abs(L) @ np.abs(T)
    return Levelled(Z, 2.0**-52 * np.abs(Z) + 2.0**-68 * terms, L, places, T)


@dataclass(frozen=True)
class Prepared:
    """A relaxed problem for a solver: reduced penalised features beside free ones of size 1."""

    reduced: Reduced
    """Of the penalised features, with the caps, beside the free ones in orthogonal combinations, of root mean
    square 1."""
    level: Levelled
    back: np.ndarray
    """B with the free features of ``reduced`` = L B, shape [f, f]."""

    @property
    def mixed(self) -> np.ndarray:
        """Those free features, shape [m, f]."""
        free = self.reduced.free
        return np.zeros((len(self.reduced.labels), 0)) if free is None else free

    @property
    def whole(self) -> Reduced:
        """The same problem in all classes and levelled features, free weights being in the same units."""
        r = self.reduced
        free = None if r.free is None else r.scale * r.free
        return Reduced(self.level.features, r.labels, r.classes, 1.0, None, None, r.norm, r.caps, free)

    def mixed_weights(self, W: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Return the weights of the mixed features [k, f] of W [k, p] and free weights [k, f]."""
        level = self.level
        explained = precise_product(W, head(W), level.shifts)
        kept = ((free[:, level.places] + explained.high) + explained.low) / self.reduced.scale
        return scipy.linalg.solve(self.back, kept.T).T if len(level.places) else kept

    def of_free(self, weights: np.ndarray) -> np.ndarray:
        """Return weights [k, f] of free features from those of the mixed ones."""
        return self.reduced.scale * (weights @ self.back.T)


def prepare(X: np.ndarray, labels: np.ndarray, k: int, norm: Norm, terms: Terms) -> Prepared:
    """Return the problem of features X [n, d] and labels [n] on its terms, ready for a solver."""
    level = levelled(X[np.ix_(terms.kept, terms.penalised(X.shape[1]))], terms.free_features(X))
    return prepare_levelled(level, labels[terms.kept], k, norm, terms.caps)


def prepare_levelled(
    level: Levelled, labels: np.ndarray, k: int, norm: Norm, caps: np.ndarray | None
) -> Prepared:
    """Return the problem of features that are levelled, with the labels [m] and caps [m] of their samples."""
    reduced = replace(reduce_features(level.features, labels, k, norm), caps=caps)
    f = level.free.shape[1]
    if not f:
        return Prepared(reduced, level, np.zeros((0, 0)))
    sizes = np.max(np.abs(level.free), axis=0)
    Q, R = np.linalg.qr(level.free / sizes)
    root = np.sqrt(len(Q))
    back = scipy.linalg.solve_triangular(R, np.eye(f)) * root / sizes[:, None]
    return Prepared(replace(reduced, free=Q * root), level, back)
