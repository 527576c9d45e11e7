"""Polyhedral unit balls in few inequalities, as solvers of linear and conic programs take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.capabilities import Capability

__all__ = ["LINEAR_BALL", "LinearBall", "box", "budget", "budgets", "largest_of_groups"]


@dataclass(frozen=True)
class LinearBall:
    """A unit ball as the image of a polyhedron: {L x : B x ≤ b, lower ≤ x ≤ upper}, weights flattened."""

    lift: Any
    """L, sparse, shape [weights, m]."""
    rows: Any
    """B, sparse, shape [r, m]."""
    right: np.ndarray
    """b, shape [r]."""
    bounds: tuple[float, float]
    """Of every entry of x; may be infinite."""


LINEAR_BALL: Capability[Callable[[tuple[int, int]], LinearBall]] = Capability(
    "a unit ball of few linear inequalities",
    "The unit ball of weights of a shape as the image of a polyhedron, for public solvers.",
)


def box(shape: tuple[int, int]) -> LinearBall:
    """The ball of the max-norm: bounds on every weight.

    >>> box((1, 3)).lift.shape, box((1, 3)).rows.shape
    ((3, 3), (0, 3))
    """
    weights = shape[0] * shape[1]
    lift = sparse.eye_array(weights, format="csr")
    return LinearBall(lift, sparse.csr_array((0, weights)), np.zeros(0), (-1.0, 1.0))


def budget(shape: tuple[int, int]) -> LinearBall:
    """The ball of the sum-norm: the two signs of all weights share a budget.

    >>> budget((1, 3)).rows.toarray().tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    return budgets(shape, np.zeros(shape, dtype=int))


def budgets(shape: tuple[int, int], groups: np.ndarray) -> LinearBall:
    """A budget for every group of weights, shared by the two signs of its weights.

    Args:
        shape: shape of the weights.
        groups: the group of each weight, 0, 1, ..., of that shape.

    >>> budgets((2, 1), np.array([[0], [1]])).rows.toarray().tolist()
    [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    weights, flat = shape[0] * shape[1], groups.ravel()
    one = sparse.eye_array(weights, format="csr")
    member = sparse.csr_array(
        (np.ones(weights), (flat, np.arange(weights))), shape=(int(flat.max()) + 1, weights)
    )
    lift, rows = sparse.hstack([one, -one], format="csr"), sparse.hstack([member, member], format="csr")
    return LinearBall(lift, rows, np.ones(int(flat.max()) + 1), (0.0, np.inf))


def largest_of_groups(shape: tuple[int, int], groups: np.ndarray) -> LinearBall:
    """The largest weights of all groups, in modulus, share a budget; arguments as for :func:`budgets`.

    >>> largest_of_groups((2, 1), np.array([[0], [1]])).rows.shape
    (5, 4)
    """
    weights, flat = shape[0] * shape[1], groups.ravel()
    count, one = int(flat.max()) + 1, sparse.eye_array(weights, format="csr")
    its = sparse.csr_array((np.ones(weights), (np.arange(weights), flat)), shape=(weights, count))
    total = sparse.hstack([sparse.csr_array((1, weights)), sparse.csr_array(np.ones((1, count)))])
    rows = sparse.vstack([sparse.hstack([one, -its]), sparse.hstack([-one, -its]), total], format="csr")
    lift = sparse.hstack([one, sparse.csr_array((weights, count))], format="csr")
    right = np.concatenate([np.zeros(2 * weights), [1.0]])
    return LinearBall(lift, rows, right, (-np.inf, np.inf))
