"""Margins of the chosen pairs and A of their dual weights, in the precision and form of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.maxmargin.scans import products
from steepest.maxmargin.scans.working_set import WorkingSet

__all__ = ["PairProducts"]


@dataclass(frozen=True)
class PairProducts:
    """W ↦ margins of a working set's pairs and its adjoint, with features divided by a size of their own."""

    features: Any
    """Rows of an array, or (values, columns, starts) of sparse rows."""
    labels: np.ndarray
    """Class of each sample of the set, shape [m]."""
    starts: np.ndarray
    """Where the pairs of each sample begin, shape [m + 1]."""
    classes: np.ndarray
    """c of every pair, shape [s]."""
    shape: tuple[int, int]
    """Of weights: k and d."""
    is_sparse: bool
    precision: type

    @classmethod
    def of(cls, chosen: WorkingSet, sizes: np.ndarray, precision: type) -> PairProducts:
        """Of a working set, whose features are divided by ``sizes`` [d]."""
        X, shape = chosen.features, (chosen.source.classes, len(sizes))
        starts = np.searchsorted(chosen.place, np.arange(len(chosen.rows) + 1))
        if sparse.issparse(X):
            values = (X.data / sizes[X.indices]).astype(precision)
            features: Any = values, X.indices.astype(np.int64), X.indptr.astype(np.int64)
        else:
            features = np.divide(X, sizes, dtype=precision, casting="same_kind")
        return cls(features, chosen.labels, starts, chosen.other, shape, sparse.issparse(X), precision)

    def margins(self, W: np.ndarray) -> np.ndarray:
        """Margins of the pairs for weights [k, d], shape [s]."""
        out = np.empty(len(self.classes), self.precision)
        rest = self.labels, self.starts, self.classes
        if self.is_sparse:
            products.sparse_pair_margins(self.features, *rest, np.ascontiguousarray(W.T), out)
        else:
            products.pair_margins(self.features, *rest, W, out)
        return out

    def pair_sum(self, q: np.ndarray) -> np.ndarray:
        """A(q), shape [k, d]."""
        rest = self.labels, self.starts, self.classes, q
        if self.is_sparse:
            out = np.zeros(self.shape[::-1], self.precision)
            products.add_sparse_pairs(self.features, *rest, out)
            return np.ascontiguousarray(out.T)
        out = np.zeros(self.shape, self.precision)
        products.add_pairs(self.features, *rest, out)
        return out
