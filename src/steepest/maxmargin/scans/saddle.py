"""Max margins in polyhedral norms by primal-dual gradient steps among chosen pairs.

The iteration is that of ``first_order/halpern.py``: reflected, restarted Halpern primal-dual hybrid gradient
(Lu and Yang, arXiv 2407.16144) on the saddle point max_{‖W‖ ≤ 1} min_{q ∈ simplex} ⟨A(q), W⟩. Its steps are
as long as the norm of W ↦ margins allows, which that of few pairs is a fraction of: where one pair in ten is
near the boundary, a third of the steps of all pairs do, at a tenth of their cost. Scans let pairs join that
lie below the level.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from steepest.geometry import Norm
from steepest.maxmargin.first_order.projections import BALL_PROJECTION, project_simplex
from steepest.maxmargin.forms.best import Best, relative_gap
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.scans.frobenius import widened
from steepest.maxmargin.scans.low_pairs import LowPairs, low_pairs_of_all
from steepest.maxmargin.scans.pair_products import PairProducts
from steepest.maxmargin.scans.working_set import WorkingSet

__all__ = ["Saddle", "is_box", "solve_saddle"]

_SUFFICIENT, _NECESSARY, _LONG = 0.2, 0.8, 0.36
"""When to restart, as in ``first_order/halpern.py``."""
_SHARE = 0.99
"""Share of the largest step sizes for which the iteration contracts."""
_POWER_ITERATIONS, _POWER_ACCURACY, _POWER_ROOM = 30, 1e-3, 1.02
"""Of the operator's norm: most iterations, change at which it stands, and what is added for the rest."""
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
_OF_ERRORS, _MOST_OF_ERRORS = 0.25, 2.0
"""Power of the ratio of the two sides' errors that their weight is changed by at a restart, and the most."""
_LEAST = 1e-2
"""Least size of a feature beside the largest one: others may join whose samples have more of it."""
_MOST_STEPS = 1_000_000


class Iterate(NamedTuple):
    """A point and the margins of its weights, which are linear in them."""

    W: np.ndarray
    """Weights, shape [k, d]."""
    q: np.ndarray
    """Dual weights of the pairs, shape [s]."""
    M: np.ndarray
    """Margins of the pairs, shape [s]."""


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
        self.steps = 0
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
        self.size = self._operator_norm()

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
        tau, sigma = _SHARE / (self.size * self.weight), _SHARE * self.weight / self.size
        nearest = self._nearest(W + single(tau) * self.products.pair_sum(q))
        M_new = self.products.margins(nearest)
        q_new, self.threshold = project_simplex(q - single(sigma) * (2 * M_new - M), self.threshold)
        self.new = Iterate(nearest, q_new.astype(single, copy=False), M_new)
        self.steps, self.since = self.steps + 1, self.since + 1
        if self._restarts(self._residual()):
            self._balance()
            self._start(self.new)
            return
        keep, back = single(self.since / (self.since + 1.0)), single(1.0 / (self.since + 1.0))
        self.current = Iterate(*(
            keep * (2 * new - old) + back * anchor
            for new, old, anchor in zip(self.new, self.current, self.anchor, strict=True)
        ))  # fmt: skip

    def _balance(self) -> None:
        """Change the weight of the two sides by how far they moved since the last start, and by their errors.

        The first alone runs away where weights have directions of hardly any curvature: a long step in these
        asks for a longer one.
        """
        moved_W, moved_q = (float(np.linalg.norm(self.new[side] - self.anchor[side])) for side in (0, 1))
        if moved_W > 0.0 and moved_q > 0.0:
            self.weight = math.sqrt(self.weight * moved_q / moved_W)
        W, q, M = self.new
        value, size = float(np.vdot(q, M)), float(self.norm(W / self.sizes))
        of_weights = value - float(M.min()) * float(q.sum())
        of_dual = float(self.norm.dual(self.products.pair_sum(q) * self.sizes)) * size - value
        if of_weights > 0.0 and of_dual > 0.0:
            ratio = (of_weights / of_dual) ** _OF_ERRORS
            self.weight *= min(max(ratio, 1.0 / _MOST_OF_ERRORS), _MOST_OF_ERRORS)

    def _start(self, point: Iterate) -> None:
        self.current = self.new = self.anchor = point
        self.since, self.first, self.previous = 0, math.inf, math.inf

    def _of(self, W: np.ndarray, q: np.ndarray) -> Iterate:
        W = np.ascontiguousarray(W, self.precision)
        return Iterate(W, q.astype(self.precision), self.products.margins(W))

    def _restarts(self, residual: float) -> bool:
        if self.since == 1:
            self.first = self.previous = residual
            return False
        restarts = (
            residual <= _SUFFICIENT * self.first
            or (residual <= _NECESSARY * self.first and residual > self.previous)
            or self.since >= max(_LONG * self.steps, 20)
        )
        self.previous = residual
        return restarts

    def _residual(self) -> float:
        """Length of a step in the norm in which the method contracts, divided by sqrt(‖A‖)."""
        dW, dq, dM = (after - before for after, before in zip(self.new, self.current, strict=True))
        squares = self.weight * float(np.vdot(dW, dW)) + float(np.vdot(dq, dq)) / self.weight
        return math.sqrt(max(0.0, squares / _SHARE + 2.0 * float(np.vdot(dq, dM)) / self.size))

    def _operator_norm(self) -> float:
        """Largest singular value of W ↦ margins, with some room, by power iteration from the last vector."""
        V, value = self.vector.astype(self.precision), 0.0
        for _ in range(_POWER_ITERATIONS):
            V = self.products.pair_sum(self.products.margins(V / np.linalg.norm(V)))
            new = math.sqrt(float(np.linalg.norm(V)))
            settled = abs(new - value) <= _POWER_ACCURACY * new
            value = new
            if settled:
                break
        self.vector = V
        return _POWER_ROOM * value


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
    while saddle.steps < _MOST_STEPS:
        for _ in range(_EVERY):
            saddle.step()
            if deadline.passed:
                break
        W, inside, lowest = saddle.now()
        size = float(norm(W))
        best.take_dual(inside, float(norm.dual(inside.pair_sum())) / float(inside.alpha.sum()))
        reached = relative_gap(lowest / size, best.upper) if size > 0.0 else 1.0
        deadline.tell("scans", saddle.steps, reached)
        if deadline.passed and not size > 0.0:
            break
        if not size > 0.0 or (reached > gap and saddle.steps < next_scan and not deadline.passed):
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
        next_scan = saddle.steps + apart
    return best.weights, best.dual, saddle.steps


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
