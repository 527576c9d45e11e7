"""One decision on separability on its way: what is tried in turn, and what of it is believed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from steepest.arrays import as_numpy
from steepest.maxmargin.first_order.coordinate import coordinate_ascent
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import all_pairs
from steepest.maxmargin.separability.coefficients import coefficients_at_infinity, exact_coefficients
from steepest.maxmargin.separability.conditioned import Conditioned, conditionings
from steepest.maxmargin.separability.evidence import (
    Null,
    few_null_weights,
    null_weights,
    relative_margins,
    relative_residual,
    separates,
    zero_to_rounding,
)
from steepest.maxmargin.separability.exact_program import decide_exactly, is_small_enough
from steepest.maxmargin.separability.likelihood import fit_likelihood
from steepest.maxmargin.separability.many_null import many_null_weights
from steepest.maxmargin.separability.overlap import all_overlap
from steepest.maxmargin.separability.program import Split, split_pairs
from steepest.maxmargin.separability.rational import (
    as_floats,
    in_all_features,
    in_range,
    nearest_floats,
    rational_weights,
)
from steepest.maxmargin.separability.recession import split_by_likelihood
from steepest.maxmargin.separability.repeated import repeated_sample
from steepest.maxmargin.separability.result import Separability, Separation
from steepest.maxmargin.separability.squared_hinge import fits_of_parts
from steepest.maxmargin.separability.weak import Weak, separating_weights, weak_weights
from steepest.problem import Classification

__all__ = ["Case"]

_PACE = 40.0
"""Half of the sweeps of coordinate ascent after which weights of positive margin are looked for otherwise."""
_FIRST = 1.0 - 1e-12
"""Gap at which the ascent stops: as soon as all margins are positive."""
_LARGE_SWEEP = 10_000_000
"""Multiplications of a sweep that takes some hundredths of a second, and is not begun out of time."""
_CLEAR = 1e-6
"""Relative margins in conditioned features above which weights need no more than more digits."""
_LARGEST_PROGRAM = 4_000_000
"""Numbers in a program over pairs that HiGHS solves in seconds."""
_SMALL_PROGRAM, _SMALL_UNKNOWNS = 200_000, 120
"""Numbers in a program, and unknowns, up to which it takes a fraction of a second."""
_FEW = 3
"""Times as many pairs as unknowns that a program is given where all pairs are too many."""


@dataclass
class Case:
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
        self.views = conditionings(self.X, self.y, self.deadline)
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
        """Decide, or say what was tried."""
        found = self._in_floats()
        sure = found.exact and found.overlapped is not None and found.kind is not Separation.WEAKLY_SEPARABLE
        if sure or self.deadline.passed or not is_small_enough(self.X, self.k):
            return found
        # That floats tell no pairs apart is no proof that nothing does.
        return self._by_exact_program() or found

    def _in_floats(self) -> Separability:
        """Decide by programs in floats, whose answers are verified."""
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
        late = self.deadline.passed and self.Z.size * self.k > _LARGE_SWEEP
        if self.null is not None or late:
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
            numbers = len(self.y) * (self.k - 1) * 2 * self.Z.shape[1]
            return self._by_squares() if numbers > _LARGEST_PROGRAM else None
        self.tried.append("maximum likelihood")
        if fit.converged and self._all_overlap(fit.probabilities):
            return self._overlapping(fit.probabilities)
        self.guess = fit.probabilities
        found = self._if_separating(fit.weights) if self.null is None else None
        if found is not None:
            return found
        # The program is sure where a fit is a guess: of a few pairs its vertices are better evidence.
        split = None if self.small else split_by_likelihood(self.Z, self.y, fit, self.deadline)
        return None if split is None else self._if_shown(split)

    def _by_squares(self) -> Separability | None:
        """Decide without a program over all pairs, though not whether some of them can be told apart."""
        if self.null is not None:
            return self._not_separable(None)
        self.tried.append("squares of margins")
        for part, fit in fits_of_parts(self.Z, self.y, self.k, self.guess, self.deadline):
            if fit.separating and (found := self._if_separating(fit.weights)) is not None:
                return found
            if fit.converged and not fit.separating:
                self.guess = np.zeros((len(self.y), self.k))
                self.guess[part] = fit.dual
                self.null = many_null_weights(self.X, self.y, self.conditioned, self.guess, self.deadline)
                return None if self.null is None else self._not_separable(None)
        return None

    def _if_shown(self, split: Split) -> Separability | None:
        """Decide by a split that was guessed, if dual weights at all its inseparable pairs show these."""
        where = self.X, self.y, self.k, self.conditioned, split.inseparable
        shown = zero_to_rounding(*where, split.multipliers)
        if shown is None:
            return None
        if self.null is None or self.null.exact is None:
            self.null = few_null_weights(*where, self.deadline, split.multipliers) or shown
        return self._from_split(split)

    def _by_program(self) -> Separability | None:
        self.tried.append("linear program")
        split = split_pairs(self.Z, self.y, self.k, self.deadline)
        if split is None:
            return None
        if not len(split.inseparable):
            return self._if_separating(split.weights)
        return self._from_split(split)

    def _from_split(self, split: Split) -> Separability | None:
        """Decide by pairs that are inseparable and weights that separate the others, as both are verified."""
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

    def _by_exact_program(self) -> Separability | None:
        """What a program in floats could not tell, of few samples."""
        self.tried.append("exact program")
        found = decide_exactly(self.X, self.y, self.k, self.deadline)
        if found is None:
            return None
        coefficients = exact_coefficients(found)
        if not len(found.overlapped):
            self.null = None
            W = next((W for W in as_floats(found.weights) if separates(self.X, self.y, W)), None)
            if W is None:
                # They separate, but floats that do were not found.
                return self._result(Separation.UNDECIDED, exact=False, exact_weights=found.weights)
            return self._result(
                Separation.SEPARABLE,
                exact=True,
                weights=W,
                overlapped=found.overlapped,
                coefficients=coefficients,
            )
        exact = tuple(found.dual.values())
        self.null = Null(np.array(list(found.dual)), np.array([float(each) for each in exact]), exact)
        everything = len(found.overlapped) == len(self.y) * (self.k - 1)
        return self._result(
            Separation.NOT_SEPARABLE if everything else Separation.WEAKLY_SEPARABLE,
            exact=True,
            weights=None if everything else nearest_floats(in_range(found.weights)),
            exact_weights=None if everything else found.weights,
            overlapped=found.overlapped,
            coefficients=coefficients,
        )

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
        return self._not_separable(all_pairs(self.y, self.k), proved=True)

    def _undecided(self) -> Separability:
        if self.null is not None:
            return self._not_separable(None)
        return self._result(Separation.UNDECIDED, exact=False)

    def _null_of_guess(self) -> Null | None:
        if self.guess is None or self.deadline.passed:
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
        exact_weights: tuple[tuple[Fraction, ...], ...] | None = None,
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
        found = [(W, self._margin(W)) for W in self.candidates if np.isfinite(W).all()]
        return max(found, key=lambda each: each[1], default=best)
