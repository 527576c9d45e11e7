"""The mean of the worst margins, which is what a soft margin is about."""

from __future__ import annotations

import numpy as np

__all__ = ["mean_of_worst", "shares_of_worst", "within_caps"]


def shares_of_worst(values: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """Return the p with 0 ≤ p ≤ ``caps`` and Σp = 1 for which Σ p_i values_i is least, shape [n].

    The smallest values take what they may, one after the other; the caps sum to 1 or more.

    >>> shares_of_worst(np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.75, 0.5])).tolist()
    [0.0, 0.75, 0.25]
    """
    order = np.argsort(values, kind="stable")
    sorted_caps = caps[order]
    before = np.cumsum(sorted_caps) - sorted_caps
    shares = np.empty_like(caps)
    shares[order] = np.clip(1.0 - before, 0.0, sorted_caps)
    return shares


def mean_of_worst(values: np.ndarray, caps: np.ndarray) -> float:
    """Return min Σ p_i values_i over 0 ≤ p ≤ ``caps`` with Σp = 1: the mean of the worst values.

    With caps of 1/(νn) it is the mean of the νn smallest of n values, the last of them in part.

    >>> mean_of_worst(np.array([3.0, 1.0, 2.0, 9.0]), np.full(4, 1 / 2))
    1.5
    """
    return float(shares_of_worst(values, caps) @ values)


def within_caps(q: np.ndarray, y: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """Return dual weights [n, k] of sum 1 near q whose row sums are within ``caps``, to rounding.

    Rows beyond their caps are cut, and the others grow in proportion; caps sum to 1 or more. What is 0 at the
    true classes y [n] stays so.

    >>> within_caps(np.array([[0.0, 3.0], [1.0, 0.0]]), np.array([0, 1]), np.array([0.5, 0.75])).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    rows = q.sum(axis=1)
    used = rows > 0
    # Caps that sum to 1 may be rounded to less.
    if not used.any() or caps[used].sum() < min(1.0, caps.sum()):
        # Too few samples have dual weight for their caps to hold all of it.
        classes = np.arange(q.shape[1])
        others = (q.any(axis=0) | np.isin(classes, y)) & (y[:, None] != classes)
        q = q + 1e-9 * rows.sum() * others * caps[:, None]
        rows = q.sum(axis=1)
        used = rows > 0
    order = np.argsort(np.where(used, caps / np.where(used, rows, 1.0), np.inf), kind="stable")
    # What the rows from each on have, summed from the smallest share on: nothing is a difference of sums.
    left, rest = (np.cumsum(each[order][::-1])[::-1] for each in (caps, rows))
    total = caps.sum()
    if total < 2.0:
        left = np.maximum(left + (1.0 - total), 0.0)
    else:
        # Caps of far more than there is to give: what they sum to would be rounded by more than it is.
        cut = np.cumsum(caps[order])
        left = np.maximum(1.0 - np.concatenate([[0.0], cut[:-1]]), 0.0)
    # With the first j rows cut, the others are multiplied by this; it is right from the first j that it cuts.
    factors = left / np.where(rest > 0, rest, np.inf)
    limits = caps[order] / np.where(rows[order] > 0, rows[order], np.inf)
    right = np.nonzero((factors <= limits) | (rest <= 0))[0]
    factor = float(factors[right[0]]) if len(right) else float(factors[-1])
    sums = np.minimum(rows * max(factor, 0.0), caps)
    return q * np.where(used, sums / np.where(used, rows, 1.0), 0.0)[:, None]
