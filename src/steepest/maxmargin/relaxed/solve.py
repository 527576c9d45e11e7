"""Relaxed max margins: methods in turn, what they propose certified, the best kept."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.geometry.facts import MULTIPLE
from steepest.maxmargin.forms.best import CUTOFFS, Best
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.relaxed.balance import feasible_dual
from steepest.maxmargin.relaxed.bounds import level_below, relaxed_dual_above
from steepest.maxmargin.relaxed.exact_dual import ExactDual, dense
from steepest.maxmargin.relaxed.last_digits import free_weights
from steepest.maxmargin.relaxed.methods import proposed
from steepest.maxmargin.relaxed.no_margin import vanishing_near
from steepest.maxmargin.relaxed.prepared import Prepared, prepare
from steepest.maxmargin.relaxed.proposal import Proposal
from steepest.maxmargin.relaxed.solve_exactly import ExactProgram, entries_differ
from steepest.maxmargin.relaxed.terms import Terms
from steepest.maxmargin.relaxed.unbounded import require_bounded
from steepest.maxmargin.separability.decision import decide
from steepest.maxmargin.separability.result import Separation
from steepest.maxmargin.solution import MaxMarginSolution, Status
from steepest.problem import Classification

__all__ = ["solve_relaxed"]

_ROUNDING = 0.8
"""Share of the gap that a method aims at, so that what the certificate adds has room."""
_ROOM = 1e-6
"""Share of the caps of a class below which what is left of them may be rounding."""
_NEARLY_NONE = 1e-6
"""Upper bounds below this share of the largest feature are looked at: the margin may be none."""


def solve_relaxed(
    problem: Classification,
    norm: Norm,
    terms: Terms,
    gap: float,
    method: str,
    deadline: Deadline,
    start: MaxMarginSolution | None = None,
) -> MaxMarginSolution:
    """Return the relaxed max margin with both bounds.

    Raises:
        InvalidArgument: free weights alone have a margin.
        MissingCapability: the method asks more of the norm than it offers.
    """
    X = as_numpy(problem.features)
    require_bounded(X, problem, terms, deadline)
    solution = _solved(X, problem, norm, terms, gap, method, deadline, start)
    if solution.upper_bound == np.inf:
        # Free weights may have a margin of roundings of the data alone, which is as large as one likes.
        require_bounded(X, problem, terms, deadline, solution.dual[terms.kept])
    return solution


def _solved(
    X: np.ndarray,
    problem: Classification,
    norm: Norm,
    terms: Terms,
    gap: float,
    method: str,
    deadline: Deadline,
    start: MaxMarginSolution | None,
) -> MaxMarginSolution:
    started = time.perf_counter()
    multiple = MULTIPLE.of(norm)
    measured = norm if multiple is None else multiple[0]
    prepared = prepare(X, problem.labels, problem.n_classes, measured, terms)
    record = _Record.start(X, problem, norm, terms, prepared, deadline)
    begin = _started(terms, start)
    far = entries_differ(record.X)
    if far and record.solve_exactly(gap):
        return record.solution(gap, time.perf_counter() - started, stopped=deadline.stopped)
    for candidate in proposed(prepared, measured, _ROUNDING * gap, method, deadline, begin):
        record.certify(candidate)
        deadline.certified(record.best.lower, record.best.upper)
        if record.ends() or record.best.within(gap) or deadline.passed:
            break
    if not far and not record.best.within(gap) and not deadline.passed:
        record.solve_exactly(gap)
    record.settle()
    return record.solution(gap, time.perf_counter() - started, stopped=deadline.stopped)


def _equal_flows(y: np.ndarray, k: int) -> np.ndarray:
    """Dual weights [m, k] of which as much goes from any class to any other, where both have samples."""
    sizes = np.bincount(y, minlength=k)
    q = np.where(sizes[None, :] > 0, 1.0 / sizes[y][:, None], 0.0)
    q[np.arange(len(y)), y] = 0.0
    return q


def _separable(status: Status, lower: float, terms: Terms) -> bool | None:
    """Whether weights separate the classes, as far as this computation shows; a soft margin shows nothing."""
    if terms.caps is not None:
        return None
    if lower > 0:
        return True
    return False if status in (Status.NOT_SEPARABLE, Status.WEAKLY_SEPARABLE) else None


def _started(terms: Terms, start: MaxMarginSolution | None) -> Proposal | None:
    """A solution of other terms, with what the kept samples have of it."""
    if start is None:
        return None
    W, columns = start.weights, list(terms.columns)
    free = W[:, columns]
    if terms.intercept:
        b = np.zeros(len(W)) if start.intercept is None else start.intercept
        free = np.concatenate([b[:, None], free], axis=1)
    penalised = terms.penalised(W.shape[1])
    return Proposal(W[:, penalised], free, start.dual[terms.kept], 0, start.method)


_ENDED = {
    Separation.NOT_SEPARABLE: Status.NOT_SEPARABLE,
    Separation.WEAKLY_SEPARABLE: Status.WEAKLY_SEPARABLE,
    Separation.UNDECIDED: Status.UNDECIDED,
}


@dataclass
class _Record:
    """The best certified weights and dual weights so far."""

    problem: Classification
    norm: Norm
    terms: Terms
    prepared: Prepared
    X: np.ndarray
    """All features that have weights, penalised ones first, shape [m, p + f]."""
    y: np.ndarray
    deadline: Deadline
    best: Best
    method: str = "none"
    iterations: int = 0
    separation: Separation | None = None
    """What is known of separability, once it was asked for."""
    exact: tuple[np.ndarray, ExactDual] | None = None
    """Dual weights as fractions, and as the floats that they were rounded to."""
    ended: Status | None = None
    """How a computation without a positive margin ends."""

    @classmethod
    def start(
        cls,
        features: np.ndarray,
        problem: Classification,
        norm: Norm,
        terms: Terms,
        prepared: Prepared,
        deadline: Deadline,
    ) -> _Record:
        """Begin with weights 0 and no dual weights."""
        penalised = terms.penalised(problem.dimension)
        X = np.concatenate([features[np.ix_(terms.kept, penalised)], terms.free_features(features)], axis=1)
        y = problem.labels[terms.kept]
        none = np.zeros((problem.n_classes, X.shape[1]))
        best = Best(none, np.zeros((len(y), problem.n_classes)), 0.0)
        record = cls(problem, norm, terms, prepared, X, y, deadline, best)
        record.certify_dual(_equal_flows(y, problem.n_classes))
        return record

    def certify(self, proposal: Proposal) -> None:
        """Compute the bounds of a proposal and keep the sides that are better."""
        V, G = proposal.weights, proposal.free
        better = []
        if np.isfinite(V).all() and np.isfinite(G).all() and V.any():
            size = float(self.norm(V))
            W, of_independent = free_weights(self.prepared.level, V / size, G / size)
            # Free features that others explain, such as a column of ones beside an intercept, have no weight.
            B = np.zeros((len(W), self.X.shape[1] - W.shape[1]))
            B[:, self.prepared.level.places] = of_independent
            better.append(self.certify_weights(W, B))
        better.append(self.certify_dual(proposal.dual))
        if any(better) or self.method == "none":
            self.method, self.iterations = proposal.method, proposal.iterations

    def certify_weights(self, W: np.ndarray, B: np.ndarray) -> bool:
        """Compute the lower bound of penalised weights and free ones, and say whether it is the best."""
        both = np.concatenate([W, B], axis=1)
        penalised = np.arange(W.shape[1])
        lower = level_below(self.X, self.y, both, self.norm, penalised, self.terms.caps)
        return self.best.take_weights(both, lower)

    def certify_dual(self, dual: np.ndarray) -> bool:
        """Compute the upper bound of dual weights near those given, and say whether it is the best."""
        q = np.where(self.y[:, None] == np.arange(dual.shape[1]), 0.0, np.maximum(dual, 0.0))
        if not np.isfinite(q).all() or not q.any():
            return False
        found = self._bounded(q)
        return found is not None and self.best.take_dual(*found)

    def _bounded(self, q: np.ndarray, *, moved: bool = True) -> tuple[np.ndarray, float] | None:
        """Return dual weights near q that meet all conditions, and their upper bound; None where none do."""
        free, level = self.X[:, self.prepared.level.features.shape[1] :], self.prepared.level
        found = feasible_dual(q, self.y, free, self.terms, self.deadline, moved=moved)
        if found is None:
            return None
        q, correction = found
        lower = self.best.lower
        return q, relaxed_dual_above(level.features, level.error, self.y, q, self.norm, correction, lower)

    def solve_exactly(self, gap: float) -> bool:
        """Take the bounds of the program in whole numbers, where the norm and the size allow for it.

        Returns whether nothing is left to do.
        """
        p, k = self.prepared.level.features.shape[1], self.problem.n_classes
        if self.terms.caps is not None:
            return False
        program = ExactProgram.of(self.X[:, :p], self.y, k, self.norm, self.X[:, p:], self.deadline)
        found = None if program is None else program.solved()
        if program is None or found is None:
            return False
        self.method, self.iterations = found.method, len(found.dual)
        dual = dense(found.dual, self.best.dual.shape)
        if self.best.take_dual(dual, found.upper_bound):
            self.exact = dual, found.dual
        if found.value <= 0:
            return self.ends()
        for W, B in program.weights(found):
            self.certify_weights(W, B)
            if self.best.within(gap) or self.deadline.passed:
                return True
        return False

    def clear_support(self, gap: float) -> None:
        """Leave out dual weights so small that the gap holds without them: interior points have no zeros.

        A sample of little weight has little dual weight at its cap, so that sizes are in units of the caps.
        """
        best, caps = self.best, self.terms.caps
        if self._exact_dual is not None:
            return
        sizes = best.dual if caps is None else best.dual / caps[:, None]
        largest = float(sizes.max())
        for cutoff in CUTOFFS:
            kept = sizes >= cutoff * largest
            if caps is not None:
                kept |= self._with_room(sizes, kept, caps)
            if np.count_nonzero(kept) == np.count_nonzero(best.dual):
                return
            found = self._bounded(np.where(kept, best.dual, 0.0), moved=False)
            if found is None:
                continue
            q, upper = found
            if upper <= best.upper or upper - best.lower <= gap * upper:
                best.dual, best.upper = q, upper
                return

    @property
    def _exact_dual(self) -> ExactDual | None:
        """The best dual weights without rounding, where their bound is that of fractions."""
        return self.exact[1] if self.exact is not None and self.best.dual is self.exact[0] else None

    def _with_room(self, sizes: np.ndarray, kept: np.ndarray, caps: np.ndarray) -> np.ndarray:
        """The pairs of one sample more of each class whose kept samples are all at their caps.

        Caps are kept to rounding, and what that takes from these samples has to go to another.
        """
        rows, used = self.best.dual.sum(axis=1), kept.any(axis=1)
        added = np.zeros_like(kept)
        for a in np.unique(self.y[used]):
            own = self.y == a
            inside = own & used
            if np.sum(caps[inside] - rows[inside]) < _ROOM * np.sum(caps[inside]):
                next_one = int(np.argmax(np.where(own & ~used, sizes.sum(axis=1), -1.0)))
                added[next_one] = self.best.dual[next_one] > 0
        return added

    def ends(self) -> bool:
        """Whether it is known that there is no positive margin; a hard one asks that of the data once."""
        if self.best.lower > 0.0:
            return False
        if self.terms.caps is not None:
            if self._vanishes():
                self.ended = Status.NO_SOFT_MARGIN
            return self.ended is not None
        if self.separation is None:
            self._decide()
        return self.ended is not None

    def _decide(self) -> None:
        """Decide whether the features, free ones beside the others, separate the samples in any norm."""
        data = Classification(self.X, self.y)
        found = decide(data, self.deadline)
        self.separation = found.kind
        classes, p = data.classes, self.prepared.level.features.shape[1]
        W, q = (
            np.zeros((self.problem.n_classes, self.X.shape[1])),
            np.zeros((len(self.y), self.problem.n_classes)),
        )
        W[classes], q[:, classes] = found.weights, found.dual
        if found.kind is Separation.SEPARABLE:
            size = float(self.norm(W[:, :p]))
            self.certify_weights(W[:, :p] / size, W[:, p:] / size)
            self.method = found.tried[-1]
            return
        self.ended = _ENDED[found.kind]
        if found.separable is False:
            self.method, upper = found.tried[-1], 0.0 if found.exact else self.best.upper
            self.best = replace(self.best, dual=q, upper=upper)

    def _vanishes(self, *, far: bool = False) -> bool:
        """Whether dual weights within their caps with A(q) = 0 are sure to exist, near the best or far."""
        level, terms, q = self.prepared.level.features, self.terms, self.best.dual
        if terms.caps is None or q is None or not q.any():
            return False
        if not far and self.best.upper > _NEARLY_NONE * float(np.abs(level).max(initial=0.0)):
            return False
        found = vanishing_near(q, self.y, self.X, terms.caps, self.deadline, terms.shares, far=far)
        if found is not None:
            self.best = replace(self.best, dual=found, upper=0.0)
        return found is not None

    def settle(self) -> None:
        """Look once more for what shows that there is no positive margin, where none was found."""
        if self.best.lower > 0.0 or self.ended is not None or self.deadline.passed:
            return
        if self._vanishes(far=True):
            self.ended = Status.NO_SOFT_MARGIN

    def solution(self, gap: float, seconds: float, *, stopped: bool) -> MaxMarginSolution:
        """Return the solution in all features and samples of the problem."""
        problem, terms, best = self.problem, self.terms, self.best
        if best.lower > 0.0 and best.dual.any():
            self.clear_support(gap)
        penalised = terms.penalised(problem.dimension)
        W = np.zeros((problem.n_classes, problem.dimension))
        W[:, penalised] = best.weights[:, : len(penalised)]
        free = best.weights[:, len(penalised) :]
        W[:, list(terms.columns)] = free[:, int(terms.intercept) :]
        q = np.zeros((problem.samples, problem.n_classes))
        q[terms.kept] = best.dual
        status = Status.STOPPED if stopped else Status.GAP_NOT_REACHED
        status = Status.SOLVED if best.within(gap) else status
        if best.lower <= 0.0 and self.ended is not None:
            status = self.ended
        exact = self._exact_dual
        intercept = free[:, 0].copy() if terms.intercept else None
        for array in (W, q, *(() if intercept is None else (intercept,))):
            array.setflags(write=False)
        return MaxMarginSolution(
            norm=self.norm,
            weights=W,
            margin=best.lower,
            upper_bound=best.upper,
            relative_gap=best.relative_gap if best.upper < np.inf else 1.0,
            dual=q,
            separable=_separable(status, best.lower, terms),
            seconds=seconds,
            iterations=self.iterations,
            method=self.method,
            status=status,
            problem=problem,
            intercept=intercept,
            nu=terms.nu,
            free=terms.columns,
            exact_dual=None
            if exact is None
            else tuple((int(terms.kept[i]), c, each) for (i, c), each in sorted(exact.items())),
        )
