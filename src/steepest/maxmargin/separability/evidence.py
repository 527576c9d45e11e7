"""Evidence that is checked in the data itself: margins above rounding or exact, sums A(q) that are zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from steepest.maxmargin.certificates.products import accurate_product, product
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.least_change import least_change
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.separability.conditioned import Conditioned
from steepest.maxmargin.separability.exact import exact_margins, exact_null_weights
from steepest.maxmargin.separability.program import basic_null_weights, pair_columns

__all__ = [
    "ROUNDING",
    "Null",
    "all_positive",
    "few_null_weights",
    "null_weights",
    "relative_margins",
    "relative_residual",
    "separates",
    "zero_to_rounding",
]

_UNIT = 2.0**-53
_NEARLY_LOST = 2.0**-900
"""Weights below this share of their feature's largest have products that leave the range of floats."""
ROUNDING = 32 * _UNIT
"""Of the terms of a sum, that weights rounded to floats leave of a sum that is zero."""
_MOST_EXACT = 3_000_000
"""Products of whole numbers that take a second or two."""
_EXACT_SUPPORT = 70
"""Pairs among which dual weights are solved for in rational arithmetic: about a second."""
_NOTHING = 1e-12
"""Dual weights below this share of the largest are what a solver leaves of 0."""
_LARGEST_PROGRAM = 4_000_000
"""Numbers in a program that HiGHS solves in seconds."""
_CORRECTIONS = 4
_LARGEST_SYSTEM = 40_000_000
"""Numbers in the terms of A(q) that are still formed."""
_FEW_PAIRS = 400
"""Pairs of which a program is quick whatever its conditions."""
_MOST_ROWS = 200
"""Conditions of a program whose basic solutions have few dual weights."""


@dataclass(frozen=True)
class Null:
    """Dual weights q ≥ 0 of sum 1 with A(q) = 0."""

    pairs: np.ndarray
    """Pairs of positive weight, shape [s, 2]."""
    values: np.ndarray
    """Their weights, shape [s]."""
    exact: tuple[Fraction, ...] | None
    """The weights that ``values`` were rounded from, for which A(q) = 0 exactly; None: to rounding."""

    def dense(self, shape: tuple[int, int]) -> np.ndarray:
        """Return q, shape [n, k]."""
        q = np.zeros(shape)
        q[tuple(self.pairs.T)] = self.values
        return q


def separates(X: np.ndarray, y: np.ndarray, W: np.ndarray) -> bool:
    """Whether every margin of W [k, d] is positive: by more than rounding, or else in exact arithmetic."""
    pairs = y[:, None] != np.arange(len(W))
    return all_positive(X, y, W, W, pairs, (product, accurate_product))


def all_positive(
    X: np.ndarray,
    y: np.ndarray,
    W: np.ndarray,
    exact: np.ndarray,
    pairs: np.ndarray,
    products: Sequence[Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = (product,),
) -> bool:
    """Whether the margins of some pairs are positive: by more than rounding, or else in exact arithmetic.

    Args:
        X: features, shape [n, d].
        y: class of each sample, shape [n].
        W: weights as floats, shape [k, d].
        exact: the weights that these are, or were rounded from, floats or fractions of shape [k, d].
        pairs: which pairs, shape [n, k].
        products: of floats, to be tried in turn; one alone where W was rounded, which it allows for.
    """
    if not np.isfinite(W).all() or not W.any():
        return False
    doubtful = pairs.copy()
    X_scaled, W_scaled = _balanced(X, W)
    for multiply in products:
        chosen = np.flatnonzero(doubtful.any(axis=1))
        if not len(chosen):
            return True
        logits, error = multiply(X_scaled[chosen], W_scaled.T)
        true = y[chosen]
        index = np.arange(len(chosen))
        margins = logits[index, true][:, None] - logits
        slack = 2 * (error[index, true][:, None] + error + _UNIT * np.abs(margins))
        if (pairs[chosen] & (margins < -slack)).any():
            return False
        doubtful[chosen] &= ~(margins > slack)
    left = np.argwhere(doubtful)
    if len(left) * X.shape[1] > _MOST_EXACT:
        return False
    return all(margin > 0 for margin in exact_margins(X, y, exact, left))


def _balanced(X: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return X and W with powers of two moved between their columns, so that products stay in range."""
    sizes = np.frexp(np.max(np.abs(W), axis=0))[1]
    sizes = np.where(W.any(axis=0), sizes, 0)
    with np.errstate(under="ignore"):
        scaled = np.ldexp(W, -sizes)
        exponents = np.frexp(X)[1] + sizes
        rows = np.where(X != 0, exponents, np.iinfo(exponents.dtype).min // 2).max(axis=1, keepdims=True)
        rows = np.where(X.any(axis=1, keepdims=True), rows, 0)
        return np.ldexp(X, sizes - rows), scaled


def relative_margins(X: np.ndarray, y: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return the margin of every pair relative to its terms, shape [n, k]; infinite at the true class."""
    X_scaled, W_scaled = _balanced(X, W)
    found = np.empty((len(y), len(W)))
    # Beside the weights of other classes those of two may leave the range of floats.
    alone = bool(W.any()) and float(np.abs(W_scaled).min(where=W != 0, initial=1.0)) < _NEARLY_LOST
    for true in range(len(W)):
        members = np.flatnonzero(y == true)
        if alone:
            for c in range(len(W)):
                found[members, c] = _relative(*_balanced(X[members], W[[true]] - W[[c]]))[:, 0]
        else:
            found[members] = _relative(X_scaled[members], W_scaled[true] - W_scaled)
    found[np.arange(len(y)), y] = np.inf
    return found


def _relative(X: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Return products of samples [n, d] and differences of weights [c, d] relative to their terms, [n, c]."""
    terms = np.abs(X) @ np.abs(differences).T
    return (X @ differences.T) / np.where(terms > 0, terms, 1.0)


def relative_residual(X: np.ndarray, y: np.ndarray, q: np.ndarray) -> float:
    """Return the largest entry of A(q), each relative to its terms, 0 of no terms; 1 for q = 0."""
    rows = np.flatnonzero(q.any(axis=1))
    classes = q.shape[1]
    pairs = np.argwhere(q[rows] > 0)
    if not len(pairs):
        return 1.0
    sizes = np.frexp(np.max(np.abs(X[rows]), axis=0))[1]
    scaled = np.ldexp(X[rows], -sizes)
    values = q[rows][tuple(pairs.T)]
    if classes * X.shape[1] * len(pairs) > _MOST_EXACT:
        # The sums are plain ones then, and need no matrix of all pairs.
        T = towards(q[rows], y[rows])
        left, terms = np.abs(T.T @ scaled), np.abs(T).T @ np.abs(scaled)
        return float(np.max(left / np.where(terms > 0, terms, 1.0), initial=0.0))
    A = pair_columns(scaled, y[rows], classes, pairs).tocsr()
    terms = abs(A) @ values
    left = np.abs(_accurate(A, values))
    return float(np.max(left / np.where(terms > 0, terms, 1.0), initial=0.0))


def _accurate(A, values: np.ndarray) -> np.ndarray:
    """Return A q for a sparse A, rounded once where the rows are few."""
    if A.shape[0] * A.shape[1] > _MOST_EXACT:
        return A @ values
    return accurate_product(A.toarray(), values[:, None])[0][:, 0]


def null_weights(
    X: np.ndarray,
    y: np.ndarray,
    classes: int,
    conditioned: Conditioned,
    pairs: np.ndarray,
    deadline: Deadline,
    guess: np.ndarray | None = None,
) -> Null | None:
    """Return dual weights of some of ``pairs`` with A(q) = 0: exactly where few are needed, else to rounding.

    Args:
        X: features, shape [n, d].
        y: class of each sample, shape [n].
        classes: number of classes.
        conditioned: the same features, conditioned.
        pairs: among which to look, shape [p, 2].
        deadline: when to stop.
        guess: dual weights of the pairs that are near some, shape [p], which save the program.
    """
    few = few_null_weights(X, y, classes, conditioned, pairs, deadline, guess)
    if few is not None:
        return few
    # Corrections of many pairs take a second, which may be more than is left.
    if guess is None or deadline.passed:
        return None
    return zero_to_rounding(X, y, classes, conditioned, pairs, guess)


def few_null_weights(
    X: np.ndarray,
    y: np.ndarray,
    classes: int,
    conditioned: Conditioned,
    pairs: np.ndarray,
    deadline: Deadline,
    guess: np.ndarray | None = None,
) -> Null | None:
    """The same of no more pairs than are needed: of many unknowns, of the two classes that a guess names."""
    unknowns = (classes - 1) * conditioned.features.shape[1]
    chosen = np.ones(len(pairs), dtype=bool)
    if unknowns >= _EXACT_SUPPORT and guess is not None:
        chosen = _of_two_classes(y, classes, pairs, guess)
    return _basic(X, y, classes, conditioned, pairs[chosen], deadline)


def _basic(
    X: np.ndarray,
    y: np.ndarray,
    classes: int,
    conditioned: Conditioned,
    pairs: np.ndarray,
    deadline: Deadline,
) -> Null | None:
    """Return dual weights of no more pairs than are needed, from a program over ``pairs``."""
    A = pair_columns(conditioned.features, y, classes, pairs).tocsr()
    # The rows of one class are minus the sum of the others.
    r = conditioned.features.shape[1]
    involved = np.unique(np.concatenate([y[pairs[:, 0]], pairs[:, 1]]))
    kept = np.isin(np.arange(classes * r) // r, involved[1:])
    if (np.count_nonzero(kept) > _MOST_ROWS and len(pairs) > _FEW_PAIRS) or A.nnz > _LARGEST_PROGRAM:
        return None
    q = basic_null_weights(A[kept], deadline)
    if q is None:
        return None
    positive = q > _NOTHING * q.max()
    basic = pairs[positive]
    if len(basic) <= _EXACT_SUPPORT:
        columns = pair_columns(X, y, classes, basic).toarray().reshape(classes, -1, len(basic))
        exact = exact_null_weights(columns[involved[1:]].reshape(-1, len(basic)))
        if exact is not None:
            return Null(basic, np.array([float(each) for each in exact]), tuple(exact))
    return zero_to_rounding(X, y, classes, conditioned, basic, q[positive])


def _of_two_classes(y: np.ndarray, classes: int, pairs: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Return which pairs are between the two classes that have most dual weight between them, shape [p]."""
    true, other = y[pairs[:, 0]], pairs[:, 1]
    between = np.zeros((classes, classes))
    np.add.at(between, (np.minimum(true, other), np.maximum(true, other)), guess)
    a, b = np.unravel_index(int(np.argmax(between)), between.shape)
    return ((true == a) & (other == b)) | ((true == b) & (other == a))


def zero_to_rounding(
    X: np.ndarray, y: np.ndarray, classes: int, conditioned: Conditioned, pairs: np.ndarray, q: np.ndarray
) -> Null | None:
    """Return dual weights near q, all positive, whose A(q) is rounding in every column, or None.

    ``q`` is of the conditioned features, what is returned of the original ones.

    That is judged in the columns of X and in those that conditioning leaves of them, where offsets are gone.
    """
    if not conditioned.sure or len(pairs) * classes * conditioned.features.shape[1] > _LARGEST_SYSTEM:
        return None
    r = conditioned.features.shape[1]
    A = pair_columns(conditioned.features, y, classes, pairs).toarray()
    values = q / q.sum()
    true, other = y[pairs[:, 0]], pairs[:, 1]
    for _ in range(_CORRECTIONS):
        terms = np.abs(A) @ values
        used = terms > 0
        sums = np.zeros(len(A))
        for c in range(classes):
            rows, members = slice(c * r, (c + 1) * r), (true == c) | (other == c)
            sums[rows] = accurate_product(A[rows, members], values[members, None])[0][:, 0]
        left = sums[used]
        if np.all(np.abs(left) <= ROUNDING * terms[used]):
            dense = np.zeros((len(y), classes))
            in_X = conditioned.dual(pairs[:, 0], values)
            dense[tuple(pairs.T)] = in_X
            if (in_X > 0).all() and relative_residual(X, y, dense) <= ROUNDING:
                return Null(pairs, in_X / in_X.sum(), None)
        # In units of each row's own terms, so that small columns are corrected as much as large ones.
        change = least_change(A[used] * values / terms[used, None])
        values = values * (1.0 - change)
        if (values <= 0).any():
            return None
        values = values / values.sum()
    return None
