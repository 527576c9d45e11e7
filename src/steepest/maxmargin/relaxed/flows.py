"""Dual weights changed a little everywhere, so that A(q) vanishes in free features."""

from __future__ import annotations

import numpy as np

__all__ = ["with_balanced_flows"]

_FULL = 1.0 - 1e-9
"""Share of its cap from which on a sample is at its cap."""
_DEPENDENT = 1e-12


def with_balanced_flows(
    q: np.ndarray, y: np.ndarray, free: np.ndarray, caps: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """Return dual weights near q whose A(q) in free features, ``left`` before, is 0 where that can be had.

    Of all changes q δ the one of least Σ q δ² is δ_ic = (μ_c - μ_{y_i}) · f_i for a solution μ of a system of
    all classes and free features: for an intercept, that of the Laplacian of what flows from class to class.
    Samples at their caps stay as they are, and none falls below 0.

    Args:
        q: dual weights, shape [m, k], 0 at the true class.
        y: labels, shape [m].
        free: free features, shape [m, f].
        caps: most that each sample's may sum to, shape [m].
        left: A(q) in the free features, others' part of it included, shape [k, f].

    >>> q = np.array([[0.0, 0.5], [0.3, 0.0], [0.1, 0.0]])
    >>> y, ones = np.array([0, 1, 1]), np.ones((3, 1))
    >>> with_balanced_flows(q, y, ones, np.full(3, np.inf), np.array([[0.1], [-0.1]])).sum(axis=0).round(9)
    array([0.44444444, 0.44444444])
    """
    k, f = left.shape
    moving = np.flatnonzero((q.sum(axis=1) < caps * _FULL) & q.any(axis=1))
    if not len(moving) or not f:
        return q
    own, labels, F = q[moving], y[moving], free[moving]
    products = (F[:, :, None] * F[:, None, :]).reshape(len(F), f * f)
    system = np.zeros((k, f, k, f))
    for a in range(k):
        of_class = labels == a
        flows = (own[of_class].T @ products[of_class]).reshape(k, f, f)
        for c in range(k):
            if c != a:
                system[a, :, a] += flows[c]
                system[c, :, c] += flows[c]
                system[a, :, c] -= flows[c]
                system[c, :, a] -= flows[c]
    found = np.linalg.lstsq(system.reshape(k * f, k * f), left.ravel(), rcond=_DEPENDENT)[0]
    prices = F @ found.reshape(k, f).T
    change = prices - prices[np.arange(len(F)), labels][:, None]
    balanced = q.copy()
    balanced[moving] = own * np.maximum(1.0 + change, 0.0)
    return balanced
