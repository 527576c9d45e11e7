"""The least sum of squares by which margins miss 1: it decides where programs over all pairs are too large.

    minimise ½ Σ_ic s_ic²   over V,   s_ic = max(0, 1 - (e_{y_i} - e_c)ᵀ V z_i)

There always is a minimum, where A(s) = 0: either s = 0 and V separates, or s are dual weights that show that
nothing does. Unlike the likelihood's probabilities, s is 0 where pairs can be told apart, so that features
which few samples have send nothing to infinity. Newton's method ends after finitely many steps (Mangasarian,
"A finite Newton method for classification", Optimization Methods and Software 17, 2002).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.separability.pair_squares import Blocks, PairSquares

__all__ = ["Squares", "fit_squares", "fits_of_parts"]

_MOST_STEPS = 100
_MOST_GRADIENTS = 200
_MANY_GRADIENTS = 20
"""Steps of conjugate gradients after which the preconditioner is made anew."""
_SHARE = 1e-3
"""Of the gradient, that a Newton step leaves."""
_CONVERGED = 1e-9
"""Entries of A(s), relative to its terms, that corrections of the dual weights take away."""
_MOST_SEARCHES = 30
_STAGNATED = 1e-14
_PAIRS_PER_UNKNOWN = 32
"""Of a part: labels drawn at random cannot be told apart from two on, noisy ones from some dozens."""
_GROWTH = 3


@dataclass(frozen=True)
class Squares:
    """Where Newton's method ended."""

    weights: np.ndarray
    """V, shape [k, r]."""
    dual: np.ndarray
    """s, shape [n, k]."""
    separating: bool
    """Whether all margins of V are positive, to rounding."""
    converged: bool
    """Whether A(s) is zero but for what corrections take away, or cannot be made smaller."""


def fit_squares(Z: np.ndarray, y: np.ndarray, classes: int, deadline: Deadline) -> Squares | None:
    """Return the minimum, or weights of positive margins on the way there; None out of time.

    Args:
        Z: conditioned features, shape [n, r].
        y: class of each sample, shape [n].
        classes: number of classes k.
        deadline: when to give up.

    >>> found = fit_squares(np.array([[1.0], [2.0], [-1.0]]), np.array([0, 0, 1]), 2, Deadline())
    >>> found.separating
    True
    >>> found = fit_squares(np.array([[1.0], [2.0], [-1.0]]), np.array([0, 1, 1]), 2, Deadline())
    >>> found.converged, found.dual.round(3).tolist()
    (True, [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    """
    n, r = Z.shape
    lengths = np.linalg.norm(Z, axis=0) / np.sqrt(n)
    V, margins = np.zeros((classes, r)), np.zeros((n, classes))
    s, loss = _missed(margins, y)
    Q = Z / lengths
    blocks: Blocks | None = None
    for step in range(_MOST_STEPS):
        T = towards(s, y)
        gradient, terms = T.T @ Q, np.abs(T).T @ np.abs(Q)
        left = float(np.max(np.abs(gradient) / np.where(terms > 0, terms, 1.0)))
        separating = step > 0 and bool((s < 1.0).all())
        if separating or left <= _CONVERGED:
            return Squares(V / lengths, s, separating, left <= _CONVERGED)
        squares = PairSquares.of(Q, y, (s > 0).astype(float))
        if deadline.passed:
            return None
        if blocks is None:
            blocks = Blocks.of(squares)
        change, taken = squares.solved(gradient, blocks, _SHARE, _MOST_GRADIENTS, deadline)
        blocks = blocks if taken <= _MANY_GRADIENTS else None
        logits = Q @ change.T
        slopes = logits[np.arange(n), y][:, None] - logits
        size = _step(margins, slopes, y)
        V, margins = V + size * change, margins + size * slopes
        before = loss
        s, loss = _missed(margins, y)
        if loss >= before * (1.0 - _STAGNATED):
            return Squares(V / lengths, s, False, True)
    return None


def fits_of_parts(
    Z: np.ndarray, y: np.ndarray, classes: int, guess: np.ndarray | None, deadline: Deadline
) -> Iterator[tuple[np.ndarray, Squares]]:
    """Yield growing parts of the samples [m], and the minimum over each: what none separates shows it of all.

    Those of largest dual weight in a guess [n, k] come first.
    """
    n, r = Z.shape
    weight = np.zeros(n) if guess is None else guess.sum(axis=1)
    # Among samples of equal weight, at random, for the sake of data that is sorted by class.
    order = np.lexsort((np.random.default_rng(0).random(n), -weight))
    count = _PAIRS_PER_UNKNOWN * r
    while True:
        part = np.sort(order[:count]) if count < n else np.arange(n)
        found = fit_squares(Z if count >= n else Z[part], y[part], classes, deadline)
        if found is None:
            return
        yield part, found
        if count >= n:
            return
        count *= _GROWTH


def _missed(margins: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return by how much margins [n, k] miss 1, 0 at the true class, and half the sum of squares."""
    s = np.maximum(1.0 - margins, 0.0)
    s[np.arange(len(y)), y] = 0.0
    return s, 0.5 * float(np.vdot(s, s))


def _step(margins: np.ndarray, slopes: np.ndarray, y: np.ndarray) -> float:
    """Return how far along a direction the sum of squares is least: Newton's method between two bounds."""
    low, high, size = 0.0, np.inf, 1.0
    first = 0.0
    for search in range(_MOST_SEARCHES):
        s, _ = _missed(margins + size * slopes, y)
        slope = -float(np.vdot(s, slopes))
        if search == 0:
            first = abs(float(np.vdot(_missed(margins, y)[0], slopes)))
        if abs(slope) <= 1e-10 * first:
            break
        low, high = (size, high) if slope < 0 else (low, size)
        curvature = float(np.vdot(slopes * (s > 0), slopes))
        size = size - slope / curvature if curvature > 0 else low
        if not low < size < high:
            size = 2.0 * low if high == np.inf else 0.5 * (low + high)
    return size
