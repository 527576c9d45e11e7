"""Which coefficients of a logistic regression run off to infinity, and in which direction.

The likelihood increases without end along weights W whose margins are never negative. A coefficient stays
finite if it is 0 in all such weights, which is so if and only if the margins of the overlapped pairs, all 0,
force it to (Albert and Anderson, Biometrika 71, 1984; Kosmidis and Schumacher, detectseparation).
"""

from __future__ import annotations

import numpy as np

from steepest.maxmargin.separability.conditioned import Conditioned
from steepest.maxmargin.separability.program import pair_columns

__all__ = ["coefficients_at_infinity"]

_OF_RANK = 1e-9
_ZERO = 1e-9


def coefficients_at_infinity(
    y: np.ndarray, conditioned: Conditioned, V: np.ndarray, overlapped: np.ndarray
) -> np.ndarray:
    """Return 0 for finite coefficients, inf or -inf for those that run off along V, nan where undetermined.

    Args:
        y: class of each sample, shape [n].
        conditioned: the features, conditioned.
        V: weights of the conditioned features without negative margins, shape [k, r].
        overlapped: pairs whose margins are 0, shape [p, 2].

    Returns:
        Shape [k, d], relative to the first class, whose row is 0.
    """
    k, r = V.shape
    found = np.full((k, conditioned.dimension), np.nan)
    found[0] = 0.0
    directions = _directions(y, k, conditioned, overlapped)
    scale = conditioned.in_scaled_features(V - V[0])[1:]
    sizes = np.abs(scale).max(initial=0.0)
    if len(directions):
        moves = np.sqrt(
            np.square(conditioned.in_scaled_features(directions.reshape(-1, k - 1, r))).sum(axis=0)
        )
        free = moves > _ZERO * moves.max(initial=0.0)
    else:
        free = np.zeros((k - 1, r), dtype=bool)
    signs = np.where(np.abs(scale) > _ZERO * sizes, np.sign(scale), 0.0)
    with np.errstate(invalid="ignore"):
        found[1:, conditioned.columns] = np.where(free, np.where(signs != 0, signs * np.inf, np.nan), 0.0)
    return found


def _directions(y: np.ndarray, k: int, conditioned: Conditioned, overlapped: np.ndarray) -> np.ndarray:
    """Return orthonormal weights, shape [m, (k-1) r], whose margins at the overlapped pairs are all 0."""
    r = conditioned.features.shape[1]
    if not len(overlapped):
        return np.eye((k - 1) * r)
    A = pair_columns(conditioned.features, y, k, overlapped)[r:]
    squares = (A @ A.T).toarray()
    sizes, vectors = np.linalg.eigh(squares)
    return vectors[:, sizes <= _OF_RANK * sizes[-1]].T
