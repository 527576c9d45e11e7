"""The Newton system of the interior-point methods: formed over pairs of classes, factored once, refined.

Solve H dV + τ u - A(dq) = r1 + pull, Σdq = r2, s dq + q ds = r3 with ds = margins(dV) - dγ, and, where there
is a border (w, u), ⟨u, dV⟩ - τ/w = r4; H is positive definite. Systems differ in what they eliminate:
:class:`WeightsSystem` all but the weights, SamplesSystem (sample_system.py) all but the samples, VertexSystem
(vertex_system.py) all but free weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.interior.balls import BallPoint, BarrierPoint

__all__ = ["EXACT", "ROUGH", "Newton", "Step", "System", "WeightsSystem", "cholesky", "solved"]

_REFINEMENTS, _SLOW = 25, 3
"""Most refinements of a solution, and how many may gain less than half."""
_TELLING = 4
"""Refinements whose rate is that of the others."""
EXACT, ROUGH = 1e-13, 1e-8
"""What is left of a right-hand side where its solution is exact, and where it only tells where to aim."""
_ADDED = (0.0, 1e-15, 1e-13, 1e-11, 1e-9)
"""Shares that are added to a diagonal, least first, until the Cholesky factor exists."""
_NUMBERS = 1 << 24
"""Numbers of weighted features that are made at once: 128 MB."""
lapack: Any = scipy.linalg.lapack  # a compiled module without type stubs


@dataclass(frozen=True)
class Step:
    """A change of (V, γ, q, s), of the pair sum A(q), in the coordinates of the norm, and τ of the border."""

    dv: np.ndarray
    dgamma: float
    dq: np.ndarray
    ds: np.ndarray
    dsum: np.ndarray
    tau: float

    def __add__(self, other: Step) -> Step:
        """Return the sum of two changes."""
        return Step(
            self.dv + other.dv,
            self.dgamma + other.dgamma,
            self.dq + other.dq,
            self.ds + other.ds,
            self.dsum + other.dsum,
            self.tau + other.tau,
        )

    def times(self, factor: float) -> Step:
        """Return the change of ``factor`` times this size."""
        return Step(
            factor * self.dv,
            factor * self.dgamma,
            factor * self.dq,
            factor * self.ds,
            factor * self.dsum,
            factor * self.tau,
        )


Rest = tuple[np.ndarray, np.ndarray, float, np.ndarray, float]
"""A right-hand side (r1, pull, r2, r3, r4), or what is left of one."""


class System(Protocol):
    """A factored system, whose solutions have the rounding of the factorisation."""

    @property
    def factored(self) -> bool:
        """Whether the factorisation exists."""
        ...

    def solve(self, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray, r4: float) -> Step:
        """Solve once."""
        ...


@dataclass(frozen=True)
class Newton:
    """A system with the means to refine its solutions: H = ``scale`` times the Hessian of the ball."""

    pairs: Pairs
    ball: BarrierPoint
    scale: float
    q: np.ndarray
    s: np.ndarray
    system: System
    border: tuple[float, np.ndarray] | None = None
    """The weight w and u, shape [k, d]: then ``ball`` is H without w u uᵀ, which the system has."""
    incomplete: bool = False
    """Whether the system leaves couplings out."""

    def solve(
        self,
        r1: np.ndarray,
        pull: np.ndarray,
        r2: float,
        r3: np.ndarray,
        r4: float = 0.0,
        *,
        exact: float = EXACT,
    ) -> tuple[Step, float]:
        """Solve, and return with the step the size of what it leaves of the right-hand side, relative to it.

        Refinement ends where no more than the share ``exact`` is left, and that of a rough solution where
        the rate of its first steps would not get there.

        Iterative refinement undoes rounding. A system that leaves couplings out serves as preconditioner of
        generalised conjugate residuals (Eisenstat, Elman and Schultz, SIAM J. Numer. Anal. 20, 1983).
        ``pull`` is a pair sum: its columns sum to zero, which no rounding of it may spoil.
        """
        right: Rest = (r1, pull, r2, r3, r4)
        total: Step | None = None
        rest, flat = right, self._whitened(right)
        size = previous = float(np.linalg.norm(flat))
        known: list[tuple[np.ndarray, Step]] = []
        slow = 0
        for done in range(_REFINEMENTS):
            rough = exact > EXACT and not self.incomplete
            if rough and done == _TELLING and previous > size * exact ** (done / _REFINEMENTS):
                break
            if not 0.0 < previous < np.inf or previous <= exact * size or slow == _SLOW:
                break
            step = self.system.solve(*rest)
            if self.incomplete:
                image = flat - self._whitened(self._residual(step, *rest))
                length, image, step = _orthonormal(image, step, known)
                if not 0.0 < length < np.inf:
                    break
                known.append((image, step))
                step = step.times(float(image @ flat))
            total = step if total is None else total + step
            # The residual is computed afresh: recursion would hide what rounding left.
            rest = self._residual(total, *right)
            flat = self._whitened(rest)
            left = float(np.linalg.norm(flat))
            slow = 0 if left < 0.5 * previous else slow + 1
            previous = left
        return total or self._none(), previous / size if size > 0.0 else 0.0

    def _none(self) -> Step:
        none, pairs = np.zeros(self.pairs.reduced.shape), np.zeros(self.q.shape)
        return Step(none, 0.0, pairs, pairs, none, 0.0)

    def _residual(
        self, step: Step, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray, r4: float
    ) -> Rest:
        first = r1 - self.scale * self.ball.hessian(step.dv)
        if self.border is not None:
            weight, u = self.border
            first = first - step.tau * u
            r4 = r4 - float(np.sum(u * step.dv)) + step.tau / weight
        third = r3 - self.s * step.dq - self.q * step.ds
        return first, pull + step.dsum, r2 - float(step.dq.sum(where=self.pairs.mask)), third, r4

    def _whitened(self, rest: Rest) -> np.ndarray:
        """A right-hand side in the units of the step: gradients by the local norm, products by their mean."""
        r1, pull, r2, r3, r4 = rest
        gradient = self.ball.whitened(r1 + pull).ravel() / self.scale
        return np.concatenate([gradient, [r2, r4], (r3 * np.sqrt(self.pairs.count)).ravel()])


def _orthonormal(
    image: np.ndarray, step: Step, known: list[tuple[np.ndarray, Step]]
) -> tuple[float, np.ndarray, Step]:
    """The image made orthogonal to those known and of length 1, with its length before and its step."""
    for _ in range(2):
        for other, its_step in known:
            part = float(other @ image)
            image = image - part * other
            step = step + its_step.times(-part)
    length = float(np.linalg.norm(image))
    return (length, image / length, step.times(1.0 / length)) if length > 0.0 else (length, image, step)


class WeightsSystem:
    """The system in the weights: H + AᵀΘA with Θ = q/s, of size (k-1) times the number of features.

    It is formed in coordinates in which the last class is the origin: there the pair (a, c) touches the
    blocks of two classes only, and the shift of all classes, which no margin sees, is no part of the matrix.
    """

    def __init__(
        self,
        pairs: Pairs,
        ball: BallPoint,
        scale: float,
        q: np.ndarray,
        s: np.ndarray,
        border: tuple[float, np.ndarray] | None = None,
    ):
        self.pairs, self.ball, self.scale, self.s, self.border = pairs, ball, scale, s, border
        self.theta = np.where(pairs.slots, q / s, 0.0)
        self.per_sample = self.theta.sum(axis=1)
        # A sample whose level is free takes part of a change of γ by itself.
        felt = self._felt(np.where(pairs.mask, self.theta, 0.0))
        self.total = float(felt.sum())
        self.g = pairs.towards(felt)
        M = self._matrix()
        size = M.shape[0] * M.shape[1]
        M = M.reshape(size, size)
        flat = self.g[:-1].ravel()
        M -= np.outer(flat / self.total, flat)
        self.factor = cholesky(M)
        self.norm_g = pairs.in_norm(self.g)

    @property
    def factored(self) -> bool:
        """Whether the factorisation exists."""
        return self.factor is not None

    def _felt(self, of_pairs: np.ndarray) -> np.ndarray:
        """What pairs feel of a change that is the same for all of a sample, shape [n, k]."""
        if self.pairs.reduced.caps is None:
            return of_pairs
        rest = self.theta[self.pairs.index, self.pairs.y] / self.per_sample
        return of_pairs * rest[:, None]

    def _matrix(self) -> np.ndarray:
        """H + AᵀΘA with what the samples' levels take of it, shape [rows, c, rows, c]."""
        rows, columns = self.pairs.reduced.classes - 1, self.pairs.features.shape[1]
        M = np.zeros((rows, columns, rows, columns))
        if self.pairs.reduced.caps is None:
            self._add_pairs(M)
        else:
            self._add_capped(M)
        self.ball.add_to(M, self.scale, self.pairs.from_origin)
        return M

    def _add_capped(self, M: np.ndarray) -> None:
        """Σ_i L_i ⊗ x_i x_iᵀ, with L_i the Laplacian of the classes with weights θ_ia θ_ib / Σ_c θ_ic.

        The level of a sample is eliminated, which makes all its slots alike and leaves no difference of
        terms that could cancel.
        """
        n, columns = self.pairs.features.shape
        at_once = max(1, _NUMBERS // (columns * len(M)))
        for start in range(0, n, at_once):
            part = slice(start, start + at_once)
            self._add_laplacians(
                M, self.pairs.size * self.pairs.features[part], self.theta[part], self.per_sample[part]
            )

    def _add_laplacians(
        self, M: np.ndarray, X: np.ndarray, theta: np.ndarray, per_sample: np.ndarray
    ) -> None:
        rows = len(M)
        for a in range(rows):
            weights = theta[:, a, None] * theta[:, a + 1 :] / per_sample[:, None]
            weighted = (weights[:, :, None] * X[:, None, :]).reshape(len(X), weights.shape[1] * X.shape[1])
            grams = (X.T @ weighted).reshape(X.shape[1], -1, X.shape[1])
            for c in range(a + 1, rows + 1):
                gram = grams[:, c - a - 1, :]
                M[a, :, a, :] += gram
                if c < rows:
                    M[c, :, c, :] += gram
                    M[a, :, c, :] -= gram
                    M[c, :, a, :] -= gram

    def _add_pairs(self, M: np.ndarray) -> None:
        pairs, rows = self.pairs, len(M)
        columns, k = M.shape[1], rows + 1
        for a, members in enumerate(pairs.members):
            X = pairs.size * pairs.features[members]
            theta = self.theta[members]
            weighted = (theta[:, :, None] * X[:, None, :]).reshape(len(members), k * columns)
            grams = (X.T @ weighted).reshape(columns, k, columns)
            for c in range(k):
                if c == a:
                    continue
                gram = grams[:, c, :]
                if a < rows:
                    M[a, :, a, :] += gram
                if c < rows:
                    M[c, :, c, :] += gram
                if a < rows and c < rows:
                    M[a, :, c, :] -= gram
                    M[c, :, a, :] -= gram

    def solve(self, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray, r4: float) -> Step:
        """Solve once; a border is an entry-wise ball's rank-one part."""
        pairs = self.pairs
        weight, u = self.border if self.border is not None else (0.0, r1)
        if r4 != 0.0:
            r1 = r1 + (weight * r4) * u
        ratio = np.where(pairs.slots, r3 / self.s, 0.0)
        own = ratio if pairs.reduced.caps is None else ratio - self.theta * self._levels(ratio)
        own = np.where(pairs.mask, own, 0.0)
        missing = (r2 - float(own.sum())) / self.total
        pull = pull + pairs.in_norm(pairs.towards(own) + missing * self.g)
        dV = self.ball.solve(r1, pull, self._back, self.scale, pairs.from_origin)
        dgamma = missing + float(np.sum(self.norm_g * dV)) / self.total
        ds = np.where(pairs.mask, pairs.margins(dV) - dgamma, 0.0)
        if pairs.reduced.caps is not None:
            ds = ds + self._levels(ratio - self.theta * ds)
        dq = ratio - self.theta * ds
        if pairs.reduced.caps is not None:
            dq[pairs.index, pairs.y] = 0.0
            dq[pairs.index, pairs.y] = -dq.sum(axis=1)
        tau = weight * (float(np.sum(u * dV)) - r4)
        return Step(dV, dgamma, dq, ds, pairs.pair_sum(np.where(pairs.mask, dq, 0.0)), tau)

    def _levels(self, ratio: np.ndarray) -> np.ndarray:
        """Changes of the samples' levels that keep the sums of their slots, shape [n, 1]."""
        return (ratio.sum(axis=1) / self.per_sample)[:, None]

    def _back(self, right: np.ndarray) -> np.ndarray:
        return solved(self.factor, right.ravel()).reshape(right.shape)


def cholesky(M: np.ndarray) -> np.ndarray | None:
    """Lower Cholesky factor of a symmetric M, or None.

    As little is added to the diagonal as lets the factor exist, and refinement undoes it.
    """
    diagonal = np.diagonal(M).copy()
    places = np.arange(len(M))
    for added in _ADDED:
        M[places, places] = diagonal * (1.0 + added)
        # Fortran order, which the transpose of a symmetric matrix has, needs one copy less.
        factor, info = lapack.dpotrf(M.T if M.flags.c_contiguous else M, lower=1)
        if info == 0 and np.isfinite(factor[-1]).all():
            return factor
    return None


def solved(factor: np.ndarray | None, right: np.ndarray) -> np.ndarray:
    """The solution with a factor of :func:`cholesky`: by LAPACK, without checks that small systems feel."""
    return lapack.dpotrs(factor, right, lower=1)[0]
