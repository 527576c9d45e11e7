"""What restarted Halpern primal-dual steps share, whatever their sets: when to restart, and by which steps.

Reflected restarted Halpern primal-dual hybrid gradient (Lu and Yang, arXiv 2407.16144) on max over weights of
min over dual weights q of Σ q M(W), with margins M that are linear in the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["SHARE", "Iterate", "Restarts", "balanced", "operator_norm", "reflected"]

SHARE = 0.99
"""Share of the largest step sizes for which the iteration contracts."""
_SUFFICIENT, _NECESSARY, _LONG = 0.2, 0.8, 0.36
"""When to restart, as in ``first_order/halpern.py``."""
_POWER_ITERATIONS, _POWER_ACCURACY, _POWER_ROOM = 30, 1e-3, 1.02
"""Of the operator's norm: most iterations, change at which it stands, and what is added for the rest."""
_OF_ERRORS, _MOST_OF_ERRORS = 0.25, 2.0
"""Power of the ratio of the two sides' errors that their weight is changed by at a restart, and the most."""


class Iterate(NamedTuple):
    """A point and the margins of its weights, which are linear in them."""

    W: np.ndarray
    """Weights, shape [k, d], of features divided by their sizes."""
    q: np.ndarray
    """Dual weights of the pairs, shape [s]."""
    M: np.ndarray
    """Margins of the pairs, shape [s]."""


class Restarts:
    """Counts steps, and says when the iteration is to begin anew from where it is."""

    def __init__(self) -> None:
        self.steps = 0
        self.begin()

    def begin(self) -> None:
        """Count the steps since a restart from 0."""
        self.since, self.first, self.previous = 0, math.inf, math.inf

    def due(self, old: Iterate, new: Iterate, weight: float, size: float) -> bool:
        """Count a step from ``old`` to ``new`` and return whether to restart at ``new``.

        What falls is the length of a step in the norm in which the method contracts, divided by sqrt(‖A‖).
        """
        self.steps, self.since = self.steps + 1, self.since + 1
        dW, dq, dM = (after - before for after, before in zip(new, old, strict=True))
        squares = weight * float(np.vdot(dW, dW)) + float(np.vdot(dq, dq)) / weight
        residual = math.sqrt(max(0.0, squares / SHARE + 2.0 * float(np.vdot(dq, dM)) / size))
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


def reflected(new: Iterate, old: Iterate, anchor: Iterate, since: int, precision: type) -> Iterate:
    """Return where the next step starts from: the reflection of a step, drawn to the last restart."""
    keep, back = precision(since / (since + 1.0)), precision(1.0 / (since + 1.0))
    return Iterate(*(
        keep * (2 * after - before) + back * first
        for after, before, first in zip(new, old, anchor, strict=True)
    ))  # fmt: skip


def balanced(
    weight: float, new: Iterate, anchor: Iterate, error_of_weights: float, error_of_dual: float
) -> float:
    """Return the weight of the two sides for the next steps, by how far they moved, and by their errors.

    The first alone runs away where weights have directions of hardly any curvature: a long step in these
    asks for a longer one.
    """
    moved_W, moved_q = (float(np.linalg.norm(new[side] - anchor[side])) for side in (0, 1))
    if moved_W > 0.0 and moved_q > 0.0:
        weight = math.sqrt(weight * moved_q / moved_W)
    if error_of_weights > 0.0 and error_of_dual > 0.0:
        ratio = (error_of_weights / error_of_dual) ** _OF_ERRORS
        weight *= min(max(ratio, 1.0 / _MOST_OF_ERRORS), _MOST_OF_ERRORS)
    return weight


def operator_norm(
    margins: Callable[[np.ndarray], np.ndarray], pair_sum: Callable[[np.ndarray], np.ndarray], V: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the largest singular value of W ↦ margins, with some room, and the weights where it is taken.

    By power iteration from V, the weights of the last call; 1 where all margins are 0, since any size serves.

    >>> scale = np.array([[3.0, 1.0]])
    >>> round(operator_norm(lambda W: scale * W, lambda q: scale * q, np.array([[1.0, 1.0]]))[0], 3)
    3.06
    """
    value, start = 0.0, V
    for _ in range(_POWER_ITERATIONS):
        V = pair_sum(margins(V / np.linalg.norm(V)))
        new = math.sqrt(float(np.linalg.norm(V)))
        if new == 0.0:
            return 1.0, start
        settled = abs(new - value) <= _POWER_ACCURACY * new
        value = new
        if settled:
            break
    return _POWER_ROOM * value, V
