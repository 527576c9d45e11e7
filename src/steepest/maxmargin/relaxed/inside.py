"""Relaxed max margins by the interior point on the ball: free weights are in a large ball beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.interior.central_path import solve_interior_point
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL
from steepest.maxmargin.polyhedral.predictor_corrector import solve_polyhedral
from steepest.maxmargin.relaxed.beside import Beside
from steepest.maxmargin.scans.saddle import is_box

__all__ = ["RADIUS", "solve_inside"]

RADIUS = 100.0
"""Size of the ball of free weights, for features of size 1 in a problem of size 1."""
_WIDER, _REACHED, _WIDEST = 100.0, 0.1, 1e8
"""By what the ball grows where free weights come to this share of its radius, and its largest radius."""
_OF_GAP = 0.1
"""Share of the gap that a linear program is solved to, whose dual weights are balanced afterwards."""
_OF_BUDGET = 3e-8
"""Gap down to which one with a budget comes, as in the sum-norm: on the digits it ends at 1.4e-8."""
_ROOM = 1e-8
"""What caps leave to dual weights of sum 1, at least."""


def solve_inside(reduced: Reduced, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    """Yield weights, free ones beside them and dual weights, from larger and larger balls of free weights.

    Raises:
        MissingCapability: the norm offers no barrier of its unit ball.
    """
    norm = reduced.norm
    linear = reduced.caps is None and POLYHEDRAL_BALL.of(norm) is not None
    if linear and (gap >= _OF_BUDGET or is_box(norm)):
        # Half as many steps as from the centre of the ball, in a system of what is still free.
        yield from _within_balls(reduced, solve_polyhedral, _OF_GAP * gap, deadline)
    if deadline.passed:
        return
    yield from _within_balls(reduced, solve_interior_point, gap, deadline)


def _within_balls(
    reduced: Reduced, solve: Callable[[Reduced, float, Deadline], Candidate], gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    radius = RADIUS
    while True:
        found = solve(_beside(reduced, radius), gap, deadline)
        columns = reduced.features.shape[1]
        V = found.weights[:, :columns]
        if reduced.free is None:
            yield replace(found, weights=V)
            return
        F = found.weights[:, max(columns, reduced.shape[0]) :]
        free = radius * (F if reduced.mixing is None else reduced.mixing @ F)
        yield replace(found, weights=V, free=free)
        if float(np.linalg.norm(F)) < _REACHED or radius >= _WIDEST or deadline.passed:
            return
        radius *= _WIDER


def _beside(reduced: Reduced, radius: float) -> Reduced:
    """The problem with free weights in a ball of a radius, in features of size ``radius``."""
    features, rows, caps = reduced.features, reduced.shape[0], reduced.caps
    if caps is not None:
        # An interior point needs some room under caps that leave none.
        caps = caps * max(1.0, (1.0 + _ROOM) / caps.sum())
    # As wide as singular value decompositions want it.
    padded = np.pad(features, ((0, 0), (0, max(0, rows - features.shape[1]))))
    if reduced.free is None:
        return replace(reduced, features=padded, caps=caps)
    return replace(
        reduced,
        features=np.concatenate([padded, radius * reduced.free], axis=1),
        basis=None,
        norm=Beside(reduced.norm, padded.shape[1], 1.0, reduced.mixing is None),
        caps=caps,
        free=None,
        even=True,
    )
