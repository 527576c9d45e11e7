"""How far a run may be from its mean field, since its steps are of finite size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from steepest.theory.limits.fields import Field
from steepest.theory.limits.plan import Plan
from steepest.theory.limits.slopes import MOST_DENSE, solver

__all__ = ["batch_directions", "forgetting", "scatter"]

_SCATTERED, _NEAREST = 200, 20
_EXACT = 1e-3
"""The width of signs of single batches."""


def batch_directions(field: Field, state: np.ndarray) -> np.ndarray:
    """Return the directions D_B of some of the batches at the weights ``state``, shape [., k, d]."""
    batches = field.batches
    chosen = np.linspace(0, len(batches.shares) - 1, min(_SCATTERED, len(batches.shares))).astype(int)
    return np.array(
        [
            replace(field, batches=batches.part(np.array([row]))).at(state, _EXACT).value
            for row in np.unique(chosen)
        ]
    )


def forgetting(
    field: Field, state: np.ndarray, width: float, at: float
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what of a deviation V [k, d] at R/2 is left at R: (I - R/2 F')⁻¹ V, to first order.

    Differences of tied logits are forgotten, others stay. None where there are so many weights that it would
    take longer than the path itself.
    """
    slopes = field.at(state, width).slopes()
    return solver(slopes, 0.5 * at) if slopes.weights <= MOST_DENSE else None


def scatter(
    plan: Plan,
    directions: np.ndarray,
    state: np.ndarray,
    forget: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    bent: bool = False,
) -> float:
    """Return how far a run of this schedule may be from the mean field at R, in units of the relative error.

    Within an epoch of m steps of size η the sum of η (D_B - F) wanders by about η √m standard deviations of
    D_B. Added up are what the first, largest steps leave behind, as far as the mean field does not take it
    away again (``forget``, see :func:`forgetting`; None counts it in full), and the wandering of the last
    epoch, both in the smallest margins.

    ``bent`` adds what fluctuating logits do to the mean of D_B, for directions that jump as signs do: a share
    of u²/2 of it, where logits fluctuate by u = η √m standard deviations of a margin.
    """
    if plan.at is None or plan.steps is None:
        return 0.0
    margins = np.asarray(plan.problem.pair_margins(state)).reshape(-1)
    # The true class is no pair; its margin is infinite.
    nearest = np.argsort(margins)[: min(_NEAREST, int(np.isfinite(margins).sum()))]

    def spread(moved: np.ndarray) -> float:
        of_pairs = np.asarray(plan.problem.pair_margins(moved)).reshape(len(moved), -1)[:, nearest]
        return float(np.sqrt(np.mean(np.var(of_pairs, axis=0))))

    deviations = directions - directions.mean(axis=0)
    left = deviations if forget is None else np.array([forget(each) for each in deviations])
    epoch = math.sqrt(math.ceil(plan.problem.samples / plan.batch_size))
    now = spread(deviations)
    moved = epoch * (plan.steps.first * spread(left) + plan.steps.last * now)
    if bent:
        moved += 0.5 * (plan.steps.mean * epoch * now) ** 2 * now * plan.at
    return moved / (float(plan.norm(state)) * plan.margin)
