"""Polyhedral unit balls in few inequalities, as solvers of linear and conic programs take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.capabilities import Capability

__all__ = ["LINEAR_BALL", "LinearBall", "box", "budget"]


@dataclass(frozen=True)
class LinearBall:
    """A unit ball as the image of a polyhedron: {L x : B x ≤ 1, lower ≤ x ≤ upper}, weights flattened."""

    lift: Any
    """L, sparse, shape [weights, m]."""
    rows: Any
    """B, sparse, shape [r, m]."""
    bounds: tuple[float, float]
    """Of every entry of x; may be infinite."""


LINEAR_BALL: Capability[Callable[[int], LinearBall]] = Capability(
    "a unit ball of few linear inequalities",
    "The unit ball of that many weights as the image of a polyhedron, for public solvers.",
)


def box(weights: int) -> LinearBall:
    """The ball of the max-norm: bounds on every weight.

    >>> box(3).lift.shape, box(3).rows.shape
    ((3, 3), (0, 3))
    """
    return LinearBall(sparse.eye_array(weights, format="csr"), sparse.csr_array((0, weights)), (-1.0, 1.0))


def budget(weights: int) -> LinearBall:
    """The ball of the sum-norm: the two signs of every weight share a budget.

    >>> budget(3).lift.shape, budget(3).rows.toarray().tolist()
    ((3, 6), [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    """
    one = sparse.eye_array(weights, format="csr")
    total = sparse.csr_array(np.ones((1, 2 * weights)))
    return LinearBall(sparse.hstack([one, -one], format="csr"), total, (0.0, np.inf))
