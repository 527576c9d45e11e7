"""Samples in memory whose dual weights may change, beside others that stay at their caps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.features import Block
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.forms.worst import shares_of_worst
from steepest.maxmargin.relaxed.ascent import Active, Features
from steepest.maxmargin.scans.working_set import row_squares

__all__ = ["Band", "band_of", "joined_columns"]

_FULL = 1.0 - 1e-12
"""Share of its cap from which on a sample is at its cap."""


@dataclass(frozen=True)
class Band:
    """Samples with all their features: those that the norm measures, then those of free weights."""

    features: Block
    """Of size about 1, shape [m, p + f]."""
    labels: np.ndarray
    """Class of each sample, shape [m]."""
    classes: int
    """Number of classes k."""
    penalised: int
    """Number of features p that the norm measures."""
    caps: np.ndarray
    """Most that the dual weights of each sample may sum to, where all sum to 1; infinite ones are none."""
    fixed: np.ndarray
    """A(q) of the samples outside that are at their caps, shape [k, p + f]."""
    mass: float = 0.0
    """The dual weights of those samples."""

    @property
    def width(self) -> int:
        """All features, p + f."""
        return self.features.shape[1]

    @cached_property
    def squares(self) -> np.ndarray:
        """Squared lengths of all features, shape [m]."""
        return row_squares(self.features)

    @cached_property
    def free(self) -> np.ndarray:
        """The features whose weights are free, shape [m, f]."""
        found: Any = self.features[:, self.penalised :]
        return found.toarray() if sparse.issparse(found) else found

    @cached_property
    def compiled(self) -> Features:
        """The features as compiled loops know them."""
        if sparse.issparse(self.features):
            columns, starts = (
                each.astype(np.int64, copy=False) for each in (self.features.indices, self.features.indptr)
            )
            return Features(np.zeros((0, 0)), self.features.data, columns, starts)
        nothing = np.zeros(0, dtype=np.int64)
        return Features(np.ascontiguousarray(self.features), np.zeros(0), nothing, nothing)

    def first_dual(self) -> np.ndarray:
        """Dual weights [m, k] of which as much goes from any class to any other, where caps allow that."""
        one_hot = self.labels[:, None] == np.arange(self.classes)
        weights = np.where(np.isfinite(self.caps), self.caps, 1.0)
        sizes = np.bincount(self.labels, weights, minlength=self.classes)
        # Of a class with little room as much goes to the others as they may have.
        q = np.where(one_hot | (sizes == 0.0), 0.0, (weights / sizes[self.labels])[:, None])
        q = q * ((1.0 - self.mass) / q.sum())
        rows = q.sum(axis=1)
        return q * np.minimum(1.0, self.caps / np.where(rows > 0, rows, 1.0))[:, None]

    def pair_sum(self, alpha: np.ndarray) -> np.ndarray:
        """A(α) of the samples of the band, shape [k, p + f]."""
        used = np.flatnonzero(alpha.any(axis=1))
        A: Any = towards(alpha[used], self.labels[used]).T @ self.features[used]
        return np.ascontiguousarray(A)

    def margins(self, W: np.ndarray) -> np.ndarray:
        """Margins of all pairs, infinite at the true class, shape [m, k]."""
        logits = np.asarray(self.features @ W.T)
        index = np.arange(len(self.labels))
        margins = logits[index, self.labels][:, None] - logits
        margins[index, self.labels] = np.inf
        return margins

    def level(self, W: np.ndarray, lowest: np.ndarray) -> float:
        """The mean of the worst margins of W, of which ``lowest`` [m] are those of the band.

        Those outside are taken to be among the worst, which a scan of all samples finds true or not.
        """
        if not np.isfinite(self.caps).all():
            return float(lowest.min())
        room = 1.0 - self.mass
        if room <= 0.0:
            return float(np.sum(self.fixed * W))
        return float(np.sum(self.fixed * W)) + room * float(
            shares_of_worst(lowest, self.caps / room) @ lowest
        )

    def threshold(self, lowest: np.ndarray) -> float:
        """The largest of the worst margins."""
        if not np.isfinite(self.caps).all():
            return float(lowest.min())
        shares = shares_of_worst(lowest, self.caps / max(1.0 - self.mass, 1e-300))
        return float(lowest[shares > 0].max())

    def active(
        self, alpha: np.ndarray, caps: np.ndarray, seen: np.ndarray, level: float, far: float
    ) -> Active:
        """The samples and classes whose dual weights may change while no margin moves by more than ``far``.

        Args:
            alpha: dual weights, shape [m, k].
            caps: their caps, in the size of the dual weights, shape [m].
            seen: margins, shape [m, k].
            level: the level below which samples have dual weight.
            far: by how much margins may move against the level.
        """
        support = alpha > 0
        at_cap = alpha.sum(axis=1) >= caps * _FULL
        highest = np.where(support, seen, -np.inf).max(axis=1)
        limit = np.where(at_cap, np.maximum(highest, seen.min(axis=1)), level) + far
        near = support | ((seen <= limit[:, None]) & (seen < np.inf))
        counts = near.sum(axis=1)
        # At its cap, all of it on one class that no other comes near, well below the level.
        settled = at_cap & (counts == 1) & (highest < level - far)
        rows = np.flatnonzero((counts > 0) & ~settled)
        places, classes = np.nonzero(near[rows])
        starts = np.searchsorted(places, np.arange(len(rows) + 1))
        return Active(rows, starts, classes)


def band_of(reduced: Reduced) -> tuple[Band, float]:
    """Return all samples of a problem as a band in all classes, and what its features were divided by.

    Free weights of the problem are that many times those of the band.
    """
    X, k = reduced.features, reduced.classes
    scale = float(np.sqrt(np.mean(row_squares(X)))) or 1.0
    free = np.zeros((len(X), 0)) if reduced.free is None else reduced.free
    caps = np.full(len(X), np.inf) if reduced.caps is None else reduced.caps
    features = joined_columns(X / scale, free)
    band = Band(features, reduced.labels, k, X.shape[1], caps, np.zeros((k, features.shape[1])))
    return band, scale


def joined_columns(features: Block, free: np.ndarray) -> Block:
    """Features [m, p] and free ones [m, f] side by side, sparse where the first are."""
    if sparse.issparse(features):
        return sparse.csr_array(sparse.hstack([features, sparse.csr_array(free)], format="csr"))
    return np.ascontiguousarray(np.concatenate([features, free], axis=1))
