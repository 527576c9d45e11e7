"""How far a run may be from its mean field, since its steps are of finite size."""

from __future__ import annotations

import math

import numpy as np

from steepest.theory.limits.fields import Field
from steepest.theory.limits.plan import Plan

__all__ = ["scatter"]

_SCATTERED, _NEAREST = 200, 20


def scatter(plan: Plan, field: Field, state: np.ndarray) -> float:
    """Return how far a run of this schedule may be from the mean field, in units of the relative error.

    Within an epoch of m steps of size η the sum of η (D_B - F) wanders by about η √m standard deviations of
    D_B. The first epochs have the largest steps; what they leave behind in the smallest margins is counted in
    full.
    """
    if plan.at is None or plan.first_step is None:
        return 0.0
    batches = field.batches
    chosen = np.linspace(0, len(batches.shares) - 1, min(_SCATTERED, len(batches.shares))).astype(int)
    directions = np.array(
        [
            Field(field.data, batches.part(np.array([row])), field.loss, field.at_pulls).at(state, 1e-3).value
            for row in np.unique(chosen)
        ]
    )
    margins = np.asarray(plan.problem.pair_margins(state)).reshape(-1)
    # The true class is no pair; its margin is infinite.
    nearest = np.argsort(margins)[: min(_NEAREST, int(np.isfinite(margins).sum()))]
    moved = np.asarray(plan.problem.pair_margins(directions)).reshape(len(directions), -1)[:, nearest]
    epoch = math.ceil(plan.problem.samples / plan.batch_size)
    spread = float(np.sqrt(np.mean(np.var(moved, axis=0))))
    return plan.first_step * math.sqrt(epoch) * spread / (float(plan.norm(state)) * plan.margin)
