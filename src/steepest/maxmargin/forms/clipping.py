"""Features far larger than the others: solved as if they were less so, and put right afterwards.

A feature that is ρ times as large as the others needs weights ρ times as small: they take nothing of the
norm to first order, and only the sums that must cancel are left of them, A(q) = 0 in their columns. Solvers
lose 2 log10 ρ digits there. With the feature scaled down to ρ' the optimum is the same up to 1/ρ'² in most
norms; weights are scaled back exactly, and the dual weights are corrected so that the large terms cancel.
What that leaves is certified in the original data like any other candidate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steepest.arrays import as_numpy
from steepest.maxmargin.forms.least_change import least_change
from steepest.maxmargin.forms.non_negative import non_negative
from steepest.maxmargin.forms.pairs import pair_rows
from steepest.problem import Classification

__all__ = ["Clipped", "clipped"]

_FAR = 2.0**18
"""Features this many times as large as the middle one are scaled down: 11 of 16 digits would be lost."""
_NEAR = 2.0**17
"""What a scaled feature is to the middle one: its weights cost 1/_NEAR² of most norms, below most gaps."""
_TOGETHER = 1e3
"""Features within this ratio of each other are large together."""
_CORRECTIONS = 3
"""Each correction gains all but two or three digits, so the second one ends at rounding."""
_LEAST = (0.0, 1e-10, 1e-6)
"""Relative sizes from which dual weights are kept: where the large features tell classes apart by themselves,
what an interior point leaves on their pairs cannot cancel and has to go."""
_CUTOFFS = (1e-7, 1e-10, 1e-14)
"""Relative sizes below which directions of the terms may be rounding."""
_LARGEST_SYSTEM = 20_000_000
"""Numbers in the terms that are still formed."""
_TINY = 1e-9
"""Dual weights below this have last digits that no feature of 1e16 times the middle size can bring up."""
_SUM = 1e-15
"""Sums of dual weights this near to 1 are 1."""
_SHARE = 8
"""Samples of every class, for every large feature, that may take what last digits leave over."""
_COMPARABLE = 2.0**-13
"""Of the largest entry of a feature: samples with such entries need least dual weight of all."""
_SPLIT = 2.0**27 + 1.0
_LARGEST_SETTLED = 2_000_000
"""Numbers in the non-negative least-squares problem for it, which then takes a second."""


@dataclass(frozen=True)
class Clipped:
    """Data whose largest features are scaled down, and the way back."""

    problem: Classification
    """The data to solve."""
    original: Classification
    factors: np.ndarray
    """What each feature is multiplied by, powers of two, at most 1, shape [d]."""

    def weights(self, W: np.ndarray) -> np.ndarray:
        """Weights of the same margins in the original data."""
        return W * self.factors

    def duals(self, q: np.ndarray, wanted: np.ndarray | float = 0.0) -> Iterator[np.ndarray]:
        """Yield dual weights near ``q`` for which A(q) vanishes in the features that were scaled.

        More or less of A(q) can be told from rounding: that is left to the certificate. Instead of 0 it may
        be ``wanted`` there, shape [k, f], as little as tiny weights bring about.
        """
        large = np.flatnonzero(self.factors < 1.0)
        # What the solver left may be so little that tiny weights take all of it.
        yield self.settled(q / float(q.sum()), wanted)
        seen = 0
        for least in _LEAST:
            pairs = np.argwhere(q > least * q.max())
            if len(pairs) == seen:
                continue
            seen = len(pairs)
            if seen * self.original.n_classes * len(large) > _LARGEST_SYSTEM:
                yield q
                return
            terms = self._terms(pairs, large)
            for cutoff in _CUTOFFS:
                values = q[tuple(pairs.T)]
                for _ in range(_CORRECTIONS):
                    values = values / (float(values.sum()) or 1.0)
                    values = np.maximum(values * (1.0 - least_change(terms * values, cutoff)), 0.0)
                if values.any():
                    corrected = np.zeros_like(q)
                    corrected[tuple(pairs.T)] = values
                    yield self.settled(corrected, wanted)

    def settled(self, q: np.ndarray, wanted: np.ndarray | float = 0.0, *, again: bool = True) -> np.ndarray:
        """Dual weights whose last digits no longer count: what those leave of A(q), tiny weights take.

        A weight near 1 comes in steps of 1e-16, and 1e12 of those are not little. Pairs without weight are
        given some 1e-16, which comes in steps of 1e-32.
        """
        large = np.flatnonzero(self.factors < 1.0)
        pairs = np.argwhere(q > 0)
        terms, values = self._terms(pairs, large), q[tuple(pairs.T)]
        left = _exact_sums(terms, values)
        left = left - np.broadcast_to(wanted, (self.original.n_classes, len(large))).ravel()
        size = float(np.abs(left).max(initial=0.0))
        if size == 0.0:
            return q
        for others in self._others(q, large):
            if not len(others) or len(left) * len(others) > _LARGEST_SETTLED:
                continue
            added = non_negative(self._terms(others, large), -left / size)
            if added is not None and size * added.sum() <= _TINY:
                break
        else:
            return q
        settled = q.copy()
        settled[tuple(others.T)] += size * added
        total = float(settled.sum())
        # A sum that is no longer 1 is divided out while what that rounds can still be put right.
        return (
            settled
            if abs(total - 1.0) <= _SUM or not again
            else self.settled(settled / total, wanted, again=False)
        )

    def _others(self, q: np.ndarray, large: np.ndarray) -> Iterator[np.ndarray]:
        """Yield pairs of next to no dual weight, [m, 2]: of the largest samples, then of every class."""
        y, sizes = self.original.labels, np.abs(as_numpy(self.problem.features)[:, large])
        free = q <= _TINY * q.max()
        free[np.arange(len(y)), y] = False
        largest = np.zeros(len(y), dtype=bool)
        for label in range(self.original.n_classes):
            members = np.flatnonzero(y == label)
            for size in sizes[members].T:
                # Least weight of theirs is needed, and so least is changed elsewhere.
                largest[members[np.argsort(-size, kind="stable")[:_SHARE]]] = True
        beyond = (sizes >= _COMPARABLE * sizes.max(axis=0)).any(axis=1)
        if (largest & ~beyond).any():
            yield np.argwhere(free & (largest & beyond)[:, None])
        yield np.argwhere(free & largest[:, None])

    def _terms(self, pairs: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Return the matrix [k f, s] that maps the dual weights of pairs to A(q) in some features."""
        X, k = as_numpy(self.problem.features)[:, features], self.original.n_classes
        return pair_rows(X, self.original.labels, np.eye(k), pairs).reshape(len(pairs), k * len(features)).T


def _exact_sums(terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the products of terms [m, s] and values [s], rounded once: offsets cancel to any share."""
    size = 2.0 ** np.floor(np.log2(np.max(np.abs(terms), initial=0.0) or 1.0))
    a, b = terms / size, np.broadcast_to(values, terms.shape)
    product, a_head, b_head = a * b, _head(a), _head(b)
    a_tail, b_tail = a - a_head, b - b_head
    lost = a_tail * b_tail - (((product - a_head * b_head) - a_tail * b_head) - a_head * b_tail)
    return size * np.array([math.fsum(row) for row in np.concatenate([product, lost], axis=1).tolist()])


def _head(numbers: np.ndarray) -> np.ndarray:
    shifted = _SPLIT * numbers
    return shifted - (shifted - numbers)


def clipped(problem: Classification) -> Clipped | None:
    """Return the data with its far larger features scaled down, or None where there are none."""
    X = as_numpy(problem.features)
    sizes = np.maximum(X.max(axis=0), -X.min(axis=0))
    if not sizes.any():
        return None
    # Of two features the smaller one: the mean of both would hide the larger.
    positive = sizes[sizes > 0]
    lower = (len(positive) - 1) // 2
    middle = float(np.partition(positive, lower)[lower])
    far = sizes > _FAR * middle
    if not far.any():
        return None
    # Features that are large together keep their proportions: perhaps the others are noise.
    reference = sizes[far].max() if sizes[far].max() <= _TOGETHER * sizes[far].min() else sizes[far]
    factors = np.ones(len(sizes))
    factors[far] = 2.0 ** np.floor(np.log2(_NEAR) + np.log2(middle) - np.log2(reference))
    return Clipped(Classification(X * factors, problem.labels), problem, factors)
