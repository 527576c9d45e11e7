"""Max margins in the Frobenius norm: a quadratic program, solved by a primal-dual interior point.

max γ - ½‖V‖² with margins(V) ≥ γ has V = A(q) with Σq = 1 at its optimum, and its γ is ‖V‖²: V has the
largest normalised margin. Without the ball's barrier the path has half as many iterations (Mehrotra's
predictor and corrector, SIAM J. Optim. 2, 1992).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steepest.capabilities import Capability
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Candidate, Deadline, Pace
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.interior.balls import EntryPoint
from steepest.maxmargin.interior.barriers import hessian
from steepest.maxmargin.interior.newton import ROUGH, Newton, Step, WeightsSystem

__all__ = ["EUCLIDEAN", "solve_quadratic"]

EUCLIDEAN: Capability[bool] = Capability(
    "a norm with an inner product",
    "The norm is the Frobenius norm, whose max margins are a quadratic program.",
)

_MOST_ITERATIONS = 100
"""Far beyond the ten to thirty that problems take."""
_MOST_STALLED = 4
"""Iterations that hardly lessen the products after which only rounding is left."""
_RUN_OFF = 1e100
"""Ratio of dual weights and slacks beyond which there is nothing to find."""
_SHARE = 0.995
"""Share of the way to the boundary that a step may go."""
_SLACK = 0.1
"""Slacks at the start, where ‖A(q)‖ is 1: with 1 or more the path is a third longer on the digits."""
_NOTHING = 1e-15
"""An upper bound below this, with pair sums of size 1 at the start, is data that cannot be separated."""


def solve_quadratic(reduced: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """Weights and dual weights of relative gap ``gap``, or the best met where rounding ends the path.

    Raises:
        MissingCapability: the norm is not the Frobenius norm.
    """
    EUCLIDEAN.required_of("norm", reduced.norm, "a quadratic program", 'use method="auto"')
    pairs = Pairs(reduced).balanced()
    point: _Point | None = _start(pairs)
    best = Best(point.V, point.q)
    least, stalled, iterations = math.inf, 0, 0
    pace = Pace(deadline)
    for iterations in range(_MOST_ITERATIONS):
        A = point.A / float(point.q.sum())
        # A(q) has margins too, and is the nearer one to the optimum where q is.
        for V in (point.V, A):
            lower, upper = pairs.bounds(V, A)
            best.take_weights(V, lower)
        best.take_dual(point.q, upper)
        left = float(np.sum(point.s * point.q, where=pairs.mask))
        stalled = stalled + 1 if left > 0.9 * least else 0
        least = min(left, least)
        deadline.tell("interior point", iterations, best.relative_gap)
        if best.within(gap) or best.upper <= _NOTHING or stalled > _MOST_STALLED or not pace.allows():
            break
        point = _advance(pairs, point)
        if point is None:
            break
    return Candidate(best.weights, best.dual, iterations, "interior point (quadratic program)")


@dataclass(frozen=True)
class _Point:
    """A point strictly inside: weights, level, dual weights, slacks (1 at the true class) and A(q)."""

    V: np.ndarray
    gamma: float
    q: np.ndarray
    s: np.ndarray
    A: np.ndarray


def _start(pairs: Pairs) -> _Point:
    """Equal dual weights and V = 0, with slacks of a size that margins soon have."""
    q = pairs.uniform
    s = np.where(pairs.mask, _SLACK, 1.0)
    return _Point(np.zeros(pairs.reduced.shape), -_SLACK, q, s, pairs.pair_sum(q))


def _advance(pairs: Pairs, point: _Point) -> _Point | None:
    """One predictor-corrector step; None where rounding leaves none."""
    local = EntryPoint(hessian(np.ones(point.V.size)), (point.V.shape[0], point.V.shape[1]))
    system = WeightsSystem(pairs, local, 1.0, point.q, point.s)
    if not system.factored:
        return None
    newton = Newton(pairs, local, 1.0, point.q, point.s, system)
    products = np.where(pairs.mask, point.s * point.q, 0.0)
    mu, rest = float(products.sum()) / pairs.count, 1.0 - float(point.q.sum())
    step, _ = newton.solve(-point.V, point.A, rest, -products, exact=ROUGH)
    length = _length(point, step, pairs.mask, 1.0)
    left = np.sum((point.s + length * step.ds) * (point.q + length * step.dq), where=pairs.mask)
    centre = mu * min(1.0, max(0.0, float(left) / (pairs.count * mu)) ** 3)
    wanted = np.where(pairs.mask, centre - products - step.ds * step.dq, 0.0)
    step, _ = newton.solve(-point.V, point.A, rest, wanted)
    return _moved(pairs, point, step, _length(point, step, pairs.mask, _SHARE))


def _moved(pairs: Pairs, point: _Point, step: Step, length: float) -> _Point | None:
    V, gamma, q = point.V + length * step.dv, point.gamma + length * step.dgamma, point.q + length * step.dq
    s = np.where(pairs.mask, pairs.margins(V) - gamma, 1.0)
    if not (float(s.min()) > 0.0 and float(q.min(where=pairs.mask, initial=math.inf)) > 0.0):
        return None
    # Without a positive margin dual weights run off, and systems of their squares would overflow.
    if not float(np.max(q / s)) < _RUN_OFF:
        return None
    return _Point(V, gamma, q, s, pairs.pair_sum(q))


def _length(point: _Point, step: Step, mask: np.ndarray, share: float) -> float:
    """The longest step up to 1 that keeps slacks and dual weights positive; a shorter one times ``share``."""
    rate = max(
        float(np.max(np.divide(-change, values, out=np.zeros_like(values), where=mask)))
        for values, change in ((point.s, step.ds), (point.q, step.dq))
    )
    return min(1.0, share / rate) if rate > 0 else 1.0
