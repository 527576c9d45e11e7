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
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.relaxed.far_entries import View, far_entries, views
from steepest.maxmargin.relaxed.graded import Graded, graded
from steepest.maxmargin.relaxed.methods import proposed
from steepest.maxmargin.relaxed.original import Original, separate_alone
from steepest.maxmargin.relaxed.proposal import Proposal
from steepest.maxmargin.relaxed.put_right import PutRight
from steepest.problem import Classification

__all__ = ["nearly_dependent", "solve_graded"]

lapack: Any = scipy.linalg.lapack  # a compiled module without type stubs

_FAR = 2.0**13
"""Times that a feature is larger than another where its weights cost 1/_FAR² of most norms."""
_DEPENDENT = 2.0**-10
"""What is left of a feature, as a share of it, where others nearly explain it."""
_EXPLAINED = 2.0**-46
"""What is left of it where others explain it, and no weight of it is worth anything."""
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
    """Whether features of X [n, d], scaled alike, nearly explain one another, but not to rounding.

    >>> nearly_dependent(np.array([[20240101.0, 1.0], [20240102.0, 1.0]])), nearly_dependent(np.eye(2))
    (True, False)
    """
    sizes = np.max(np.abs(X), axis=0)
    scaled = X[:, sizes > 0] / sizes[sizes > 0]
    if _far_from_dependent(scaled):
        return False
    found: Any = scipy.linalg.qr(scaled, mode="r", pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(found[0]))
    lengths = np.linalg.norm(scaled, axis=0)[found[1][: len(pivots)]]
    nearly = (pivots < _DEPENDENT * lengths) & (pivots > _EXPLAINED * lengths)
    return bool(nearly.any())


def _far_from_dependent(scaled: np.ndarray) -> bool:
    """Whether the features' products show that all others together leave much of each, cheaply.

    What the others leave of a feature of length 1 is one over the root of its place in the inverse.
    """
    samples, features = scaled.shape
    if not 0 < features <= samples:
        return False
    unit = scaled / np.sqrt(np.einsum("ij,ij->j", scaled, scaled))
    factor, failed = lapack.dpotrf(unit.T @ unit, lower=1)
    if failed:
        return False
    rows = lapack.dtrtri(factor, lower=1)[0]
    return float(np.einsum("ij,ij->j", rows, rows).max(initial=0.0)) < (2.0 * _DEPENDENT) ** -2


def solve_graded(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    """Yield candidates of problems whose features cancel or dwarf each other; nothing for others."""
    X, k = as_numpy(problem.features), problem.n_classes
    if X.size * k > _LARGEST or (k - 1) * min(X.shape) > _MOST_UNKNOWNS or X.shape[1] < 2:
        return
    far = far_entries(X)
    if not far.any() and not nearly_dependent(X):
        return
    original, best = Original(problem, norm), Best(None, None, 0.0)
    for view in _views(problem, deadline):
        if deadline.passed:
            return
        problem_of_view = graded(view.features, problem.labels, k, norm, view.tiny)
        if problem_of_view is None:
            continue
        nearer = (view.features != X).any(axis=1)
        case = _Case(original, problem_of_view, nearer, far & ~nearer[:, None])
        yield from original.closing(case.candidates(_ROUNDING * gap, deadline), best, gap, deadline)
        if best.within(gap) or deadline.passed or original.is_hopeless(best, deadline):
            return


def _views(problem: Classification, deadline: Deadline) -> Iterator[View]:
    """Yield the views of the features, each first with those free that are far larger than all others."""
    X, y, k = as_numpy(problem.features), problem.labels, problem.n_classes
    for view in views(X, y, k, deadline):
        nearer = (view.features != X).any(axis=1)
        sizes = np.max(np.abs(X[~nearer]), axis=0, initial=0.0)
        others = np.array([j for j in np.flatnonzero(sizes > 0) if j not in view.tiny], dtype=int)
        order = others[np.argsort(sizes[others], kind="stable")]
        for place in np.flatnonzero(sizes[order[1:]] >= _FAR * sizes[order[:-1]]).tolist():
            free = tuple(sorted((*view.tiny, *order[place + 1 :].tolist())))
            if not separate_alone(view.features[:, free], y, k, deadline):
                yield replace(view, tiny=free)
        yield view


@dataclass(frozen=True)
class _Case:
    original: Original
    graded: Graded
    nearer: np.ndarray
    """Samples with entries that were brought nearer, which have no dual weight at an optimum, shape [n]."""
    far: np.ndarray
    """Which entries dwarf the others of their feature and were not, shape [n, d]."""

    def candidates(self, gap: float, deadline: Deadline) -> Iterator[Candidate]:
        norm = self.graded.norm
        method = "auto" if BALL_BARRIER.of(norm) is None else "interior-point"
        proposals = proposed(self.graded.prepared, norm, gap, method, deadline)
        while True:
            # Features that are free and separate by themselves leave a solver no end but that of floats.
            with np.errstate(all="ignore"):
                proposal = next(proposals, None)
                candidates = [] if proposal is None else list(self.put_right(proposal, deadline))
            yield from candidates
            if proposal is None:
                return

    def put_right(self, proposal: Proposal, deadline: Deadline) -> Iterator[Candidate]:
        """Yield candidates in the features of the problem."""
        V, G = proposal.weights, proposal.free
        if not (np.isfinite(V).all() and np.isfinite(G).all() and V.any() and proposal.dual.any()):
            return
        problem, norm = self.original.problem, self.original.norm
        W = self.graded.weights(V, G, norm)
        if W is None:
            return
        q = np.where(self.nearer[:, None], 0.0, proposal.dual)
        q = q if q.any() else proposal.dual
        found = Candidate(W, q, proposal.iterations, f"{proposal.method}, graded features")
        yield found
        margin = self.original.margin(W)
        large = self._large(margin)
        if margin > 0.0 and len(large):
            for dual in PutRight(problem, norm, large, self.far[:, large]).duals(q, W, margin):
                yield replace(found, dual=dual)
                if deadline.passed:
                    return

    def _large(self, margin: float) -> np.ndarray:
        """Features so large that the rounding of dual weights is noticed in A(q)."""
        X = as_numpy(self.original.problem.features)[~self.nearer]
        return np.flatnonzero(_NOISE * np.max(np.abs(X), axis=0, initial=0.0) > _NOTICED * margin)
