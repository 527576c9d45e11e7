"""Dual weights within their caps with A(q) = 0, as rational numbers or with a proof that they exist.

Those that a solver leaves give an A(q) of rounding. Near them are dual weights that give zero where those
that can move, move A(q) in every direction by more than what is left. Where they cannot, as at a vertex, they
are the solution of a few equations in rational numbers, if these have one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.certificates.products import accurate_product, product
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.relaxed.moves import Moves, moves_of
from steepest.maxmargin.separability.exact import exact_solution

__all__ = ["ExactDual", "corrected", "dense", "exact_dual", "solved_exactly", "surely_exist"]

ExactDual = dict[tuple[int, int], Fraction]
"""Positive dual weights by their pair."""

_UNIT = 2.0**-53
_ENOUGH = 0.5
"""Share of the room of every move that may be needed: far from the 1 at which the proof would fail."""
_CAPS_BELOW = 2.0**-50
"""Share by which caps are taken to be lower than they are as floats."""
_CORRECTIONS = 3
_RIDGE = 1e-15
_MOST_SUMS = 4000
"""Sums of a Cholesky factorisation of a few seconds."""
_MOST_ENTRIES = 40_000_000
_MOST_UNKNOWNS = 60
"""Of a system of equations in rational numbers that takes a second."""
_MOST_MOVES, _MOST_NUMBERS = 4000, 4_000_000
"""Moves, and numbers of the features, that are looked at for such a system."""
_OF_RANK = 1e-11
_AT_CAPS = (1e-6, -1.0)
"""How near to its cap a sample is taken to be at it: or else none is, where its cap allows for that."""


def dense(exact: ExactDual, shape: tuple[int, int]) -> np.ndarray:
    """Return rational dual weights as floats, shape [m, k]."""
    q = np.zeros(shape)
    for pair, each in exact.items():
        q[pair] = float(each)
    return q


def surely_exist(q: np.ndarray, y: np.ndarray, X: np.ndarray, caps: np.ndarray) -> bool:
    """Whether dual weights within their caps, of sum 1, with A(q) = 0 exactly are sure to be near q [m, k].

    Args:
        q: dual weights of sum 1 to rounding, 0 at the true class.
        y: labels, shape [m].
        X: features in which A(q) is to vanish, shape [m, d], none of which the others determine.
        caps: shape [m], to rounding.
    """
    k = q.shape[1]
    if not _are_few(q, X):
        return False
    caps = caps * (1.0 - _CAPS_BELOW)
    moves = moves_of(q, y, caps)
    if not len(moves.samples):
        return False
    held = np.flatnonzero(moves.tight)
    q = np.where(q > 0, q, 0.0)
    others = q[held].sum(axis=1) - q[held, moves.largest[held]]
    q[held, moves.largest[held]] = caps[held] - others
    if (q < 0).any():
        return False
    left, error = _left(q, y, X)
    gram = _gram(moves, X, k)
    scale = np.sqrt(np.diagonal(gram))
    nothing = scale == 0
    if (np.abs(left[nothing]) + error[nothing] > 0).any():
        return False
    used = ~nothing
    gram = gram[np.ix_(used, used)] / np.outer(scale[used], scale[used])
    # Changes of `room` times v, of the least v, which is no longer than this over the least singular value.
    size = float(np.linalg.norm((np.abs(left[used]) + error[used]) / scale[used]))
    count = len(gram)
    least = (size / _ENOUGH) ** 2 * (1 + 1e-6) + 8 * _UNIT * count * (count + q.size)
    if not least < 1.0:
        return False
    gram[np.diag_indices(count)] -= least
    try:
        scipy.linalg.cholesky(gram, lower=True, check_finite=False, overwrite_a=True)
    except np.linalg.LinAlgError:
        return False
    return True


def corrected(q: np.ndarray, y: np.ndarray, X: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """Return dual weights near q [m, k] of sum 1 whose A(q) is rounding, changed by the least shares of room.

    Those of samples at their caps keep their sums. Nothing changes where the sums are too many to solve for.

    Args:
        q: dual weights of sum 1 to rounding, 0 at the true class.
        y: labels, shape [m].
        X: features in which A(q) is to vanish, shape [m, d].
        caps: shape [m].
    """
    k, d = q.shape[1], X.shape[1]
    if not _are_few(q, X):
        return q
    for _ in range(_CORRECTIONS):
        moves = moves_of(q, y, caps)
        left, _ = _left(q, y, X)
        gram = _gram(moves, X, k)
        scale = np.sqrt(np.diagonal(gram))
        used = scale > 0
        if not used.any():
            return q
        gram = gram[np.ix_(used, used)] / np.outer(scale[used], scale[used])
        gram[np.diag_indices(len(gram))] += _RIDGE * len(gram)
        prices = np.zeros(len(left))
        prices[used] = scipy.linalg.solve(gram, left[used] / scale[used], assume_a="pos") / scale[used]
        scores = X @ np.append(prices[:-1], np.zeros(d)).reshape(k, d).T
        along = scores[moves.samples, moves.gains] - scores[moves.samples, moves.loses]
        changes = moves.room**2 * (along + prices[-1] * moves.grows)
        q = q.copy()
        np.subtract.at(q, (moves.samples, moves.loses), changes)
        shifted = ~moves.grows
        np.add.at(q, (moves.samples[shifted], moves.gains[shifted]), changes[shifted])
        q = np.maximum(q, 0.0)
    return q


def _are_few(q: np.ndarray, X: np.ndarray) -> bool:
    k = q.shape[1]
    return (k - 1) * X.shape[1] < _MOST_SUMS and max(X.size * (k - 1), len(q) * k * k) <= _MOST_ENTRIES


def _left(q: np.ndarray, y: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A(q) without its last row and Σq - 1, flat, and bounds on their rounding errors."""
    T = towards(q, y)
    roundings = (q.shape[1] + 4) * _UNIT * (np.abs(T).T @ np.abs(X))
    multiply = accurate_product if X.size * q.shape[1] <= _MOST_ENTRIES // 4 else product
    A, error = multiply(T.T, X)
    total = math.fsum(q.ravel().tolist()) - 1.0
    of_total = (q.shape[1] + 4) * _UNIT * float(q.sum())
    return np.append(A[:-1], total), np.append((error + roundings)[:-1], of_total)


def _gram(moves: Moves, X: np.ndarray, k: int) -> np.ndarray:
    """Return Σ room² a aᵀ over the moves' columns a of A(q) without its last row, and of the sum."""
    d = X.shape[1]
    squares = moves.room**2
    flows = np.zeros((len(X), k, k))
    np.add.at(flows, (moves.samples, moves.gains, moves.loses), squares)
    both = flows + flows.transpose(0, 2, 1)
    gram = np.zeros(((k - 1) * d + 1,) * 2)
    for a in range(k - 1):
        for b in range(a, k - 1):
            factor = both[:, a].sum(axis=1) if a == b else -both[:, a, b]
            block = (X * factor[:, None]).T @ X
            gram[a * d : (a + 1) * d, b * d : (b + 1) * d] = block
            gram[b * d : (b + 1) * d, a * d : (a + 1) * d] = block.T
    of_sum = np.zeros((len(X), k))
    grown = np.where(moves.grows, squares, 0.0)
    np.add.at(of_sum, (moves.samples, moves.gains), grown)
    np.subtract.at(of_sum, (moves.samples, moves.loses), grown)
    gram[-1, :-1] = gram[:-1, -1] = (of_sum.T @ X)[:-1].ravel()
    gram[-1, -1] = grown.sum()
    return gram


def exact_dual(
    q: np.ndarray, y: np.ndarray, X: np.ndarray, caps: Sequence[Fraction] | None
) -> ExactDual | None:
    """Return rational dual weights near q [m, k], within caps, of sum 1, with A(q) = 0, or None.

    Args:
        q: dual weights of sum 1 to rounding, 0 at the true class.
        y: labels, shape [m].
        X: features in which A(q) is to vanish, shape [m, d].
        caps: of the samples, exactly; None: no sample has one.

    >>> X, y = np.array([[1.0], [3.0], [-1.0]]), np.array([0, 1, 1])
    >>> q = np.array([[0.0, 0.5], [1e-17, 0.0], [0.5, 0.0]])
    >>> exact_dual(q, y, X, None) is None
    True
    >>> exact_dual(np.array([[0.0, 0.75], [0.25, 0.0], [0.0, 0.0]]), y, X, [Fraction(3, 4)] * 3)
    {(0, 1): Fraction(3, 4), (1, 0): Fraction(1, 4)}
    """
    if X.size * (q.shape[1] - 1) > _MOST_NUMBERS:
        return None
    whole = [[Fraction(each) for each in row] for row in X.tolist()]
    floats = None if caps is None else np.array([float(each) for each in caps])
    for tight in _AT_CAPS:
        moves = moves_of(q, y, floats, tight=tight)
        found = _moved(q, y, X, whole, caps, moves)
        if found is not None:
            return found
        if caps is None:
            return None
    return None


def _moved(
    q: np.ndarray,
    y: np.ndarray,
    X: np.ndarray,
    whole: list[list[Fraction]],
    caps: Sequence[Fraction] | None,
    moves: Moves,
) -> ExactDual | None:
    k = q.shape[1]
    values = _started(q, caps, moves)
    chosen = _basis(moves, X, k)
    if len(chosen.samples) > _MOST_UNKNOWNS:
        return None
    columns = chosen.columns(X, k)
    rows = _rows(columns)
    left = [entry for row in _exact_left(values, y, whole, k)[:-1] for entry in row]
    left.append(sum(values.values(), Fraction(0)) - 1)
    solved = exact_solution(columns[rows], [[-left[place] for place in rows]]) if len(rows) else [[]]
    if solved is None or len(rows) < len(chosen.samples):
        return None
    changes = solved[0]
    each_move = zip(
        chosen.samples.tolist(), chosen.gains.tolist(), chosen.loses.tolist(), changes, strict=True
    )
    for (i, gains, loses, change), grows in zip(each_move, chosen.grows.tolist(), strict=True):
        values[i, loses] += change
        if not grows:
            values[i, gains] -= change
    if min(values.values()) < 0 or not _within(values, caps) or sum(values.values()) != 1:
        return None
    if any(any(row) for row in _exact_left(values, y, whole, k)):
        return None
    return {pair: each for pair, each in values.items() if each}


def _started(q: np.ndarray, caps: Sequence[Fraction] | None, moves: Moves) -> ExactDual:
    """The dual weights as they are, those of samples at their caps of exactly that sum."""
    values = {(i, c): Fraction(float(q[i, c])) for i, c in np.argwhere(moves.support).tolist()}
    for i in np.flatnonzero(moves.tight).tolist():
        assert caps is not None
        largest = int(moves.largest[i])
        values[i, largest] = Fraction(0)
        values[i, largest] = caps[i] - sum(values.get((i, c), Fraction(0)) for c in range(q.shape[1]))
    return values


def _basis(moves: Moves, X: np.ndarray, k: int) -> Moves:
    """Moves that change A(q) and the sum of q in all ways in which moves can, those with most room first."""
    order = np.argsort(-moves.room, kind="stable")[:_MOST_MOVES]
    if not len(order) or not moves.room[order].any():
        return moves.taken(order[:0])
    sizes = np.maximum(np.max(np.abs(X), axis=0, initial=0.0), np.finfo(float).tiny)
    columns = moves.taken(order).columns(X / sizes, k) * moves.room[order]
    found: Any = scipy.linalg.qr(columns, mode="r", pivoting=True, check_finite=False)
    triangle, places = found[-2:]
    pivots = np.abs(np.diag(triangle))
    rank = int(np.count_nonzero(pivots > _OF_RANK * pivots.max(initial=0.0)))
    return moves.taken(order[places[:rank]])


def _rows(columns: np.ndarray) -> list[int]:
    """As many rows of the columns of some moves as determine how far to go, if there are."""
    if not columns.shape[1]:
        return []
    sizes = np.maximum(np.max(np.abs(columns), axis=1, keepdims=True), np.finfo(float).tiny)
    found: Any = scipy.linalg.qr((columns / sizes).T, mode="r", pivoting=True, check_finite=False)
    triangle, places = found[-2:]
    pivots = np.abs(np.diag(triangle))
    return places[: int(np.count_nonzero(pivots > _OF_RANK * pivots.max(initial=0.0)))].tolist()


def _exact_left(
    values: ExactDual, y: np.ndarray, whole: list[list[Fraction]], k: int
) -> list[list[Fraction]]:
    """Return A(q), shape [k][d]."""
    left = [[Fraction(0)] * len(row) for row in whole[:1] for _ in range(k)]
    for (i, c), weight in values.items():
        for j, entry in enumerate(whole[i]):
            if entry:
                term = weight * entry
                left[y[i]][j] += term
                left[c][j] -= term
    return left


def _within(values: ExactDual, caps: Sequence[Fraction] | None) -> bool:
    if caps is None:
        return True
    sums: dict[int, Fraction] = {}
    for (i, _), each in values.items():
        sums[i] = sums.get(i, Fraction(0)) + each
    return all(each <= caps[i] for i, each in sums.items())


def solved_exactly(system: list[list[Fraction]], unknowns: int) -> list[Fraction] | None:
    """Return the solution of equations with their right sides last; None where there is none, or several.

    >>> solved_exactly([[Fraction(2), Fraction(1)], [Fraction(4), Fraction(2)]], 1)
    [Fraction(1, 2)]
    """
    rows = [row for row in system if any(row)]
    solved: list[list[Fraction]] = []
    for column in range(unknowns):
        row = next((each for each in rows if each[column]), None)
        if row is None:
            return None
        rows.remove(row)
        row = [entry / row[column] for entry in row]
        rows = [_reduced(each, row, column) for each in rows]
        solved = [_reduced(each, row, column) for each in solved] + [row]
    if any(any(each) for each in rows):
        return None
    return [row[-1] for row in solved]


def _reduced(row: list[Fraction], pivot: list[Fraction], column: int) -> list[Fraction]:
    factor = row[column]
    return [a - factor * b for a, b in zip(row, pivot, strict=True)] if factor else row
