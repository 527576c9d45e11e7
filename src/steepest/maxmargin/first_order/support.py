"""The last digits of coordinate ascent: of known pairs of dual weight the weights are a linear system.

Where the pairs of positive α are those of the optimum, all of their margins are 1: K α = 1 with the products
K of their rows. Ascent finds these pairs long before their weights have converged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

__all__ = ["may_last", "solved_on_support"]

lapack: Any = scipy.linalg.lapack  # a compiled module without type stubs

_MOST_PAIRS = 200
"""Pairs whose system is factored in the time of a few sweeps."""
_SETTLED = 0.05
"""Share of them that may have changed between two looks: more, and others will follow."""
_TRIALS = 3
"""Solutions, each without the pairs whose weights were negative in the one before."""


def solved_on_support(
    products: np.ndarray, samples: np.ndarray, classes: np.ndarray, y: np.ndarray, shape: tuple[int, int]
) -> np.ndarray | None:
    """Dual weights [n, k] of the pairs (i, c) at which all of their margins are 1, or None.

    Args:
        products: products of the features of the pairs' samples, shape [s, s].
        samples: i of each pair, shape [s].
        classes: c of each pair, shape [s].
        y: class of each sample, shape [n].
        shape: n and k.

    >>> X = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> solved_on_support(X @ X.T, np.array([0, 1]), np.array([1, 0]), np.array([0, 1]), (2, 2)).round(3)
    array([[0.   , 0.125],
           [0.5  , 0.   ]])
    """
    rows = np.zeros((len(samples), shape[1]))
    every = np.arange(len(samples))
    rows[every, y[samples]] += 1.0
    rows[every, classes] -= 1.0
    K = products * (rows @ rows.T)
    kept = every
    for _ in range(_TRIALS):
        _, values, failed = lapack.dposv(K, np.ones(len(kept)), lower=1)
        if failed or not np.isfinite(values).all():
            return None
        positive = values > 0.0
        if positive.all():
            alpha = np.zeros(shape)
            alpha[samples[kept], classes[kept]] = values
            return alpha
        kept, K = kept[positive], K[np.ix_(positive, positive)]
        if not len(kept):
            return None
    return None


def may_last(positive: np.ndarray, before: np.ndarray) -> bool:
    """Whether the pairs of positive weight are as few as a system may have and hardly change any more."""
    count = int(np.count_nonzero(positive))
    return 0 < count <= _MOST_PAIRS and int(np.count_nonzero(positive != before)) <= _SETTLED * count
