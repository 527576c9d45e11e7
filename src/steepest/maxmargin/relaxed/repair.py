"""Dual weights within caps and with A(q) = 0 in free features, as near as may be to given ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from steepest.maxmargin.forms.candidate import Deadline

__all__ = ["nearest_within"]

_TOLERANCE = 1e-10
_ROOM, _ROOM_FOR_ERRORS = 4e-12, 10.0
"""Share of the caps that is left for roundings, and tolerances of the program that are left beside it."""


def nearest_within(
    q: np.ndarray,
    y: np.ndarray,
    free: np.ndarray,
    caps: np.ndarray,
    deadline: Deadline,
    *,
    room: float | None = None,
) -> np.ndarray | None:
    """Return the dual weights of least Σ |change| from q [m, k], or None where none are found in time.

    A linear program in the growth and the fall of every dual weight, solved by HiGHS, whose tolerances are
    of 1: its unknowns are in units of each sample's cap, times the largest share by which a condition fails.

    Args:
        q: dual weights of sum 1, 0 at the true class.
        y: labels, shape [m].
        free: features in which A(q) is to vanish, shape [m, f].
        caps: most that each sample's may sum to, shape [m].
        deadline: when to stop.
        room: share of the caps that is left for roundings; None: as much as they and the program ask for.
    """
    if deadline.passed:
        return None
    m, k = q.shape
    i, c = np.argwhere(y[:, None] != np.arange(k)).T
    s, sizes = len(i), caps[i]
    values = q[i, c] / sizes
    scaled = free / np.maximum(np.max(np.abs(free), axis=0, initial=0.0), np.finfo(float).tiny)
    classes = np.eye(k)[:, : k - 1]
    terms = ((classes[y[i]] - classes[c])[:, :, None] * scaled[i][:, None, :]).reshape(s, -1)
    unit = float(caps.mean())
    conditions = np.concatenate([terms, np.ones((s, 1))], axis=1)
    equal: Any = sparse.csr_array((conditions * sizes[:, None] / unit).T)
    sums: Any = sparse.csr_array((np.ones(s), (i, np.arange(s))), shape=(m, s))
    over = sums @ values - 1.0
    wrong = equal @ values - np.append(np.zeros(equal.shape[0] - 1), 1.0 / unit)
    step = _ROOM + max(float(over.max(initial=0.0)), float(np.abs(wrong).max()))
    room = _ROOM + _ROOM_FOR_ERRORS * _TOLERANCE * step if room is None else room
    options: dict[str, Any] = dict.fromkeys(
        ("primal_feasibility_tolerance", "dual_feasibility_tolerance"), _TOLERANCE
    )
    if np.isfinite(deadline.at):
        options["time_limit"] = deadline.remaining
    found: Any = scipy.optimize.linprog(
        np.tile(sizes / unit, 2),
        sparse.hstack([sums, -sums], format="csr"),
        -(over + room) / step,
        sparse.hstack([equal, -equal], format="csr"),
        -wrong / step,
        np.stack([np.zeros(2 * s), np.append(np.full(s, np.inf), values / step)], axis=1),
        method="highs",
        options=options,
    )
    if found.x is None or found.status != 0:
        return None
    repaired = np.zeros_like(q)
    repaired[i, c] = np.maximum(values + step * (found.x[:s] - found.x[s:]), 0.0) * sizes
    return repaired / repaired.sum()
