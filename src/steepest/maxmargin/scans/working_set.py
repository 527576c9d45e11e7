"""A working set: the chosen pairs, the features of their samples and their dual weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.features import Block, Rows
from steepest.maxmargin.scans import ascent

__all__ = ["Source", "WorkingSet", "compiled_features", "row_squares"]

_FAR = 1.02
"""Pairs without dual weight are left out of sweeps above this margin, where the smallest is to be 1."""

_OF_ROWS = ("labels", "squares")
"""What is computed of the samples alone, once."""


@dataclass(frozen=True)
class Source:
    """The data that pairs are chosen from."""

    rows: Rows
    labels: np.ndarray
    """Class of each sample, shape [n]."""
    classes: int
    """Number of classes k."""
    scale: float
    """What features are divided by in a working set, so that they are of size about 1."""


@dataclass(frozen=True)
class WorkingSet:
    """Pairs (i, c) ordered by sample and class, in features divided by the source's scale.

    Scaled so that the smallest margin is 1, the Frobenius norm's dual is max_{α ≥ 0} Σα - ½‖A(α)‖_F², with
    W = A(α) at its optimum.
    """

    source: Source
    rows: np.ndarray
    """The samples, increasing, shape [m]."""
    features: Block
    """Their features, shape [m, d]."""
    place: np.ndarray
    """Index into ``rows`` of every pair, increasing, shape [s]."""
    other: np.ndarray
    """c of every pair, shape [s]."""
    alpha: np.ndarray
    """Dual weights of the pairs, shape [s]."""
    seen: np.ndarray
    """Their margins as sweeps last saw them, shape [s]; -inf where they have not been looked at."""

    @classmethod
    def empty(cls, source: Source) -> WorkingSet:
        """Without any pairs."""
        none = np.zeros(0, dtype=np.int64)
        return cls(source, none, source.rows.take(none), none, none, np.zeros(0), np.zeros(0))

    def __len__(self) -> int:
        return len(self.alpha)

    @property
    def keys(self) -> np.ndarray:
        """A number for every pair, increasing."""
        return self.rows[self.place] * self.source.classes + self.other

    @property
    def support(self) -> int:
        """Number of pairs with dual weight."""
        return int(np.count_nonzero(self.alpha))

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of each sample of the set, shape [m]."""
        return self.source.labels[self.rows]

    @cached_property
    def squares(self) -> np.ndarray:
        """‖x_i‖², shape [m]."""
        return row_squares(self.features)

    def joined(self, samples: np.ndarray, classes: np.ndarray) -> WorkingSet:
        """The set with more pairs, whose dual weights are 0; pairs that it has stay as they are."""
        k = self.source.classes
        new = np.setdiff1d(samples * k + classes, self.keys)
        if not len(new):
            return self
        keys = np.concatenate([self.keys, new])
        order = np.argsort(keys, kind="stable")
        more = np.setdiff1d(new // k, self.rows)
        chosen = np.concatenate([self.rows, more])
        by_row = np.argsort(chosen)
        features = _stacked(self.features, self.source.rows.take(more) / self.source.scale)
        alpha, seen = (np.concatenate(each)[order] for each in (
            (self.alpha, np.zeros(len(new))), (self.seen, np.full(len(new), -np.inf))
        ))  # fmt: skip
        return WorkingSet(
            self.source,
            chosen[by_row],
            features[by_row],
            np.searchsorted(chosen[by_row], keys[order] // k),
            keys[order] % k,
            alpha,
            seen,
        )

    def kept(self, keep: np.ndarray) -> WorkingSet:
        """The pairs where ``keep`` is true, and their samples."""
        stays = np.zeros(len(self.rows), dtype=bool)
        stays[self.place[keep]] = True
        place = (np.cumsum(stays) - 1)[self.place[keep]]
        features = self.features[stays]
        return WorkingSet(
            self.source,
            self.rows[stays],
            features,
            place,
            self.other[keep],
            self.alpha[keep],
            self.seen[keep],
        )

    def scaled(self, factor: float) -> WorkingSet:
        """The set with all dual weights multiplied."""
        return self._changed(alpha=factor * self.alpha)

    def weighed(self, alpha: np.ndarray) -> WorkingSet:
        """The set with other dual weights."""
        return self._changed(alpha=alpha)

    def _changed(self, **values: np.ndarray) -> WorkingSet:
        """The set with other values of the pairs, and with what has been computed of its samples."""
        changed = replace(self, **values)
        changed.__dict__.update({name: self.__dict__[name] for name in _OF_ROWS if name in self.__dict__})
        return changed

    def pair_sum(self) -> np.ndarray:
        """A(α), shape [k, d]."""
        m, k = len(self.rows), self.source.classes
        T = sparse.csr_array((-self.alpha, (self.place, self.other)), shape=(m, k))
        sums = np.bincount(self.place, self.alpha, m)
        T = T + sparse.csr_array((sums, (np.arange(m), self.labels)), shape=(m, k))
        A: Any = T.T @ self.features
        return np.ascontiguousarray(A.toarray() if sparse.issparse(A) else A)

    def margins(self, W: np.ndarray) -> np.ndarray:
        """Margins of the pairs, shape [s]."""
        logits = np.asarray(self.features @ W.T)
        return logits[self.place, self.labels[self.place]] - logits[self.place, self.other]

    def ascended(self, W: np.ndarray, sweeps: int, seed: int, *, everywhere: bool) -> WorkingSet:
        """The set after sweeps of coordinate ascent in random order; ``W`` changes in place with A(α).

        Pairs that stood far from the boundary when they were last seen are left out, unless ``everywhere``.
        """
        m = len(self.rows)
        starts = np.searchsorted(self.place, np.arange(m + 1))
        alpha, seen = self.alpha.copy(), self.seen.copy()
        pairs = ascent.ChosenPairs(self.labels, self.squares, starts, self.other, alpha, seen)
        order = np.random.default_rng(seed).permutation(m)
        features = compiled_features(self.features)
        if everywhere:
            ascent.sweep(features, pairs, W, order, 1, np.inf)
            sweeps -= 1
        ascent.sweep(features, pairs, W, order, sweeps, _FAR)
        return self._changed(alpha=alpha, seen=seen)


def row_squares(features: Block) -> np.ndarray:
    """‖x_i‖² of every row, shape [m]."""
    if sparse.issparse(features):
        return np.asarray(features.multiply(features).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", features, features)


def _stacked(first: Block, second: Block) -> Block:
    if sparse.issparse(first):
        return sparse.csr_array(sparse.vstack([first, second], format="csr"))
    return np.concatenate([first, second])


def compiled_features(features: Block) -> ascent.Features:
    """The features as compiled loops know them."""
    if sparse.issparse(features):
        columns, starts = (each.astype(np.int64, copy=False) for each in (features.indices, features.indptr))
        return ascent.Features(np.zeros((0, 0)), features.data, columns, starts)
    nothing = np.zeros(0, dtype=np.int64)
    return ascent.Features(features, np.zeros(0), nothing, nothing)
