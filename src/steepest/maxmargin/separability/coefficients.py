"""Which coefficients of a logistic regression run off to infinity, and in which direction.

The likelihood increases without end along weights W whose margins are never negative. A coefficient stays
finite if it is 0 in all such weights, which is so if and only if the margins of the overlapped pairs, all 0,
force it to (Albert and Anderson, Biometrika 71, 1984; Kosmidis and Schumacher, detectseparation).
"""

from __future__ import annotations

import numpy as np

from steepest.maxmargin.separability.conditioned import Conditioned
from steepest.maxmargin.separability.exact_program import Decided
from steepest.maxmargin.separability.program import pair_columns

__all__ = ["coefficients_at_infinity", "exact_coefficients"]

_OF_RANK = 1e-9
_ZERO = 1e-9
_MOST_UNKNOWNS = 2000
"""Of an eigenvalue problem that takes some seconds."""


def coefficients_at_infinity(
    y: np.ndarray, conditioned: Conditioned, V: np.ndarray, overlapped: np.ndarray
) -> np.ndarray | None:
    """Return 0 for finite coefficients, inf or -inf for those that run off along V, nan where undetermined.

    Args:
        y: class of each sample, shape [n].
        conditioned: the features, conditioned.
        V: weights of the conditioned features without negative margins, shape [k, r].
        overlapped: pairs whose margins are 0, shape [p, 2].

    Returns:
        Shape [k, d], relative to the first class, whose row is 0; None where it would take long.
    """
    k = len(V)
    found = np.full((k, conditioned.dimension), np.nan)
    found[0] = 0.0
    free = _free(y, k, conditioned, overlapped)
    if free is None:
        return None
    scale = conditioned.in_scaled_features(V - V[0])[1:]
    sizes = np.abs(scale).max(initial=0.0)
    signs = np.where(np.abs(scale) > _ZERO * sizes, np.sign(scale), 0.0)
    with np.errstate(invalid="ignore"):
        found[1:, conditioned.columns] = np.where(free, np.where(signs != 0, signs * np.inf, np.nan), 0.0)
    return found


def exact_coefficients(found: Decided) -> np.ndarray:
    """Return the same of a split that was found in rational arithmetic, shape [k, d].

    >>> from steepest.maxmargin.forms.candidate import Deadline
    >>> from steepest.maxmargin.separability.exact_program import decide_exactly
    >>> X = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 1.0], [2.0, 2.0, 1.0]])
    >>> exact_coefficients(decide_exactly(X, np.array([0, 0, 1]), 2, Deadline())).tolist()
    [[0.0, 0.0, 0.0], [inf, nan, -inf]]
    """
    W = found.weights
    signs = np.array([[(a > b) - (a < b) for a, b in zip(row, W[0], strict=True)] for row in W], dtype=float)
    free = found.free
    coefficients = np.full(signs.shape, np.nan)
    coefficients[:, found.columns] = np.where(free, np.nan, 0.0)[:, found.columns]
    coefficients[free & (signs > 0)], coefficients[free & (signs < 0)] = np.inf, -np.inf
    coefficients[0] = 0.0
    return coefficients


def _free(y: np.ndarray, k: int, conditioned: Conditioned, overlapped: np.ndarray) -> np.ndarray | None:
    """Return which coefficients margins of 0 at the overlapped pairs do not force to be 0, shape [k-1, r]."""
    r = conditioned.features.shape[1]
    unknowns = (k - 1) * r
    if not len(overlapped):
        return np.ones((k - 1, r), dtype=bool)
    if unknowns > _MOST_UNKNOWNS:
        return None
    A = pair_columns(conditioned.features, y, k, overlapped)[r:]
    sizes, vectors = np.linalg.eigh((A @ A.T).toarray())
    directions = vectors[:, sizes <= _OF_RANK * sizes[-1]].T.reshape(-1, k - 1, r)
    if not len(directions):
        return np.zeros((k - 1, r), dtype=bool)
    moves = np.sqrt(np.square(conditioned.in_scaled_features(directions)).sum(axis=0))
    return moves > _ZERO * moves.max()
