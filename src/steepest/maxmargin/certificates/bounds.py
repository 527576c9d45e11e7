"""Bounds on the max margin from any weights and any dual weights, with rounding accounted for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.arrays import Array, as_floating, as_numpy
from steepest.errors import InvalidArgument
from steepest.geometry import Norm
from steepest.geometry import norm as as_norm
from steepest.geometry.facts import UNIT_ROUNDOFF as _UNIT
from steepest.geometry.facts import dual_of_error, rounding
from steepest.maxmargin.certificates.products import (
    AT_ONCE,
    absolute_product,
    accurate_product,
    exact_product,
    product,
)
from steepest.maxmargin.forms.best import relative_gap
from steepest.maxmargin.forms.pairs import towards
from steepest.problem import Classification, as_problem

__all__ = ["Bounds", "certificate", "simplex_weights"]

_ENOUGH = 1e-10
"""Bounds whose allowance for rounding is below this fraction of them are not computed more accurately."""
_ENOUGH_OF_SPARSE = 1e-7
"""The same for sparse features, of which the accurate sums take minutes."""
_EXACT = 100_000
"""Terms of sums that are then added without an error where even doubled precision is too coarse."""
_COLUMNS = 1 << 22
"""Numbers of sparse features that are made dense at a time."""
_MOST = 4
"""Rows are copied where less than one in so many has dual weight."""
_SUM = 1e-14
"""Sums of dual weights this near to 1 are 1 to rounding: a hundred additions may be off by as much."""

_Product = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
_Margins = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Bounds:
    """margin ≤ γ ≤ upper_bound, in units of the features."""

    margin: float
    """margin(W) / ‖W‖, rounded down; 0 for W = 0."""
    upper_bound: float
    """‖A(q)‖_*, rounded up."""

    @property
    def relative_gap(self) -> float:
        """(upper_bound - margin) / upper_bound; 0 where both are 0, so that exact zeros are a closed gap."""
        return relative_gap(self.margin, self.upper_bound)


def certificate(problem: Classification, norm: Norm | str, W: Array, q: Array) -> Bounds:
    """Bounds on the max margin γ that W and q certify: margin(W)/‖W‖ ≤ γ ≤ ‖A(q)‖_*.

    Args:
        problem: the data.
        norm: the norm of the max margin, or its name.
        W: weights, shape [k, d], of any size.
        q: dual weights, shape [n, k], non-negative, of any positive sum; the true class is ignored.

    Returns:
        Both bounds, recomputed from the data alone. Every rounding error is bounded and added on the
        safe side (where the plain bound is too coarse, the deciding sums are done in doubled precision),
        so that neither bound is ever wrong by rounding.

    Raises:
        InvalidArgument: a wrong shape, a negative entry of q or a sum of 0, or values that are not finite.

    >>> problem = Classification([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    >>> bounds = certificate(problem, "max", [[1.0, -1.0], [-1.0, 1.0]], [[0, 1], [1, 0]])
    >>> round(bounds.margin, 12), round(bounds.upper_bound, 12)
    (2.0, 2.0)
    """
    problem, norm = as_problem(problem), as_norm(norm)
    X, y = as_numpy(problem.features), problem.labels
    W = as_numpy(problem.weights_like_features(W))
    if not np.isfinite(W).all():
        raise InvalidArgument("W", W, "give finite weights")
    q = _checked(problem, q)
    return Bounds(margin_below(X, y, W, norm), dual_above(X, y, q, norm))


def simplex_weights(problem: Classification, q: Array) -> np.ndarray:
    """Return q as dual weights over pairs: 0 at the true class, of sum 1 to rounding, shape [n, k].

    Weights whose sum is 1 to rounding are kept to the last digit. Dividing would round every one of them
    again, and where large terms of A(q) cancel the last digits are what is left of them.

    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> simplex_weights(problem, [[0, 3], [1, 0]]).tolist()
    [[0.0, 0.75], [0.25, 0.0]]
    """
    q = _checked(problem, q)
    total = float(q.sum())
    nearest = 2.0 ** round(math.log2(total))
    return q / (nearest if abs(total - nearest) <= _SUM * nearest else total)


def _checked(problem: Classification, q: Array) -> np.ndarray:
    """Return q as dual weights over pairs, scaled by a power of two so that the largest is near 1."""
    q = np.array(as_numpy(as_floating(q, "q")), dtype=float)
    expected = (problem.samples, problem.n_classes)
    if q.shape != expected:
        raise InvalidArgument("q", q.shape, f"give dual weights of shape [{expected[0]}, {expected[1]}]")
    q[np.arange(len(q)), problem.labels] = 0.0
    if not np.isfinite(q).all() or (q < 0).any() or not q.any():
        raise InvalidArgument("q", q, "give finite dual weights, none negative and not all zero")
    # ldexp, since the power itself may be beyond the range of floats.
    return np.ldexp(q, 1 - math.frexp(float(q.max()))[1])


def margin_below(X: np.ndarray, y: np.ndarray, W: np.ndarray, norm: Norm) -> float:
    """margin(W)/‖W‖ rounded down, 0 for W = 0."""
    largest = float(np.max(np.abs(W), initial=0.0))
    if largest == 0.0:
        return 0.0
    W = W / 2.0 ** np.floor(np.log2(largest))
    low, margins, allowance = _low_margins(X, y, W)
    lowest = float(low.min())
    rows = np.unique(np.nonzero(low <= (margins + allowance).min())[0])
    if allowance[rows].max() > _ENOUGH * abs(lowest):
        accurate, margins, allowance = _accurate_margins(X[rows], y[rows], W)
        low[rows] = np.maximum(low[rows], accurate)
        lowest = float(low.min())
        if allowance.max() > _ENOUGH * abs(lowest) and len(rows) * W.size <= _EXACT:
            low[rows] = np.maximum(low[rows], _margins_by(exact_product, X[rows], y[rows], W)[0])
            lowest = float(low.min())
    return divided_by_norm(lowest, W, norm)


def divided_by_norm(lowest: float, W: np.ndarray, norm: Norm) -> float:
    """A lower bound on the margins of W over ‖W‖, rounded down."""
    size, slack = float(norm(W)), rounding(norm, W.shape)
    return _down(lowest / (size * (1 + slack) if lowest > 0 else size * (1 - slack)))


def pair_margins_below(X: np.ndarray, y: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Margins of all pairs rounded down, shape [n, k]; infinite at the true class."""
    low, margins, allowance = _low_margins(X, y, W)
    coarse = np.nonzero((allowance > _ENOUGH * np.abs(margins)).any(axis=1))[0]
    if len(coarse):
        accurate, margins, allowance = _accurate_margins(X[coarse], y[coarse], W)
        low[coarse] = np.maximum(low[coarse], accurate)
        coarse = coarse[(allowance > _ENOUGH * np.abs(margins)).any(axis=1)]
        if 0 < len(coarse) * W.size <= _EXACT:
            low[coarse] = np.maximum(low[coarse], _margins_by(exact_product, X[coarse], y[coarse], W)[0])
    return low


def _low_margins(X: np.ndarray, y: np.ndarray, W: np.ndarray) -> _Margins:
    return _margins_by(product, X, y, W)


def _accurate_margins(X: np.ndarray, y: np.ndarray, W: np.ndarray) -> _Margins:
    return _margins_by(accurate_product, X, y, W)


def _margins_by(multiply: _Product, X: np.ndarray, y: np.ndarray, W: np.ndarray) -> _Margins:
    """Return margins of all pairs less their rounding, the margins, and the rounding."""
    logits, error = multiply(X, W.T)
    margins, allowance = _pair_margins(logits, error, y)
    return margins - allowance, margins, allowance


def dual_above(X: Any, y: np.ndarray, q: np.ndarray, norm: Norm, *, sharp: bool = True) -> float:
    """‖A(q)‖_* / Σq rounded up, for q ≥ 0 of largest entry near 1 or of sum 1, and 0 at the true class.

    X is an array or a sparse array, compressed by row. A bound that is not to be ``sharp`` has the allowance
    of plain sums however large that is.
    """
    rows = np.nonzero(q.any(axis=1))[0]
    total = float(q.sum())
    # Of large arrays a copy of most rows takes more memory than zeros take time.
    whole = len(rows) == len(q) or (X.size > AT_ONCE and _MOST * len(rows) > len(q))
    T, features = (towards(q, y), X) if whole else (towards(q[rows], y[rows]), X[rows])
    A, error = product(T.T, features)
    # The true class holds a rounded sum, so each of its terms carries k more roundings.
    error += (q.shape[1] + 2) * _UNIT * absolute_product(T.T, features)
    value, allowance = float(norm.dual(A)), dual_of_error(norm, error)
    if sharp and allowance > (_ENOUGH_OF_SPARSE if sparse.issparse(X) else _ENOUGH) * value:
        A, error = _accurate_pair_sum(X[rows], y[rows], q[rows])
        value, allowance = float(norm.dual(A)), dual_of_error(norm, error)
    if (
        sharp
        and allowance > _ENOUGH * value
        and 2 * np.count_nonzero(q) * X.shape[1] <= _EXACT
        and not sparse.issparse(X)
    ):
        A, error = _exact_pair_sum(X, y, q)
        value, allowance = float(norm.dual(A)), dual_of_error(norm, error)
    slack = rounding(norm, A.shape) + (q.size.bit_length() + 130) * _UNIT
    return _up((value * (1 + slack) + allowance * (1 + 1e-6)) / total)


def _pair_margins(logits: np.ndarray, error: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(len(y))
    margins = logits[index, y][:, None] - logits
    allowance = error[index, y][:, None] + error + _UNIT * np.abs(margins)
    margins[index, y] = np.inf
    allowance[index, y] = 0.0
    return margins, allowance


def _accurate_pair_sum(X: Any, y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if sparse.issparse(X):
        step = max(1, _COLUMNS // max(1, len(q)))
        parts = [
            _accurate_pair_sum(X[:, start : start + step].toarray(), y, q)
            for start in range(0, X.shape[1], step)
        ]
        return np.hstack([A for A, _ in parts]), np.hstack([error for _, error in parts])
    n, k = q.shape
    sums = q.sum(axis=1, keepdims=True)
    rest, error = accurate_product(np.concatenate([q, -sums], axis=1), np.ones((k + 1, 1)))
    # The true class holds the row sum of q as two numbers, and what even these leave is an error of its row.
    high, low = -q, np.zeros((n, k))
    high[np.arange(n), y], low[np.arange(n), y] = sums[:, 0], rest[:, 0]
    A, allowance = accurate_product(np.concatenate([high, low]).T, np.concatenate([X, X]))
    left = np.zeros((n, k))
    left[np.arange(n), y] = error[:, 0]
    return A, allowance + 2 * left.T @ np.abs(X)


def _exact_pair_sum(X: np.ndarray, y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A(q) from one term for each pair and each of its two classes, added without an error."""
    i, c = np.nonzero(q)
    values, pairs = q[i, c], np.arange(len(i))
    T = np.zeros((q.shape[1], len(i)))
    T[c, pairs] = -values
    T[y[i], pairs] = values
    return exact_product(T, X[i])


def _down(value: float) -> float:
    return float(np.nextafter(value - 2 * _UNIT * abs(value), -np.inf)) if value != 0 else 0.0


def _up(value: float) -> float:
    return float(np.nextafter(value + 2 * _UNIT * abs(value), np.inf)) if value != 0 else 0.0
