"""The best certified weights and dual weights of a computation, and what is made of them at its end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.maxmargin.certificates.bounds import dual_above, margin_below, simplex_weights
from steepest.maxmargin.certificates.contradiction import contradiction, repeated_sample
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.optima.refinement import refine
from steepest.maxmargin.solution import MaxMarginSolution, Status
from steepest.problem import Classification

__all__ = ["Record"]

_CUTOFFS = (1e-3, 1e-4, 1e-6, 1e-8, 1e-10)
_REFINABLE, _REFINED = 1e-4, ", refined"


@dataclass
class Record:
    """The best certified weights and dual weights so far; they may come from different candidates."""

    problem: Classification
    norm: Norm
    lower: float = -math.inf
    upper: float = math.inf
    method: str = "none"
    iterations: int = 0
    impossible: bool = False

    def __post_init__(self):
        self.X, self.y = as_numpy(self.problem.features), self.problem.labels
        self.W = np.zeros((self.problem.n_classes, self.problem.dimension))
        self.q = simplex_weights(self.problem, np.ones((self.problem.samples, self.problem.n_classes)))
        self.lower, self.upper = 0.0, dual_above(self.X, self.y, self.q, self.norm)

    @property
    def gap(self) -> float:
        """Relative gap of the best bounds."""
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0

    def certify(self, candidate: Candidate) -> None:
        """Compute the candidate's bounds in the original data and keep the sides that are better."""
        before = self.gap
        if np.isfinite(candidate.weights).all():
            W = self._unit(candidate.weights)
            lower = margin_below(self.X, self.y, W, self.norm)
            if lower > self.lower:
                self.W, self.lower = W, lower
        if np.isfinite(candidate.dual).all() and (candidate.dual > 0).any():
            q = simplex_weights(self.problem, np.maximum(candidate.dual, 0.0))
            upper = dual_above(self.X, self.y, q, self.norm)
            if upper < self.upper:
                self.q, self.upper = q, upper
        if self.gap < before or self.method == "none":
            self.method, self.iterations = candidate.method, candidate.iterations

    def find_repeated_sample(self) -> bool:
        """Look for a sample with two labels, and take the q with A(q) = 0 that it gives."""
        return self._impossible(repeated_sample(self.problem), "repeated sample")

    def find_contradiction(self, deadline: Deadline, *, thorough: bool) -> bool:
        """Look for q with A(q) = 0, after a solver found no weights with a positive margin."""
        return self._impossible(contradiction(self.problem, self.q, deadline, thorough=thorough), self.method)

    def _impossible(self, q: np.ndarray | None, method: str) -> bool:
        if q is not None:
            self.method = method
            self.q, self.upper, self.impossible = q, dual_above(self.X, self.y, q, self.norm), True
        return self.impossible

    def polish(self, gap: float) -> None:
        """Close a small gap by Newton's method on the face that the dual weights expose.

        Balls of 1 < p < ∞ have no faces: there the interior point's own end is as accurate.
        """
        if 1 < self.norm.p < math.inf or not 0.0 < gap < self.gap <= _REFINABLE:
            return
        reduced = reduce(self.problem, self.norm)
        refined = refine(reduced, reduced.coordinates(self.W), self.q)
        if refined is not None:
            W, method = reduced.weights(refined.weights), f"{self.method.removesuffix(_REFINED)}{_REFINED}"
            self.certify(Candidate(W, refined.dual, self.iterations, method))

    def clear_support(self, gap: float) -> None:
        """Leave out dual weights so small that the gap holds without them: interior points have no zeros."""
        largest = float(self.q.max())
        for cutoff in _CUTOFFS:
            kept = self.q >= cutoff * largest
            if np.count_nonzero(kept) == np.count_nonzero(self.q):
                return
            q = simplex_weights(self.problem, np.where(kept, self.q, 0.0))
            upper = dual_above(self.X, self.y, q, self.norm)
            if upper <= self.upper or (upper - self.lower <= gap * upper):
                self.q, self.upper = q, upper
                return

    def _unit(self, W: np.ndarray) -> np.ndarray:
        largest = float(np.max(np.abs(W), initial=0.0))
        if largest == 0.0:
            return W
        W = W / largest
        return W / float(self.norm(W))

    def solution(self, gap: float, seconds: float) -> MaxMarginSolution:
        """The solution, its support cleared of what the gap does not need."""
        if not self.impossible:
            self.clear_support(gap)
        status = Status.SOLVED if self.gap <= gap else Status.GAP_NOT_REACHED
        status = Status.NOT_SEPARABLE if self.impossible else status
        for array in (self.W, self.q):
            array.setflags(write=False)
        return MaxMarginSolution(
            norm=self.norm,
            weights=self.W,
            margin=self.lower,
            upper_bound=self.upper,
            relative_gap=self.gap,
            dual=self.q,
            separable=False if self.impossible else (True if self.lower > 0 else None),
            seconds=seconds,
            iterations=self.iterations,
            method=self.method,
            status=status,
            problem=self.problem,
        )
