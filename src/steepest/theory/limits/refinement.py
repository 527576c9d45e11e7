"""A path's end without the error of its steps and of its width of signs, and what is left of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steepest.theory.limits.batches import Batches
from steepest.theory.limits.fields import is_smoothed
from steepest.theory.limits.following import (
    MOMENTA,
    MOST_SOLVES,
    WIDTH,
    aged,
    field_over,
    followed,
    width_of,
)
from steepest.theory.limits.path import Path
from steepest.theory.limits.plan import Plan
from steepest.theory.limits.uncertainty import batch_directions, forgetting, scatter

__all__ = ["Followed", "end_of", "finer", "finite_steps", "sharper"]

_SHARPER, _SHARPER_GROWTH = (0.3, 0.1, 0.03), math.sqrt(2.0)
"""Widths of signs, with one growth of R a step: else part of what steps change would count as theirs."""
_SETTLED = 5e-3
"""Signs are made sharper until that changes the relative error by less, twice at least."""
_MOST_SHARPER = 150
"""Newton steps of paths that only refine the width of signs. Averages over ages are smoother, and go on."""


@dataclass(frozen=True)
class Followed:
    """A path with the width of signs and the growth of R that it was followed with."""

    path: Path
    width: float
    growth: float


def end_of(plan: Plan, path: Path) -> np.ndarray:
    """Return F at the end for a limit, and the weights there at a given R."""
    return path.growths[-1] if plan.at is None else path.weights[-1]


def finer(
    plan: Plan, batches: Batches, path: Path, last: Followed, state: np.ndarray, until: float
) -> tuple[np.ndarray, float]:
    """Return the state without the error of finite steps of the path, and what is left of it.

    At a given R implicit Euler is of first order, so that the error is twice what halving the steps changes.
    That is done with signs as sharp as the last ones: wide signs err more, and the other way. For a limit the
    change over the last doubling of R shows how far away it is.
    """
    if plan.at is None:
        before = int(np.searchsorted(path.lengths, 0.5 * path.lengths[-1] * (1 + 1e-9), side="right")) - 1
        later = [plan.error_of(each) for each in path.growths[max(0, before) :]]
        return state, max(abs(each - later[-1]) for each in later)
    if not last.path.complete:
        last = Followed(path, WIDTH, 2.0)
    found = followed(plan, batches, until, math.sqrt(last.growth), last.width, "with smaller steps")
    if not found.complete:
        return state, math.inf
    change = found.weights[-1] - last.path.weights[-1]
    return state + 2.0 * change, abs(plan.error_of(state + 2.0 * change) - plan.error_of(state + change))


def sharper(
    plan: Plan, batches: Batches, path: Path, state: np.ndarray, until: float
) -> tuple[np.ndarray, float, Followed]:
    """Return the state with the width of signs extrapolated to 0, how far that is open, and the last path.

    Where a path of sharper signs cannot be followed to its end, those before it are the last word.
    """
    last = Followed(path, WIDTH, 2.0)
    if not is_smoothed(plan.norm):
        return state, 0.0, last
    found, left = state, math.inf
    for number, width in enumerate(_SHARPER):
        doing = f"with signs {WIDTH / width:.3g} times sharper"
        most = _MOST_SHARPER if number and plan.kind not in MOMENTA else MOST_SOLVES
        sharp = followed(plan, batches, until, _SHARPER_GROWTH, width, doing, most)
        if not len(sharp.lengths) or (number and not sharp.complete):
            break
        before = last.path
        reached = int(np.argmin(np.abs(before.lengths - sharp.lengths[-1])))
        part = "growths" if plan.at is None else "weights"
        scale = 1.0 if plan.at is None else path.lengths[-1] / sharp.lengths[-1]
        change = scale * (getattr(sharp, part)[-1] - getattr(before, part)[reached])
        sharpest = state + change / (1.0 - width / last.width)
        # The error is not always monotone in the width: what was added to the last path is open as well.
        added = abs(plan.error_of(sharpest) - plan.error_of(state + change))
        left = max(added, abs(plan.error_of(sharpest) - plan.error_of(found)) if number else 0.0)
        last, found, state = Followed(sharp, width, _SHARPER_GROWTH), sharpest, state + change
        if not sharp.complete or (number and left < _SETTLED):
            break
    return found, left, last


def finite_steps(plan: Plan, batches: Batches, state: np.ndarray, last: Followed, until: float) -> float:
    """Return how far a run's steps, which are not infinitely small, may take it from the mean field at R.

    That is its scatter (:func:`~steepest.theory.limits.uncertainty.scatter`), and with momentum what the
    margins' own growth changes of the weights of past gradients. A gradient of age j was taken where margins
    were smaller by j η q, q ≤ γ their growth by R, so that it counts β^j e^(j η q) rather than β^j. The path
    is followed once more with that, at q = γ and η = Σ η² / Σ η; its change is an estimate and no correction,
    since logits that fluctuate within the average act the other way. Where η γ ≥ log(1/β) old gradients count
    more than new ones, and nothing is known.
    """
    if plan.at is None or plan.steps is None:
        return 0.0
    field = field_over(plan, batches)
    forget = forgetting(field, state, width_of(batches, WIDTH), plan.at)
    scattered = scatter(plan, batch_directions(field, state), state, forget, bent=is_smoothed(plan.norm))
    if plan.kind not in MOMENTA or batches.logs is None:
        return scattered
    drift = plan.steps.mean * plan.margin
    if drift >= math.log(1.0 / plan.momentum):
        return math.inf
    ahead = aged(plan, 0, drift)
    found = followed(plan, ahead, until, last.growth, last.width, "with margins that grow meanwhile")
    if not (found.complete and last.path.complete):
        return math.inf
    return scattered + abs(plan.error_of(found.weights[-1]) - plan.error_of(last.path.weights[-1]))
