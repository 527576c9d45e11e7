"""The master problem: the best dual weights and shares of the cuts, by what the cuts say of the norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.linalg.blas

__all__ = ["Curvature", "Master", "solve_master"]

_MOST_ITERATIONS = 40
_SHORT = 0.995
"""Share of the way to the boundary that a step takes."""
_ROUNDING = 1e-15
_STALLED = 1e-8
"""Steps as short as that gain nothing more."""
blas: Any = scipy.linalg.blas  # a compiled module without type stubs


@dataclass(frozen=True)
class Curvature:
    """The quadratic ½ (q - centre)ᵀ matrix (q - centre) that is added to the cuts."""

    matrix: np.ndarray
    """Positive semidefinite, shape [P, P]."""
    centre: np.ndarray
    """Shape [P]."""

    def gradient(self, q: np.ndarray) -> np.ndarray:
        """Gradient at q."""
        return self.matrix @ (q - self.centre)


@dataclass(frozen=True)
class Master:
    """Dual weights q in the simplex of the chosen pairs, and shares of the cuts, in another simplex."""

    q: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True)
class _Point:
    q: np.ndarray
    shares: np.ndarray
    level: float
    floor: float
    above: np.ndarray
    """Slacks level - M q of the cuts."""
    reduced: np.ndarray
    """Slacks of the dual weights: Mᵀ shares + gradient - floor."""

    @property
    def gap(self) -> float:
        return float(self.above @ self.shares + self.reduced @ self.q)

    def moved(self, step: _Point, by: tuple[float, float]) -> _Point:
        first, second = by
        return _Point(
            self.q + first * step.q,
            self.shares + second * step.shares,
            self.level + first * step.level,
            self.floor + second * step.floor,
            self.above + first * step.above,
            self.reduced + second * step.reduced,
        )

    def longest(self, step: _Point) -> tuple[float, float]:
        """How far the step stays positive, up to 1: q and its slacks, shares and theirs."""
        return (
            min(_longest(self.q, step.q), _longest(self.above, step.above)),
            min(_longest(self.shares, step.shares), _longest(self.reduced, step.reduced)),
        )


def solve_master(M: np.ndarray, curvature: Curvature | None, tolerance: float) -> Master:
    """Minimise max_j ⟨M_j, q⟩, plus a quadratic where there is one, over q in the simplex.

    Mehrotra's predictor and corrector. The shares are the multipliers of the cuts: without a quadratic, the
    convex combination of the cuts' weights whose lowest margin is largest.

    Args:
        M: margins of the cuts, shape [J, P].
        curvature: the quadratic.
        tolerance: duality gap to reach, absolute.
    """
    scale = float(np.max(np.abs(M)))
    if scale == 0.0:
        return Master(np.full(M.shape[1], 1.0 / M.shape[1]), np.full(len(M), 1.0 / len(M)))
    M, tolerance = M / scale, max(tolerance / scale, _ROUNDING)
    if curvature is not None:
        curvature = Curvature(curvature.matrix / scale, curvature.centre)
    point = _start(M, curvature)
    for _ in range(_MOST_ITERATIONS):
        rest = _Rest.at(M, curvature, point)
        if point.gap <= tolerance and rest.size <= tolerance:
            break
        system = _system(M, curvature, point)
        if system is None:
            break
        mean = point.gap / sum(M.shape)
        predicted = system.step(rest, -point.above * point.shares, -point.reduced * point.q)
        far = _both(point.longest(predicted), curvature)
        centring = (point.moved(predicted, far).gap / point.gap) ** 3
        step = system.step(
            rest,
            centring * mean - point.above * point.shares - predicted.above * predicted.shares,
            centring * mean - point.reduced * point.q - predicted.reduced * predicted.q,
        )
        first, second = point.longest(step)
        by = _both((min(1.0, _SHORT * first), min(1.0, _SHORT * second)), curvature)
        if not all(map(np.isfinite, by)) or max(by) < _STALLED:
            break
        point = point.moved(step, by)
    return Master(_simplex(point.q), _simplex(point.shares))


def _both(lengths: tuple[float, float], curvature: Curvature | None) -> tuple[float, float]:
    """With a quadratic both sides take the same length, so that what is linear stays solved."""
    return lengths if curvature is None else (min(lengths), min(lengths))


def _simplex(values: np.ndarray) -> np.ndarray:
    values = np.maximum(values, 0.0)
    return values / values.sum()


def _longest(x: np.ndarray, dx: np.ndarray) -> float:
    """Largest share of dx, up to 1, by which x stays non-negative."""
    falling = dx < 0
    return min(1.0, float((-x[falling] / dx[falling]).min())) if falling.any() else 1.0


def _start(M: np.ndarray, curvature: Curvature | None) -> _Point:
    """A point well inside, near the centre of the quadratic where there is one."""
    J, P = M.shape
    q = np.full(P, 1.0 / P)
    if curvature is not None:
        q = _simplex(np.maximum(curvature.centre, 1e-2 / P))
    shares = np.full(J, 1.0 / J)
    values = M @ q
    above = values.max() - values
    above += 1e-2 * np.abs(values).max() + 0.1 * above.mean()
    costs = shares @ M + (0.0 if curvature is None else curvature.gradient(q))
    reduced = costs - costs.min()
    reduced += 1e-2 * np.abs(costs).max() + 0.1 * reduced.mean()
    level, floor = float((above + values).mean()), float((costs - reduced).mean())
    return _Point(q, shares, level, floor, above, reduced)


@dataclass(frozen=True)
class _Rest:
    """What a point leaves of the linear equations."""

    cuts: np.ndarray
    """level - M q - above."""
    weights: np.ndarray
    """Mᵀ shares + gradient - floor - reduced."""
    q: float
    shares: float

    @classmethod
    def at(cls, M: np.ndarray, curvature: Curvature | None, point: _Point) -> _Rest:
        gradient = 0.0 if curvature is None else curvature.gradient(point.q)
        return cls(
            point.level - M @ point.q - point.above,
            point.shares @ M + gradient - point.floor - point.reduced,
            1.0 - float(point.q.sum()),
            1.0 - float(point.shares.sum()),
        )

    @property
    def size(self) -> float:
        largest = max(float(np.abs(self.cuts).max()), float(np.abs(self.weights).max()))
        return max(largest, abs(self.q), abs(self.shares))


@dataclass(frozen=True)
class _System:
    """Newton's equations, with all but the weights q or all but the shares eliminated.

    dl dshares + dlevel - M dq = a,    (dq + B) dq + Mᵀ dshares - dfloor = b,    Σdq = r, Σdshares = r'.
    """

    M: np.ndarray
    curvature: Curvature | None
    point: _Point
    factor: Any
    weighted: np.ndarray
    """Mᵀ / dl of shape [P, J], or M / dq of shape [J, P]."""
    of_weights: bool
    border: np.ndarray
    """Solutions for the two borders, shape [2, P] or [2, J]."""
    corner: np.ndarray

    def step(self, rest: _Rest, of_cuts: np.ndarray, of_weights: np.ndarray) -> _Point:
        """The step that solves the linear equations and has products changed by the values given."""
        point, M = self.point, self.M
        a, b = of_cuts / point.shares - rest.cuts, of_weights / point.q - rest.weights
        solve = self._by_weights if self.of_weights else self._by_shares
        q, shares, level, floor = solve(a, b, rest)
        Mq, curved = M @ q, 0.0 if self.curvature is None else self.curvature.matrix @ q
        above, reduced = rest.cuts + level - Mq, rest.weights + shares @ M + curved - floor
        return _Point(q, shares, level, floor, above, reduced)

    def _by_weights(self, a: np.ndarray, b: np.ndarray, rest: _Rest):
        ratio = self.point.shares / self.point.above
        first = _back(self.factor, b - self.weighted @ a)
        ends = np.array(
            [rest.q - first.sum(), rest.shares - float(a @ ratio) - self.weighted.sum(axis=1) @ first]
        )
        level, floor = np.linalg.solve(self.corner, ends)
        q = first + level * self.border[0] + floor * self.border[1]
        return q, (a - level + self.M @ q) * ratio, float(level), float(floor)

    def _by_shares(self, a: np.ndarray, b: np.ndarray, rest: _Rest):
        ratio = self.point.q / self.point.reduced
        first = _back(self.factor, a + self.weighted @ b)
        ends = np.array(
            [rest.shares - first.sum(), rest.q - float(b @ ratio) + self.weighted.sum(axis=1) @ first]
        )
        level, floor = np.linalg.solve(self.corner, ends)
        shares = first - level * self.border[0] + floor * self.border[1]
        return (b - shares @ self.M + floor) * ratio, shares, float(level), float(floor)


def _system(M: np.ndarray, curvature: Curvature | None, point: _Point) -> _System | None:
    """The factored system, the smaller of the two where there is a choice; None where it has no factor."""
    J, P = M.shape
    of_weights = curvature is not None or P <= J
    ratio_q, ratio_cuts = point.q / point.reduced, point.shares / point.above
    if of_weights:
        weighted = M.T * ratio_cuts
        K = _gram(M.T * np.sqrt(ratio_cuts))
        if curvature is not None:
            K += curvature.matrix
        K[np.diag_indices(P)] += 1.0 / ratio_q
    else:
        weighted = M * ratio_q
        K = _gram(M * np.sqrt(ratio_q))
        K[np.diag_indices(J)] += 1.0 / ratio_cuts
    try:
        factor = scipy.linalg.cho_factor(K, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    sums, ones = weighted.sum(axis=1), np.ones(len(K))
    if of_weights:
        border = _back(factor, np.stack([sums, ones], axis=1)).T
        corner = [border.sum(axis=1), [sums @ border[0] - ratio_cuts.sum(), sums @ border[1]]]
    else:
        border = _back(factor, np.stack([ones, sums], axis=1)).T
        corner = [
            [-border[0].sum(), border[1].sum()],
            [sums @ border[0], ratio_q.sum() - sums @ border[1]],
        ]
    corner = np.array(corner)
    if not np.isfinite(corner).all() or np.linalg.det(corner) == 0.0:
        return None
    return _System(M, curvature, point, factor, weighted, of_weights, border, corner)


def _gram(A: np.ndarray) -> np.ndarray:
    """Lower triangle of A Aᵀ, at half the price of a product."""
    return blas.dsyrk(1.0, A, lower=1) if A.flags.f_contiguous else blas.dsyrk(1.0, A.T, trans=1, lower=1)


def _back(factor: Any, right: np.ndarray) -> np.ndarray:
    return scipy.linalg.cho_solve(factor, right, check_finite=False)
