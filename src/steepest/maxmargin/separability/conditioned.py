"""The same question in features that a solver can tell apart: scaled, freed of offsets and of what repeats.

Weights separate X if and only if weights separate Z, where diag(ρ) Z U = X for positive ρ and a U of full row
rank. So rows and columns are scaled by powers of two, and where columns are nearly dependent (dates beside a
column of ones, codes of 1e16 for missing values) they are eliminated from each other in doubled precision:
what 1.7e9 + t and a column of ones have in common goes, and t keeps all its digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from steepest.doubled import two_sum
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.exponents import middle, row_and_column_exponents

__all__ = [
    "Conditioned",
    "condition",
    "conditionings",
    "doubled_product",
    "doubled_quotient",
    "eliminated",
]

_SWEEPS = 3
_HUGE = 20
"""Powers of two beyond the middle entry of a feature from which an entry dwarfs it."""
_WELL_CONDITIONED = 1e-4
"""Smallest ratio of pivots of a QR factorisation at which columns are left as they are."""
_INDEPENDENT = 2.0**-96
"""What is left of a column below this fraction of it is rounding, in doubled precision."""
_ROUNDING = 1e-13
"""The same where columns are too many for doubled precision."""
_MOST_OPERATIONS = 3e8
"""Of an elimination in doubled precision, which then takes some ten seconds."""
_SECONDS = 3e-8
"""That one of these takes."""
_NEVER = Deadline()
_DOUBLED = 2.0**-98
"""Relative rounding error of sums in doubled precision, with room for many."""
_SPLIT = 2.0**27 + 1.0

_Exponents = tuple[np.ndarray, np.ndarray]
"""Of rows and of columns."""


@dataclass(frozen=True)
class Conditioned:
    """Features Z whose rows are positive multiples of those of X T, and the way back."""

    features: np.ndarray
    """Z, shape [n, r], with entries of at most 1 in size."""
    columns: np.ndarray
    """The features of X that none of those before them determine, ascending, shape [r]."""
    exponents: np.ndarray
    """The powers of two that these are multiplied by, shape [r]."""
    rows: np.ndarray
    """The powers of two that rows were divided by, shape [n]."""
    upper: np.ndarray | None
    """Triangular U, shape [r, r], with the scaled features equal to rows of Z times U; None: the identity."""
    pivots: np.ndarray | None
    """The samples at which the rows of Z are triangular, shape [r]; None where ``upper`` is."""
    dimension: int
    """Features of X, d."""
    sure: bool = True
    """Whether features were told to be dependent to more digits than a float64 has."""
    error: float = 0.0
    """By how much entries of Z may be off: nothing where only powers of two are taken out."""

    def weights(self, V: np.ndarray) -> np.ndarray:
        """Return W [k, d] whose margins in X have the signs of those of V [k, r] in Z, but for rounding."""
        scaled = self.in_scaled_features(V)
        _, sizes = np.frexp(scaled)
        exponents = sizes + self.exponents
        used = scaled != 0
        # Weights of any size are as good: these are kept within the range of floats.
        middle = (int(exponents[used].max()) + int(exponents[used].min())) // 2 if used.any() else 0
        W = np.zeros((len(V), self.dimension))
        with np.errstate(under="ignore", over="ignore"):
            W[:, self.columns] = np.ldexp(scaled, self.exponents - (middle if abs(middle) > 500 else 0))
        return W

    def dual(self, samples: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Return dual weights in X for dual weights q [s, ...] in Z of some samples [s]: rows differ."""
        rows = self.rows[samples].reshape(-1, *[1] * (q.ndim - 1))
        with np.errstate(under="ignore"):
            return np.ldexp(q, rows.min(initial=0) - rows)

    def in_scaled_features(self, V: np.ndarray) -> np.ndarray:
        """Return weights [..., r] of the scaled features that V [..., r] in Z stands for."""
        if self.upper is None:
            return V
        flat = V.reshape(-1, V.shape[-1]).T
        return scipy.linalg.solve_triangular(self.upper, flat, check_finite=False).T.reshape(V.shape)


def condition(
    X: np.ndarray, by_largest: Any = None, deadline: Deadline = _NEVER, known: _Exponents | None = None
) -> Conditioned:
    """Return the features X [n, d] conditioned; rows of zeros stay what they are.

    Args:
        X: features.
        by_largest: which features are brought to 1 by their largest entry instead of their middle one, shape
            [d]: a code of 1e16 for what is missing, in samples of several classes, leaves room for tiny
            weights alone, so that all other entries of such a feature are as good as 0. None: no feature.
        deadline: an elimination that would end after it is not begun.
        known: exponents of rows and columns, where they are.

    >>> dates = np.array([[1.7e9, 1.0], [1.7e9 + 1, 1.0], [1.7e9 + 2, 1.0]])
    >>> Z = condition(dates).features
    >>> bool(np.linalg.cond(Z) < 10)
    True
    """
    used = np.flatnonzero(X.any(axis=0))
    if not len(used):
        nothing = np.zeros(0, dtype=int)
        return Conditioned(
            np.zeros((len(X), 0)), used, nothing, np.zeros(len(X), dtype=int), None, None, X.shape[1]
        )
    first, base = row_and_column_exponents(X) if known is None else known
    largest = None if by_largest is None else by_largest[used]
    Z, exponents, rows = _equilibrated(X[:, used], largest, (first, base[used]))
    as_they_are = Conditioned(Z, used, exponents, rows, None, None, X.shape[1])
    if _surely_well_conditioned(Z):
        return as_they_are
    factored: Any = scipy.linalg.qr(Z, mode="r", pivoting=True, check_finite=False)
    triangle, order = factored
    pivots = np.abs(np.diag(triangle))
    if len(pivots) == len(used) and pivots.min() >= _WELL_CONDITIONED * pivots.max():
        return as_they_are
    n, d = Z.shape
    operations = float(n) * d * min(n, d)
    if operations > _MOST_OPERATIONS or operations * _SECONDS > deadline.remaining:
        kept = np.sort(order[: int(np.count_nonzero(pivots > _ROUNDING * pivots.max()))])
        return Conditioned(Z[:, kept], used[kept], exponents[kept], rows, None, None, X.shape[1], sure=False)
    lower, upper, chosen, pivots, left = eliminated(Z)
    sizes = np.frexp(np.max(np.abs(lower), axis=1))[1]
    features = np.ldexp(lower, -sizes[:, None])
    # Of twice 53 digits those are left that did not cancel, and a row brought to 1 brings its error up.
    error = _DOUBLED / left * 2.0 ** -float(sizes[Z.any(axis=1)].min())
    return Conditioned(
        features, used[chosen], exponents[chosen], rows + sizes, upper, pivots, X.shape[1], error=error
    )


def _surely_well_conditioned(Z: np.ndarray) -> bool:
    """Whether squares, which take a fraction of the time of a QR factorisation, show its pivots to be alike.

    The least pivot is no less than the least singular value, the largest no more than the largest.
    """
    if len(Z) < Z.shape[1]:
        return False
    squares = np.linalg.eigvalsh(Z.T @ Z)
    return bool(squares[0] >= (2 * _WELL_CONDITIONED) ** 2 * squares[-1])


def conditionings(X: np.ndarray, y: np.ndarray, deadline: Deadline = _NEVER) -> Iterator[Conditioned]:
    """Yield the features X [n, d] conditioned, and where some entries dwarf the others in other ways too.

    First those features are brought to 1 by their largest entry whose huge entries are in samples of several
    of the classes y [n], then all that have huge entries, then none.
    """
    exponents = row_and_column_exponents(X)
    huge = _huge(X, exponents)
    columns = huge.any(axis=0)
    if not columns.any():
        yield condition(X, None, deadline, exponents)
        return
    several = np.array([len(np.unique(y[huge[:, j]])) > 1 for j in range(X.shape[1])])
    yield condition(X, several, deadline, exponents)
    if (several != columns).any():
        yield condition(X, columns, deadline, exponents)
    if several.any():
        yield condition(X, None, deadline, exponents)


def _huge(X: np.ndarray, exponents: _Exponents) -> np.ndarray:
    """Return which entries are far beyond the middle one of their feature, shape [n, d]."""
    rows, columns = exponents
    used = X != 0
    sizes = np.frexp(X)[1] - columns - rows[:, None]
    return used & (sizes > middle(sizes, used, axis=0) + _HUGE)


def _equilibrated(
    X: np.ndarray, by_largest: Any, known: _Exponents
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X with rows and columns multiplied by powers of two, the columns' exponents and the rows'.

    The middle entry of a column comes near 1, not its largest: a code of 1e16 for what is missing would hide
    all others. The largest entry of a row does.
    """
    used = X != 0
    first, base = known
    sizes = np.frexp(X)[1] - base - first[:, None]
    rows, columns = np.zeros((len(X), 1), dtype=sizes.dtype), np.zeros_like(base)
    for _ in range(_SWEEPS):
        columns = middle(sizes - rows, used, axis=0)
        if by_largest is not None:
            columns = np.where(by_largest, _largest(sizes - rows, used, axis=0), columns)
        before, rows = rows, _largest(sizes - columns, used, axis=1)[:, None]
        if (rows == before).all():
            break
    rows, columns = rows[:, 0] + first, columns + base
    with np.errstate(under="ignore"):
        return np.ldexp(X, -(rows[:, None] + columns)), -columns, rows


def _largest(values: np.ndarray, used: np.ndarray, axis: int) -> np.ndarray:
    """Return the largest of the used integers along an axis, 0 where there are none."""
    found = np.where(used, values, np.iinfo(values.dtype).min).max(axis=axis)
    return np.where(used.any(axis=axis), found, 0)


def eliminated(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Return (L, U, columns, rows, left), X[:, columns] = L U: Gaussian elimination, columns in their order.

    Every step runs in doubled precision, so that what is left of two columns that agree in ten digits still
    has more digits than a float64. ``left`` is the least share of a chosen column that is left of it.
    """
    least = 1.0
    high, low = X.copy(), np.zeros_like(X)
    sizes = np.max(np.abs(X), axis=0)
    chosen: list[int] = []
    rows: list[int] = []
    multiples: list[np.ndarray] = []
    pieces: list[np.ndarray] = []
    for column in range(X.shape[1]):
        row = int(np.argmax(np.abs(high[:, column])))
        pivot = high[row, column], low[row, column]
        if len(chosen) == len(X) or abs(pivot[0]) <= _INDEPENDENT * sizes[column]:
            continue
        chosen.append(column)
        least = min(least, float(abs(pivot[0]) / sizes[column]))
        rows.append(row)
        pieces.append(high[:, column] / pivot[0])
        multiples.append(np.append(np.zeros(column), high[row, column:]))
        others = slice(column + 1, X.shape[1])
        ratio, rest = doubled_quotient(high[row, others], low[row, others], *pivot)
        product, error = doubled_product(high[:, column, None], low[:, column, None], ratio, rest)
        total, lost = two_sum(high[:, others], -product)
        high[:, others], low[:, others] = two_sum(total, lost + (low[:, others] - error))
        high[row, others] = low[row, others] = 0.0
    columns = np.array(chosen)
    return np.stack(pieces, axis=1), np.array(multiples)[:, columns], columns, np.array(rows), least


def doubled_product(
    a: np.ndarray, a_low: np.ndarray, b: np.ndarray, b_low: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (a + a_low) (b + b_low) as two numbers."""
    product = a * b
    a_head, b_head = _SPLIT * a, _SPLIT * b
    a_head, b_head = a_head - (a_head - a), b_head - (b_head - b)
    a_tail, b_tail = a - a_head, b - b_head
    error = a_tail * b_tail - (((product - a_head * b_head) - a_tail * b_head) - a_head * b_tail)
    return product, error + (a * b_low + a_low * b)


def doubled_quotient(
    a: np.ndarray, a_low: np.ndarray, b: float, b_low: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return (a + a_low) / (b + b_low) as two numbers."""
    ratio = a / b
    product, error = doubled_product(ratio, np.zeros_like(ratio), np.asarray(b), np.asarray(b_low))
    return ratio, ((a - product) - error + a_low) / b
