"""Dual weights put right in large features, where A(q) is a small difference of large terms.

At an optimum A(q) is the margin times a slope of the norm. Solvers leave rounding of it in large features,
which may be more than that. Tiny changes of q, of weights near 0 whose steps are tiny too, make it what it
should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.clipping import Clipped
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.relaxed.balance import feasible_dual
from steepest.maxmargin.relaxed.terms import Terms
from steepest.problem import Classification

__all__ = ["PutRight"]

_LEAST = (0.0, 1e-9, 1e-6)
"""Relative sizes from which dual weights are kept: those left out take what roundings leave."""
_STEP = 0.25
"""Of a weight: where the slope of the norm in it is taken."""
_WHOLE = 2.0**52
"""Dual weights are whole multiples of one over this where sums of them must cancel exactly."""
_NOTHING = 1e-11
"""Weights below this share of the largest have no part in the norm, whose slope in them may be 0."""
_NO_PROGRAM = Deadline()
"""Without caps no program looks for dual weights, and nothing takes long."""


@dataclass(frozen=True)
class PutRight:
    """Dual weights of a problem with what a norm asks of A(q) in some features."""

    problem: Classification
    norm: Norm
    columns: np.ndarray
    """The large features, ascending."""
    far: np.ndarray
    """Which entries of these dwarf the others of their feature, shape [n, f]."""
    asked: np.ndarray | None = None
    """What A(q) should be in the large features, shape [k, f], where that is known."""

    def duals(self, q: np.ndarray, W: np.ndarray, margin: float) -> Iterator[np.ndarray]:
        """Yield dual weights near q [n, k], for weights W [k, d] of a margin."""
        d = W.shape[1]
        factors = np.where(np.isin(np.arange(d), self.columns), 0.5, 1.0)
        # Of what is scaled here only which features are large counts: they are those of factors below 1.
        scaled = Clipped(self.problem, self.problem, factors)
        free = as_numpy(self.problem.features)[:, self.columns]
        terms = Terms(np.arange(len(q)), None, None, False, tuple(self.columns.tolist()))
        wanted = self._wanted(W, np.full(len(W), margin), alone=False) if self.asked is None else self.asked
        seen = 0
        for least in _LEAST:
            kept = np.where(q > least * q.max(), q, 0.0)
            if np.count_nonzero(kept) == seen:
                continue
            seen = np.count_nonzero(kept)
            for near in self._near(kept, free, terms):
                yield scaled.settled(near, wanted)
                if self.asked is not None:
                    continue
                of_classes = self._wanted(W, self._shares(near), alone=True)
                if not np.array_equal(of_classes, wanted):
                    yield scaled.settled(near, of_classes)
        yield from scaled.duals(q, wanted)

    def _near(self, q: np.ndarray, free: np.ndarray, terms: Terms) -> Iterator[np.ndarray]:
        """Yield dual weights near q whose sums in large features cancel, as far as relative changes go."""
        found = feasible_dual(q, self.problem.labels, free, terms, _NO_PROGRAM)
        if found is not None:
            yield found[0] / float(found[0].sum())
        if self.far.any():
            of_far = feasible_dual(q, self.problem.labels, np.where(self.far, free, 0.0), terms, _NO_PROGRAM)
            for near in (q, *(() if of_far is None else (of_far[0],))):
                yield self._flows(near / float(near.sum()))

    def _flows(self, q: np.ndarray) -> np.ndarray:
        """Let as much leave a class as comes to it, to the last digit, among samples of equal far entries."""
        q, y, k = q.copy(), self.problem.labels, self.problem.n_classes
        X = as_numpy(self.problem.features)[:, self.columns]
        for place, far in enumerate(self.far.T):
            if len(np.unique(X[far, place])) != 1:
                continue
            others = np.delete(self.far, place, axis=1).any(axis=1)
            own = far & ~others
            whole = np.rint(q[far] * _WHOLE) / _WHOLE
            q[far] = whole
            surplus = towards(whole, y[far]).sum(axis=0)
            # Through the class of most samples, a pair for each class.
            members = np.flatnonzero(own)
            if not len(members):
                continue
            root = int(np.argmax(np.bincount(y[members], minlength=k)))
            for a in range(k):
                start, end = (root, a) if surplus[a] > 0 else (a, root)
                among = members[y[members] == start]
                if a != root and surplus[a] != 0.0 and len(among):
                    q[among[np.argmax(q[among, end])], end] += abs(surplus[a])
        return q

    def _wanted(self, W: np.ndarray, sizes: np.ndarray, *, alone: bool) -> np.ndarray:
        """What A(q) should be in the large features, [k, f]: sizes [k] times slopes of the norm there.

        That is the margin times the slope of ‖W‖; where several classes attain a maximum, the slope of one
        alone times its share of the dual norm.
        """
        slopes = np.zeros((len(W), len(self.columns)))
        least = _NOTHING * float(np.abs(W).max())
        for row, place in np.argwhere(np.abs(W[:, self.columns]) > least).tolist():
            column = self.columns[place]
            step = _STEP * abs(float(W[row, column]))
            above = np.where(np.arange(len(W))[:, None] == row, W, 0.0) if alone else W.copy()
            below = above.copy()
            above[row, column] += step
            below[row, column] -= step
            slopes[row, place] = (float(self.norm(above)) - float(self.norm(below))) / (2 * step)
        found = sizes[:, None] * slopes
        # The rows of A(q) add up to zero.
        return found - found.mean(axis=0)

    def _shares(self, q: np.ndarray) -> np.ndarray:
        """Dual norm of each row of A(q) by itself, without the large features, shape [k]."""
        A = as_numpy(self.problem.pair_sum(q)).copy()
        A[:, self.columns] = 0.0
        rows = np.eye(len(A))[:, :, None] * A
        return np.array([float(self.norm.dual(row)) for row in rows])
