"""Sparse features without what free ones explain of them, such as their means beside an intercept.

Weights V of penalised features X and F of free ones L give the same logits as V in X - L T and F + V Tᵀ. For
T of least squares both parts are orthogonal, so that the norm of W ↦ margins, which bounds every step, is not
that of means that all samples share. X - L T is dense and never formed: only its products are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from steepest.maxmargin.relaxed.band import Band
from steepest.maxmargin.scans.pair_products import PairProducts
from steepest.maxmargin.scans.restarted import operator_norm

__all__ = ["Centred", "explained_by_free"]


def explained_by_free(band: Band) -> np.ndarray:
    """T, shape [f, p]; 0 of features in an array, which are levelled as they are made."""
    p = band.penalised
    if p == band.width or not sparse.issparse(band.features):
        return np.zeros((band.width - p, p))
    free = band.free
    together = np.asarray(band.features[:, :p].T @ free).T
    return np.linalg.lstsq(free.T @ free, together, rcond=None)[0]


@dataclass(frozen=True)
class Centred:
    """Products with chosen pairs in features that free ones explain nothing of, in sizes of their own."""

    products: PairProducts
    """Of the features as they are."""
    shift: np.ndarray
    """T in these sizes, shape [f, p]."""

    def margins(self, W: np.ndarray) -> np.ndarray:
        """Margins of the pairs for weights [k, p + f], shape [s]."""
        p = self.shift.shape[1]
        if self.shift.any():
            W = np.concatenate([W[:, :p], W[:, p:] - W[:, :p] @ self.shift.T], axis=1)
        return self.products.margins(W)

    def pair_sum(self, q: np.ndarray) -> np.ndarray:
        """A(q), shape [k, p + f]."""
        return self.levelled(self.products.pair_sum(q))

    def levelled(self, A: np.ndarray) -> np.ndarray:
        """A(q) of features as they are [k, p + f] without what free ones explain, in place."""
        p = self.shift.shape[1]
        if self.shift.any():
            A[:, :p] -= A[:, p:] @ self.shift
        return A

    def norm_of(self, first: int, last: int) -> float:
        """The norm of W ↦ margins for weights of features ``first`` to ``last`` alone."""
        k, width = self.products.shape
        W = np.zeros((k, width), self.products.precision)

        def margins(V: np.ndarray) -> np.ndarray:
            W[:, first:last] = V
            return self.margins(W)

        V = np.random.default_rng(0).standard_normal((k, last - first)).astype(self.products.precision)
        return operator_norm(margins, lambda q: self.pair_sum(q)[:, first:last], V)[0]
