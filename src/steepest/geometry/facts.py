"""Facts about norms that other rooms build on, each offered by the norms that it is true of.

A norm that says nothing of a fact is taken for one of which it is not known: :func:`is_true` gives False, and
:func:`rounding` and :func:`dual_of_error` give bounds that hold for every norm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.arrays import Array
from steepest.capabilities import Capability
from steepest.geometry.protocol import Norm

__all__ = [
    "CANONICAL",
    "DUAL_OF_ERROR",
    "MULTIPLE",
    "POLYHEDRAL",
    "ROUNDING",
    "STRICTLY_CONVEX",
    "TRUNCATION",
    "UNITARILY_INVARIANT",
    "UNIT_ROUNDOFF",
    "dual_of_error",
    "is_true",
    "rounding",
    "same_norm",
]

UNIT_ROUNDOFF = 2.0**-53
_CAREFUL_SUMS = 16

CANONICAL: Capability[Norm] = Capability(
    "another name", "The norm of the same values that everything knows by its own name."
)

MULTIPLE: Capability[tuple[Norm, Callable[[tuple[int, ...]], float]]] = Capability(
    "a norm that it is a multiple of",
    "A norm, and the factor by which this one is larger, for matrices of a shape.",
)

UNITARILY_INVARIANT: Capability[bool] = Capability(
    "unitary invariance", "‖UAV‖ = ‖A‖ for orthogonal U and V, so that no projection of A has a larger norm."
)

STRICTLY_CONVEX: Capability[bool] = Capability(
    "strict convexity",
    "The unit ball has no flat parts, so that a max margin is attained in one direction only.",
)

POLYHEDRAL: Capability[bool] = Capability(
    "a polyhedral unit ball",
    "The unit ball is bounded by finitely many planes, so that max margins are linear programs.",
)

ROUNDING: Capability[Callable[[tuple[int, ...]], float]] = Capability(
    "a bound on its rounding",
    "Relative rounding error of the value and of the dual as computed in float64, for matrices of a shape.",
)

DUAL_OF_ERROR: Capability[Callable[[np.ndarray], float]] = Capability(
    "a bound on its dual from absolute values",
    "A bound on ‖E‖_* over all matrices E whose entries have at most the given absolute values.",
)

TRUNCATION: Capability[Callable[[Array], Array]] = Capability(
    "a rank cut-off",
    "Counts for each signal [..., k, d] the parts that its direction leaves out although they are real.",
)


def is_true(fact: Capability[bool], norm: Norm) -> bool:
    """Return whether a norm offers a fact and says yes.

    >>> from steepest.geometry import Entrywise, Schatten
    >>> [is_true(UNITARILY_INVARIANT, each) for each in (Entrywise(2), Entrywise(3), Schatten(3))]
    [True, False, True]
    """
    return fact.of(norm) is True


def rounding(norm: Norm, shape: tuple[int, ...]) -> float:
    """Return the relative rounding error of a norm and its dual, computed in float64 for matrices of a shape.

    A norm that does not say is trusted to be computed backward stably: with an error of at most 16 units of
    rounding for each row times column, eight times what singular values are granted.
    """
    stated = ROUNDING.of(norm)
    return stated(shape) if stated is not None else _CAREFUL_SUMS * max(shape) * min(shape) * UNIT_ROUNDOFF


def dual_of_error(norm: Norm, error: np.ndarray) -> float:
    """Return a bound on ‖E‖_* over all E with |E_ij| ≤ ``error`` [k, d].

    For a norm that does not say, the triangle inequality gives Σ error_ij ‖e_i e_jᵀ‖_*.
    """
    stated = DUAL_OF_ERROR.of(norm)
    if stated is not None:
        return stated(error)
    total = 0.0
    for i, row in enumerate(error):
        units = np.zeros((error.shape[1], *error.shape))
        units[np.arange(error.shape[1]), i, np.arange(error.shape[1])] = 1.0
        total += float(np.sum(row * np.asarray(norm.dual(units))))
    return total * (1 + rounding(norm, error.shape))


def same_norm(first: Norm, second: Norm) -> bool:
    """Return whether two norms have the same values, as far as they tell: by their names, or another name.

    >>> from steepest.geometry import Entrywise, Schatten
    >>> same_norm(Entrywise(2), Schatten(2)), same_norm(Entrywise(1), Schatten(1))
    (True, False)
    """
    return first is second or str(CANONICAL.of(first) or first) == str(CANONICAL.of(second) or second)
