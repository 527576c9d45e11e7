"""Variance reduction without epochs (loopless SVRG): at each step a coin decides on a new snapshot.

Kovalev, Horváth and Richtárik, "Don't jump through hoops and remove those loops", ALT 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.losses import Loss, gradient
from steepest.problem import Classification
from steepest.scaled import Scaled, zeros_like
from steepest.signals.protocol import Draw, Fields
from steepest.signals.svrg import corrected

__all__ = ["LooplessSVRG"]


@dataclass(frozen=True)
class LooplessSVRG:
    """V_t = ∇L_B(W_t) - ∇L_B(W̃) + ∇L(W̃), where W̃ becomes W_t with probability 1/m at each step.

    The first step takes one for certain. The cost is that of SVRG on average.
    """

    def start(self, _problem: Classification, _loss: Loss, weights: Array) -> Fields:
        """Return a snapshot that the first step replaces."""
        return {"snapshot": weights, "snapshot_gradient": zeros_like(weights)}

    def step(self, draw: Draw, weights: Array, fields: Fields) -> tuple[Scaled, Fields]:
        """Return the corrected gradient; runs whose coin fell take the snapshot before."""
        taken = np.ones(len(weights), dtype=bool) if draw.step == 0 else draw.toss(1.0 / draw.batches)
        if draw.batches > 1 and taken.any():
            fields = _with_snapshot(draw, weights, fields, taken)
        return corrected(draw, weights, fields), fields

    def __str__(self) -> str:
        return "loopless-svrg"


def _with_snapshot(draw: Draw, weights: Array, fields: Fields, taken: np.ndarray) -> Fields:
    xp = namespace(weights)
    place = device(weights)
    chosen = xp.asarray(np.flatnonzero(taken), device=place)
    full = gradient(draw.problem, draw.loss, weights[chosen])
    if taken.all():
        return {"snapshot": weights, "snapshot_gradient": full}
    # Each run takes its own: where it stands among those chosen, or anything where it is not.
    among = xp.asarray(np.maximum(np.cumsum(taken) - 1, 0), device=place)
    mask = xp.asarray(taken, device=place)
    before = fields["snapshot_gradient"]
    joined = Scaled(
        xp.where(mask[:, None, None], full.mantissa[among], before.mantissa),
        xp.where(mask, full.log_scale[among], before.log_scale),
    )
    snapshot = xp.where(mask[:, None, None], weights, fields["snapshot"])
    return {"snapshot": snapshot, "snapshot_gradient": joined}
