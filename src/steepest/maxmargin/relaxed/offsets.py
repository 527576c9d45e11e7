"""Hard margins of features with large offsets that other features can undo, such as dates beside ones.

With logits w x + b, x = o + z and o ≫ 1, weights b of a column of ones need w ≈ -b/o beside them, which
cost a share of 1/o or 1/o² of a norm. The margin is next to that with w free, where offsets cost nothing:
what x explains of the other features is taken out of them in doubled precision: it leaves -z/o of the ones.
Two things are put right in the original features. Free weights are chosen so that their roundings agree
(:mod:`last_digits`), and A(q), which is 0 in a free feature, becomes what the norm asks for its weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.relaxed.last_digits import free_weights
from steepest.maxmargin.relaxed.methods import proposed
from steepest.maxmargin.relaxed.original import Original, separate_alone
from steepest.maxmargin.relaxed.prepared import Levelled, Prepared, levelled, prepare_levelled
from steepest.maxmargin.relaxed.proposal import Proposal
from steepest.maxmargin.relaxed.put_right import PutRight
from steepest.problem import Classification

__all__ = ["far_feature", "solve_by_offsets"]

_FAR = 2.0**13
"""Times that the feature is larger than one that it explains: its weights then cost 1/_FAR² of most norms."""
_EXPLAINED = 2.0**-10
"""Share of a feature that is left of it where another one explains it."""
_LARGEST = 4_000_000
"""Pairs times features of a problem that is tried."""
_ROUNDING = 0.3
"""Share of the gap that a method aims at."""


def far_feature(X: np.ndarray) -> int | None:
    """Return the largest feature of X [n, d] if it is far larger than one that is nearly a multiple of it.

    >>> far_feature(np.array([[20240101.0, 1.0], [20240102.0, 1.0]])), far_feature(np.eye(2))
    (0, None)
    """
    sizes = np.maximum(X.max(axis=0), -X.min(axis=0))
    far = int(np.argmax(sizes))
    others = np.flatnonzero((sizes > 0) & (sizes * _FAR <= sizes[far]))
    if not len(others):
        return None
    left = np.max(np.abs(levelled(X[:, others], X[:, [far]]).features), axis=0)
    return far if (left <= _EXPLAINED * sizes[others]).any() else None


def solve_by_offsets(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    """Yield candidates of the problem in which the far feature is free, put right; nothing without one."""
    X = as_numpy(problem.features)
    far = far_feature(X) if X.size * problem.n_classes <= _LARGEST and X.shape[1] > 1 else None
    if far is None:
        return
    if separate_alone(X[:, [far]], problem.labels, problem.n_classes, deadline):
        return
    level = levelled(np.delete(X, far, axis=1), X[:, [far]])
    costs = _costs(norm, problem.n_classes, level.shifts[0])
    scaled = replace(level, features=level.features / costs, shifts=level.shifts / costs)
    prepared = prepare_levelled(scaled, problem.labels, problem.n_classes, norm, None)
    original, best = Original(problem, norm), Best(None, None, 0.0)
    case = _Case(original, far, level, costs, prepared)
    for proposal in proposed(case.prepared, norm, _ROUNDING * gap, "auto", deadline):
        yield from original.closing(case.put_right(proposal), best, gap, deadline)
        if best.within(gap) or deadline.passed or original.is_hopeless(best, deadline):
            return


def _costs(norm: Norm, k: int, shifts: np.ndarray) -> np.ndarray:
    """Return the cost of a weight with the far weight that undoes its offset, over its own, shape [d - 1]."""
    costs = np.ones(len(shifts))
    for place, shift in enumerate(shifts.tolist()):
        if shift != 0.0:
            both = np.zeros((k, len(shifts) + 1))
            both[0, :2] = 1.0, shift
            alone = both * [1.0, 0.0, *[0.0] * (len(shifts) - 1)]
            costs[place] = float(norm(both)) / float(norm(alone))
    return costs


@dataclass(frozen=True)
class _Case:
    original: Original
    far: int
    level: Levelled
    """Of the features themselves."""
    costs: np.ndarray
    """By which those of the prepared problem are divided."""
    prepared: Prepared

    def put_right(self, proposal: Proposal) -> Iterator[Candidate]:
        """Yield candidates in the features of the problem."""
        V, G = proposal.weights / self.costs, proposal.free
        if not (np.isfinite(V).all() and np.isfinite(G).all() and V.any() and proposal.dual.any()):
            return
        W = self.weights(V, G)
        size = float(self.original.norm(W))
        W = self.weights(V / size, G / size)
        found = Candidate(W, proposal.dual, proposal.iterations, f"{proposal.method}, offsets taken out")
        yield found
        for dual in self.duals(W, proposal.dual):
            yield replace(found, dual=dual)

    def duals(self, W: np.ndarray, q: np.ndarray) -> Iterator[np.ndarray]:
        """Yield dual weights near q with what the norm asks of A(q) in the far feature."""
        nothing = np.zeros((len(q), 1), dtype=bool)
        right = PutRight(self.original.problem, self.original.norm, np.array([self.far]), nothing)
        yield from right.duals(q, W, self.original.margin(W))

    def weights(self, V: np.ndarray, G: np.ndarray) -> np.ndarray:
        """Weights [k, d] of all features from those of levelled features and of the far one."""
        W, B = free_weights(self.level, V, G)
        return np.insert(W, self.far, B[:, 0], axis=1)
