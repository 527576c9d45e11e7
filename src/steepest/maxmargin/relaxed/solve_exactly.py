"""Hard margins of few samples in polyhedral norms from the program in whole numbers, as floats.

Its dual weights bound the margin from above to the last digit. Weights are rounded so that those which are
equal stay equal, as codes of 1e16 that samples of two classes share ask for, and free weights are chosen anew
for what rounding made of the others. Weights that differ by less than their last digits are no floats: then
they are also found with what is nearly equal made equal, or 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise, product

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL, LinearBall
from steepest.maxmargin.relaxed.exact_dual import dense
from steepest.maxmargin.relaxed.exact_margin import ExactMargin, best_free, exact_margin, is_small_enough
from steepest.maxmargin.relaxed.far_entries import far_entries
from steepest.maxmargin.relaxed.nearest_floats import nearest_floats
from steepest.maxmargin.relaxed.original import Original
from steepest.maxmargin.relaxed.put_right import PutRight
from steepest.problem import Classification

__all__ = ["ExactProgram", "entries_differ", "solve_exactly"]

_FAR = 2.0**18
"""Times that entries differ in size from which floats may not tell what is left of the large ones."""

_NEARLY_EQUAL = Fraction(1, 2**12)
"""Share of weights below which they may differ by less than floats tell."""
_DIGITS = 20
"""Powers of two that margins of weights may be above the margin for floats to keep ten digits of it."""
_MOST_VARIANTS = 18
_NOISE, _NOTICED = 2.0**-52, 1e-11


@dataclass(frozen=True)
class ExactProgram:
    """A hard margin that the program in whole numbers is small enough for."""

    X: np.ndarray
    """Features that the norm measures, shape [n, p]."""
    y: np.ndarray
    ball: LinearBall
    free: np.ndarray
    """Features that it does not, shape [n, f]."""
    deadline: Deadline

    @classmethod
    def of(
        cls, X: np.ndarray, y: np.ndarray, k: int, norm: Norm, free: np.ndarray, deadline: Deadline
    ) -> ExactProgram | None:
        """The program of features X [n, p] beside free ones [n, f]; None for other norms and larger ones."""
        form = LINEAR_BALL.of(norm)
        if form is None or not is_small_enough(len(X), k, X.shape[1], free.shape[1], k * X.shape[1]):
            return None
        ball = form((k, X.shape[1]))
        fits = is_small_enough(len(X), k, X.shape[1], free.shape[1], ball.lift.shape[1])
        return cls(X, y, ball, free, deadline) if fits else None

    @property
    def classes(self) -> int:
        """Number of classes k."""
        return self.ball.lift.shape[0] // self.X.shape[1]

    def solved(self, variant: _Variant | None = None) -> ExactMargin | None:
        """The optimum, or that of some weights alone."""
        alike, small = ({}, {}) if variant is None else (variant.alike, variant.small)
        return exact_margin(self.X, self.y, self.ball, self.free, self.deadline, alike, small)

    def weights(self, first: ExactMargin) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield weights [k, p] and free ones [k, f] as floats, whose margins are nearly the largest."""
        yield from self._rounded(first)
        for variant in self._variants(first):
            found = self.solved(variant)
            if found is None:
                return
            if found.value > 0:
                yield from self._rounded(found)

    def _rounded(self, found: ExactMargin) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        W = np.array([[float(each) for each in row] for row in found.weights]).reshape(self.classes, -1)
        B = best_free(self.X, self.y, W, self.free, self.deadline) if self.free.shape[1] else found.free
        for free in () if B is None else (_centred(B), B) if self.free.shape[1] else (B,):
            yield W, np.array([[float(each) for each in row] for row in free]).reshape(self.classes, -1)
        # Where features nearly cancel in every class, its weights are rounded together.
        both = [[*row, *of_free] for row, of_free in zip(found.weights, found.free, strict=True)]
        all_of = nearest_floats(both, np.concatenate([self.X, self.free], axis=1), float(found.value))
        yield all_of[:, : W.shape[1]], all_of[:, W.shape[1] :]

    def _variants(self, first: ExactMargin) -> Iterator[_Variant]:
        """Yield which weights are to be small, or equal to that of another class, or 0."""
        powers: dict[int, int] = {}
        choices: list[list[dict[tuple[int, int], int | None]]] = []
        for j, size in enumerate(np.max(np.abs(self.X), axis=0).tolist()):
            weights = [row[j] for row in first.weights]
            if max(map(abs, weights)) * Fraction(size * _NOISE) <= first.value * Fraction(_NOTICED):
                continue
            ratio = Fraction(size) / first.value
            powers[j] = int(ratio).bit_length() - _DIGITS
            for root, *others in _nearly_equal(weights):
                zero: dict[tuple[int, int], int | None] = {(root, j): None}
                alike: dict[tuple[int, int], int | None] = {(a, j): root for a in others}
                choices.append([zero, alike, zero | dict.fromkeys(alike)])
        # Differences of small weights are floats however small they are, if the norm can do with them.
        for regular in (None, *powers) if len(powers) > 1 else [None] * len(powers):
            yield _Variant({}, {j: power for j, power in powers.items() if j != regular})
        for chosen in islice(product(*choices), _MOST_VARIANTS if choices else 0):
            yield _Variant({place: root for each in chosen for place, root in each.items()}, {})


@dataclass(frozen=True)
class _Variant:
    """Weights that are to be alike, and features whose weights are to be small, as the program takes them."""

    alike: dict[tuple[int, int], int | None]
    small: dict[int, int]


def _centred(free: Sequence[Sequence[Fraction]]) -> list[list[Fraction]]:
    """Free weights [k, f] of sum 0 over the classes, which no margin notices but for what rounding leaves."""
    means = [sum(column, Fraction(0)) / len(free) for column in zip(*free, strict=True)]
    return [[each - mean for each, mean in zip(row, means, strict=True)] for row in free]


def entries_differ(X: np.ndarray) -> bool:
    """Whether some entries of X [n, d] that are not 0 are far larger than others.

    >>> entries_differ(np.array([[1e16, 0.0], [1.0, 2.0]])), entries_differ(np.array([[1e16], [2e16]]))
    (True, False)
    """
    sizes = np.abs(X)
    least = float(sizes.min(where=sizes > 0, initial=np.inf))
    return float(sizes.max(initial=0.0)) / _FAR > least


def _nearly_equal(weights: list[Fraction]) -> list[list[int]]:
    """The classes whose weights of a feature [k] differ by next to nothing, in groups; or the nearest two.

    Groups of equal weights, which are equal as floats too, are left out.
    """
    order = sorted(range(len(weights)), key=lambda a: weights[a])
    groups = [[order[0]]]
    for a, b in pairwise(order):
        apart = weights[b] - weights[a]
        if apart <= _NEARLY_EQUAL * max(abs(weights[a]), abs(weights[b])):
            groups[-1].append(b)
        else:
            groups.append([b])
    found = [each for each in groups if weights[each[0]] != weights[each[-1]]]
    return found or [list(min(pairwise(order), key=lambda pair: weights[pair[1]] - weights[pair[0]]))]


def solve_exactly(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    """Yield candidates of problems that the program is small enough for; nothing for others."""
    X, y, k = as_numpy(problem.features), problem.labels, problem.n_classes
    program = ExactProgram.of(X, y, k, norm, np.zeros((len(X), 0)), deadline)
    found = None if program is None else program.solved()
    if program is None or found is None:
        return
    q, W = dense(found.dual, (len(X), k)), np.zeros((k, X.shape[1]))
    if found.value <= 0:
        # These dual weights show that no weights separate, which is asked for then.
        yield Candidate(W, q, len(found.dual), found.method)
        return
    original, best = Original(problem, norm), Best(None, None, 0.0)
    for W, _ in program.weights(found):
        yield Candidate(W, q, len(found.dual), found.method)
        best.take_weights(W, original.margin(W))
        if best.lower >= float(found.value) * (1.0 - 0.5 * gap):
            break
    W, margin = W if best.weights is None else best.weights, float(found.value)
    large = np.flatnonzero(_NOISE * np.max(np.abs(X), axis=0) > _NOTICED * margin)
    if len(large):
        right = PutRight(problem, norm, large, far_entries(X)[:, large], _pair_sum(found, X, y)[:, large])
        for dual in right.duals(q, W, margin):
            yield Candidate(W, dual, len(found.dual), found.method)
            if original.bound(dual) <= margin * (1.0 + 0.5 * gap) or deadline.passed:
                return


def _pair_sum(found: ExactMargin, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A(q) of the exact dual weights, rounded, shape [k, d]."""
    total = [[Fraction(0)] * X.shape[1] for _ in found.weights]
    for (i, c), each in found.dual.items():
        for j, entry in enumerate(X[i].tolist()):
            total[y[i]][j] += each * Fraction(entry)
            total[c][j] -= each * Fraction(entry)
    return np.array([[float(each) for each in row] for row in total])
