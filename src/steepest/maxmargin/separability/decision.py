"""Whether any weights separate the data: what is tried in turn, and what of it is believed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from steepest.arguments import real_number
from steepest.arrays import as_numpy
from steepest.maxmargin.first_order.coordinate import coordinate_ascent
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import all_pairs
from steepest.maxmargin.separability.coefficients import coefficients_at_infinity
from steepest.maxmargin.separability.conditioned import Conditioned, conditionings
from steepest.maxmargin.separability.evidence import (
    Null,
    null_weights,
    relative_margins,
    relative_residual,
    separates,
)
from steepest.maxmargin.separability.likelihood import fit_likelihood
from steepest.maxmargin.separability.overlap import all_overlap
from steepest.maxmargin.separability.program import Split, split_pairs
from steepest.maxmargin.separability.rational import as_floats, in_all_features, rational_weights
from steepest.maxmargin.separability.repeated import nearly_repeated_sample, repeated_sample
from steepest.maxmargin.separability.result import Separability, Separation
from steepest.maxmargin.separability.weak import Weak, separating_weights, weak_weights
from steepest.problem import Classification, as_problem
from steepest.threads import linear_algebra_threads

__all__ = ["against", "decide", "repeated", "separability"]

_TIME = "give a positive number of seconds, or None for no limit"
_PACE = 40.0
"""Half of the sweeps of coordinate ascent after which weights of positive margin are looked for otherwise."""
_FIRST = 1.0 - 1e-12
"""Gap at which the ascent stops: as soon as all margins are positive."""
_CLEAR = 1e-6
"""Relative margins in conditioned features above which weights need no more than more digits."""
_LARGEST_PROGRAM = 4_000_000
"""Numbers in a program over pairs that HiGHS solves in seconds."""
_SUPPORTS = (4, 12, 40, 120, 400)
"""Numbers of largest dual weights that are tried alone."""
_SMALL_PROGRAM, _SMALL_UNKNOWNS = 200_000, 120
"""Numbers in a program, and unknowns, up to which it takes a fraction of a second."""
_FEW = 3
"""Times as many pairs as unknowns that a program is given where all pairs are too many."""


def separability(problem: Classification, *, time_limit: float | None = None) -> Separability:
    """Say whether any weights separate the data, with evidence that can be checked; no norm has a say in it.

    Weights W separate if every margin (e_{y_i} - e_c)ᵀ W x_i, c ≠ y_i, is positive. Otherwise there are dual
    weights q ≥ 0, q ≠ 0, with A(q) = Σ q_ic (e_{y_i} - e_c) x_iᵀ = 0 (Gordan's theorem), and the data is
    weakly separable, or quasi-completely separated, if some weights have no negative margin and a positive
    one.

    Args:
        problem: the data, n samples of d features in k classes; a column of ones for an intercept.
        time_limit: seconds after which what was found is returned; None is no limit.

    Returns:
        The verdict with weights, dual weights, the pairs that overlap, and the coefficients of a logistic
        regression that run off to infinity. What cannot be shown is undecided.

    Raises:
        InvalidArgument: no problem, or a time limit that is no positive number.

    >>> problem = Classification([[1.0, 1.0], [1.0, 2.0], [1.0, 2.0], [1.0, 3.0]], ["no", "no", "yes", "yes"])
    >>> found = separability(problem)
    >>> found.kind.name, found.exact, found.overlapped.tolist()
    ('WEAKLY_SEPARABLE', True, [[1, 1], [2, 0]])
    >>> found.coefficients.tolist()
    [[0.0, 0.0], [-inf, inf]]
    """
    problem = as_problem(problem)
    time_limit = None if time_limit is None else real_number("time_limit", time_limit, _TIME, above=0)
    with linear_algebra_threads(None, problem.multiplications):
        return decide(problem, Deadline.after(time_limit))


def decide(problem: Classification, deadline: Deadline) -> Separability:
    """Decide as :func:`separability` does, with arguments that were checked."""
    return _frozen(_Case(problem, deadline).decided())


def repeated(problem: Classification, deadline: Deadline) -> Separability | None:
    """Decide where one sample or two show that the data is not separable, after one product; else None.

    Also where two samples differ by rounding alone, which solvers of some norms may make something of.
    """
    X, y = as_numpy(problem.features), problem.labels
    null = repeated_sample(X, y, problem.n_classes)
    if null is not None:
        return _frozen(_Case(problem, deadline, null=null).told_apart())
    if nearly_repeated_sample(X, y):
        case = _Case(problem, deadline)
        return _frozen(case.decided()) if case.small else None
    return None


def against(
    problem: Classification, guess: np.ndarray, deadline: Deadline, *, thorough: bool
) -> Separability | None:
    """Look for dual weights q with A(q) = 0 after a solver found no weights of positive margin.

    Args:
        problem: the data.
        guess: dual weights of a small A(q), shape [n, k].
        deadline: when to stop.
        thorough: whether to decide as :func:`separability` does, where the largest dual weights of the guess
            do not show it by themselves; else only what takes a fraction of a second is tried.
    """
    case = _Case(problem, deadline)
    for pairs in _supports(guess):
        case.null = case.among(pairs)
        if case.null is not None and (case.null.exact is not None or not case.small):
            return _frozen(case.told_apart())
    case.null = None
    return _frozen(case.decided()) if thorough else None


def _supports(guess: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the pairs of largest dual weight, few of them first: perhaps they contradict each other."""
    pairs = np.argwhere(guess > 0)
    order = np.argsort(-guess[tuple(pairs.T)], kind="stable")
    for count in _SUPPORTS:
        yield pairs[order[:count]]
        if count >= len(pairs):
            return


def _frozen(found: Separability) -> Separability:
    for array in (found.weights, found.dual, found.overlapped, found.coefficients):
        if array is not None:
            array.setflags(write=False)
    return found


@dataclass
class _Case:
    """One decision on its way: the data, and the best of what was found."""

    problem: Classification
    deadline: Deadline
    started: float = field(default_factory=time.perf_counter)
    tried: list[str] = field(default_factory=list)
    null: Null | None = None
    candidates: list[np.ndarray] = field(default_factory=list)
    """Weights [k, d] that fell short of separating."""
    guess: np.ndarray | None = None
    """Dual weights near some with A(q) = 0, shape [n, k]."""

    def __post_init__(self) -> None:
        self.X, self.y = as_numpy(self.problem.features), self.problem.labels
        self.k = self.problem.n_classes
        self.views = conditionings(self.X, self.y)
        self._look(next(self.views))

    def _look(self, view: Conditioned) -> None:
        """Go on in features that are conditioned so; dual weights of other ones are no guess there."""
        self.conditioned, self.Z, self.guess = view, view.features, None

    @property
    def small(self) -> bool:
        """Whether everything that can be tried takes a fraction of a second."""
        unknowns = (self.k - 1) * self.Z.shape[1]
        return unknowns <= _SMALL_UNKNOWNS and len(self.y) * 2 * unknowns <= _SMALL_PROGRAM

    def among(self, pairs: np.ndarray) -> Null | None:
        """Return dual weights of some pairs with A(q) = 0, if there are any."""
        return null_weights(self.X, self.y, self.k, self.conditioned, pairs, self.deadline)

    def told_apart(self) -> Separability:
        """Say that the data is not separable, and where that is quick also whether it is weakly so."""
        return self.decided() if self.small else self._not_separable(None)

    def decided(self) -> Separability:
        self.tried.append("repeated samples")
        if self.null is None:
            self.null = repeated_sample(self.X, self.y, self.k)
        if not self.Z.shape[1]:
            return self._nothing_to_separate()
        while True:
            found = self._by_ascent() or self._by_likelihood() or self._by_program()
            if found is None and self.null is None:
                self.null = self._null_of_guess()
            view = None if found is not None or self.deadline.passed else next(self.views, None)
            if view is None:
                return found or self._undecided()
            self._look(view)
            self.tried.append("other scales of the features")

    def _by_ascent(self) -> Separability | None:
        if self.null is not None:
            return None
        self.tried.append("coordinate ascent")
        V, alpha, _ = coordinate_ascent(
            np.ascontiguousarray(self.Z), self.y, self.k, _FIRST, self.deadline, _PACE
        )
        self.guess = alpha if alpha.any() else None
        return self._if_separating(V)

    def _by_likelihood(self) -> Separability | None:
        fit = fit_likelihood(self.Z, self.y, self.k, self.deadline)
        if fit is None:
            return None
        self.tried.append("maximum likelihood")
        if fit.converged and self._all_overlap(fit.probabilities):
            return self._overlapping(fit.probabilities)
        self.guess = fit.probabilities
        return self._if_separating(fit.weights) if self.null is None else None

    def _by_program(self) -> Separability | None:
        self.tried.append("linear program")
        split = split_pairs(self.Z, self.y, self.k, self.deadline)
        if split is None:
            return None
        if not len(split.inseparable):
            return self._if_separating(split.weights)
        null = self.null or self._null_weights(split.inseparable, split.multipliers)
        if self.small and (null is None or null.exact is None):
            found = self._by_rationals(split)
            if found is not None:
                return found
        if null is None:
            self.candidates.append(self.conditioned.weights(split.weights))
            return None
        self.null = null
        everything = len(split.inseparable) == len(self.y) * (self.k - 1)
        if everything:
            q = np.zeros((len(self.y), self.k))
            q[tuple(split.inseparable.T)] = split.multipliers
            return self._overlapping(q) if self._all_overlap(q) else None
        weak = weak_weights(self.X, self.y, self.conditioned, split.weights, split.inseparable)
        if weak is None:
            return None
        return self._weakly_separable(weak, split.weights, split.inseparable)

    def _by_rationals(self, split: Split) -> Separability | None:
        """Whether pairs that are inseparable to rounding are separable in exact arithmetic."""
        exact = separating_weights(self.X, self.y, self.conditioned, split.weights, split.inseparable)
        if exact is None:
            return None
        self.tried.append("rational arithmetic")
        W = next((W for W in as_floats(exact) if separates(self.X, self.y, W)), None)
        if W is not None:
            return self._separable(W, split.weights)
        # They separate, but floats that do were not found.
        return self._result(Separation.UNDECIDED, exact=False, exact_weights=exact)

    def _if_separating(self, V: np.ndarray) -> Separability | None:
        W = next((W for W in self._floats(V - V[0]) if separates(self.X, self.y, W)), None)
        if W is None:
            self.candidates.append(self.conditioned.weights(V - V[0]))
            return None
        return self._separable(W, V)

    def _separable(self, W: np.ndarray, V: np.ndarray) -> Separability:
        nothing = np.zeros((0, 2), dtype=np.int64)
        return self._result(
            Separation.SEPARABLE,
            exact=True,
            weights=W,
            overlapped=nothing,
            coefficients=coefficients_at_infinity(self.y, self.conditioned, V, nothing),
        )

    def _floats(self, V: np.ndarray) -> Iterator[np.ndarray]:
        """Yield weights [k, d] of V [k, r] that floats hold, with the digits that offsets ask for at last."""
        yield self.conditioned.weights(V)
        margins = relative_margins(self.Z, self.y, V)
        if self.conditioned.upper is None or margins.min() < _CLEAR:
            return
        exact = rational_weights(self.X, self.conditioned, V)
        if exact is not None:
            yield from as_floats(in_all_features(exact, self.conditioned.columns, self.problem.dimension))

    def _overlapping(self, q: np.ndarray) -> Separability:
        """All pairs overlap, as dual weights that are positive at all of them show."""
        pairs = all_pairs(self.y, self.k)
        if self.null is None:
            chosen = self._chosen(pairs, q)
            self.null = self._null_weights(chosen, q[tuple(chosen.T)])
        if self.null is None:
            values = self.conditioned.dual(pairs[:, 0], q[tuple(pairs.T)])
            self.null = Null(pairs, values / values.sum(), None)
        return self._not_separable(pairs, proved=self._all_overlap(q, self.conditioned.error))

    def _all_overlap(self, q: np.ndarray, uncertain: float = 0.0) -> bool:
        return self.conditioned.sure and all_overlap(self.Z, self.y, q, uncertain)

    def _chosen(self, pairs: np.ndarray, q: np.ndarray) -> np.ndarray:
        """All pairs, or where these are many the ones of largest dual weight."""
        r = self.Z.shape[1]
        if len(pairs) * 2 * r <= _LARGEST_PROGRAM:
            return pairs
        count = min(len(pairs), max(_FEW * (self.k - 1) * r, _LARGEST_PROGRAM // (2 * r)))
        return pairs[np.argsort(-q[tuple(pairs.T)], kind="stable")[:count]]

    def _null_weights(self, pairs: np.ndarray, multipliers: np.ndarray) -> Null | None:
        return null_weights(
            self.X, self.y, self.k, self.conditioned, pairs, self.deadline, np.maximum(multipliers, 0.0)
        )

    def _not_separable(self, overlapped: np.ndarray | None, *, proved: bool = False) -> Separability:
        assert self.null is not None
        whole = overlapped is not None
        return self._result(
            Separation.NOT_SEPARABLE,
            exact=proved or self.null.exact is not None,
            overlapped=overlapped,
            coefficients=self._all_finite() if whole else None,
        )

    def _weakly_separable(self, weak: Weak, V: np.ndarray, overlapped: np.ndarray) -> Separability:
        assert self.null is not None
        return self._result(
            Separation.WEAKLY_SEPARABLE,
            exact=weak.exact is not None and self.null.exact is not None,
            weights=weak.weights,
            exact_weights=weak.exact,
            overlapped=overlapped,
            coefficients=coefficients_at_infinity(self.y, self.conditioned, V, overlapped),
        )

    def _nothing_to_separate(self) -> Separability:
        """All features are 0."""
        return self._not_separable(all_pairs(self.y, self.k), proved=True)

    def _undecided(self) -> Separability:
        if self.null is not None:
            return self._not_separable(None)
        return self._result(Separation.UNDECIDED, exact=False)

    def _null_of_guess(self) -> Null | None:
        if self.guess is None:
            return None
        pairs = self._chosen(all_pairs(self.y, self.k), self.guess)
        values = self.guess[tuple(pairs.T)]
        return self._null_weights(pairs[values > 0], values[values > 0])

    def _all_finite(self) -> np.ndarray:
        found = np.full((self.k, self.problem.dimension), np.nan)
        found[:, self.conditioned.columns] = 0.0
        found[0] = 0.0
        return found

    def _result(
        self,
        kind: Separation,
        *,
        exact: bool,
        weights: np.ndarray | None = None,
        exact_weights=None,
        overlapped: np.ndarray | None = None,
        coefficients: np.ndarray | None = None,
    ) -> Separability:
        W, margin = self._best_weights() if weights is None else (weights, self._margin(weights))
        shape = (len(self.y), self.k)
        if self.null is not None:
            q = self.null.dense(shape)
            residual = 0.0 if self.null.exact is not None else relative_residual(self.X, self.y, q)
        else:
            q = np.zeros(shape)
            if self.guess is not None:
                q = self.conditioned.dual(np.arange(len(q)), self.guess)
                q = q / q.sum()
            residual = relative_residual(self.X, self.y, q)
        rational = None
        if self.null is not None and self.null.exact is not None:
            pairs = self.null.pairs.tolist()
            rational = tuple((i, c, each) for (i, c), each in zip(pairs, self.null.exact, strict=True))
        return Separability(
            kind=kind,
            exact=exact,
            weights=W,
            margin=margin,
            dual=q,
            residual=residual,
            overlapped=overlapped,
            coefficients=coefficients,
            seconds=time.perf_counter() - self.started,
            tried=tuple(self.tried),
            problem=self.problem,
            exact_weights=exact_weights,
            exact_dual=rational,
        )

    def _margin(self, W: np.ndarray) -> float:
        return float(relative_margins(self.X, self.y, W).min())

    def _best_weights(self) -> tuple[np.ndarray, float]:
        best = np.zeros((self.k, self.problem.dimension)), 0.0
        if self.null is not None or not self.candidates:
            return best
        found = [(W, self._margin(W)) for W in self.candidates]
        return max(found, key=lambda each: each[1])
