"""Free weights that have a margin by themselves: then relaxed max margins are as large as one likes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steepest.errors import InvalidArgument
from steepest.geometry import Entrywise
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.relaxed.bounds import exact_level, level_below
from steepest.maxmargin.relaxed.cuts import widest_free_margin
from steepest.maxmargin.relaxed.terms import Shares, Terms
from steepest.problem import Classification

__all__ = ["require_bounded"]

_MOST_EXACT = 1_000_000
"""Numbers of free features of which levels are worked out without rounding."""


def require_bounded(
    X: np.ndarray,
    problem: Classification,
    terms: Terms,
    deadline: Deadline,
    dual: np.ndarray | None = None,
) -> None:
    """Refuse features whose free weights alone have a margin, which is then as large as one likes.

    With dual weights [m, k] that do not balance, also one that floats cannot tell from 0.

    Raises:
        InvalidArgument: there are such.
    """
    if not terms.columns:
        return
    free = terms.free_features(X)
    y = problem.labels[terms.kept]
    B = widest_free_margin(free, y, problem.n_classes, terms.caps, deadline)
    if B is None:
        return
    level = level_below(free, y, B, Entrywise(2), np.arange(free.shape[1]), terms.caps)
    tiny = False
    if dual is not None and terms.shares is not None:
        tiny = _has_tiny_level(free, y, (B, towards(dual, y).T @ free), terms.shares)
    if level > 0 or tiny:
        what = "the intercept and these features" if terms.intercept else "these features"
        why = "by themselves" if level > 0 else "of less than a rounding error by themselves"
        raise InvalidArgument(
            "free",
            list(terms.columns),
            f"{what} have a margin {why}, so that none is the largest: leave some of them out",
        )


def _has_tiny_level(
    free: np.ndarray, y: np.ndarray, candidates: Sequence[np.ndarray], shares: Shares
) -> bool:
    """Whether some weights have a positive level in exact arithmetic."""
    if free.size * candidates[0].size * len(shares.factors) > _MOST_EXACT:
        return False
    units = np.eye(candidates[0].size).reshape(-1, *candidates[0].shape)
    return any(exact_level(free, y, B, shares.caps) > 0 for B in (*candidates, *units, *-units))
