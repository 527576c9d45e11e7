"""Which samples a soft margin is about, once weights nearby are known: those not far above the level.

A sample above the level has no dual weight, so that dual weights of the others bound the margin of all; what
the weights found miss among the others shows in their margins, and these join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.worst import shares_of_worst
from steepest.maxmargin.relaxed.prepared import Prepared
from steepest.maxmargin.relaxed.proposal import Proposal

__all__ = ["by_near_samples", "near_level"]

_TIMES, _OF_A_CLASS = 2.0, 10
"""As many samples belong to the set as are below the level, times this, and more for every class."""
_LOWEST = 3
"""Samples of every class that belong to it in any case: an intercept balances what classes have."""
_MOST = 0.6
"""Share of all samples from which on to leave out the others saves little."""
_ROUNDS = 4


def near_level(lowest: np.ndarray, caps: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mask of the samples [m] that are below the level of the worst margins, and of those next to it.

    >>> near_level(np.arange(100.0), np.full(100, 0.5), np.zeros(100, dtype=int)).nonzero()[0].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    """
    below = int(np.count_nonzero(shares_of_worst(lowest, caps)))
    classes = np.unique(labels)
    count = min(len(lowest), int(_TIMES * below) + _OF_A_CLASS * len(classes))
    order = np.argsort(lowest, kind="stable")
    chosen = np.zeros(len(lowest), dtype=bool)
    chosen[order[:count]] = True
    for label in classes:
        chosen[order[labels[order] == label][:_LOWEST]] = True
    return chosen


def by_near_samples(
    prepared: Prepared,
    solve: Callable[[Prepared], Iterator[Proposal]],
    deadline: Deadline,
    start: Proposal,
) -> Iterator[Proposal]:
    """Yield what ``solve`` proposes for the samples near the level of a start, until no other violates it.

    Nothing where these are most of the samples, or there are no caps.
    """
    reduced, level = prepared.reduced, prepared.level
    if reduced.caps is None:
        return
    labels, caps = reduced.labels, reduced.caps
    mixed = reduced.scale * prepared.mixed_weights(start.weights, start.free)
    lowest = _lowest(level.features @ start.weights.T + prepared.mixed @ mixed.T, labels)
    chosen = near_level(lowest, caps, labels)
    for _ in range(_ROUNDS):
        rows = np.flatnonzero(chosen)
        if len(rows) > _MOST * len(chosen):
            return
        free = None if reduced.free is None else reduced.free[rows]
        near = replace(
            reduced, features=reduced.features[rows], labels=labels[rows], caps=caps[rows], free=free
        )
        part = replace(prepared, reduced=near)
        found = start
        for found in solve(part):
            q = np.zeros((len(labels), found.dual.shape[1]))
            q[rows] = found.dual
            yield replace(found, dual=q, method=f"{found.method} among samples near the level")
        if deadline.passed or not found.weights.any():
            return
        lowest = _lowest(level.features @ found.weights.T + level.free @ found.free.T, labels)
        below = shares_of_worst(lowest, caps) > 0
        if not (below & ~chosen).any():
            return
        chosen |= near_level(lowest, caps, labels)


def _lowest(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The smallest margin of every sample, shape [m]."""
    index = np.arange(len(labels))
    true = logits[index, labels]
    logits[index, labels] = -np.inf
    return true - logits.max(axis=1)
