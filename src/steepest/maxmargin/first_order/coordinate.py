"""Frobenius max margins by dual coordinate ascent, a sample at a time, in compiled loops.

Scaled so that the smallest margin is 1, the dual is max_{α ≥ 0} Σ α - ½‖A(α)‖_F², and W = A(α). The α of a
sample are solved for exactly while the others stand still, as Keerthi et al. do for the machine of Crammer
and Singer (KDD 2008), here without slack and with both bounds beside. Where features are many, logits are
kept up to date through the Gram matrix, so that a sample whose α do not change costs k operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np

from steepest.capabilities import Capability
from steepest.compilation import compiled_and_kept
from steepest.maxmargin.first_order.support import may_last, solved_on_support
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import towards

__all__ = ["DUAL_ASCENT", "DualAscent", "coordinate_ascent"]

DualAscent = Callable[
    [np.ndarray, np.ndarray, int, float, Deadline, float], tuple[np.ndarray, np.ndarray, int]
]
"""Weights, dual weights and sweeps from X, y, the number of classes, gap, deadline and pace."""

DUAL_ASCENT: Capability[DualAscent] = Capability(
    "ascent in the dual", "A dual problem that is solved exactly for one sample while the others stand still."
)

_SWEEPS_BETWEEN = 4
"""Sweeps between two looks at the bounds, which cost about as much as one."""
_NEWTON_STEPS = 50
"""Far more than the number of classes that a step passes in practice."""
_SEED = 88172645463325252
"""Where the order of samples starts: the seed of Marsaglia's example (J. Stat. Softw. 8, 2003)."""
_FAR = 1.5
"""Margin, where the smallest is to be 1, above which a sample without dual weight is seldom looked at."""

_plain = numba.njit(nogil=True, error_model="numpy")


class Samples(NamedTuple):
    """What stays the same: features, classes, the Gram matrix or nothing, and squared lengths."""

    X: np.ndarray
    y: np.ndarray
    gram: np.ndarray
    squares: np.ndarray


class Ascent(NamedTuple):
    """What sweeps change: α [n, k], T [n, k] of A(α) = Tᵀ X, W [k, d], logits [k, n], order and its state."""

    alpha: np.ndarray
    T: np.ndarray
    W: np.ndarray
    logits: np.ndarray
    order: np.ndarray
    random: np.ndarray


def coordinate_ascent(
    X: np.ndarray, y: np.ndarray, classes: int, gap: float, deadline: Deadline, pace: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Weights [k, d], dual weights [n, k] of a relative gap of about ``gap``, and the sweeps they took.

    Args:
        X: features of size about 1, shape [n, d].
        y: class of each sample, shape [n], int64.
        classes: number of classes k.
        gap: relative gap to stop at.
        deadline: when to stop with what there is.
        pace: sweeps that a digit of the gap may cost; once behind this by two digits the method gives up.
    """
    n, d = X.shape
    by_gram = n <= 2 * d
    gram = X @ X.T if by_gram else np.zeros((0, 0))
    squares = np.diagonal(gram).copy() if by_gram else np.einsum("ij,ij->i", X, X)
    samples = Samples(X, y, gram, squares)
    ascent = Ascent(
        np.zeros((n, classes)),
        np.zeros((n, classes)),
        np.zeros((classes, d)),
        np.zeros((classes, n)),
        np.arange(n),
        np.array([_SEED], dtype=np.uint64),
    )
    alpha, T = ascent.alpha, ascent.T
    before, tried, sweeps = alpha > 0.0, None, 0
    while True:
        _sweep(samples, ascent, by_gram, _SWEEPS_BETWEEN)
        sweeps += _SWEEPS_BETWEEN
        reached = _gap(samples, ascent, by_gram)
        deadline.tell("coordinate ascent", sweeps, reached)
        if not reached > gap or deadline.passed or reached > 10.0 ** (2.0 - sweeps / pace):
            return T.T @ X, alpha, sweeps
        positive = alpha > 0.0
        if may_last(positive, before) and (tried is None or (positive != tried).any()):
            tried = positive
            solved = _on_support(samples, positive)
            if solved is not None:
                T_solved = towards(solved, y)
                other = ascent._replace(
                    alpha=solved, T=T_solved, logits=np.empty_like(ascent.logits), W=np.empty_like(ascent.W)
                )
                reached = _gap(samples, other, by_gram)
                if not reached > gap:
                    return T_solved.T @ X, solved, sweeps
        before = positive


def _gap(samples: Samples, ascent: Ascent, by_gram: bool) -> float:
    """The relative gap of α, 0 where nothing has weight; W and logits are made afresh."""
    (X, y, gram, _), (alpha, T, W, logits) = samples, ascent[:4]
    # Made afresh, so that updates leave no rounding behind.
    if by_gram:
        np.matmul(T.T, gram, out=logits)
        length = math.sqrt(max(0.0, float(np.sum(T.T * logits))))
    else:
        np.matmul(T.T, X, out=W)
        np.matmul(W, X.T, out=logits)
        length = float(np.linalg.norm(W))
    index = np.arange(len(y))
    margins = logits[y, index] - logits
    margins[y, index] = math.inf
    # Σ α min(M) / ‖W‖² is the lower bound over the upper one.
    return 1.0 - float(margins.min()) * float(alpha.sum()) / length**2 if length > 0.0 else 0.0


def _on_support(samples: Samples, positive: np.ndarray) -> np.ndarray | None:
    """Dual weights at which all pairs of positive ones have margin 1, or None."""
    i, c = np.nonzero(positive)
    X, gram = samples.X, samples.gram
    products = gram[np.ix_(i, i)] if len(gram) else X[i] @ X[i].T
    return solved_on_support(products, i, c, samples.y, (positive.shape[0], positive.shape[1]))


@_plain
def _add_multiple(target, c, factor, A, i):
    if factor == 0.0:
        return
    for j in range(target.shape[1]):
        target[c, j] += factor * A[i, j]


@_plain
def _dot(A, i, B, j):
    # Lanes of their own, as in compiled.py.
    size = A.shape[1]
    whole = size - size % 4
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for column in range(0, whole, 4):
        a += A[i, column] * B[j, column]
        b += A[i, column + 1] * B[j, column + 1]
        c += A[i, column + 2] * B[j, column + 2]
        d += A[i, column + 3] * B[j, column + 3]
    for column in range(whole, size):
        a += A[i, column] * B[j, column]
    return (a + b) + (c + d)


@_plain
def _shift(wanted, true, total):
    """Return the s with s = Σ_{c ≠ y} max(0, wanted_c - s) - total: Newton's method on a convex function."""
    s = 0.0
    for _ in range(_NEWTON_STEPS):
        value, slope = -total - s, -1.0
        for c in range(wanted.shape[0]):
            if c != true and wanted[c] > s:
                value += wanted[c] - s
                slope -= 1.0
        new = s - value / slope
        if abs(new - s) <= 1e-16 * abs(new) or new == s:
            return new
        s = new
    return s


@_plain
def _shuffle(order, random):
    state = random[0]
    for place in range(order.shape[0] - 1, 0, -1):
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        other = np.int64(state % np.uint64(place + 1))
        order[place], order[other] = order[other], order[place]
    random[0] = state


@_plain
def _is_idle(i, true, alpha, logits):
    """Whether a sample has no dual weight and, as last seen, stands far from the boundary."""
    for c in range(alpha.shape[1]):
        if alpha[i, c] != 0.0 or (c != true and logits[true, i] - logits[c, i] <= _FAR):
            return False
    return True


@_plain
def _solve_sample(i, true, square, alpha, logits, wanted, change):
    """Set the α of sample i to their optimum, write the changes of its row of -T, say if there are any."""
    k = alpha.shape[1]
    total = 0.0
    for c in range(k):
        total += alpha[i, c]
        wanted[c] = alpha[i, c] + (1.0 - (logits[true, i] - logits[c, i])) / square
    s = _shift(wanted, true, total)
    moved, changed = 0.0, False
    for c in range(k):
        if c != true:
            new = max(0.0, wanted[c] - s)
            change[c] = new - alpha[i, c]
            changed = changed or change[c] != 0.0
            moved += change[c]
            alpha[i, c] = new
    change[true] = -moved
    return changed


@compiled_and_kept
def _sweep(samples, ascent, by_gram, sweeps):
    """Go through the samples in random order, ``sweeps`` times; alpha, logits or W, and T change in place."""
    # Taken out of the tuples once: every access counts references, which costs as much as the arithmetic.
    X, y, gram, squares = samples
    alpha, T, W, logits, order, random = ascent
    n, k = alpha.shape
    wanted, change = np.empty(k), np.empty(k)
    for sweep in range(sweeps):
        _shuffle(order, random)
        for place in range(n):
            i = order[place]
            true, square = y[i], squares[i]
            if square == 0.0:
                continue
            if not by_gram:
                if sweep > 0 and _is_idle(i, true, alpha, logits):
                    continue
                for c in range(k):
                    logits[c, i] = _dot(W, c, X, i)
            if _solve_sample(i, true, square, alpha, logits, wanted, change):
                for c in range(k):
                    if by_gram:
                        _add_multiple(logits, c, -change[c], gram, i)
                    else:
                        _add_multiple(W, c, -change[c], X, i)
    for i in range(n):
        total = 0.0
        for c in range(k):
            total += alpha[i, c]
            T[i, c] = -alpha[i, c]
        T[i, y[i]] = total
