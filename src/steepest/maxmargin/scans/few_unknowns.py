"""Max margins of many samples in few weights: interior points among the samples of small margin.

With d k of some hundreds a Newton system costs less than a scan, and an interior point gains all digits where
first-order steps would stay at three. Scans find the samples that lie below the level, as in row generation
(``row_generation.py``), which holds all features in memory.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sparse

from steepest.geometry import Norm
from steepest.maxmargin.forms.best import Best, relative_gap
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, towards
from steepest.maxmargin.forms.reduced import Reduced, reduce_features
from steepest.maxmargin.optima.refinement import refine
from steepest.maxmargin.row_generation import solve_part
from steepest.maxmargin.scans.low_pairs import low_pairs_of_all
from steepest.maxmargin.scans.working_set import Source, WorkingSet

__all__ = ["solve_few_unknowns"]

_COARSE = 1e-2
"""Gap of the first round."""
_MOST_ROUNDS = 60
"""Far beyond the two to ten that problems take."""
_REFINABLE = 1e-4
"""Gap beyond which Newton's method on the face has nothing to start from."""
_DROPPED, _SLACK = 3.0, 5.0
"""Samples of margins above so many times the level leave; those above it by less than so many gaps join."""
_ROOM, _ROOM_OF_UNKNOWNS = 1000, 8
"""Pairs whose samples may join in a round, and more of them for each unknown."""


def solve_few_unknowns(
    chosen: WorkingSet, norm: Norm, gap: float, deadline: Deadline
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, str]:
    """W [k, d], samples [m], their dual weights [m, k], iterations and the method, to about that gap."""
    source, rows = chosen.source, chosen.rows
    k, d = source.classes, source.rows.shape[1]
    room = _ROOM + _ROOM_OF_UNKNOWNS * k * d
    best: Best = Best(np.zeros((k, d)), (rows, np.ones((len(rows), k))), 0.0)
    tolerance, iterations, method = max(gap, _COARSE), 0, ""
    for _ in range(_MOST_ROUNDS):
        X, y = _dense(source, rows), source.labels[rows]
        part = reduce_features(X, y, k, norm)
        found = _solved(part, 0.5 * tolerance, deadline)
        iterations, method = iterations + found.iterations, found.method
        W, q = part.weights(found.weights), found.dual / found.dual.sum()
        size = float(norm(W))
        W = W / size if size > 0.0 else W
        margins = _smallest(X, y, W)
        level = float(margins.min())
        ceiling = level * (1.0 + _SLACK * tolerance)
        low = low_pairs_of_all(source.rows, source.labels, W, ceiling, room, np.float64)
        best.take_weights(W, min(level, low.smallest))
        best.take_dual((rows, q), float(norm.dual(towards(q, y).T @ X)))
        deadline.tell("scans", iterations, best.relative_gap)
        joining = np.setdiff1d(low.samples, rows)
        if best.within(gap) or level <= 0.0 or deadline.passed or not (len(joining) or tolerance > gap):
            break
        # A solve to the end costs little more than one on the way, and may be the last one.
        if len(joining) <= len(rows):
            tolerance = gap
        keep = q.any(axis=1) & (margins < _DROPPED * level)
        rows = np.union1d(_with_all_classes(rows, keep, margins, y), joining)
    W, (rows, q) = best.weights, best.dual
    return W, rows, q, iterations, f"scans, {method}"


def _solved(part: Reduced, gap: float, deadline: Deadline) -> Candidate:
    """The optimum among some samples, refined on its face where an interior point ends before the gap."""
    found, pairs = solve_part(part, gap, deadline), Pairs(part)
    V = part.coordinates(part.weights(found.weights))
    q = found.dual / found.dual.sum()
    reached = relative_gap(*pairs.bounds(V, pairs.pair_sum(q)))
    if not gap < reached <= _REFINABLE or deadline.passed:
        return found
    refined = refine(part, V, q)
    if refined is None or refined.gap >= reached:
        return found
    return replace(found, weights=refined.weights, dual=refined.dual, method=f"{found.method}, refined")


def _with_all_classes(rows: np.ndarray, keep: np.ndarray, margins: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The samples to keep, with at least the lowest of every class that the set has."""
    order = np.argsort(margins, kind="stable")
    _, first = np.unique(y[order], return_index=True)
    keep = keep.copy()
    keep[order[first]] = True
    return rows[keep]


def _dense(source: Source, rows: np.ndarray) -> np.ndarray:
    features = source.rows.take(rows)
    return features.toarray() if sparse.issparse(features) else np.asarray(features)


def _smallest(X: np.ndarray, y: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Smallest margin of every sample, shape [m]."""
    logits = X @ W.T
    index = np.arange(len(y))
    true = logits[index, y]
    logits[index, y] = -np.inf
    return true - logits.max(axis=1)
