"""Bounds on a relaxed max margin from any weights and any dual weights, with rounding accounted for.

From below: the mean of the worst margins of [W B] over ‖W‖, where free weights B may be of any size. From
above: ‖A(q)‖_* of the penalised features, for dual weights within their caps with A(q) = 0 in the free ones.
For an intercept that equation says that each class leaves as much dual weight as comes to it. It is made true
to the last bit. For other free features a correction is found in rational arithmetic that makes it true, and
what it could change is added to the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from steepest.geometry import Norm
from steepest.geometry.facts import dual_of_error, rounding
from steepest.maxmargin.certificates.bounds import pair_margins_below
from steepest.maxmargin.certificates.products import accurate_product, product
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.forms.worst import shares_of_worst
from steepest.maxmargin.relaxed.balance import Correction
from steepest.maxmargin.separability.exact import exact_margins

__all__ = ["exact_level", "level_below", "relaxed_dual_above"]

_UNIT = 2.0**-53
_ENOUGH = 1e-11
_OF_GAP = 1e-6
"""The same as a share of the gap that the bound leaves."""


def level_below(
    X: np.ndarray,
    y: np.ndarray,
    W: np.ndarray,
    sizes: Norm,
    penalised: np.ndarray,
    caps: np.ndarray | None,
) -> float:
    """Return the level of weights W [k, c] of features X [m, c], over the norm of their penalised columns.

    The level is the smallest margin of any pair, or with ``caps`` the mean of the samples' worst; it is
    rounded down, and 0 where the norm is 0.
    """
    size, slack = float(sizes(W[:, penalised])), rounding(sizes, W[:, penalised].shape)
    if not 0.0 < size < np.inf:
        return 0.0
    lowest = pair_margins_below(X, y, W).min(axis=1)
    if caps is None:
        level = float(lowest.min())
    else:
        shares = shares_of_worst(lowest, caps)
        # Shares that differ from the exact ones by roundings of their sums, of which there are two a sample.
        error = (2 * len(shares) + 4) * _UNIT * float(np.abs(lowest[shares > 0]).max())
        level = float(shares @ lowest) - error
    bound = level / (size * (1 + slack) if level > 0 else size * (1 - slack))
    return float(np.nextafter(bound - 4 * _UNIT * abs(bound), -np.inf)) if bound else 0.0


def exact_level(X: np.ndarray, y: np.ndarray, W: np.ndarray, caps: Sequence[Fraction]) -> Fraction:
    """Return the mean of the worst margins of weights W [k, c] of features X [m, c], without rounding.

    >>> X, y, W = np.array([[0.1], [0.2], [0.3]]), np.array([0, 0, 1]), np.array([[1.0], [0.0]])
    >>> float(exact_level(X, y, W, [Fraction(1, 3)] * 3))
    9.25185853854297e-18
    """
    pairs = np.argwhere(y[:, None] != np.arange(len(W)))
    margins = np.array(exact_margins(X, y, W, pairs), dtype=object).reshape(len(y), -1).min(axis=1)
    level, left = Fraction(0), Fraction(1)
    for i in sorted(range(len(y)), key=lambda i: margins[i]):
        share = min(caps[i], left)
        level, left = level + share * margins[i], left - share
    return level


def relaxed_dual_above(
    Z: np.ndarray,
    error: np.ndarray,
    y: np.ndarray,
    q: np.ndarray,
    norm: Norm,
    correction: Correction,
    lower: float = np.inf,
) -> float:
    """Return ‖A(q)‖_* / Σq rounded up, for the exact dual weights near q that the correction describes.

    Args:
        Z: levelled penalised features, shape [m, p], with A(q) exact up to ``error``.
        error: bound on their rounding errors, shape [m, p].
        y: labels, shape [m].
        q: dual weights, shape [m, k], 0 at the true class.
        norm: the norm of the penalised weights.
        correction: how far the exact dual weights are from q.
        lower: a lower bound of what this bounds from above: sums far beyond it need fewer digits.
    """
    rows = np.nonzero(q.any(axis=1))[0]
    T = towards(q[rows], y[rows])
    A, slack = product(T.T, Z[rows])
    sizes = np.abs(T).T
    slack = slack + (q.shape[1] + 2) * _UNIT * (sizes @ np.abs(Z[rows]))
    value = float(norm.dual(A))
    apart = max(0.0, value - lower * float(q.sum()))
    if dual_of_error(norm, slack) > max(_ENOUGH * value, _OF_GAP * apart):
        A, slack = accurate_product(T.T, Z[rows])
        # The true class holds a rounded sum of up to k - 1 terms.
        slack = slack + (q.shape[1] + 2) * _UNIT * (sizes @ np.abs(Z[rows]))
        value = float(norm.dual(A))
    slack = slack + sizes @ error[rows] + correction.of_terms(np.abs(Z), y, q)
    total = float(q.sum()) * (1 - q.size.bit_length() * _UNIT) - correction.lost
    relative = rounding(norm, A.shape) + 8 * _UNIT
    bound = (value * (1 + relative) + dual_of_error(norm, slack) * (1 + 1e-6)) / total
    return float(np.nextafter(bound * (1 + 4 * _UNIT), np.inf)) if bound else 0.0
