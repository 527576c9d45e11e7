"""The pairs (i, c) of a reduced problem: their margins, A(q), and the matrix that gives both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.forms.worst import mean_of_worst

__all__ = ["Pairs", "all_pairs", "dense_dual", "free_margins", "free_of_all", "pair_rows", "towards"]

_SHARE_OF_CAPS = 0.5
"""What an even start may take of the caps: the rest is room of its own for each sample."""


def all_pairs(labels: np.ndarray, classes: int) -> np.ndarray:
    """Pairs (i, c) with c ≠ y_i, shape [n (k-1), 2], ordered by sample.

    >>> all_pairs(np.array([0, 1]), 3).tolist()
    [[0, 1], [0, 2], [1, 0], [1, 2]]
    """
    return np.argwhere(labels[:, None] != np.arange(classes))


def dense_dual(values: np.ndarray, pairs: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Dual weights of pairs as an array [n, k], clipped at 0; uniform where none is positive."""
    q = np.zeros(shape)
    q[tuple(pairs.T)] = np.maximum(values, 0.0)
    if not q.any():
        q[tuple(pairs.T)] = 1.0
    return q


def pair_rows(features: np.ndarray, labels: np.ndarray, classes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Matrices (e_{y_i} - e_c) x_iᵀ of pairs, shape [s, r, c]: ⟨row, V⟩ is the margin of V.

    Args:
        features: x_i, shape [n, c].
        labels: y_i, shape [n].
        classes: coordinates e_c of the classes, shape [k, r]; the identity, or the mixing of a reduction.
        pairs: (i, c), shape [s, 2].

    >>> pair_rows(np.array([[5.0, 7.0]]), np.array([1]), np.eye(2), np.array([[0, 0]])).tolist()
    [[[-5.0, -7.0], [5.0, 7.0]]]
    """
    i, c = pairs.T
    return (classes[labels[i]] - classes[c])[:, :, None] * features[i][:, None, :]


def _sparse_rows(
    features: np.ndarray, labels: np.ndarray, classes: int, pairs: np.ndarray
) -> sparse.csr_array:
    """The matrices of :func:`pair_rows` with all classes kept, flattened and sparse, shape [s, k c]."""
    # A row has two blocks, x_i and -x_i: nothing else is formed.
    (i, c), d = pairs.T, features.shape[1]
    X = features[i]
    columns = np.stack([labels[i] * d, c * d], axis=1)[:, :, None] + np.arange(d)
    values = np.stack([X, -X], axis=1)
    starts = np.arange(len(pairs) + 1) * 2 * d
    matrix = sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(pairs), classes * d))
    matrix.eliminate_zeros()
    return matrix


def free_margins(free: np.ndarray, labels: np.ndarray, classes: int, pairs: np.ndarray) -> sparse.csr_array:
    """Matrix [s, (k - 1) f] from free weights of all classes but the last, flattened, to margins of pairs.

    Weights of the last class are 0, which no margin notices.

    Args:
        free: free features, shape [n, f].
        labels: y_i, shape [n].
        classes: their number k.
        pairs: (i, c), shape [s, 2].

    >>> free_margins(np.array([[5.0]]), np.array([1]), 3, np.array([[0, 0], [0, 2]])).toarray().tolist()
    [[-5.0, 5.0], [0.0, 5.0]]
    """
    matrix: Any = _sparse_rows(free, labels, classes, pairs)
    return matrix[:, : (classes - 1) * free.shape[1]]


def free_of_all(weights: np.ndarray, classes: int) -> np.ndarray:
    """Free weights [k, f] of all classes, 0 in the last, from those that :func:`free_margins` takes.

    >>> free_of_all(np.array([5.0, 7.0]), 2).tolist()
    [[5.0, 7.0], [0.0, 0.0]]
    """
    others = weights.reshape(classes - 1, -1)
    return np.concatenate([others, np.zeros((1, others.shape[1]))])


def towards(q: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """T with A(q) = Tᵀ X, shape [n, k], for q that is 0 at the true class: -q, and its row sums there.

    >>> towards(np.array([[0.0, 0.25, 0.5]]), np.array([0])).tolist()
    [[0.75, -0.25, -0.5]]
    """
    T = -q
    T[np.arange(len(q)), labels] = np.einsum("ic->i", q)
    return T


@dataclass(frozen=True)
class Pairs:
    """Margins of weights and pair sums of dual weights, in features multiplied by ``size``."""

    reduced: Reduced
    size: float = 1.0

    @property
    def features(self) -> np.ndarray:
        """Features before their multiplication, shape [n, c]."""
        return self.reduced.features

    @property
    def y(self) -> np.ndarray:
        """Class of each sample, shape [n]."""
        return self.reduced.labels

    @cached_property
    def mask(self) -> np.ndarray:
        """True at pairs, False at the true class, shape [n, k]."""
        return self.y[:, None] != np.arange(self.reduced.classes)

    @cached_property
    def index(self) -> np.ndarray:
        """0, 1, ..., n - 1, which with y picks the true class of each sample."""
        return np.arange(len(self.y))

    @property
    def slots(self) -> np.ndarray:
        """True where dual weights are, shape [n, k]: at pairs, and at true classes where there are caps.

        At the true class is what a sample's pairs leave of its cap, and its slack is what the sample may lie
        below the level: with these a sample's slots are alike.
        """
        return self.mask if self.reduced.caps is None else np.ones_like(self.mask)

    @property
    def count(self) -> int:
        """Number of slots."""
        return len(self.y) * (self.reduced.classes - (self.reduced.caps is None))

    @cached_property
    def members(self) -> list[np.ndarray]:
        """The samples of each class."""
        return [np.nonzero(self.y == label)[0] for label in range(self.reduced.classes)]

    @property
    def from_origin(self) -> np.ndarray | None:
        """Coordinates of the norm from weights of all classes but the last, which is the origin.

        None where the norm keeps all k rows: entry-wise norms other than Frobenius.
        """
        return None if self.reduced.mixing is None else self.reduced.mixing[:-1].T

    @cached_property
    def uniform(self) -> np.ndarray:
        """Equal dual weights of a sample's pairs, and of samples in proportion to caps, shape [n, k].

        Those of an even start are so within each class, and the classes' are equal where caps leave room.
        """
        caps, k = self.reduced.caps, self.reduced.classes
        of_sample = np.full(len(self.y), 1.0 / len(self.y)) if caps is None else caps / caps.sum()
        of_class = np.bincount(self.y, weights=of_sample, minlength=k)
        if self.reduced.even and of_class.min() > 0.0:
            even = of_sample / (k * of_class[self.y])
            if caps is None or np.all(even <= _SHARE_OF_CAPS * caps):
                of_sample = even
        return np.where(self.mask, of_sample[:, None] / (k - 1), 0.0)

    def balanced(self) -> Pairs:
        """The same pairs, with features multiplied so that ‖A(uniform q)‖_* is 1 where it is positive."""
        value = float(self.reduced.norm.dual(self.pair_sum(self.uniform)))
        return replace(self, size=self.size / value) if value > 0 else self

    def margins(self, V: np.ndarray, free: np.ndarray | None = None) -> np.ndarray:
        """Pair margins, 0 at the true class, with free weights [k, f] beside V where there are such."""
        logits = self.features @ self.in_classes(V).T
        if free is not None and self.reduced.free is not None:
            logits = logits + self.reduced.free @ free.T
        return self.size * (logits[self.index, self.y][:, None] - logits)

    def lowest_margin(self, V: np.ndarray) -> float:
        """Smallest margin of any pair."""
        return float(self.margins(V)[self.mask].min())

    def lowest(self, V: np.ndarray, free: np.ndarray | None = None) -> np.ndarray:
        """Smallest margin of each sample, shape [n]."""
        return np.where(self.mask, self.margins(V, free), np.inf).min(axis=1)

    def level(self, V: np.ndarray, free: np.ndarray | None = None) -> float:
        """Smallest margin of any pair; with caps the mean of the samples' worst, by their caps."""
        if self.reduced.caps is None:
            return float(self.margins(V, free)[self.mask].min())
        return mean_of_worst(self.lowest(V, free), self.reduced.caps)

    def towards(self, q: np.ndarray) -> np.ndarray:
        """A(q) in class coordinates, shape [k, c]."""
        return self.size * (towards(q, self.y).T @ self.features)

    def in_classes(self, V: np.ndarray) -> np.ndarray:
        """Weights of all classes from coordinates of the norm."""
        return V if self.reduced.mixing is None else self.reduced.mixing @ V

    def in_norm(self, A: np.ndarray) -> np.ndarray:
        """Coordinates of the norm from class coordinates."""
        return A if self.reduced.mixing is None else self.reduced.mixing.T @ A

    def pair_sum(self, q: np.ndarray) -> np.ndarray:
        """A(q) in the coordinates of the norm."""
        return self.in_norm(self.towards(q))

    def rows(self, pairs: np.ndarray) -> np.ndarray:
        """Matrices of the margins of pairs in the coordinates of the norm, shape [s, r, c]."""
        classes = np.eye(self.reduced.classes) if self.reduced.mixing is None else self.reduced.mixing
        return self.size * pair_rows(self.features, self.y, classes, pairs)

    def matrix(self, pairs: np.ndarray) -> sparse.csr_array:
        """The rows of pairs, flattened and sparse, shape [s, r c]: times V, flattened, it gives margins."""
        if self.reduced.mixing is not None:
            return sparse.csr_array(self.rows(pairs).reshape(len(pairs), -1))
        return _sparse_rows(self.size * self.features, self.y, self.reduced.classes, pairs)

    def bounds(self, V: np.ndarray, A: np.ndarray) -> tuple[float, float]:
        """The level of V over ‖V‖ and ‖A‖_*, without allowance for rounding."""
        norm = self.reduced.norm
        size = float(norm(V))
        return (self.level(V) / size if size > 0 else 0.0), float(norm.dual(A))
