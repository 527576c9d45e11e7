"""Hard margins of features with large offsets that others undo, or with entries that dwarf all others.

With logits w x + b, x = o + z and o ≫ 1, weights b of a column of ones need w ≈ -b/o beside them, and a code
of 1e16 for what is missing leaves its feature no more than 1e-16. Such features are taken for free ones, in
coordinates where nothing cancels (:mod:`graded`); where weights turn out to cost something, the problem is
solved again without free ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.maxmargin.certificates.bounds import dual_above, margin_below, simplex_weights
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.relaxed.far_entries import View, has_far_entries, views
from steepest.maxmargin.relaxed.graded import Graded, graded
from steepest.maxmargin.relaxed.methods import Proposal, proposed
from steepest.maxmargin.relaxed.prepared import levelled
from steepest.maxmargin.relaxed.put_right import PutRight
from steepest.maxmargin.separability.decision import decide
from steepest.problem import Classification

__all__ = ["nearly_dependent", "solve_graded"]

_FAR = 2.0**13
"""Times that a feature is larger than another where its weights cost 1/_FAR² of most norms."""
_DEPENDENT = 2.0**-10
"""What is left of a feature, as a share of it, where others nearly explain it."""
_LARGEST = 4_000_000
"""Samples times features times classes of a problem that is tried."""
_MOST_UNKNOWNS = 600
"""Of its Newton system, whose elimination in doubled precision takes a second."""
_ROUNDING = 0.1
"""Share of the gap that a method aims at."""
_NOISE = 2.0**-52
_NOTICED = 1e-11
"""Share of the margin that rounding of A(q) in a feature may cost."""


def nearly_dependent(X: np.ndarray) -> bool:
    """Whether features of X [n, d], scaled alike, nearly explain one another.

    >>> nearly_dependent(np.array([[20240101.0, 1.0], [20240102.0, 1.0]])), nearly_dependent(np.eye(2))
    (True, False)
    """
    sizes = np.max(np.abs(X), axis=0)
    scaled = X[:, sizes > 0] / sizes[sizes > 0]
    found: Any = scipy.linalg.qr(scaled, mode="r", pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(found[0]))
    lengths = np.linalg.norm(scaled, axis=0)[found[1][: len(pivots)]]
    return bool((pivots < _DEPENDENT * lengths).any())


def solve_graded(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    """Yield candidates of problems whose features cancel or dwarf each other; nothing for others."""
    X, k = as_numpy(problem.features), problem.n_classes
    if X.size * k > _LARGEST or (k - 1) * min(X.shape) > _MOST_UNKNOWNS or X.shape[1] < 2:
        return
    far = has_far_entries(X)
    if not far and not nearly_dependent(X):
        return
    best = Best(None, None, 0.0)
    for view in _views(X, problem.labels, k) if far else _offsets(View(X, ())):
        problem_of_view = graded(view.features, problem.labels, k, norm, view.tiny)
        if problem_of_view is None:
            continue
        case = _Case(problem, norm, problem_of_view)
        for candidate in case.candidates(_ROUNDING * gap, deadline):
            yield candidate
            best.take_weights(None, case.margin(candidate.weights))
            best.take_dual(None, case.bound(candidate.dual))
            if best.within(gap) or deadline.passed:
                return
        if best.lower <= 0.0 and decide(problem, deadline).separable is not True:
            return


def _views(X: np.ndarray, y: np.ndarray, k: int) -> Iterator[View]:
    for view in views(X, y, k):
        yield from _offsets(view)


def _offsets(view: View) -> Iterator[View]:
    """Yield a view with the features free that are far larger than others they nearly explain, then without."""
    X = view.features
    sizes = np.max(np.abs(X), axis=0)
    others = [j for j in np.flatnonzero(sizes).tolist() if j not in view.tiny]
    if len(others) > 1:
        left = levelled((X / np.where(sizes > 0, sizes, 1.0))[:, others], X[:, list(view.tiny)]).features
        if nearly_dependent(left):
            least = sizes[others].min()
            large = [j for j in others if sizes[j] >= _FAR * least]
            if large and len(large) < len(others):
                yield replace(view, tiny=tuple(sorted((*view.tiny, *large))))
                largest = max(large, key=lambda j: sizes[j])
                if len(large) > 1:
                    yield replace(view, tiny=tuple(sorted((*view.tiny, largest))))
    yield view


@dataclass(frozen=True)
class _Case:
    problem: Classification
    norm: Norm
    graded: Graded

    def margin(self, W: np.ndarray) -> float:
        return margin_below(as_numpy(self.problem.features), self.problem.labels, W, self.norm)

    def bound(self, q: np.ndarray) -> float:
        weights = simplex_weights(self.problem, q)
        return dual_above(as_numpy(self.problem.features), self.problem.labels, weights, self.norm)

    def candidates(self, gap: float, deadline: Deadline) -> Iterator[Candidate]:
        for proposal in proposed(self.graded.prepared, self.graded.norm, gap, "auto", deadline):
            yield from self.put_right(proposal)

    def put_right(self, proposal: Proposal) -> Iterator[Candidate]:
        """Yield candidates in the features of the problem."""
        V, G = proposal.weights, proposal.free
        if not (np.isfinite(V).all() and np.isfinite(G).all() and V.any() and proposal.dual.any()):
            return
        scale = float(self.graded.norm(V))
        reached = self.graded.prepared.reduced
        W = self.graded.weights(V, G, self.norm, scale * reached.scale)
        if W is None:
            return
        found = Candidate(W, proposal.dual, proposal.iterations, f"{proposal.method}, graded features")
        yield found
        margin = self.margin(W)
        large = self._large(margin)
        if margin > 0.0 and len(large):
            for dual in PutRight(self.problem, self.norm, large).duals(proposal.dual, W, margin):
                yield replace(found, dual=dual)

    def _large(self, margin: float) -> np.ndarray:
        """Features so large that the rounding of dual weights is noticed in A(q)."""
        X = as_numpy(self.problem.features)
        return np.flatnonzero(_NOISE * np.max(np.abs(X), axis=0) > _NOTICED * margin)
