"""Facts about norms that other rooms build on, each offered by the norms that it is true of.

A norm that says nothing of a fact is taken for one of which it is not known: :func:`is_true` gives False, and
:func:`rounding` and :func:`dual_of_error` give bounds that hold for every norm.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from steepest.arrays import Array
from steepest.capabilities import Capability
from steepest.geometry.protocol import Norm, own_text

__all__ = [
    "CANONICAL",
    "CUT_DIRECTION",
    "DUAL_OF_ERROR",
    "MULTIPLE",
    "POLYHEDRAL",
    "ROUNDING",
    "STRICTLY_CONVEX",
    "SYMMETRIC_PRODUCTS",
    "TRUNCATION",
    "UNITARILY_INVARIANT",
    "UNIT_ROUNDOFF",
    "dual_of_error",
    "dual_of_products",
    "is_true",
    "largest_pair",
    "norm_key",
    "rounding",
    "same_norm",
]

UNIT_ROUNDOFF = 2.0**-53
_CAREFUL_SUMS = 16
_BLOCK_ENTRIES = 1 << 21

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

SYMMETRIC_PRODUCTS: Capability[bool] = Capability(
    "symmetric products",
    "‖u vᵀ‖_* = ‖u‖_* ‖v‖_* for every column u and row v, whatever the order of their entries.",
)

ROUNDING: Capability[Callable[[tuple[int, ...]], float]] = Capability(
    "a bound on its rounding",
    "Relative rounding error of the value and of the dual as computed in float64, for matrices of a shape.",
)

DUAL_OF_ERROR: Capability[Callable[[np.ndarray], float]] = Capability(
    "a bound on its dual from absolute values",
    "A bound on ‖E‖_* over all matrices E whose entries have at most the given absolute values.",
)

CUT_DIRECTION: Capability[Callable[[Array, float], Array]] = Capability(
    "a direction with a rank cut-off of choice",
    "D(S) with the singular values at or below a number times the largest left out.",
)

TRUNCATION: Capability[Callable[..., Array]] = Capability(
    "a rank cut-off",
    "Counts for each signal [..., k, d] the parts that its direction leaves out although they are real, for "
    "the usual rank cut-off or one of choice.",
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
    k, d = error.shape
    total = 0.0
    for j in range(d):
        units = dual_of_products(norm, np.eye(k), np.broadcast_to(np.arange(d) == j, (k, d)).astype(float))
        total += float(error[:, j] @ units)
    return total * (1 + rounding(norm, error.shape))


def dual_of_products(norm: Norm, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return ‖u_i v_iᵀ‖_* of columns u [n, k] and rows v [n, d], shape [n].

    A product of two numbers where the norm has symmetric products; of any other the matrices are made, a
    block at a time.

    >>> from steepest.geometry import Schatten
    >>> dual_of_products(Schatten(4), np.array([[3.0, 4.0]]), np.array([[2.0, 0.0, 0.0]]))
    array([10.])
    """
    if is_true(SYMMETRIC_PRODUCTS, norm):
        return np.asarray(norm.dual(columns[:, :, None])) * np.asarray(norm.dual(rows[:, None, :]))
    duals = np.empty(len(columns))
    block = max(1, _BLOCK_ENTRIES // max(1, columns.shape[1] * rows.shape[1]))
    for start in range(0, len(columns), block):
        part = slice(start, start + block)
        duals[part] = np.asarray(norm.dual(columns[part, :, None] * rows[part, None, :]))
    return duals


def largest_pair(norm_: Norm, features: np.ndarray, classes: int) -> float:
    """Return max ‖(e_a - e_b) xᵀ‖_* over the rows x of ``features`` [n, d] and all classes a ≠ b.

    Any two classes do where the norm has symmetric products. For any other, samples come in the order of what
    the triangle inequality allows them, until none that is left can have a larger pair.

    >>> from steepest.geometry import Entrywise
    >>> largest_pair(Entrywise(2), np.array([[3.0, 4.0], [1.0, 0.0]]), 3)
    7.0710678118654755
    """
    units = np.eye(classes)
    if is_true(SYMMETRIC_PRODUCTS, norm_):
        pairs = np.broadcast_to(units[0] - units[1], (len(features), classes))
        return float(np.max(dual_of_products(norm_, pairs, features)))
    first, second = np.triu_indices(classes, 1)
    singles = dual_of_products(
        norm_, np.tile(units, (len(features), 1)), np.repeat(features, classes, axis=0)
    ).reshape(len(features), classes)
    allowed = np.partition(singles, -2, axis=1)[:, -2:].sum(axis=1)
    largest = 0.0
    for sample in np.argsort(-allowed):
        if allowed[sample] <= largest:
            break
        open_pairs = singles[sample, first] + singles[sample, second] > largest
        pairs = units[first[open_pairs]] - units[second[open_pairs]]
        rows = np.broadcast_to(features[sample], (len(pairs), features.shape[1]))
        largest = max(largest, float(np.max(dual_of_products(norm_, pairs, rows))))
    return largest


def same_norm(first: Norm, second: Norm) -> bool:
    """Return whether two norms are one: the same object, equal, or of one class and with one text.

    A norm with another name, as Schatten(2) for Frobenius, is taken by that. A norm of your own that happens
    to call itself by the name of another is not that other.

    Args:
        first: a norm.
        second: another, or the same.

    >>> from steepest.geometry import Entrywise, Schatten
    >>> same_norm(Entrywise(2), Schatten(2)), same_norm(Entrywise(1), Schatten(1))
    (True, False)
    """
    one, other = CANONICAL.of(first) or first, CANONICAL.of(second) or second
    if one is other:
        return True
    # Loaded once more from its file, a class is another object of the same name.
    if type(one).__qualname__ != type(other).__qualname__:
        return False
    text = own_text(one)
    return (text is not None and text == own_text(other)) or _equal(one, other)


def norm_key(norm: Norm) -> Hashable:
    """Return what norms are grouped by: equal keys have equal norms, whatever the norms call themselves."""
    try:
        hash(norm)
    except TypeError:
        return id(norm)
    return norm


def _equal(one: Norm, other: Norm) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # arrays among the fields of a dataclass compare entry by entry
        return False
