"""Whether dual weights show that no soft margin is positive: near some, A(q) is rounding in every feature."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.relaxed.balance import least_corrected
from steepest.maxmargin.relaxed.samples import Samples

__all__ = ["vanishes", "vanishing_dual", "vanishing_near"]

_CANCELLATION = 1e-13
"""Sums A(q) below this share of the largest terms of their feature are rounding."""
_MOST_CONDITIONS, _MOST_NUMBERS = 1000, 40_000_000
"""Sums that are made to vanish, and numbers of the features they are of, in some seconds."""
_AT_ONCE = 1 << 22
"""Numbers of the rows that are in memory at a time."""
_LARGER = 1e-12
"""Share by which rounding may leave a sample above its cap."""


def vanishes(q: np.ndarray, y: np.ndarray, features: np.ndarray) -> bool:
    """Whether A(q) is zero to rounding in every feature, for dual weights q [m, k] and features [m, d]."""
    T = towards(q, y)
    A, terms = T.T @ features, np.abs(T).T @ np.abs(features)
    return _is_rounding(A, terms)


def _is_rounding(A: np.ndarray, terms: np.ndarray) -> bool:
    return bool((np.abs(A) <= _CANCELLATION * terms.max(axis=0)).all())


def _vanishes_in_blocks(samples: Samples, chosen: np.ndarray, q: np.ndarray) -> bool:
    """The same for chosen samples [m], whose dual weights q [m, k] are within their caps and balance."""
    A, terms = np.zeros((2, samples.classes, samples.rows.shape[1]))
    step = max(1, _AT_ONCE // samples.rows.shape[1])
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        T, block = towards(q[start : start + step], samples.labels[part]), samples.rows.take(part)
        A += np.asarray(T.T @ block)
        terms += np.asarray(np.abs(T).T @ abs(block))
    return _is_rounding(A, terms)


def vanishing_dual(samples: Samples, chosen: np.ndarray, q: np.ndarray) -> np.ndarray | None:
    """Return dual weights within their caps near q [m, k], of chosen samples [m], with A(q) = 0 to rounding.

    None where there are none near, or the sums are too many to look.
    """
    used = q.any(axis=1)
    if not _are_few(samples.classes, int(np.count_nonzero(used)), samples.rows.shape[1]):
        return q if _vanishes_in_blocks(samples, chosen[used], q[used]) else None
    rows = chosen[used]
    block = samples.rows.take(rows)
    X = block.toarray() if sparse.issparse(block) else np.asarray(block, dtype=np.float64)
    if samples.terms.intercept:
        X = np.concatenate([np.ones((len(X), 1)), X], axis=1)
    found = vanishing_near(q[used], samples.labels[rows], X, samples.caps[rows])
    if found is None:
        return None
    dual = np.zeros_like(q)
    dual[used] = found
    return dual


def vanishing_near(q: np.ndarray, y: np.ndarray, features: np.ndarray, caps: np.ndarray) -> np.ndarray | None:
    """The same for dual weights q [m, k] of samples with these features [m, d] and caps [m]."""
    if not _are_few(q.shape[1], *features.shape):
        return None
    found = least_corrected(q / q.sum(), y, features, caps)
    total = float(found.sum())
    if not total > 0.0 or (found.sum(axis=1) > caps * total * (1 + _LARGER)).any():
        return None
    return found / total if vanishes(found, y, features) else None


def _are_few(classes: int, samples: int, features: int) -> bool:
    return classes * features <= _MOST_CONDITIONS and samples * features <= _MOST_NUMBERS
