"""The smallest ν with a positive soft margin, where the hard margin is none.

The soft margin γ_ν of some norm is positive exactly where ν is above ν* = min_W Σ_i s_i (1 - m_i(W))₊, the
least mean hinge loss, with s_i the share of the weight that sample i has and m_i its smallest pair margin:
for weights V of norm 1 the mean of the worst margins is max_ρ ρ - (1/ν) Σ_i s_i (ρ - m_i(V))₊, and ρ = 1/a is
the hinge loss of a V. So ν* knows no norm, and the loss of any weights bounds it from above.
"""

from __future__ import annotations

import numpy as np

from steepest.estimators.solving import Settings, row_margins, solved
from steepest.estimators.training import Training
from steepest.maxmargin import MaxMarginSolution
from steepest.problem import Classification

__all__ = ["highest_nu", "largest_nu", "least_hinge_loss", "smallest_nu"]

_ABOVE, _BELOW = 1.03, 0.95
"""Times the least loss seen: the ν that is surely above ν*, and the next one to try."""
_NEAR = 1.005
"""Times the ν that is surely below ν*: near enough to it where solutions are quick."""
_QUICK = 1_000_000
"""Multiplications of all logits up to which a solution takes a fraction of a second."""
_COARSE = 0.1
"""Gap of the solutions on the way, of which weights alone are used."""
_BELOW_LARGEST = 1.0 - 1e-4
"""Of the largest ν: at it the heavier classes leave q no room, and rounding may leave it none."""


def largest_nu(class_shares: np.ndarray, *, intercept: bool) -> float:
    """Return the ν above which a soft margin has no bound: free intercepts favour the heaviest class.

    A balanced q gives every class as much as it takes. With class shares s_c and caps s_i / ν that can be up
    to ν = 2 (1 - max s_c), and 1 at most. (NuSVC calls a larger ν infeasible.)
    """
    return min(1.0, 2.0 * (1.0 - float(class_shares.max()))) if intercept else 1.0


def highest_nu(class_shares: np.ndarray, *, intercept: bool) -> float:
    """Return the ν that stands for the largest: a ten thousandth below it where there is an intercept."""
    return (_BELOW_LARGEST if intercept else 1.0) * largest_nu(class_shares, intercept=intercept)


def least_hinge_loss(margins: np.ndarray, shares: np.ndarray) -> float:
    """Return min_{a ≥ 0} Σ_i s_i (1 - a m_i)₊ for margins m [n] and shares s [n].

    >>> least_hinge_loss(np.array([1.0, 2.0, -0.5]), np.array([0.5, 0.25, 0.25]))
    0.375
    """
    right = margins > 0
    order = np.argsort(-margins[right], kind="stable")
    m, s = margins[right][order], shares[right][order]
    wrong_m, wrong_s = margins[~right], shares[~right]
    # Beyond a = 1 / m_i a sample costs nothing more: the largest margins first.
    kinks = np.r_[0.0, 1.0 / m]
    rest_s = s.sum() - np.r_[0.0, np.cumsum(s)]
    rest_sm = (s * m).sum() - np.r_[0.0, np.cumsum(s * m)]
    losses = rest_s - kinks * rest_sm + wrong_s.sum() - kinks * float(wrong_s @ wrong_m)
    return float(max(losses.min(), 0.0))


def smallest_nu(
    problem: Classification, training: Training, settings: Settings, least: float
) -> float | None:
    """Return a ν of at least ``least`` whose margin is positive, little above the smallest such ν.

    That is one per cent at most where solutions are quick, and a few per cent elsewhere.

    From the largest ν down, each solution's weights bound ν* by their hinge loss, which is below ν. The next
    ν is below that, until its margin is not positive; then ν* is between the two. None: that of the largest
    ν is not.
    """
    shares = training.weights / training.weights.sum()
    # Below the share of the lightest sample the margin is the hard one.
    least = max(least, float(shares.min()))
    highest = highest_nu(training.class_shares, intercept=settings.intercept)
    nu, loss = highest, None
    while (solution := solved(problem, training.weights, settings, nu, _COARSE)).margin > 0.0:
        seen = _loss(problem, solution, shares)
        loss = seen if loss is None else min(loss, seen)
        if nu <= least:
            return least
        nu = max(min(_BELOW * loss, nu * _BELOW), least)
    if loss is None:
        return None
    if problem.multiplications > _QUICK:
        return min(max(_ABOVE * loss, least), highest)
    below = nu
    while loss > _NEAR * below:
        nu = float(np.sqrt(below * loss))
        solution = solved(problem, training.weights, settings, nu, _COARSE)
        if solution.margin > 0.0:
            loss = min(loss, nu, _loss(problem, solution, shares))
        else:
            below = nu
    return min(max(_NEAR * loss, least), highest)


def _loss(problem: Classification, solution: MaxMarginSolution, shares: np.ndarray) -> float:
    return least_hinge_loss(row_margins(problem, solution), shares)
