"""Relaxed max margins in polyhedral norms by primal-dual gradient steps among the samples near the level.

The iteration is that of ``scans/restarted.py``, on max over ‖V‖ ≤ 1 and free F of min over capped q of
⟨A(q), [V F]⟩. Where it meets the faces of a polyhedral ball it converges at a linear rate; projections that
alternate do not. Samples that stay at their caps on one class are a fixed part of A(q), and those far above
the level have no dual weight. Steps are as long as the norm of W ↦ margins allows: means that an intercept
explains (``centred.py``) and free features, in sizes of their own, do not bound them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.geometry import Norm
from steepest.maxmargin.column_generation import SINGLE_FEATURES
from steepest.maxmargin.first_order.projections import BALL_PROJECTION
from steepest.maxmargin.first_order.scaled_projections import SCALED_PROJECTION
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.worst import shares_of_worst
from steepest.maxmargin.relaxed.ascent import Active
from steepest.maxmargin.relaxed.band import Band
from steepest.maxmargin.relaxed.capped import project_capped_pairs
from steepest.maxmargin.relaxed.centred import Centred, explained_by_free
from steepest.maxmargin.relaxed.flows import with_balanced_flows
from steepest.maxmargin.relaxed.point import NOTHING, Point, dual_above, take_weights
from steepest.maxmargin.scans.pair_products import PairProducts
from steepest.maxmargin.scans.restarted import SHARE, Iterate, Restarts, balanced, operator_norm, reflected

__all__ = ["solve_saddle_of_band"]

_EVERY = 40
"""Most steps between two looks at all margins and the bounds."""
_ROOM, _TIMES = 1000, 1
"""Pairs and features that may be active beside as many as there are with weights."""
_SINGLE = 1e-5
"""Gap from which on products in single precision serve: their error is a tenth of it."""
_LEAST = 1e-2
"""Least size of a feature beside the largest one."""
_FAR, _LEAST_FAR = 2.0, 0.05
"""As many times what margins moved by between two looks they may move until the next, and at least such a
share of what the norm's bound is."""
_MOST_STEPS = 100_000
_AT_CAP = 1e-6
"""Samples as near to their caps as single precision tells are at their caps."""


class _Saddle:
    """The state of the iteration on a band."""

    def __init__(self, band: Band, norm: Norm, start: Point, precision: type):
        self.band, self.norm, self.precision = band, norm, precision
        ball = BALL_PROJECTION.required_of("norm", norm, "scans", 'use method="auto" on features in memory')
        self.project, self.stretched = ball.project, SCALED_PROJECTION.of(norm)
        self.guess: float | None = None
        self.threshold, self.restarts = math.inf, Restarts()
        self.found = np.zeros(0)
        size = float(norm(start.weights[:, : band.penalised]))
        self.explained = explained_by_free(band)
        self.vector = np.random.default_rng(0).standard_normal(start.weights.shape)
        self.seen = band.margins(start.weights / size)
        self.level = band.threshold(self.seen.min(axis=1))
        # As far as margins spread below the level; what more there is joins at the next looks.
        far = self._limited(self.level - float(self.seen.min()), start.dual, self.seen)
        active = band.active(start.dual, band.caps, self.seen, self.level, far)
        self.sizes = _sizes(band, split=self.stretched is None)
        self._even(active, start.dual)
        W = start.weights / size
        W[:, band.penalised :] += W[:, : band.penalised] @ self.explained.T
        W = W * self.sizes
        mass = float(start.dual.sum())
        # All dual weight may be that of samples at their caps, which is settled.
        spread = float(np.linalg.norm(start.dual)) / mass if mass > 0 else 1.0
        self.weight = spread / float(np.linalg.norm(W))
        self._hold(active, self._first_columns(start), start.dual)
        self._start(self._of(W, self._gathered(start.dual)))

    def _limited(self, far: float, alpha: np.ndarray, seen: np.ndarray) -> float:
        """Less than ``far`` where so many pairs are as near to the level that most of them are in vain."""
        near = np.sort(seen[(alpha == 0.0) & (seen <= self.level + far)])
        most = _ROOM + _TIMES * np.count_nonzero(alpha)
        return far if len(near) <= most else max(0.0, float(near[most]) - self.level)

    def _hold(self, active: Active, columns: np.ndarray, alpha: np.ndarray) -> None:
        """Go on among other samples, classes and features.

        All other dual weights stay as they are, and weights of other features 0.
        """
        band, precision = self.band, self.precision
        self.active, self.columns = active, columns
        self.measured = int(np.searchsorted(columns, band.penalised))
        self.settled = alpha.copy()
        self.settled[self.places] = 0.0
        sizes = self.sizes[columns]
        m = self.measured
        shift = self.explained[:, columns[:m]] / sizes[:m] * sizes[m:, None]
        self.products = Centred(_products(band, active, columns, sizes, precision), shift.astype(precision))
        self.caps = band.caps[active.rows]
        self.room = max(0.0, 1.0 - band.mass - float(self.settled.sum()))
        fixed = (band.pair_sum(self.settled) + band.fixed)[:, columns]
        self.fixed = self.products.levelled((fixed / sizes).astype(precision))
        self.inner = sizes.astype(precision)
        V = np.ascontiguousarray(self.vector[:, columns], precision)
        self.size, V = operator_norm(self.products.margins, self.products.pair_sum, V)
        self.vector[:, columns] = V / np.linalg.norm(V)

    def _even(self, active: Active, alpha: np.ndarray) -> None:
        """Make free features as large as the others are together: they would bound all steps, or take few."""
        p, width = self.band.penalised, self.band.width
        if p < width:
            self._hold(active, np.arange(width), alpha)
            self.sizes[p:] *= self.products.norm_of(p, width) / self.products.norm_of(0, p)

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Sample of the band and class of every active pair."""
        return np.repeat(self.active.rows, np.diff(self.active.starts)), self.active.classes

    def _gathered(self, alpha: np.ndarray) -> np.ndarray:
        return alpha[self.places].astype(self.precision)

    def dual(self, q: np.ndarray) -> np.ndarray:
        """Dual weights of all samples of the band [m, k] in double precision, within their caps."""
        alpha = self.settled.copy()
        alpha[self.places] = q
        caps, rows = self.band.caps[self.active.rows], alpha[self.active.rows].sum(axis=1)
        full = rows >= caps * (1.0 - _AT_CAP)
        alpha[self.active.rows[full]] *= (caps[full] / rows[full])[:, None]
        return alpha

    def look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, dual weights and all margins as last computed."""
        W, p = self._everywhere(self.new.W) / self.sizes, self.band.penalised
        W[:, p:] -= W[:, :p] @ self.explained.T
        return W, self.dual(self.new.q), self.band.margins(W)

    def _everywhere(self, W: np.ndarray) -> np.ndarray:
        """Weights of all features [k, p + f] in double precision."""
        whole = np.zeros((len(W), self.band.width))
        whole[:, self.columns] = W
        return whole

    def take(self, alpha: np.ndarray, seen: np.ndarray, far: float, columns: np.ndarray) -> None:
        """Choose the samples and classes anew by how far margins are from the level, and the features."""
        band = self.band
        finite = np.isfinite(seen)
        self.level = band.threshold(seen.min(axis=1))
        far = max(far, _FAR * float(np.abs(seen[finite] - self.seen[finite]).max()))
        self.seen, far = seen, self._limited(far, alpha, seen)
        points = [
            (self._everywhere(point.W), self.dual(point.q)) for point in (self.current, self.new, self.anchor)
        ]
        self._hold(band.active(alpha, band.caps, seen, self.level, far), columns, alpha)
        self.current, self.new, self.anchor = (self._of(W, self._gathered(q)) for W, q in points)

    def _first_columns(self, start: Point) -> np.ndarray:
        by_feature, (p, width) = SINGLE_FEATURES.of(self.norm), (self.band.penalised, self.band.width)
        if by_feature is None:
            return np.arange(width)
        self.found = by_feature((self.band.pair_sum(start.dual) + self.band.fixed)[:, :p])
        most = min(p, _ROOM + _TIMES * int(np.count_nonzero(start.dual.any(axis=1))))
        return np.append(np.sort(np.argsort(-self.found)[:most]), np.arange(p, width))

    def columns_near(self, A: np.ndarray, reached: float) -> np.ndarray:
        """The features that may have weights, where the norm tells: near the largest A(q), and free ones."""
        by_feature, p = SINGLE_FEATURES.of(self.norm), self.band.penalised
        if by_feature is None:
            return np.arange(self.band.width)
        found = by_feature(A[:, :p])
        moved = float(np.abs(found - self.found).max())
        self.found = found
        far = max(_FAR * moved, _LEAST_FAR * min(1.0, 10.0 * reached) * float(found.max()))
        used = np.asarray(self._everywhere(self.new.W)[:, :p].any(axis=0), dtype=bool)
        others = np.where(used, -np.inf, found)
        most = min(p, _ROOM + _TIMES * int(used.sum()))
        joining = np.argpartition(-others, most - 1)[:most]
        used[joining] |= others[joining] >= float(found.max()) - far
        return np.concatenate([np.flatnonzero(used), np.arange(p, self.band.width)])

    def step(self) -> None:
        """One iteration."""
        W, q, M = self.current
        single = self.precision
        tau, sigma = SHARE / (self.size * self.weight), SHARE * self.weight / self.size
        nearest = self._nearest(W + single(tau) * (self.products.pair_sum(q) + self.fixed))
        M_new = self.products.margins(nearest)
        self.new = Iterate(nearest, self._capped(q - single(sigma) * (2 * M_new - M)), M_new)
        if self.restarts.due(self.current, self.new, self.weight, self.size):
            self._balance()
            self._start(self.new)
            return
        self.current = reflected(self.new, self.current, self.anchor, self.restarts.since, single)

    def _nearest(self, W: np.ndarray) -> np.ndarray:
        """The projection of penalised weights on the ball, in features divided by their sizes."""
        p = self.measured
        V, sizes = W[:, :p], self.inner[:p]
        if self.stretched is None:
            V, self.guess = self.project(V / sizes[0], self.guess)
            V = V * sizes[0]
        else:
            V, self.guess = self.stretched(V, sizes, self.guess)
        W[:, :p] = V
        return W

    def _capped(self, v: np.ndarray) -> np.ndarray:
        out = np.empty_like(v)
        if len(v):
            start = self.threshold if math.isfinite(self.threshold) else float(v.max()) - self.room / len(v)
            self.threshold = project_capped_pairs(v, self.active.starts, self.caps, self.room, start, out)
        return out

    def _balance(self) -> None:
        """Change the weight of the two sides by how far they moved, and by their errors."""
        W, q, M = self.new
        of_weights = float(np.vdot(q, M)) - self._level(M)
        p = self.measured
        A, V = ((self.products.pair_sum(q) + self.fixed) * self.inner)[:, :p], (W / self.inner)[:, :p]
        of_dual = float(self.norm.dual(A)) * float(self.norm(V)) - float(np.vdot(A, V))
        self.weight = balanced(self.weight, self.new, self.anchor, of_weights, of_dual)

    def _level(self, M: np.ndarray) -> float:
        """The least Σ q M over dual weights of the active pairs."""
        used = np.flatnonzero(np.diff(self.active.starts))
        lowest = np.minimum.reduceat(M, self.active.starts[used]).astype(np.float64)
        if not np.isfinite(self.caps).all():
            return self.room * float(lowest.min())
        if not self.room:
            return 0.0
        return self.room * float(shares_of_worst(lowest, self.caps[used] / self.room) @ lowest)

    def _start(self, point: Iterate) -> None:
        self.current = self.new = self.anchor = point
        self.restarts.begin()

    def _of(self, W: np.ndarray, q: np.ndarray) -> Iterate:
        W = np.ascontiguousarray(W[:, self.columns], self.precision)
        return Iterate(W, q.astype(self.precision), self.products.margins(W))


def solve_saddle_of_band(
    band: Band, norm: Norm, gap: float, deadline: Deadline, start: Point, pace: float
) -> Iterator[Point]:
    """Yield points of smaller and smaller gaps within the band: about ``gap``, then a third of that, ...

    It ends at the deadline, with whoever takes the points, or where a digit costs more than ``pace`` steps.
    """
    saddle = _Saddle(band, norm, start, np.float32 if gap >= _SINGLE else np.float64)
    best: Best = Best(start.weights, start.dual)
    target = gap
    while True:
        # Few at first, when samples and features are still chosen badly.
        for _ in range(min(_EVERY, max(8, saddle.restarts.steps))):
            saddle.step()
            if deadline.passed:
                break
        W, alpha, seen = saddle.look()
        lowest = seen.min(axis=1)
        take_weights(best, band, norm, W, lowest)
        q, A = _balanced(band, alpha)
        total = float(q.sum()) + band.mass
        best.take_dual(q, dual_above(band, norm, W, A, total, saddle.level - float(lowest.min())))
        reached = min(1.0, best.relative_gap)
        deadline.tell("scans", saddle.restarts.steps, reached)
        behind = saddle.restarts.steps >= _MOST_STEPS or reached > 10.0 ** (
            1.0 - saddle.restarts.steps / pace
        )
        over = deadline.passed or behind or best.upper <= NOTHING
        far = _LEAST_FAR * min(1.0, 10.0 * reached) * abs(best.upper)
        if reached <= target or over:
            yield Point(best.weights, best.dual, saddle.level, reached, saddle.restarts.steps)
            target = min(target, max(reached, 0.1 * target)) / 3.0
            best.upper = np.inf
            if over or target < 1e-14:
                return
        saddle.take(alpha, seen, far, saddle.columns_near(A, reached))


def _balanced(band: Band, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dual weights near ``alpha`` that vanish in free features, where there are such, and A of them."""
    A, p = band.pair_sum(alpha) + band.fixed, band.penalised
    if p == band.width:
        return alpha, A
    q = with_balanced_flows(alpha, band.labels, band.free, band.caps, A[:, p:])
    rows = q.sum(axis=1)
    over = rows > band.caps
    q[over] *= (band.caps[over] / rows[over])[:, None]
    return q, band.pair_sum(q) + band.fixed


def _sizes(band: Band, *, split: bool) -> np.ndarray:
    """The root of the length of every feature, shape [p + f].

    Of all samples: one that is rare among those near the level may be in many that join them.

    With ``split`` those that the norm measures have one size, of all of them.
    """
    X: Any = band.features
    p = band.penalised
    squares = np.asarray((X.multiply(X) if sparse.issparse(X) else X * X).sum(axis=0)).ravel()
    if split:
        squares[:p] = squares[:p].max(initial=0.0)
    largest = float(squares[:p].max(initial=0.0)) or 1.0
    squares[:p] = np.maximum(squares[:p], _LEAST**4 * largest)
    return np.maximum(squares / largest, np.finfo(float).tiny) ** 0.25


def _products(
    band: Band, active: Active, columns: np.ndarray, sizes: np.ndarray, precision: type
) -> PairProducts:
    X: Any = band.features[active.rows]
    X = X if len(columns) == band.width else X[:, columns]
    labels = band.labels[active.rows]
    return PairProducts.of_pairs(X, labels, active.starts, active.classes, band.classes, sizes, precision)
