"""Hard margins of features that nearly cancel or dwarf each other, in coordinates that a solver tells apart.

The features are eliminated from each other in doubled precision: X = Z U with Z well conditioned. A solver
works with the margins of Z and the norm in its coordinates (:class:`InCoordinates`), where features whose
weights are tiny, such as dates beside a column of ones, are free. What it proposes is put right in X: weights
are found as fractions and rounded so that margins keep their digits, and dual weights are given tiny changes
until A(q) is what the norm asks for where it is a difference of large terms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.linalg

from steepest.geometry import Norm
from steepest.geometry.facts import UNITARILY_INVARIANT, is_true
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.interior.coordinates import InCoordinates
from steepest.maxmargin.relaxed.nearest_floats import nearest_floats
from steepest.maxmargin.relaxed.prepared import Levelled, Prepared, levelled
from steepest.maxmargin.separability.conditioned import eliminated
from steepest.maxmargin.separability.exact import exact_solution

__all__ = ["Graded", "graded"]

_MOST_FEATURES = 40
"""Of an exact system of equations that takes a second."""


@dataclass(frozen=True)
class Graded:
    """Features X [n, d] as Z U, and the problem in Z."""

    features: np.ndarray
    """X, shape [n, d]."""
    columns: np.ndarray
    """The features that have weights, free ones first, shape [r]."""
    lower: np.ndarray
    """Z, shape [n, r], triangular at the ``pivots``."""
    upper: np.ndarray
    """U, shape [r, r], of features that are multiplied by powers of two."""
    exponents: np.ndarray
    """These powers, shape [r]."""
    pivots: np.ndarray
    """Samples, shape [r]."""
    prepared: Prepared
    norm: InCoordinates
    """Of the weights of Z that are not free."""

    @property
    def free(self) -> int:
        """Number of free features."""
        return self.prepared.level.free.shape[1]

    def weights(self, V: np.ndarray, G: np.ndarray, norm: Norm) -> np.ndarray | None:
        """Return W [k, d], of norm 1 to rounding, for weights V of Z and G of its free part; None for 0."""
        both = np.concatenate([G, V[:, : self.lower.shape[1] - self.free]], axis=1)
        plain = np.ldexp(scipy.linalg.solve_triangular(self.upper, both.T).T, self.exponents)
        W = self._full(plain)
        size = float(norm(W))
        if not 0.0 < size < np.inf:
            return None
        exact = self._exact(both / size) if len(self.columns) <= _MOST_FEATURES else None
        if exact is None:
            return W / size
        logits = self.lower @ (both / size).T
        labels = self.prepared.reduced.labels
        margins = logits[np.arange(len(labels)), labels][:, None] - logits
        least = float(margins[labels[:, None] != np.arange(len(both))].min())
        return self._full(nearest_floats(exact, self.features[:, self.columns], max(0.0, least)))

    def _exact(self, both: np.ndarray) -> list[list[Fraction]] | None:
        """Weights by the scores of the samples that were eliminated with, which have all their digits."""
        scores = both @ self.lower[self.pivots].T
        if not np.isfinite(scores).all():
            return None
        right = [[Fraction(each) for each in row] for row in scores.tolist()]
        return exact_solution(self.features[np.ix_(self.pivots, self.columns)], right)

    def _full(self, weights: np.ndarray) -> np.ndarray:
        W = np.zeros((len(weights), self.features.shape[1]))
        W[:, self.columns] = weights
        return W


def graded(X: np.ndarray, labels: np.ndarray, k: int, norm: Norm, free: tuple[int, ...]) -> Graded | None:
    """Return the problem of features X [n, d] and labels [n] graded, ``free`` ones first; None if all are."""
    used = np.flatnonzero(X.any(axis=0))
    first = [j for j in used.tolist() if j in free]
    others = [j for j in used.tolist() if j not in free]
    if not others:
        return None
    sizes = np.frexp(np.max(np.abs(X), axis=0))[1]
    with np.errstate(under="ignore"):
        scaled = np.ldexp(X, -sizes)
    order = _ordered(scaled, first, [])
    order = np.concatenate([order, _ordered(scaled, others, first)])
    lower, upper, chosen, pivots, _ = eliminated(scaled[:, order])
    f = int(np.count_nonzero(chosen < len(first)))
    columns = order[chosen]
    exponents = -sizes[columns]
    of_rest = upper[f:, f:]
    r = len(of_rest)
    if r == 0:
        return None
    powers = np.ldexp(1.0, exponents[f:])
    to_weights: Any = scipy.linalg.solve_triangular(of_rest, np.eye(r)).T * powers
    from_weights: Any = of_rest / powers
    mixing = scipy.linalg.helmert(k).T if is_true(UNITARILY_INVARIANT, norm) else None
    Z = lower[:, f:]
    missing = max(0, k - (mixing is not None) - r)
    if missing:
        # As wide as singular value decompositions want it.
        Z = np.pad(Z, ((0, 0), (0, missing)))
        to_weights: Any = scipy.linalg.block_diag(to_weights, np.eye(missing))
        from_weights = scipy.linalg.block_diag(from_weights, np.eye(missing))
    inside = InCoordinates(norm, to_weights, from_weights)
    size = float(np.sqrt(np.max(np.einsum("ij,ij->i", Z, Z)))) or 1.0
    reduced = Reduced(np.ascontiguousarray(Z / size), labels, k, size, None, mixing, inside)
    level = Levelled(Z, np.zeros_like(Z), lower[:, :f], np.arange(f), np.zeros((f, Z.shape[1])))
    mixed, back = _mixed(level.free, reduced)
    prepared = Prepared(replace(reduced, free=mixed if f else None), level, back)
    return Graded(X, columns, lower, upper, exponents, np.asarray(pivots), prepared, inside)


def _ordered(scaled: np.ndarray, columns: list[int], first: list[int]) -> np.ndarray:
    """Return columns by what is left of them: those that others nearly explain come last."""
    if not columns:
        return np.zeros(0, dtype=int)
    left = levelled(scaled[:, columns], scaled[:, first]).features
    found: Any = scipy.linalg.qr(left, mode="r", pivoting=True, check_finite=False)
    return np.array(columns)[found[1]]


def _mixed(free: np.ndarray, reduced: Reduced) -> tuple[np.ndarray, np.ndarray]:
    """Return free features in orthogonal combinations of a size that suits the others, and the way back."""
    f = free.shape[1]
    if not f:
        return free, np.zeros((0, 0))
    pairs = Pairs(reduced)
    size = float(reduced.norm.dual(pairs.pair_sum(pairs.uniform))) or 1.0
    Q, R = np.linalg.qr(free)
    root = size * np.sqrt(len(Q))
    return Q * root, scipy.linalg.solve_triangular(R, np.eye(f)) * root
