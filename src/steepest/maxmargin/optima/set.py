"""The set of all optima of a max margin: its face, its shape, its point of least Frobenius norm.

The optima of norm 1 are {‖W‖ ≤ 1, margin(W) ≥ γ}; as directions they form the convex cone
K = {V : margin(V) ≥ γ ‖V‖}. For 1 < p < ∞ it is a ray. For the max-norm, the sum-norm, the spectral and the
nuclear norm every optimum lies on the face of the ball that A(q) exposes (faces.py) and has margin
exactly γ at the pairs with q > 0: linear equations on the face's parameters. Full column rank leaves one
point; otherwise K spans the equations' null space, and cone.py finds what the other constraints leave of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import Any, TypeVar

import numpy as np
import scipy.linalg

from steepest.arrays import as_numpy
from steepest.geometry import Norm, norm_label
from steepest.geometry.facts import STRICTLY_CONVEX, is_true
from steepest.maxmargin.certificates.bounds import Bounds, certificate
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced, reduce
from steepest.maxmargin.optima.cone import OptimaCone
from steepest.maxmargin.optima.faces import EXPOSED_FACE
from steepest.maxmargin.optima.refinement import Refined, refine
from steepest.maxmargin.optima.uniqueness import Uniqueness
from steepest.problem import Classification
from steepest.threads import linear_algebra_threads

__all__ = ["Canonical", "SetOfOptima"]

Answer = TypeVar("Answer")

_SLACK = 1e-12
"""By how much a condition of the set may be broken, in relation: rounding of its margins and sizes."""
_ACCURATE = 1e-9
"""Gap within which a face is known well enough to search it."""
_ROUNDING = 1e-11
"""Relative gap that rounding alone may leave in a certificate."""
_LEAST_GAP = 1e-15
"""Gap taken for one that is closed to the last digit, whose root tells which dual weights are not zero."""
_MOST_DIRECTIONS = 64
"""Free directions that are all searched, which proves that there is no second optimum where none is found."""
_FEW_DIRECTIONS = 3
"""Of more directions these alone are searched; and so many searches may fail."""
_ENDED = 1e-10
"""Largest violation of a projection that has ended."""
_UNSEEN = 1e-12
"""Part of weights outside what margins see, above which it is more than rounding."""
_TOO_COARSE = 1e-4
"""Gap beyond which Newton's method has nothing to start from."""
_COARSEST = 1e-6
"""Gap beyond which W and q do not tell the face that the optima lie on."""
_LARGEST_SPAN = 30_000_000
"""Numbers in the basis of a face that is still formed."""


@dataclass(frozen=True)
class Canonical:
    """The optimum of least Frobenius norm."""

    weights: np.ndarray
    """W*, of norm 1, shape [k, d]."""
    margin: float
    """Its margin, certified from below, in units of the features."""
    frobenius_norm: float
    """‖W*‖_F."""
    frobenius_gap: float | None
    """Relative gap between ‖W*‖_F and a lower bound on it over all optima, from the projection's multipliers;
    None where the set of optima could not be worked out, so that the solver's optimum is kept."""
    dual: np.ndarray
    """Dual weights q that go with it, shape [n, k]."""
    upper_bound: float
    """‖A(q)‖_*, an upper bound on γ."""

    @property
    def relative_gap(self) -> float:
        """(upper_bound - margin) / upper_bound."""
        return Bounds(self.margin, self.upper_bound).relative_gap

    def __str__(self) -> str:
        if self.frobenius_gap is None:
            return "the solver's optimum, since the one of least Frobenius norm could not be worked out"
        return (
            f"the optimum of least Frobenius norm, {self.frobenius_norm:.10g} "
            f"to a relative gap of {self.frobenius_gap:.1e}"
        )


@dataclass(frozen=True)
class _Hull:
    """The affine hull of the optima as the support pairs leave it."""

    cone: OptimaCone
    rank: int
    smallest_kept: float | None
    largest_dropped: float | None


def _on_few_threads(method: Callable[..., Answer]) -> Callable[..., Answer]:
    @wraps(method)
    def called(optima: SetOfOptima, *arguments: Any) -> Answer:
        with linear_algebra_threads(None, optima.problem.multiplications):
            return method(optima, *arguments)

    return called


@dataclass(frozen=True)
class SetOfOptima:
    """All optima of the max margin of a problem in a norm, worked out from one certified pair."""

    problem: Classification
    norm: Norm
    weights: np.ndarray
    """W, shape [k, d], of norm 1; zeros where no weights of positive margin are known."""
    dual: np.ndarray
    """q, shape [n, k]."""
    relative_gap: float
    """Certified relative gap of both."""

    @property
    def separated(self) -> bool:
        """Whether weights of positive margin are known; without them there is no optimal direction."""
        return bool(self.weights.any())

    @cached_property
    def refined(self) -> Refined | None:
        """The pair made accurate on its face; None for norms without known faces, and for large problems."""
        known = EXPOSED_FACE.of(self.norm) is not None
        if not known or not self.separated or self.relative_gap > _TOO_COARSE:
            return None
        reduced = reduce(self.problem, self.norm)
        return refine(reduced, reduced.coordinates(self.weights), self.dual)

    @cached_property
    def attained_gap(self) -> float:
        """Certified relative gap of the pair that the set is worked out from."""
        return self.relative_gap if self.refined is None else self.refined.gap

    @cached_property
    def _hull(self) -> _Hull | None:
        if self.refined is None or self.attained_gap > _COARSEST:
            return None
        return _hull(self.refined)

    @cached_property
    @_on_few_threads
    def canonical(self) -> Canonical:
        """The optimum of least Frobenius norm; the given one where the set could not be worked out."""
        if self._hull is None:
            return self._certified(self.weights, 0.0 if is_true(STRICTLY_CONVEX, self.norm) else None)
        cone = self._hull.cone
        # The largest t on the cone's unit ball: for every optimum V, 1 = t(V) ≤ ‖P_K(t)‖ ‖V‖.
        found = cone.project(cone.sizes)
        point, size = found.point, float(cone.sizes @ found.point)
        if not (size > 0 and found.violation <= _ENDED):
            return self._certified(self.weights, None)
        least, length = 1 / float(np.linalg.norm(point)), float(np.linalg.norm(point)) / size
        W = cone.reduced.weights(cone.matrix(point / size))
        canonical = self._certified(W, max(0.0, 1 - least / length))
        close = canonical.relative_gap <= max(self.relative_gap, _ROUNDING)
        return canonical if close else self._certified(self.weights, None)

    def _certified(self, W: np.ndarray, frobenius_gap: float | None) -> Canonical:
        W = W / (float(self.norm(W)) or 1.0)
        duals = [self.dual] if self.refined is None else [self.refined.dual, self.dual]
        every = [certificate(self.problem, self.norm, W, q) for q in duals]
        best = int(np.argmin([bounds.upper_bound for bounds in every]))
        margin, upper_bound = every[best].margin, every[best].upper_bound
        return Canonical(W, margin, float(np.linalg.norm(W)), frobenius_gap, duals[best], upper_bound)

    @cached_property
    @_on_few_threads
    def uniqueness(self) -> Uniqueness:
        """Whether the optimum is unique, with the evidence."""
        if not self.separated:
            return Uniqueness(None, "no weights of positive margin are known")
        ball = f"the unit ball of the {norm_label(self.norm)} norm"
        if is_true(STRICTLY_CONVEX, self.norm):
            return Uniqueness(True, f"{ball} is strictly convex")
        if EXPOSED_FACE.of(self.norm) is None:
            return Uniqueness(None, f"the faces of {ball} are not known")
        hull = self._hull
        if hull is None and self.refined is None and self.relative_gap <= _TOO_COARSE:
            return Uniqueness(None, "the problem is too large for the rank argument")
        if hull is None:
            reached = f"the certified relative gap, {self.attained_gap:.1e}, is above {_COARSEST:.0e}"
            return Uniqueness(None, reached, relative_gap=self.attained_gap)
        unknowns = self.refined.face.count if self.refined is not None else None
        evidence = Uniqueness(
            None,
            "",
            unknowns,
            hull.rank,
            hull.smallest_kept,
            hull.largest_dropped,
            self.attained_gap,
        )
        if hull.cone.is_ray:
            return replace(evidence, unique=True, argument=self._rank_argument(hull, unknowns))
        return self._searched(evidence, hull)

    def _rank_argument(self, hull: _Hull, unknowns: int | None) -> str:
        if not unknowns or hull.smallest_kept is None:
            single = f"A(q) exposes a single point of the unit ball (certified gap {self.attained_gap:.1e})"
            return f"{single}, up to what no margin sees" if hull.cone.face.spare else single
        return (
            f"the support pairs' equations on the face that A(q) exposes have full rank {hull.rank} of "
            f"{unknowns} unknowns (smallest singular value {hull.smallest_kept:.1e} of the largest, "
            f"certified gap {self.attained_gap:.1e})"
        )

    def _searched(self, evidence: Uniqueness, hull: _Hull) -> Uniqueness:
        """Look for a second optimum: first at the given weights, then along every free direction.

        If K holds another direction than the first optimum's, some target moved off that along a basis
        vector, one way or the other, has its projection elsewhere; if none has, there is no other.
        """
        cone, first = hull.cone, self.canonical
        far = max(1e-6, 30 * float(np.sqrt(self.attained_gap + cone.slack)))
        middle = cone.coordinates(cone.reduced.coordinates(first.weights / first.frobenius_norm))
        free = scipy.linalg.null_space(middle[None]).T
        tried = free if len(free) <= _MOST_DIRECTIONS else free[:_FEW_DIRECTIONS]
        if self.attained_gap > _ACCURATE:
            tried = free[:0]
        reason = f"{len(free)} of {evidence.unknowns} unknowns are left free by the support pairs"
        spread, failures = 0.0, 0
        for candidate in self._candidates(cone, middle, tried):
            if failures > _FEW_DIRECTIONS:
                break
            if candidate is None:
                failures += 1
                continue
            other = self._certified(candidate, None)
            cosine = (
                float(np.sum(other.weights * first.weights)) / other.frobenius_norm / first.frobenius_norm
            )
            distance = float(
                np.linalg.norm(other.weights / other.frobenius_norm - first.weights / first.frobenius_norm)
            )
            optimal = other.relative_gap <= max(self.relative_gap, _ROUNDING)
            if optimal and distance > far:
                which = "the solver's" if first.frobenius_gap is None else "the one of least Frobenius norm"
                return replace(
                    evidence,
                    unique=False,
                    argument=f"{reason}, and a second optimum, of margin {other.margin:.10g}, "
                    f"has cosine {cosine:.6g} to {which}",
                    other=other.weights,
                    other_margin=other.margin,
                    other_cosine=cosine,
                )
            failures += not optimal
            spread = max(spread, distance)
        if not failures and len(tried) == len(free) and spread < 0.1 * far:
            return replace(
                evidence,
                unique=True,
                argument=f"{reason}, but with the other pairs and the ball all {2 * len(free)} searches "
                f"along them come back to within {spread:.1e} of the same direction",
            )
        if not len(tried):
            reason += f", at a gap of {self.attained_gap:.1e} that is too wide to search"
        return replace(evidence, argument=f"{reason}, and no second optimum was found")

    def _candidates(
        self, cone: OptimaCone, middle: np.ndarray, directions: np.ndarray
    ) -> Iterator[np.ndarray | None]:
        """Weights that may be optima, None where a projection onto the cone did not end."""
        yield self.weights
        for direction in directions:
            for sign in (1.0, -1.0):
                found = cone.project(middle + sign * direction)
                ended = found.violation <= _ENDED and float(cone.sizes @ found.point) > 0
                yield cone.reduced.weights(cone.matrix(found.point)) if ended else None

    @_on_few_threads
    def distance(self, W: np.ndarray, accuracy: float) -> np.ndarray:
        """Distance of directions W, shape [..., k, d], to the cone K of all optima, shape [...].

        min_{V ∈ K} ‖W/‖W‖_F - V‖_F: 0 for optima of any size, the sine of the angle to the nearest optimum
        where that is acute, 1 beyond and for W = 0. NaN where no weights of positive margin are known. Where
        the set could not be worked out it is the distance to the known optimum, which bounds it from above.
        The conditions of K may be broken by ``accuracy``.
        """
        flat = W.reshape(-1, *W.shape[-2:])
        sizes = np.linalg.norm(flat, axis=(1, 2), keepdims=True)
        directions = flat / np.where(sizes > 0, sizes, 1.0)
        distances = np.full(len(flat), np.nan)
        if self.separated:
            distances = (
                self._to_ray(directions) if self._hull is None else self._to_cone(directions, accuracy)
            )
            distances[sizes.ravel() == 0] = 1.0
        return distances.reshape(W.shape[:-2])

    def _to_ray(self, directions: np.ndarray) -> np.ndarray:
        target = self.canonical.weights / self.canonical.frobenius_norm
        along = np.maximum(np.einsum("mkd,kd->m", directions, target), 0.0)
        return np.minimum(np.linalg.norm(directions - along[:, None, None] * target, axis=(1, 2)), 1.0)

    def _to_cone(self, directions: np.ndarray, accuracy: float) -> np.ndarray:
        assert self._hull is not None
        seen = self._hull.cone
        chosen = np.zeros(len(directions), dtype=bool)
        if seen.face.spare:
            projected = seen.reduced.weights(seen.reduced.coordinates(directions))
            chosen = np.linalg.norm(directions - projected, axis=(1, 2)) > _UNSEEN
        distances = np.empty(len(directions))
        distances[~chosen] = seen.distances(directions[~chosen], accuracy)
        if chosen.any():
            whole = seen if self._whole_hull is None else self._whole_hull.cone
            distances[chosen] = whole.distances(directions[chosen], accuracy)
        return distances

    @cached_property
    def _whole_hull(self) -> _Hull | None:
        """In all of the space, where the face has room for what no margin sees and the norm does not mind."""
        refined = self.refined
        if refined is None:
            return None
        seen = refined.reduced
        whole = Reduced(
            as_numpy(self.problem.features) / seen.scale,
            seen.labels, seen.classes, seen.scale, None, None, seen.norm,
        )  # fmt: skip
        face = refined.face.at(seen.weights(Pairs(seen).pair_sum(refined.dual)))
        if face.count * face.base.size > _LARGEST_SPAN:
            return None
        return _hull(replace(refined, reduced=whole, face=face, weights=seen.weights(refined.weights)))


def _hull(refined: Refined) -> _Hull:
    reduced, face, q = refined.reduced, refined.face, refined.dual
    gap = max(refined.gap, _LEAST_GAP)
    # Σ q_p (margin_p(W) - γ) ≤ gap γ for every optimum W: pairs with more dual weight are at γ.
    pairs = np.argwhere(q > np.sqrt(gap) * q.max())
    rows = Pairs(reduced).rows(pairs)
    pulled = face.pull(rows) / np.linalg.norm(rows, axis=(1, 2))[:, None]
    if face.total is not None:
        pulled = np.concatenate([pulled, face.total[None] / np.linalg.norm(face.total)])
    rank, kept, dropped, free = _null_space(pulled, max(1e-9, 10 * np.sqrt(gap)))
    cone = OptimaCone.through(reduced, face, refined.weights, face.lift(free), _SLACK)
    return _Hull(cone, rank, kept, dropped)


def _null_space(A: np.ndarray, cutoff: float) -> tuple[int, float | None, float | None, np.ndarray]:
    """Rank of A [m, f], its smallest kept and largest dropped singular value, and rows that span its kernel.

    Singular values are relative to the largest, or to 1 where all are rounding of rows of length 1.
    """
    if A.shape[1] == 0:
        return 0, None, None, np.zeros((0, 0))
    if len(A) > A.shape[1]:
        A = np.linalg.qr(A).R
    _, values, vt = scipy.linalg.svd(A, check_finite=False)
    relative = values / max(values[0], 1e-3)
    rank = int(np.count_nonzero(relative > cutoff))
    kept = float(relative[rank - 1]) if rank else None
    dropped = float(relative[rank]) if rank < len(relative) else None
    return rank, kept, dropped, vt[rank:]
