"""Whether dual weights show that no soft margin is positive: near some, A(q) is rounding in every feature."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.relaxed.balance import least_corrected
from steepest.maxmargin.relaxed.samples import Samples

__all__ = ["vanishes", "vanishing_dual"]

_CANCELLATION = 1e-13
"""Sums A(q) below this share of the largest terms of their feature are rounding."""
_MOST_CONDITIONS, _MOST_NUMBERS = 2000, 20_000_000
"""Sums that are made to vanish, and numbers of their terms, in some seconds."""
_LARGER = 1e-12
"""Share by which rounding may leave a sample above its cap."""


def vanishes(q: np.ndarray, y: np.ndarray, features: np.ndarray) -> bool:
    """Whether A(q) is zero to rounding in every feature, for dual weights q [m, k] and features [m, d]."""
    T = towards(q, y)
    A, terms = T.T @ features, np.abs(T).T @ np.abs(features)
    return bool((np.abs(A) <= _CANCELLATION * terms.max(axis=0)).all())


def vanishing_dual(samples: Samples, chosen: np.ndarray, q: np.ndarray) -> np.ndarray | None:
    """Return dual weights within their caps near q [m, k], of chosen samples [m], with A(q) = 0 to rounding.

    None where there are none near, or the sums are too many to look.
    """
    used = q.any(axis=1)
    conditions = (samples.classes - 1) * (samples.rows.shape[1] + 1)
    if conditions > _MOST_CONDITIONS or conditions * np.count_nonzero(q) > _MOST_NUMBERS:
        return None
    rows, caps = chosen[used], samples.caps[chosen[used]]
    block = samples.rows.take(rows)
    X = block.toarray() if sparse.issparse(block) else np.asarray(block, dtype=np.float64)
    y = samples.labels[rows]
    if samples.terms.intercept:
        X = np.concatenate([np.ones((len(X), 1)), X], axis=1)
    found = least_corrected(q[used] / q.sum(), y, X, caps)
    total = float(found.sum())
    if not total > 0.0 or (found.sum(axis=1) > caps * total * (1 + _LARGER)).any():
        return None
    if not vanishes(found, y, X):
        return None
    dual = np.zeros_like(q)
    dual[used] = found / total
    return dual
