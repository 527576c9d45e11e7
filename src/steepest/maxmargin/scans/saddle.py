"""Max margins in polyhedral norms by primal-dual gradient steps among chosen pairs.

The iteration is that of ``scans/restarted.py``, on max_{‖W‖ ≤ 1} min_{q ∈ simplex} ⟨A(q), W⟩. Its steps are
as long as the norm of W ↦ margins allows, which that of few pairs is a fraction of: where one pair in ten is
near the boundary, a third of the steps of all pairs do, at a tenth of their cost. Scans let pairs join that
lie below the level.
"""

from __future__ import annotations

import math

import numpy as np

from steepest.geometry import Norm
from steepest.maxmargin.first_order.projections import BALL_PROJECTION, project_simplex
from steepest.maxmargin.forms.best import Best, relative_gap
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.scans.frobenius import widened
from steepest.maxmargin.scans.low_pairs import LowPairs, low_pairs_of_all
from steepest.maxmargin.scans.pair_products import PairProducts
from steepest.maxmargin.scans.restarted import SHARE, Iterate, Restarts, balanced, operator_norm, reflected
from steepest.maxmargin.scans.working_set import WorkingSet

__all__ = ["Saddle", "is_box", "solve_saddle"]

_EVERY, _APART = 40, 160
"""Steps between two looks at the bounds among the pairs, and at most between two scans of all."""
_WIDE, _SLACK, _SLACK_OF_GAPS = 0.1, 0.02, 3.0
"""Pairs above the level by less than such shares of it belong to the set: at first, at least, and by gap."""
_WORST = 0.2
"""Pairs above the smallest margin of the set by less than this share of the level may join at a time."""
_ROOM = 1000
"""Pairs that may join beside as many as there are with dual weight."""
_FEWER = 0.8
"""The set is made anew without pairs that have become idle where this share of it or less stays."""
_SINGLE = 1e-5
"""Gap from which on products in single precision serve: their error is a tenth of it."""
_LEAST = 1e-2
"""Least size of a feature beside the largest one: others may join whose samples have more of it."""
_MOST_STEPS = 1_000_000


class Saddle:
    """The state of the iteration on a working set, in its scaled features.

    Where the ball is a box every feature has a step size of its own: the iteration is that of features
    divided by ``sizes`` and of weights multiplied by these, of which the projection stays what it was.
    """

    def __init__(self, chosen: WorkingSet, norm: Norm, W: np.ndarray, precision: type):
        ball = BALL_PROJECTION.required_of("norm", norm, "scans", 'use method="auto" on features in memory')
        self.norm, self.project = norm, ball.project
        self.precision = precision
        self.sizes = _sizes(chosen) if is_box(norm) else np.ones(W.shape[1])
        self.stretch = self.sizes.astype(precision) if is_box(norm) else None
        self.ball_guess: float | None = None
        self.threshold = -math.inf
        self.restarts = Restarts()
        self.vector = np.random.default_rng(0).standard_normal(W.shape)
        length = float(np.linalg.norm(W * self.sizes))
        self.weight = float(np.linalg.norm(chosen.alpha) / (chosen.alpha.sum() * length))
        self._hold(chosen)
        self._start(self._of(W * self.sizes, chosen.alpha / chosen.alpha.sum()))

    def take(self, chosen: WorkingSet) -> None:
        """Go on with other pairs: those that join have dual weight 0, and those that leave had none."""
        before = self.chosen.keys
        self._hold(chosen)
        after = chosen.keys
        places = np.minimum(np.searchsorted(before, after), len(before) - 1)
        known = before[places] == after
        points = self.current, self.new, self.anchor
        self.current, self.new, self.anchor = (
            self._of(W, np.where(known, q[places], 0.0)) for W, q, _ in points
        )

    def _hold(self, chosen: WorkingSet) -> None:
        self.chosen = chosen
        self.products = PairProducts.of(chosen, self.sizes, self.precision)
        V = self.vector.astype(self.precision)
        self.size, self.vector = operator_norm(self.products.margins, self.products.pair_sum, V)

    def now(self) -> tuple[np.ndarray, WorkingSet, float]:
        """Weights, the set with its dual weights, and the smallest margin of the set, as last computed."""
        W, q, M = self.new
        return W / self.sizes, self.chosen.weighed(q.astype(np.float64)), float(M.min())

    def _nearest(self, V: np.ndarray) -> np.ndarray:
        """The projection on the ball, of the weights that ``V`` are multiples of."""
        V = V if self.stretch is None else V / self.stretch
        W, self.ball_guess = self.project(V, self.ball_guess)
        W = W if self.stretch is None else W * self.stretch
        return np.ascontiguousarray(W, self.precision)

    def step(self) -> None:
        """One iteration."""
        W, q, M = self.current
        single = self.precision
        tau, sigma = SHARE / (self.size * self.weight), SHARE * self.weight / self.size
        nearest = self._nearest(W + single(tau) * self.products.pair_sum(q))
        M_new = self.products.margins(nearest)
        q_new, self.threshold = project_simplex(q - single(sigma) * (2 * M_new - M), self.threshold)
        self.new = Iterate(nearest, q_new.astype(single, copy=False), M_new)
        if self.restarts.due(self.current, self.new, self.weight, self.size):
            self._balance()
            self._start(self.new)
            return
        self.current = reflected(self.new, self.current, self.anchor, self.restarts.since, single)

    def _balance(self) -> None:
        """Change the weight of the two sides by how far they moved, and by their errors."""
        W, q, M = self.new
        value, size = float(np.vdot(q, M)), float(self.norm(W / self.sizes))
        of_weights = value - float(M.min()) * float(q.sum())
        of_dual = float(self.norm.dual(self.products.pair_sum(q) * self.sizes)) * size - value
        self.weight = balanced(self.weight, self.new, self.anchor, of_weights, of_dual)

    def _start(self, point: Iterate) -> None:
        self.current = self.new = self.anchor = point
        self.restarts.begin()

    def _of(self, W: np.ndarray, q: np.ndarray) -> Iterate:
        W = np.ascontiguousarray(W, self.precision)
        return Iterate(W, q.astype(self.precision), self.products.margins(W))


def solve_saddle(
    chosen: WorkingSet, norm: Norm, gap: float, deadline: Deadline
) -> tuple[np.ndarray, WorkingSet, int]:
    """Weights, a working set with its dual weights, and steps; the gap over all samples is about ``gap``.

    Raises:
        MissingCapability: the norm offers no projection on its unit ball.
    """
    chosen, _ = widened(chosen, chosen.pair_sum(), _WIDE)
    W = chosen.pair_sum()
    precision = np.float32 if gap >= _SINGLE else np.float64
    saddle = Saddle(chosen, norm, W / float(norm(W)), precision)
    # Of the whole: weights with the margins of all pairs, a working set with its dual weights.
    best: Best = Best(W, chosen)
    next_scan, apart = 0, _EVERY
    while saddle.restarts.steps < _MOST_STEPS:
        for _ in range(_EVERY):
            saddle.step()
            if deadline.passed:
                break
        W, inside, lowest = saddle.now()
        size = float(norm(W))
        best.take_dual(inside, float(norm.dual(inside.pair_sum())) / float(inside.alpha.sum()))
        reached = relative_gap(lowest / size, best.upper) if size > 0.0 else 1.0
        deadline.tell("scans", saddle.restarts.steps, reached)
        if deadline.passed and not size > 0.0:
            break
        if not size > 0.0 or (reached > gap and saddle.restarts.steps < next_scan and not deadline.passed):
            continue
        level = best.upper * size
        low, smallest, margins = _scanned(inside, W, level, level * (1.0 + _SLACK_OF_GAPS * reached))
        best.take_weights(W, smallest / size)
        if best.within(gap) or deadline.passed:
            break
        keep = (inside.alpha > 0.0) | (margins <= level * (1.0 + max(_SLACK, _SLACK_OF_GAPS * reached)))
        violated = _violated(inside, low, level)
        if violated or np.count_nonzero(keep) <= _FEWER * len(keep):
            saddle.take(inside.kept(keep).joined(low.samples, low.classes))
        apart = _EVERY if violated else min(2 * apart, _APART)
        next_scan = saddle.restarts.steps + apart
    return best.weights, best.dual, saddle.restarts.steps


def _scanned(
    chosen: WorkingSet, W: np.ndarray, level: float, ceiling: float
) -> tuple[LowPairs, float, np.ndarray]:
    """Pairs of all that are below the ceiling, the smallest margin, and the margins of those chosen.

    Where weights are far from optimal only those that are worst.
    """
    source, margins = chosen.source, chosen.margins(W)
    lowest = float(margins.min())
    ceiling = max(lowest, min(ceiling, lowest + _WORST * level))
    low = low_pairs_of_all(source.rows, source.labels, W / source.scale, ceiling, _ROOM + chosen.support)
    return low, min(low.smallest, lowest), margins


def is_box(norm: Norm) -> bool:
    """Whether the norm's ball bounds every weight by itself."""
    ball = LINEAR_BALL.of(norm)
    return ball is not None and ball((2, 2)).rows.shape[0] == 0


def _sizes(chosen: WorkingSet) -> np.ndarray:
    """The root of the length of every feature among the samples of the set, shape [d]."""
    X = chosen.features
    squares = np.asarray((X * X).sum(axis=0)).ravel()
    largest = float(squares.max())
    return np.maximum(squares / largest, _LEAST**4) ** 0.25 if largest > 0.0 else np.ones(X.shape[1])


def _violated(chosen: WorkingSet, low: LowPairs, level: float) -> bool:
    """Whether pairs that are not in the set lie below the level."""
    keys = (low.samples * chosen.source.classes + low.classes)[low.margins < level]
    return not bool(np.isin(keys, chosen.keys).all())
