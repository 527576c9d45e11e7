"""Features far larger than the others: solved as if they were less so, and put right afterwards.

A feature that is ρ times as large as the others needs weights ρ times as small: they take nothing of the
norm to first order, and only the sums that must cancel are left of them, A(q) = 0 in their columns. Solvers
lose 2 log10 ρ digits there. With the feature scaled down to ρ' the optimum is the same up to 1/ρ'² in most
norms; weights are scaled back exactly, and the dual weights are corrected so that the large terms cancel.
What that leaves is certified in the original data like any other candidate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steepest.arrays import as_numpy
from steepest.maxmargin.forms.least_change import least_change
from steepest.problem import Classification

__all__ = ["Clipped", "clipped"]

_FAR = 1e7
"""Features this many times as large as the middle one are scaled down."""
_NEAR = 2.0**17
_TOGETHER = 1e3
_CORRECTIONS = 3
_CUTOFFS = (1e-7, 1e-10, 1e-14)
_LARGEST_SYSTEM = 20_000_000


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

    def duals(self, q: np.ndarray) -> Iterator[np.ndarray]:
        """Yield dual weights near ``q`` for which A(q) vanishes to rounding in the features that were scaled.

        More or less of A(q) can be told from rounding: that is left to the certificate.
        """
        large = np.flatnonzero(self.factors < 1.0)
        pairs = np.argwhere(q > 0)
        if len(pairs) * self.original.n_classes * len(large) > _LARGEST_SYSTEM:
            yield q
            return
        terms = self._terms(pairs, large)
        for cutoff in _CUTOFFS:
            values = q[tuple(pairs.T)]
            for _ in range(_CORRECTIONS):
                values = np.maximum(values * (1.0 - least_change(terms * values, cutoff)), 0.0)
            corrected = np.zeros_like(q)
            corrected[tuple(pairs.T)] = values
            yield corrected

    def _terms(self, pairs: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Return the matrix [k f, s] that maps the dual weights of pairs to A(q) in some features."""
        i, c = pairs.T
        X = as_numpy(self.problem.features)[np.ix_(i, features)].T
        terms = np.zeros((self.original.n_classes, len(features), len(pairs)))
        places = np.arange(len(pairs))
        terms[self.original.labels[i], :, places] += X.T
        terms[c, :, places] -= X.T
        return terms.reshape(-1, len(pairs))


def clipped(problem: Classification) -> Clipped | None:
    """Return the data with its far larger features scaled down, or None where there are none."""
    X = as_numpy(problem.features)
    sizes = np.maximum(X.max(axis=0), -X.min(axis=0))
    if not sizes.any():
        return None
    middle = float(np.median(sizes[sizes > 0]))
    far = sizes > _FAR * middle
    if not far.any():
        return None
    # Features that are large together keep their proportions: perhaps the others are noise.
    reference = sizes[far].max() if sizes[far].max() <= _TOGETHER * sizes[far].min() else sizes[far]
    factors = np.ones(len(sizes))
    factors[far] = 2.0 ** np.floor(np.log2(_NEAR) + np.log2(middle) - np.log2(reference))
    return Clipped(Classification(X * factors, problem.labels), problem, factors)
