"""The best certified weights and dual weights of a computation, and what is made of them at its end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.maxmargin.certificates.bounds import dual_above, margin_below, simplex_weights
from steepest.maxmargin.forms.best import CUTOFFS, Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.optima.faces import EXPOSED_FACE
from steepest.maxmargin.optima.refinement import refine
from steepest.maxmargin.separability.decision import against, repeated
from steepest.maxmargin.separability.result import Separability, Separation
from steepest.maxmargin.solution import MaxMarginSolution, Status
from steepest.problem import Classification

__all__ = ["Record"]

_REFINABLE = 1e-4
"""Gap beyond which Newton's method on the face has nothing to start from."""
_OF_NORM_ONE = 1e-12
"""Weights of norm 1 to this are kept as they are."""
_SHARP_AT_LAST = 1_000_000
"""Multiplications of all logits up to which the bound of equal dual weights is made sharp: milliseconds."""
_REFINED = ", refined"
_STATUS = {
    Separation.NOT_SEPARABLE: Status.NOT_SEPARABLE,
    Separation.WEAKLY_SEPARABLE: Status.WEAKLY_SEPARABLE,
    Separation.UNDECIDED: Status.UNDECIDED,
}
"""How a computation without a positive margin ends."""


class Record:
    """The best certified weights and dual weights of one computation, and where they came from."""

    def __init__(self, problem: Classification, norm: Norm):
        self.problem, self.norm = problem, norm
        self.X, self.y = as_numpy(problem.features), problem.labels
        self.best = Best(np.zeros((problem.n_classes, problem.dimension)), self._uniform(), 0.0)
        self.method, self.iterations = "none", 0
        self.separability: Separability | None = None

    def _uniform(self) -> np.ndarray:
        return simplex_weights(self.problem, np.ones((self.problem.samples, self.problem.n_classes)))

    def _upper_bound(self, q: np.ndarray) -> float:
        return dual_above(self.X, self.y, q, self.norm)

    def certify(self, candidate: Candidate) -> None:
        """Compute the candidate's bounds in the original data and keep the sides that are better."""
        better = []
        if np.isfinite(candidate.weights).all():
            W = self._unit(candidate.weights)
            better.append(self.best.take_weights(W, margin_below(self.X, self.y, W, self.norm)))
        if np.isfinite(candidate.dual).all() and (candidate.dual > 0).any():
            q = simplex_weights(self.problem, np.maximum(candidate.dual, 0.0))
            better.append(self.best.take_dual(q, self._upper_bound(q)))
        if any(better) or self.method == "none":
            self.method, self.iterations = candidate.method, candidate.iterations

    def _take_uniform(self) -> None:
        """Keep equal dual weights where no solver found better ones."""
        uniform, sharp = self._uniform(), self.problem.multiplications <= _SHARP_AT_LAST
        self.best.take_dual(uniform, dual_above(self.X, self.y, uniform, self.norm, sharp=sharp))

    @property
    def impossible(self) -> bool:
        """Whether the data is known not to be separable."""
        return self.separability is not None and self.separability.separable is False

    def find_repeated_sample(self, deadline: Deadline) -> bool:
        """Look for a sample with two labels, and take the q with A(q) = 0 that it gives."""
        return self._take(repeated(self.problem, deadline), "repeated sample")

    def find_contradiction(self, deadline: Deadline, *, thorough: bool) -> bool:
        """Decide whether the data is separable, after a solver found no weights with a positive margin."""
        thorough = thorough and self.separability is None
        return self._take(against(self.problem, self.best.dual, deadline, thorough=thorough), self.method)

    def _take(self, found: Separability | None, method: str) -> bool:
        """Keep what is known of separability, with its evidence; say whether no weights separate."""
        if found is None:
            return False
        self.separability = found
        if found.kind is Separation.SEPARABLE:
            self.certify(Candidate(found.weights, self.best.dual, self.iterations, found.tried[-1]))
        elif found.kind is not Separation.UNDECIDED:
            self.method = method
            upper = 0.0 if found.exact else self._upper_bound(found.dual)
            self.best = replace(self.best, dual=found.dual, upper=upper)
        return self.impossible

    def polish(self, gap: float) -> None:
        """Close a small gap by Newton's method on the face that the dual weights expose, if there is one."""
        best = self.best
        if EXPOSED_FACE.of(self.norm) is None or not 0.0 < gap < best.relative_gap <= _REFINABLE:
            return
        reduced = reduce(self.problem, self.norm)
        refined = refine(reduced, reduced.coordinates(best.weights), best.dual)
        if refined is not None:
            W, method = reduced.weights(refined.weights), f"{self.method.removesuffix(_REFINED)}{_REFINED}"
            self.certify(Candidate(W, refined.dual, self.iterations, method))

    def clear_support(self, gap: float) -> None:
        """Leave out dual weights so small that the gap holds without them: interior points have no zeros."""
        best = self.best
        largest = float(best.dual.max())
        for cutoff in CUTOFFS:
            kept = best.dual >= cutoff * largest
            if np.count_nonzero(kept) == np.count_nonzero(best.dual):
                return
            q = simplex_weights(self.problem, np.where(kept, best.dual, 0.0))
            upper = self._upper_bound(q)
            if upper <= best.upper or upper - best.lower <= gap * upper:
                best.dual, best.upper = q, upper
                return

    def _unit(self, W: np.ndarray) -> np.ndarray:
        largest = float(np.max(np.abs(W), initial=0.0))
        if largest == 0.0:
            return W
        if abs(float(self.norm(W)) - 1.0) <= _OF_NORM_ONE:
            # Its last digits may have been chosen.
            return W
        W = W / largest
        return W / float(self.norm(W))

    def solution(self, gap: float, seconds: float, *, stopped: bool = False) -> MaxMarginSolution:
        """The solution, its support cleared of what the gap does not need."""
        if not self.best.within(gap):
            self._take_uniform()
        if not self.impossible:
            self.clear_support(gap)
        best = self.best
        for array in (best.weights, best.dual):
            array.setflags(write=False)
        return MaxMarginSolution(
            norm=self.norm,
            weights=best.weights,
            margin=best.lower,
            upper_bound=best.upper,
            relative_gap=best.relative_gap,
            dual=best.dual,
            separable=self._separable,
            seconds=seconds,
            iterations=self.iterations,
            method=self.method,
            status=self._status(gap, stopped),
            problem=self.problem,
        )

    @property
    def _separable(self) -> bool | None:
        if self.best.lower > 0:
            return True
        return None if self.separability is None else self.separability.separable

    def _status(self, gap: float, stopped: bool) -> Status:
        if self.best.lower <= 0 and self.separability is not None:
            ended = _STATUS.get(self.separability.kind)
            if ended is not None:
                return ended
        if self.best.within(gap):
            return Status.SOLVED
        return Status.STOPPED if stopped else Status.GAP_NOT_REACHED
