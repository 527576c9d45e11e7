"""Relaxed max margins in any norm that has a projection on its ball: an ascent in capped dual weights.

max ρ - Σ cap_i ξ_i over ‖V‖ ≤ 1, margins(W) ≥ ρ - ξ and W = V is split as in the alternating direction method
of multipliers (Boyd et al., Foundations and Trends in Machine Learning 3, 2011): the W nearest to V, by
coordinate ascent among the samples near the level ρ; the V of the ball nearest to W; and the multiplier of
W = V, which is A(q) in the end. The level and the free weights are multipliers of the ascent itself.

In the Frobenius norm W is A(q), and nothing has to be split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.optimize

from steepest.geometry import Entrywise, Norm
from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT
from steepest.maxmargin.first_order.projections import BALL_PROJECTION
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.relaxed.ascent import sweep
from steepest.maxmargin.relaxed.band import Band
from steepest.maxmargin.relaxed.point import NOTHING, Point, dual_above, take_weights
from steepest.maxmargin.relaxed.saddle import solve_saddle_of_band
from steepest.maxmargin.scans.splitting import DUAL_BALL, rebalanced

__all__ = ["serves", "solve_band"]

_SWEEPS, _EVERY = 3, 8
"""Sweeps of a step, and steps between two looks at all margins and the bounds."""
_RELAXATION = 1.6
"""How far a step goes beyond its projection: between 1.5 and 1.8 as a rule."""
_STIFFNESS = 1.0
"""What the sum of the dual weights weighs beside features of mean square 1."""
_UNBALANCED, _MOST = 1.75, 3.0
"""Ratio of the root of the two residuals from which on the penalty changes, and by how much at most."""
_OFTEN = 24
"""Steps up to which the penalty may change: residuals of the first tell its size, later ones mislead where
the norm has kinks; the method converges where it stays the same."""
_START = 3e-2
"""Gap in the Frobenius norm from which other norms start."""
_FAR = 1.0
"""As many times what margins moved by between two looks they may move until the next."""
_OF_GAPS = 5.0
"""Margins may move by as many times the gap of a start, as a share of how far they spread below the level."""
_MOST_STEPS, _PACE = 20_000, 2500.0
"""Most steps, and how many a digit of the gap may cost: beyond, the margin is likely not positive."""
_GRADIENT_STEPS = 3
"""Gradient steps that cost what a step does here."""
_LACKING = 1e-9
"""What dual weights of a bound that says so may lack of 1, which others would have to add within caps."""
_FROBENIUS = Entrywise(2)


def serves(norm: Norm) -> bool:
    """Whether the norm offers what is needed."""
    return DUAL_ASCENT.of(norm) is not None or BALL_PROJECTION.of(norm) is not None


class _Split:
    """The state of the iteration on a band. Dual weights are divided by the penalty."""

    def __init__(self, band: Band, norm: Norm, start: Point | None, project: Callable | None):
        self.band, self.norm, self.project = band, norm, project
        self.penalty, self.steps, self.guess = 1.0, 0, None
        # From the beginning anything may move, and near an optimum little.
        self.spread = np.inf if start is None else min(1.0, _OF_GAPS * start.reached)
        self.alpha = band.first_dual() if start is None else start.dual.copy()
        A = self.fresh()
        p = band.penalised
        self.level = 0.0 if start is None else start.level
        self.V = np.zeros_like(A)
        if start is not None:
            self.V[:, p:] = start.weights[:, p:]
        self.multiplier = np.zeros_like(A)
        self.pair_sum = A
        size = float(norm(A[:, :p])) if start is None else float(norm(start.weights[:, :p]))
        if project is not None and size > 0.0:
            self._split_from(A, size, start)
        if start is None:
            lowest = band.margins(self.weights).min(axis=1)
            self.level = band.threshold(lowest)
        self.seen: np.ndarray | None = None
        self.residuals = (0.0, 0.0)

    def _split_from(self, A: np.ndarray, size: float, start: Point | None) -> None:
        """Begin with weights of norm 1, and a penalty that makes their multiplier as large as they are."""
        p = self.band.penalised
        W = (A if start is None else start.weights) / size
        self.level /= size
        self.penalty = float(np.linalg.norm(A[:, :p])) / max(float(np.linalg.norm(W[:, :p])), 1e-300)
        self.penalty = self.penalty if self.penalty > 0.0 else 1.0
        self.V = W.copy()
        if start is None:
            self.V[:, p:] = 0.0
        self.alpha /= self.penalty
        self.pair_sum = A / self.penalty
        self.multiplier[:, :p] = self.pair_sum[:, :p]

    @property
    def base(self) -> np.ndarray:
        """What weights are but for A(α)."""
        return self.V - self.multiplier

    @property
    def weights(self) -> np.ndarray:
        """W, shape [k, p + f]."""
        return self.base + self.pair_sum

    @property
    def total(self) -> float:
        """The sum of the dual weights, those that are fixed among them; 1 in the end."""
        return self.penalty * float(self.alpha.sum()) + self.band.mass

    def fresh(self) -> np.ndarray:
        """A(α), made afresh, so that updates leave no rounding behind."""
        return self.band.pair_sum(self.alpha) + self.band.fixed / self.penalty

    def look(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and their margins [m, k], with the samples that the next steps are about."""
        band = self.band
        self.pair_sum = self.fresh()
        W = self.weights
        seen = band.margins(W)
        level = self.level + _STIFFNESS * (1.0 - self.total) / self.penalty
        if self.seen is None:
            far = self.spread * abs(level - float(seen.min()))
        else:
            finite = np.isfinite(seen)
            far = _FAR * float(np.abs(seen[finite] - self.seen[finite]).max()) + abs(level - self.last_level)
        self.seen, self.last_level = seen, level
        self.active = band.active(self.alpha, band.caps / self.penalty, seen, level, far)
        return W, seen

    def step(self) -> None:
        """One iteration among the active samples."""
        band, base, p = self.band, self.base, self.band.penalised
        W = base + self.pair_sum
        level = np.array([self.level + _STIFFNESS * (1.0 - self.total) / self.penalty])
        caps, rng = band.caps / self.penalty, np.random.default_rng(self.steps)
        by_feature = len(band.compiled.dense) == 0
        inner = np.ascontiguousarray(W.T) if by_feature else W
        arguments = band.compiled, band.labels, band.squares, caps, self.alpha, inner, level, _STIFFNESS
        for _ in range(_SWEEPS):
            sweep(*arguments, self.active, rng.permutation(len(self.active.rows)))
        W = np.ascontiguousarray(inner.T) if by_feature else inner
        self.pair_sum = W - base
        self.level += _RELAXATION * (float(level[0]) - self.level)
        towards = _RELAXATION * W + (1.0 - _RELAXATION) * self.V + self.multiplier
        V = towards.copy()
        if self.project is None:
            V[:, :p] = 0.0
        else:
            V[:, :p], self.guess = self.project(towards[:, :p], self.guess)
            self.multiplier[:, :p] = towards[:, :p] - V[:, :p]
            self.residuals = float(np.linalg.norm(W - V)), float(np.linalg.norm(V - self.V))
        self.V = V
        self.steps += 1

    def balance(self) -> None:
        """Change the penalty where one residual is far above the other."""
        ratio = rebalanced(self.residuals, _UNBALANCED, _MOST)
        if ratio != 1.0:
            self.penalty *= ratio
            self.multiplier, self.pair_sum = self.multiplier / ratio, self.pair_sum / ratio
            self.alpha = self.alpha / ratio


def solve_band(
    band: Band, norm: Norm, gap: float, deadline: Deadline, start: Point | None = None, pace: float = _PACE
) -> Iterator[Point]:
    """Yield points of smaller and smaller gaps within the band: about ``gap``, then a third of that, ...

    It ends where more iterations gain nothing, at the deadline, or with whoever takes the points.
    """
    direct = DUAL_ASCENT.of(norm) is not None
    if not direct and start is None:
        # Dual weights in the Frobenius norm are near those of others.
        start = next(_points(_Split(band, _FROBENIUS, None, None), _START, deadline, pace), None)
    polyhedral = LINEAR_BALL.of(norm) is not None and BALL_PROJECTION.of(norm) is not None
    if polyhedral and start is not None and start.weights[:, : band.penalised].any():
        yield from solve_saddle_of_band(band, norm, gap, deadline, start, _GRADIENT_STEPS * pace)
        return
    project = None if direct else _projection(norm)
    yield from _points(_Split(band, norm, start, project), gap, deadline, pace)


def _projection(norm: Norm) -> Callable:
    """The projection on the unit ball, or what that on the dual ball gives of it.

    V - λ P(V / λ), P being the projection on the dual ball, is the proximal step of λ‖·‖; where it has norm 1
    it is the point of the ball nearest to V (Moreau, Bull. SMF 93, 1965).
    """
    ball, dual = BALL_PROJECTION.of(norm), DUAL_BALL.of(norm)
    if ball is not None or dual is None:
        return BALL_PROJECTION.required_of("norm", norm, "scans", 'use method="auto"').project

    def project(V: np.ndarray, guess: float | None) -> tuple[np.ndarray, float | None]:
        def shrunk(multiplier: float) -> np.ndarray:
            return V - multiplier * dual.project(V / multiplier, None)[0]

        if float(norm(V)) <= 1.0:
            return V, guess
        # At λ = ‖V‖_* nothing is left, and the norm falls with λ.
        most = float(norm.dual(V))
        found: Any = scipy.optimize.brentq(
            lambda multiplier: float(norm(shrunk(multiplier))) - 1.0, 1e-15 * most, most, xtol=1e-15 * most
        )
        W = shrunk(float(found))
        return W / max(1.0, float(norm(W))), float(found)

    return project


def _points(split: _Split, gap: float, deadline: Deadline, pace: float = _PACE) -> Iterator[Point]:
    band, norm = split.band, split.norm
    best: Best = Best(split.weights, split.penalty * split.alpha)
    target, capped = gap, float(np.isfinite(band.caps).all())
    while True:
        W, seen = split.look()
        level, lowest, total = split.level, seen.min(axis=1), split.total
        take_weights(best, band, norm, W, lowest)
        if split.project is not None:
            take_weights(best, band, norm, split.V, band.margins(split.V).min(axis=1))
        A = split.penalty * split.pair_sum
        upper = dual_above(band, norm, W, A, total, split.last_level - float(lowest.min()))
        # What the dual weights lack has to come from somewhere, if there are caps.
        lacking = max(0.0, 1.0 - total) * capped
        best.take_dual(split.penalty * split.alpha, upper * (1.0 + lacking))
        reached = min(1.0, best.relative_gap)
        deadline.tell("scans", split.steps, reached)
        behind = split.steps >= _MOST_STEPS or reached > 10.0 ** (1.0 - split.steps / pace)
        over = deadline.passed or behind or (lacking <= _LACKING and upper <= NOTHING)
        if reached <= target or over:
            yield Point(best.weights, best.dual, level, reached, split.steps)
            target = min(target, max(reached, 0.1 * target)) / 3.0
            # Dual weights of later steps balance better, and estimates of earlier ones may be too low.
            best.upper = np.inf
            if over or target < 1e-14:
                return
        if split.project is not None and split.steps < _OFTEN:
            split.balance()
        # Few at first, when all samples are active.
        for _ in range(min(_EVERY, max(1, split.steps))):
            split.step()
            if deadline.passed:
                break
