"""Hard margins of features some of whose entries dwarf all others in the samples of some classes alone.

Where samples of two of three classes share a code of 1e16, both weigh the feature alike but for a tiny
difference, and the third as it likes. Margins are taken pair by pair in coordinates that tell the tiny
differences apart (:mod:`leading`), and the interior point works on the rows of these. Samples that are far
larger than others are such a case too.

Weights that differ by less than their last digits are no floats: where the tiny differences matter, weights
are also found without them, and with those that are alike so small that floats hold their difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, product

import numpy as np
import scipy.linalg

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.geometry.facts import UNITARILY_INVARIANT, is_true
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import all_pairs
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.interior.pair_rows import RowsOptimum, solve_rows
from steepest.maxmargin.relaxed.far_entries import far_entries
from steepest.maxmargin.relaxed.leading import Coordinates, coordinates
from steepest.maxmargin.relaxed.nearest_floats import nearest_floats
from steepest.maxmargin.relaxed.original import Original
from steepest.maxmargin.relaxed.put_right import PutRight
from steepest.maxmargin.separability.exact import exact_solution
from steepest.problem import Classification

__all__ = ["solve_class_by_class"]

_MOST_UNKNOWNS, _MOST_NUMBERS = 150, 1_000_000
"""Weights, and numbers in the rows of all pairs, up to which an iteration takes milliseconds."""
_MOST_EXACT = 40
"""Unknowns of an exact system of equations that takes a second."""
_NEAR = 40
"""Powers of two above the smallest row that a row without contradiction is brought to."""
_SPREAD = 18
"""Powers of two between samples from which they are told apart."""
_NOTHING = 1e-6
"""Dual weights with less than this share of A(q) are none, of rows that were brought nearer."""
_SHARE = 0.1
"""Of the gap, that the interior point aims at."""
_MOST_VARIANTS = 8
_NOISE, _NOTICED = 2.0**-52, 1e-11
_METHOD = "interior point, class by class"


def solve_class_by_class(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    """Yield candidates of small problems with entries or samples that dwarf all others; else nothing."""
    X, k = as_numpy(problem.features), problem.n_classes
    unknowns, pairs = k * X.shape[1], len(X) * (k - 1)
    ball = BALL_BARRIER.of(norm)
    if ball is None or unknowns > _MOST_UNKNOWNS or unknowns * pairs > _MOST_NUMBERS:
        return
    if not (k > 2 and far_entries(X).any()) and not _samples_differ(X):
        return
    case = _Case(Original(problem, norm), Best(None, None, 0.0), gap, deadline)
    with np.errstate(all="ignore"):
        candidates = list(case.candidates())
    yield from candidates


def _samples_differ(X: np.ndarray) -> bool:
    """Whether samples differ by far in size, once features are of one."""
    given = X != 0
    sizes = np.ma.array(np.frexp(X)[1], mask=~given)
    rows = np.ma.max(sizes - np.ma.median(sizes, axis=0), axis=1).compressed()
    return len(rows) > 1 and float(np.ptp(rows)) > _SPREAD


@dataclass(frozen=True)
class _Unknowns:
    """Weights as sums: of a class and feature, or of some classes alike."""

    members: np.ndarray
    """Which classes have each of them, 0 or 1, shape [N, k]."""
    features: np.ndarray
    """Their features, shape [N]."""
    shifts: np.ndarray
    """Features of which all classes have a common weight besides, which no margin sees, shape [m]."""

    def rows(self, X: np.ndarray, y: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Margins of pairs [s, 2] as rows of the unknowns, shape [s, N]."""
        i, c = pairs.T
        return X[i][:, self.features] * (self.members[:, y[i]] - self.members[:, c]).T

    def basis(self, of: np.ndarray, d: int) -> np.ndarray:
        """Weights [l, k, d] for coordinates: ``of`` [N, l] of them make the unknowns."""
        k = self.members.shape[1]
        found = np.zeros((of.shape[1], k, d))
        for u, j in enumerate(self.features.tolist()):
            found[:, :, j] += of[u][:, None] * self.members[u]
        return found


@dataclass(frozen=True)
class _Variant:
    """Which feature has its group of classes alike or next to nothing, by its root."""

    roots: tuple[int, ...]
    """For each feature the class that others are relative to."""
    alike: frozenset[tuple[int, int]] = frozenset()
    """(feature, class): the weight is that of the feature's root."""
    nothing: frozenset[int] = frozenset()
    """Features whose root has no weight."""

    def unknowns(self, k: int, used: list[int]) -> _Unknowns:
        """The unknowns of the features that are used."""
        units = [(a, j) for j in used for a in range(k) if a != self.roots[j] and (j, a) not in self.alike]
        members = np.array([np.arange(k) == a for a, _ in units], dtype=float).reshape(len(units), k)
        shifts = [j for j in used if j not in self.nothing]
        return _Unknowns(members, np.array([j for _, j in units], dtype=int), np.array(shifts, dtype=int))


@dataclass(frozen=True)
class _Case:
    original: Original
    best: Best
    gap: float
    deadline: Deadline

    def candidates(self) -> Iterator[Candidate]:
        """Those with tiny differences, and if their weights are no floats those of the other variants."""
        problem, deadline = self.original.problem, self.deadline
        roots = (problem.n_classes - 1,) * problem.dimension
        groups: dict[int, list[list[int]]] = {}
        for place, variant in enumerate(self._variants(roots, groups)):
            found = self._solved(variant)
            if found is None or deadline.passed:
                return
            part, optimum = found
            if place == 0:
                groups.update(self._groups(part))
                yield from self._closing(self._both(part, optimum))
            else:
                q = np.ones((problem.samples, problem.n_classes))
                weights = part.weights(optimum, self.original.norm)
                yield from self._closing(Candidate(W, q, optimum.iterations, _METHOD) for W in weights)
            if self.best.within(self.gap):
                return

    def _closing(self, candidates: Iterator[Candidate]) -> Iterator[Candidate]:
        return self.original.closing(candidates, self.best, self.gap, self.deadline)

    def _variants(self, roots: tuple[int, ...], groups: dict[int, list[list[int]]]) -> Iterator[_Variant]:
        """Yield what may be solved; ``groups`` are filled in after the first."""
        yield _Variant(roots)
        features = sorted(groups)
        choices = [[(group, zero) for group in groups[j] for zero in (False, True)] for j in features]
        for chosen in islice(product(*choices), _MOST_VARIANTS if features else 0):
            own = list(roots)
            alike: set[tuple[int, int]] = set()
            nothing = set()
            for j, (group, zero) in zip(features, chosen, strict=True):
                own[j] = group[0]
                if zero:
                    nothing.add(j)
                else:
                    alike |= {(j, a) for a in group[1:]}
            yield _Variant(tuple(own), frozenset(alike), frozenset(nothing))

    def _groups(self, part: _Part) -> dict[int, list[list[int]]]:
        """Classes whose weights of a feature are alike but for a tiny difference, by features."""
        y, features = self.original.problem.labels, part.unknowns.features
        joined: dict[int, list[set[int]]] = {}
        for row, column in part.coordinates.contradictory:
            i, c = part.pairs[row].tolist()
            sets = joined.setdefault(int(features[column]), [])
            pair = {int(y[i]), c}
            for other in [each for each in sets if each & pair]:
                sets.remove(other)
                pair |= other
            sets.append(pair)
        return {j: [sorted(each) for each in sets] for j, sets in joined.items()}

    def _solved(self, variant: _Variant) -> tuple[_Part, RowsOptimum] | None:
        problem, norm = self.original.problem, self.original.norm
        X, y, k = as_numpy(problem.features), problem.labels, problem.n_classes
        used = np.flatnonzero(X.any(axis=0)).tolist()
        unknowns = variant.unknowns(k, used)
        pairs = all_pairs(y, k)
        rows = unknowns.rows(X, y, pairs)
        found = coordinates(rows, self.deadline) if rows.size else None
        if found is None:
            return None
        mixed = is_true(UNITARILY_INVARIANT, norm) and not variant.nothing
        part = _Part(problem, unknowns, pairs, rows, found, mixed)
        ball = BALL_BARRIER.required_of("norm", norm, _METHOD, 'use method="auto"')
        near, _ = part.near
        basis = part.basis
        padded = np.pad(near[:, found.regular], ((0, 0), (0, len(basis) - len(found.regular))))
        optimum = solve_rows(padded, near[:, found.tiny], basis, ball, _SHARE * self.gap, self.deadline)
        return None if optimum is None else (part, optimum)

    def _both(self, part: _Part, optimum: RowsOptimum) -> Iterator[Candidate]:
        problem, norm = self.original.problem, self.original.norm
        q, W, margin = part.dual(optimum), np.zeros((problem.n_classes, problem.dimension)), -np.inf
        for each in part.weights(optimum, norm):
            yield Candidate(each, q, optimum.iterations, _METHOD)
            found = self.original.margin(each)
            W, margin = (each, found) if found > margin else (W, margin)
        X = as_numpy(problem.features)
        sizes = np.max(np.abs(X), axis=0)
        least = margin if margin > 0.0 else float(norm.dual(optimum.pair_sum))
        large = np.flatnonzero(_NOISE * sizes > _NOTICED * least)
        if not len(large):
            return
        asked = part.pair_sum(optimum)
        others = np.setdiff1d(np.arange(problem.dimension), large)
        of_others, known = asked[:, others], as_numpy(problem.pair_sum(q / q.sum()))[:, others]
        # Along the slope itself the barrier's is the least exact.
        square = float(np.sum(of_others**2))
        factor = float(np.sum(of_others * known)) / square if square > 0.0 else 1.0
        right = PutRight(problem, norm, large, far_entries(X)[:, large], factor * asked[:, large])
        for dual in right.duals(q, W, least):
            yield Candidate(W, dual, optimum.iterations, _METHOD)
            if self.deadline.passed:
                return


@dataclass(frozen=True)
class _Part:
    """One variant in its coordinates."""

    problem: Classification
    unknowns: _Unknowns
    pairs: np.ndarray
    rows: np.ndarray
    """Margins of pairs by the unknowns, shape [s, N]."""
    coordinates: Coordinates
    mixed: bool
    """Whether weights of all classes sum to zero, as unitarily invariant norms have it at an optimum."""

    @property
    def near(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows in their coordinates, of which those that are far larger are nearer, by powers [s]."""
        high = self.coordinates.high
        sizes = np.frexp(np.abs(high).max(axis=1))[1]
        powers = np.maximum(0, sizes - sizes[high.any(axis=1)].min(initial=0) - _NEAR)
        return np.ldexp(high, -powers[:, None]), powers

    @property
    def _mixing(self) -> np.ndarray:
        return scipy.linalg.helmert(self.problem.n_classes).T

    @property
    def _of_shifts(self) -> np.ndarray:
        """Sizes of the common weights, like those of the others of their features, shape [m]."""
        exponents, features = self.coordinates.exponents, self.unknowns.features
        regular = np.array(self.coordinates.regular, dtype=int)
        sizes = [
            int(np.max(exponents[regular[features[regular] == j]], initial=-2000))
            for j in self.unknowns.shifts.tolist()
        ]
        return np.ldexp(1.0, np.array([0 if size == -2000 else size for size in sizes], dtype=int))

    @property
    def basis(self) -> np.ndarray:
        """Weights of regular coordinates and of common weights as the ball has them, shape [l, r, c]."""
        d, k = self.problem.dimension, self.problem.n_classes
        found = self.unknowns.basis(self.coordinates.to_weights[:, self.coordinates.regular], d)
        if self.mixed:
            found = np.einsum("ka,lkd->lad", self._mixing, found)
        else:
            shifts = np.zeros((len(self.unknowns.shifts), k, d))
            shifts[np.arange(len(shifts)), :, self.unknowns.shifts] = self._of_shifts[:, None]
            found = np.concatenate([found, shifts])
        # As wide as singular value decompositions want it.
        return np.pad(found, ((0, 0), (0, 0), (0, max(0, found.shape[1] - d))))

    def pair_sum(self, optimum: RowsOptimum) -> np.ndarray:
        """A(q) as the norm asks for it, shape [k, d]."""
        found = optimum.pair_sum[:, : self.problem.dimension]
        return self._mixing @ found if self.mixed else found

    def dual(self, optimum: RowsOptimum) -> np.ndarray:
        """Dual weights [n, k]."""
        near, powers = self.near
        shares = optimum.dual * np.abs(near).max(axis=1)
        values = np.where((powers > 0) & (shares < _NOTHING * shares.max()), 0.0, optimum.dual)
        q = np.zeros((self.problem.samples, self.problem.n_classes))
        q[tuple(self.pairs.T)] = np.ldexp(values, -powers)
        return q

    def weights(self, optimum: RowsOptimum, norm: Norm) -> Iterator[np.ndarray]:
        """Yield weights [k, d] of norm 1 to rounding: first those that keep alike what is alike."""
        found = self._floats(optimum)
        size = float(norm(found))
        if not 0.0 < size < np.inf:
            return
        exact = self._exact(optimum, size) if len(self.rows.T) <= _MOST_EXACT else None
        if exact is None:
            yield found / size
            return
        yield np.array([[float(each) for each in row] for row in exact])
        margins = self.coordinates.high[:, self.coordinates.regular] @ optimum.unknowns[: self._count]
        margins = margins + self.coordinates.high[:, self.coordinates.tiny] @ optimum.free
        X = as_numpy(self.problem.features)
        yield nearest_floats(exact, X, max(0.0, float(margins.min()) / size))

    @property
    def _count(self) -> int:
        return len(self.coordinates.regular)

    def _shifts(self, optimum: RowsOptimum) -> np.ndarray:
        return optimum.unknowns[self._count :] * self._of_shifts if not self.mixed else np.zeros(0)

    def _floats(self, optimum: RowsOptimum) -> np.ndarray:
        T, d = self.coordinates.to_weights, self.problem.dimension
        w = T[:, self.coordinates.regular] @ optimum.unknowns[: self._count]
        w = w + T[:, self.coordinates.tiny] @ optimum.free
        W = self.unknowns.basis(w[:, None], d)[0]
        if self.mixed:
            return W - W.mean(axis=0)
        W[:, self.unknowns.shifts] += self._shifts(optimum)
        return W

    def _exact(self, optimum: RowsOptimum, size: float) -> list[list[Fraction]] | None:
        """Weights as fractions, whose margins of the rows that are coordinates have all their digits."""
        coordinates, count = self.coordinates, len(self.rows.T)
        square, right = np.eye(count), [Fraction(0)] * count
        values = optimum.unknowns / size
        if not (np.isfinite(values).all() and np.isfinite(optimum.free / size).all()):
            return None
        for place, column in enumerate(coordinates.regular):
            power = int(coordinates.exponents[column])
            scale = Fraction(2) ** power
            right[column] = Fraction(float(values[place])) * scale
        for place, (row, column) in enumerate(coordinates.pivots):
            square[column] = self.rows[row]
            right[column] = Fraction(float(optimum.free[place] / size))
        solved = exact_solution(square, [right])
        if solved is None:
            return None
        k, d = self.problem.n_classes, self.problem.dimension
        W = [[Fraction(0)] * d for _ in range(k)]
        for u, j in enumerate(self.unknowns.features.tolist()):
            for a in np.flatnonzero(self.unknowns.members[u]).tolist():
                W[a][j] += solved[0][u]
        if self.mixed:
            means = [sum((row[j] for row in W), Fraction(0)) / k for j in range(d)]
            return [[each - mean for each, mean in zip(row, means, strict=True)] for row in W]
        for j, shift in zip(self.unknowns.shifts.tolist(), self._shifts(optimum) / size, strict=True):
            for row in W:
                row[j] += Fraction(float(shift))
        return W
