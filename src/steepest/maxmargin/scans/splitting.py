"""Max margins in any norm by projections: on the weights of margin 1 or more, and towards smaller norms.

min ‖V‖ with margins(W) ≥ 1 and W = V is split as in the alternating direction method of multipliers (Boyd et
al., Foundations and Trends in Machine Learning 3, 2011): the nearest W with margins of 1 or more, found by
coordinate ascent from the last dual weights; the V of the norm's proximal step; and the multiplier of W = V.
The projection on the margins is exact up to the sweeps that it is given, so that the conditioning of
the features does not slow the method down; a step costs a few sweeps among the pairs that are active.

At the end A(α) is the multiplier, and ‖A(α)‖_* / Σα the upper bound that belongs to the lower one, the
smallest margin of W or V over its norm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.capabilities import Capability
from steepest.geometry import Norm
from steepest.maxmargin.first_order.projections import BallProjection
from steepest.maxmargin.forms.best import Best, relative_gap
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.scans.frobenius import widened
from steepest.maxmargin.scans.working_set import WorkingSet

__all__ = ["DUAL_BALL", "Split", "rebalanced", "solve_split"]

DUAL_BALL: Capability[BallProjection] = Capability(
    "a projection on its dual norm's unit ball",
    "The Euclidean projection on the dual norm's unit ball, which gives the proximal step of the norm.",
)

_SWEEPS, _RELAXATION = 2, 1.6
"""Sweeps of a projection, and how far a step goes beyond it: between 1.5 and 1.8 as a rule."""
_EVERY, _EVERYWHERE = 10, 5
"""Steps between two looks at the bounds, and between two sweeps over pairs far from the boundary."""
_UNBALANCED, _MOST = 1.3, 5.0
"""Ratio of the root of the two residuals from which on the penalty changes, and by how much at most."""
_WIDE, _SLACK = 0.1, 0.02
"""Pairs above the smallest margin by less than such shares of it belong to the first and to later sets."""
_OFTEN, _SELDOM = 250, 1.3
"""Steps up to which the penalty may change at every look, and by what factor later changes are apart: the
method converges where the penalty stays the same."""
_NEXT = 0.2
"""The gap of the working set after which the next scan comes, as a share of the gap of the last one."""
_MOST_STEPS = 20_000


def rebalanced(residuals: tuple[float, float], unbalanced: float, most: float) -> float:
    """Return by what a penalty is to be multiplied: 1 unless one residual is far above the other.

    Args:
        residuals: how far the two halves are apart, and how far they moved.
        unbalanced: from which root of their ratio on it changes.
        most: by how much at most.

    >>> rebalanced((4.0, 1.0), 1.5, 3.0), rebalanced((1.0, 100.0), 1.5, 3.0), rebalanced((2.0, 1.0), 1.5, 3.0)
    (2.0, 0.3333333333333333, 1.0)
    """
    apart, moved = residuals
    if not (apart > 0.0 and moved > 0.0):
        return 1.0
    ratio = (apart / moved) ** 0.5
    if 1.0 / unbalanced <= ratio <= unbalanced:
        return 1.0
    return min(max(ratio, 1.0 / most), most)


class Split:
    """The state of the iteration on a working set, in its scaled features."""

    def __init__(self, chosen: WorkingSet, norm: Norm, project: Callable):
        self.chosen, self.norm, self.project = chosen, norm, project
        # From the Frobenius max margin: its dual weights, in the size that this norm's multiplier has.
        A = chosen.pair_sum()
        self.penalty = 1.0 / float(norm.dual(A))
        self.V, self.multiplier, self.W, self.pair_sum = A, A, A, A
        self.guess: float | None = None
        self.steps = 0
        self.residuals = (0.0, 0.0)

    def step(self) -> None:
        """One iteration."""
        if self.steps % _EVERY == 0:
            # Made afresh, so that updates leave no rounding behind.
            self.pair_sum = self.chosen.pair_sum()
        fixed = self.V - self.multiplier
        W = fixed + self.pair_sum
        everywhere = self.steps % _EVERYWHERE == 0
        self.chosen = self.chosen.ascended(W, _SWEEPS, self.steps, everywhere=everywhere)
        self.pair_sum = W - fixed
        towards = _RELAXATION * W + (1.0 - _RELAXATION) * self.V + self.multiplier
        nearest, self.guess = self.project(self.penalty * towards, self.guess)
        self.multiplier = nearest / self.penalty
        V = towards - self.multiplier
        self.residuals = float(np.linalg.norm(W - V)), float(np.linalg.norm(V - self.V))
        self.W, self.V = W, V
        self.steps += 1

    def balance(self) -> None:
        """Change the penalty where one residual is far above the other."""
        ratio = rebalanced(self.residuals, _UNBALANCED, _MOST)
        if ratio != 1.0:
            self.penalty *= ratio
            self.multiplier = self.multiplier / ratio
            self.pair_sum = self.pair_sum / ratio
            self.chosen = self.chosen.scaled(1.0 / ratio)


def solve_split(
    chosen: WorkingSet, norm: Norm, gap: float, deadline: Deadline
) -> tuple[np.ndarray, WorkingSet, int]:
    """Weights, a working set with its dual weights, and steps; the gap over all samples is about ``gap``."""
    ball = DUAL_BALL.required_of("norm", norm, "scans", 'use method="auto" on features in memory')
    chosen, _ = widened(chosen, chosen.pair_sum(), _WIDE)
    split = Split(chosen, norm, ball.project)
    # Of the whole: weights with the margins of all pairs, a working set with its dual weights.
    best: Best = Best(split.W, chosen)
    inside: Best = Best(split.W, chosen)
    target, rebalance = _WIDE, 0.0
    while split.steps < _MOST_STEPS:
        for _ in range(_EVERY):
            split.step()
            if deadline.passed:
                break
        total = float(split.chosen.alpha.sum())
        if total > 0.0:
            best.take_dual(split.chosen, float(norm.dual(split.chosen.pair_sum())) / total)
        for W in (split.W, split.V):
            size = float(norm(W))
            if size > 0.0:
                inside.take_weights(W, float(split.chosen.margins(W).min()) / size)
        reached = relative_gap(inside.lower, best.upper)
        deadline.tell("scans", split.steps, reached)
        if split.steps >= rebalance:
            split.balance()
            rebalance = split.steps + _EVERY if split.steps < _OFTEN else _SELDOM * split.steps
        if reached > target and not deadline.passed:
            continue
        W = inside.weights
        split.chosen, smallest = widened(split.chosen, W, max(_SLACK, 3.0 * reached))
        best.take_weights(W, smallest / float(norm(W)))
        # Other pairs have other smallest margins.
        inside = Best(W, split.chosen, smallest / float(norm(W)))
        if best.within(gap) or deadline.passed:
            break
        target = max(0.5 * gap, _NEXT * min(1.0, best.relative_gap))
    return best.weights, best.dual, split.steps
