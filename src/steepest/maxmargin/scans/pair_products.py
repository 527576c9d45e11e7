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
    by_column: Any
    """(values, rows, starts) of sparse columns; None of arrays, or where pairs are of few classes."""
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
        starts = np.searchsorted(chosen.place, np.arange(len(chosen.rows) + 1))
        return cls.of_pairs(
            chosen.features, chosen.labels, starts, chosen.other, chosen.source.classes, sizes, precision
        )

    @classmethod
    def of_pairs(
        cls,
        X: Any,
        labels: np.ndarray,
        starts: np.ndarray,
        classes: np.ndarray,
        k: int,
        sizes: np.ndarray,
        precision: type,
    ) -> PairProducts:
        """Of samples X [m, d], divided by ``sizes`` [d], with labels of k classes and pairs [s]."""
        shape, by_column = (k, len(sizes)), None
        if not sparse.issparse(X):
            features: Any = np.divide(X, sizes, dtype=precision, casting="same_kind")
            return cls(features, by_column, labels, starts, classes, shape, False, precision)
        scaled = sparse.csr_array(
            ((X.data / sizes[X.indices]).astype(precision), X.indices, X.indptr), X.shape
        )
        if products.MANY * len(classes) >= k * len(labels):
            by_column = _arrays(scaled.tocsc())
        return cls(_arrays(scaled), by_column, labels, starts, classes, shape, True, precision)

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
        if not self.is_sparse:
            out = np.zeros(self.shape, self.precision)
            products.add_pairs(self.features, *rest, out)
            return out
        out = np.zeros(self.shape[::-1], self.precision)
        if self.by_column is None:
            products.add_sparse_pairs(self.features, *rest, out)
        else:
            towards = np.empty((len(self.labels), self.shape[0]), self.precision)
            products.sparse_pair_sum(self.by_column, *rest, towards, out)
        return np.ascontiguousarray(out.T)


def _arrays(X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, indices and starts of sparse rows or columns, as compiled loops know them."""
    return X.data, X.indices.astype(np.int64, copy=False), X.indptr.astype(np.int64, copy=False)
