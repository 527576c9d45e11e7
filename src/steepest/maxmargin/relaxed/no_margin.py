"""Whether no soft margin is positive: dual weights within their caps with A(q) = 0 exactly are sure to exist.

Those of a solver give an A(q) of rounding. They are corrected until nothing is left of it but the roundings
of their own last digits, and then either a proof in floats or rational numbers show that exact ones are near.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sparse

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.relaxed.exact_dual import corrected, dense, exact_dual, surely_exist
from steepest.maxmargin.relaxed.repair import nearest_within
from steepest.maxmargin.relaxed.samples import Samples
from steepest.maxmargin.relaxed.terms import Shares
from steepest.maxmargin.separability.exact import Echelon, whole_numbers

__all__ = ["vanishing_dual", "vanishing_near"]

_MOST_NUMBERS = 40_000_000
"""Of the features of samples with dual weight, that are in memory at a time."""
_MOST_REPAIRED = 200_000
"""Numbers of a linear program that takes a second."""
_MOST_ELIMINATED = 2_000_000
"""Numbers of the features, times these, of an exact elimination that takes a second."""


def vanishing_dual(
    samples: Samples, chosen: np.ndarray, q: np.ndarray, deadline: Deadline
) -> np.ndarray | None:
    """Return dual weights within their caps near q [m, k], of chosen samples [m], with A(q) = 0.

    None where there are none near, or the sums are too many to look.
    """
    used = q.any(axis=1)
    rows = chosen[used]
    if not sparse.issparse(samples.rows.take(rows[:1])) and len(rows) * samples.rows.shape[1] > _MOST_NUMBERS:
        return None
    block = samples.rows.take(rows)
    if sparse.issparse(block):
        block = block[:, np.unique(block.indices)]
        if block.shape[0] * block.shape[1] > _MOST_NUMBERS:
            return None
        block = block.toarray()
    X = np.asarray(block, dtype=np.float64)
    if samples.terms.intercept:
        X = np.concatenate([np.ones((len(X), 1)), X], axis=1)
    found = vanishing_near(q[used], samples.labels[rows], X, samples.caps[rows], deadline)
    if found is None:
        return None
    dual = np.zeros_like(q)
    dual[used] = found
    return dual


def vanishing_near(
    q: np.ndarray,
    y: np.ndarray,
    features: np.ndarray,
    caps: np.ndarray,
    deadline: Deadline,
    shares: Shares | None = None,
    *,
    far: bool = False,
) -> np.ndarray | None:
    """The same for dual weights q [m, k] of samples with these features [m, d] and caps [m].

    Args:
        q: dual weights, shape [m, k].
        y: labels, shape [m].
        features: shape [m, d].
        caps: shape [m].
        deadline: after which no program is begun, and one that runs is stopped.
        shares: what the caps were rounded from, if that is known.
        far: whether dual weights far from q are looked for too, where a linear program is quick.
    """
    if features.size > _MOST_NUMBERS:
        return None
    sizes = np.frexp(np.max(np.abs(features), axis=0, initial=0.0))[1]
    with np.errstate(under="ignore"):
        X = np.ldexp(features, -sizes)
    if not np.array_equal(np.ldexp(X, sizes), features):
        # Entries that are lost beside others of their feature would count as 0, and prove nothing.
        return None
    X = X[:, X.any(axis=0)]
    for near in _near(q / q.sum(), y, X, caps, deadline, far=far):
        if surely_exist(near, y, X, caps):
            return near
        independent = _independent(X[near.any(axis=1)])
        if len(independent) < X.shape[1] and surely_exist(near, y, X[:, independent], caps):
            return near
        if shares is not None:
            exact = exact_dual(near, y, X[:, independent], shares.caps)
            if exact is not None:
                return dense(exact, q.shape)
    return None


def _near(
    q: np.ndarray, y: np.ndarray, X: np.ndarray, caps: np.ndarray, deadline: Deadline, *, far: bool
) -> Iterator[np.ndarray]:
    yield corrected(q, y, X, caps)
    if far and X.size * q.shape[1] ** 2 <= _MOST_REPAIRED:
        repaired = nearest_within(q, y, X, caps, deadline, room=0.0)
        if repaired is not None:
            yield corrected(repaired, y, X, caps)


def _independent(X: np.ndarray) -> np.ndarray:
    """Features [m, d] that are no combination of those before them, or all where that would take long."""
    if X.size * X.shape[1] > _MOST_ELIMINATED:
        return np.arange(X.shape[1])
    echelon = Echelon()
    rows = np.unique(X, axis=0)
    return np.array([j for j, column in enumerate(rows.T) if echelon.take(whole_numbers(column))], dtype=int)
