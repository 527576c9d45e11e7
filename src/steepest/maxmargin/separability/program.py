"""The linear program that splits pairs into those that weights can tell apart and those that they cannot.

    maximise Σ s_ic   subject to   (e_{y_i} - e_c)ᵀ V z_i ≥ s_ic,   0 ≤ s_ic ≤ 1

Weights may be of any size, so at the optimum s_ic is 1 where some weights with no negative margin give the
pair a positive one, and 0 where none do; and the multipliers q of the margins are at least 1 at every pair of
the second kind, 0 at the others, and satisfy A(q) = 0 (Konis, "Linear programming algorithms for detecting
separated data in binary logistic regression models", 2007, for two classes; the certificates are those of
Gordan's theorem).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from steepest.maxmargin.forms.candidate import Deadline

__all__ = ["Split", "basic_null_weights", "pair_columns", "raised", "split_pairs"]

_FIRST_PAIRS = 2000
_SECONDS = 5e-7
"""That an entry of the program takes before anything is solved: where no time is left for that, none is."""
_MOST_ENTRIES = 20_000_000
_APART = 0.5
_FEASIBLE = 1e-9


@dataclass(frozen=True)
class Split:
    """Weights of no negative margin, and the pairs to which no such weights give a positive one."""

    weights: np.ndarray
    """V, shape [k, r]."""
    inseparable: np.ndarray
    """Pairs whose margin is 0 for all weights without negative margins, shape [p, 2]."""
    multipliers: np.ndarray
    """q of these pairs, at least 1 each, shape [p]; A(q) = 0 to the solver's accuracy."""


def pair_columns(Z: np.ndarray, y: np.ndarray, classes: int, pairs: np.ndarray) -> sparse.csc_array:
    """Return the matrix [k r, p] that maps dual weights of pairs to A(q), flattened row by row."""
    i, c = pairs.T
    p, r = len(pairs), Z.shape[1]
    places = np.concatenate([y[i][:, None] * r + np.arange(r), c[:, None] * r + np.arange(r)], axis=1)
    values = np.concatenate([Z[i], -Z[i]], axis=1)
    starts = np.arange(p + 1) * 2 * r
    matrix = sparse.csc_array((values.ravel(), places.ravel(), starts), shape=(classes * r, p))
    matrix.eliminate_zeros()
    return matrix


def split_pairs(Z: np.ndarray, y: np.ndarray, classes: int, deadline: Deadline) -> Split | None:
    """Return the split of all pairs, or None where it would be too large or took too long.

    Pairs enter the program where weights that do without them give them no positive margin.
    """
    n, r = Z.shape
    chosen = _first_pairs(y, classes)
    while True:
        pairs = np.argwhere(chosen)
        entries = len(pairs) * 2 * r
        if entries > _MOST_ENTRIES or entries * _SECONDS > deadline.remaining:
            return None
        solved = _solve(pair_columns(Z, y, classes, pairs), classes, r, deadline)
        if solved is None:
            return None
        V, levels, multipliers = solved
        logits = Z @ V.T
        margins = logits[np.arange(n), y][:, None] - logits
        margins[np.arange(n), y] = np.inf
        missed = ~chosen & (margins < _APART)
        if not missed.any():
            zero = levels < _APART
            return Split(V, pairs[zero], np.maximum(multipliers[zero], 0.0))
        chosen |= (
            missed
            if missed.sum() <= chosen.sum()
            else missed & (margins <= _smallest(margins, missed, chosen))
        )


def _first_pairs(y: np.ndarray, classes: int) -> np.ndarray:
    pairs = y[:, None] != np.arange(classes)
    share = _FIRST_PAIRS / (len(y) * (classes - 1))
    return pairs & (np.random.default_rng(0).random(pairs.shape) < share)


def _smallest(margins: np.ndarray, missed: np.ndarray, chosen: np.ndarray) -> float:
    """Return the margin up to which as many pairs are missed as are chosen already."""
    count = max(1, int(chosen.sum()))
    values = margins[missed]
    return float(np.partition(values, count - 1)[count - 1])


def _solve(
    A: Any, classes: int, r: int, deadline: Deadline
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return V [k, r], the levels s [p] and the multipliers q [p] of the program over some pairs."""
    free = (classes - 1) * r
    # A common shift of all classes changes no margin: the last class stays at the origin.
    found = raised(sparse.csr_array(A[:free]).T, deadline)
    if found is None:
        return None
    V = np.concatenate([found[0].reshape(classes - 1, r), np.zeros((1, r))])
    return V, *found[1:]


def raised(margins: Any, deadline: Deadline) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return weights v [u], levels s [p] and multipliers q [p] of max Σ s, ``margins`` v ≥ s, 0 ≤ s ≤ 1.

    None where that takes too long. ``margins`` are a matrix, dense or sparse, of shape [p, u].

    >>> _, levels, q = raised(np.array([[1.0], [-1.0]]), Deadline())
    >>> bool(levels.round().any()), bool((q >= 1).all())
    (False, True)
    """
    p, free = margins.shape
    constraints: Any = sparse.hstack([-sparse.csr_array(margins), sparse.eye_array(p)], format="csr")
    objective = np.concatenate([np.zeros(free), -np.ones(p)])
    bounds = np.zeros((free + p, 2))
    bounds[:free], bounds[free:] = (-np.inf, np.inf), (0.0, 1.0)
    options: dict[str, Any] = {
        "primal_feasibility_tolerance": _FEASIBLE,
        "dual_feasibility_tolerance": _FEASIBLE,
    }
    if np.isfinite(deadline.at):
        options["time_limit"] = deadline.remaining
    found = scipy.optimize.linprog(
        objective, A_ub=constraints, b_ub=np.zeros(p), bounds=bounds, method="highs", options=options
    )
    if found.x is None or found.status != 0:
        return None
    return found.x[:free], found.x[free:], -found.ineqlin.marginals


def basic_null_weights(A: Any, deadline: Deadline) -> np.ndarray | None:
    """Return a basic q ≥ 0 of sum 1 with A q = 0, shape [p]: few of its entries are positive."""
    m, p = A.shape
    equalities = sparse.vstack([sparse.csr_array(A), sparse.csr_array(np.ones((1, p)))], format="csr")
    options: dict[str, Any] = {"primal_feasibility_tolerance": _FEASIBLE}
    if np.isfinite(deadline.at):
        options["time_limit"] = deadline.remaining
    found = scipy.optimize.linprog(
        np.zeros(p), A_eq=equalities, b_eq=np.append(np.zeros(m), 1.0), method="highs-ds", options=options
    )
    return np.maximum(found.x, 0.0) if found.x is not None and found.status == 0 else None
