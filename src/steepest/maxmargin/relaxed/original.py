"""What candidates that were found in other coordinates are worth in the features that were given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Entrywise, Norm
from steepest.maxmargin.certificates.bounds import dual_above, margin_below, simplex_weights
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.relaxed.bounds import level_below
from steepest.maxmargin.relaxed.cuts import widest_free_margin
from steepest.maxmargin.separability.decision import decide
from steepest.problem import Classification

__all__ = ["Original", "separate_alone"]


def separate_alone(free: np.ndarray, y: np.ndarray, k: int, deadline: Deadline) -> bool:
    """Whether features [n, f] separate by themselves: where they were free, margins would have no end.

    >>> separate_alone(np.array([[1.0], [-1.0]]), np.array([0, 1]), 2, Deadline())
    True
    """
    B = widest_free_margin(free, y, k, None, deadline)
    return B is not None and level_below(free, y, B, Entrywise(2), np.arange(free.shape[1]), None) > 0


@dataclass(frozen=True)
class Original:
    """A hard-margin problem as it was given."""

    problem: Classification
    norm: Norm

    def margin(self, W: np.ndarray) -> float:
        """Return a lower bound of the margin of weights [k, d] over their norm."""
        return margin_below(as_numpy(self.problem.features), self.problem.labels, W, self.norm)

    def bound(self, q: np.ndarray) -> float:
        """Return the upper bound of the max margin from dual weights [n, k]."""
        weights = simplex_weights(self.problem, q)
        return dual_above(as_numpy(self.problem.features), self.problem.labels, weights, self.norm)

    def closing(
        self, candidates: Iterable[Candidate], best: Best, gap: float, deadline: Deadline
    ) -> Iterator[Candidate]:
        """Yield candidates, each taken into ``best``, until its gap is reached or time is up."""
        for candidate in candidates:
            yield candidate
            best.take_weights(None, self.margin(candidate.weights))
            best.take_dual(None, self.bound(candidate.dual))
            if best.within(gap) or deadline.passed:
                return

    def is_hopeless(self, best: Best, deadline: Deadline) -> bool:
        """Whether no weights of positive margin were found, and none are known to be there."""
        return best.lower <= 0.0 and decide(self.problem, deadline).separable is not True
