"""Frobenius max margins of large data: pairs join in scans, and dual weights go on from round to round.

The dual weights of a working set are dual weights of the whole, so ‖A(q)‖ bounds the whole from above; its
weights bound the whole from below by the margins of all pairs, which a scan finds.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.scans.low_pairs import low_pairs_of_all, scan_low_pairs
from steepest.maxmargin.scans.working_set import Source, WorkingSet, row_squares

__all__ = ["chosen_first", "solve_frobenius", "widened"]

_FIRST_SAMPLES, _FIRST_NUMBERS, _NEAREST = 40, 1 << 24, 32
"""Samples of every class to begin with, at most so many numbers of them, and classes beside each of them."""
_JOIN = 2000
"""Pairs of a block that may join in the first scan."""
_ROOM = 1000
"""Pairs that may join beside twice as many as there are with dual weight."""
_SWEEPS, _SWEEPS_OF_A_BLOCK = 10, 3
"""Sweeps between two looks at the gap of the working set, and after each block of the first scan."""
_SLACK = 3.0
"""Pairs above the smallest margin by less than so many gaps join, and stay: they would soon violate."""
_COARSE, _FASTER = 0.1, 0.1
"""Gap of the first working set, and by what it falls from round to round at least."""
_MOST_ROUNDS = 60
"""Far beyond the five to ten that problems take."""
_PACE = 100.0
"""Looks that a digit of the gap may cost: beyond, the data is likely not separable."""


def solve_frobenius(source: Source, gap: float, deadline: Deadline) -> tuple[WorkingSet, float, int]:
    """A working set whose W = A(α) has a gap of about ``gap`` over all samples.

    With it come the smallest margin of W in scaled features, not positive where no weights were found that
    separate the data, and the rounds that it took.
    """
    chosen, reached = _solved(chosen_first(source), _COARSE, deadline, 0)
    if reached <= _COARSE:
        chosen = _first_scan(chosen, deadline)
    tolerance, rounds, smallest = _COARSE, 0, 0.0
    while rounds < _MOST_ROUNDS:
        rounds += 1
        chosen, reached = _solved(chosen, 0.5 * tolerance, deadline, rounds)
        W = chosen.pair_sum()
        chosen, smallest = widened(chosen, W, _SLACK * max(reached, gap))
        square = float(np.sum(W * W))
        whole = 1.0 - smallest * float(chosen.alpha.sum()) / square if square > 0.0 else 0.0
        deadline.tell("scans", rounds, whole)
        if whole <= gap or reached > 0.5 * tolerance or deadline.passed:
            break
        tolerance = max(gap, min(tolerance, _FASTER * whole))
    return chosen, smallest, rounds


def widened(chosen: WorkingSet, W: np.ndarray, slack: float) -> tuple[WorkingSet, float]:
    """Let pairs join that are as low as those of the set, and others leave; the smallest margin of all.

    Pairs with dual weight stay, and those whose margin is above the smallest of the set by less than
    ``slack`` times that.
    """
    inside = chosen.margins(W)
    ceiling = float(inside.min()) * (1.0 + slack)
    room = _ROOM + 2 * chosen.support
    low = low_pairs_of_all(chosen.source.rows, chosen.source.labels, W / chosen.source.scale, ceiling, room)
    chosen = chosen.kept((chosen.alpha > 0) | (inside <= ceiling))
    return chosen.joined(low.samples, low.classes), min(low.smallest, float(inside.min()))


def chosen_first(source: Source) -> WorkingSet:
    """Some samples of every class, spread over the data, each with the classes whose means are nearest."""
    labels, k = source.labels, source.classes
    most = max(2, _FIRST_NUMBERS // (k * source.rows.shape[1]))
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(k + 1))
    samples = np.concatenate(
        [
            order[np.unique(np.linspace(start, end - 1, min(_FIRST_SAMPLES, most, end - start)).astype(int))]
            for start, end in pairwise(ends)
        ]
    )
    features, y = source.rows.take(samples) / source.scale, labels[samples]
    hot = (y[:, None] == np.arange(k)).astype(float)
    means = np.asarray(features.T @ (hot / hot.sum(axis=0))).T
    nearness = np.asarray(features @ means.T) - 0.5 * row_squares(means)
    nearness[np.arange(len(y)), y] = -np.inf
    count = min(_NEAREST, k - 1)
    nearest = np.argpartition(-nearness, count - 1, axis=1)[:, :count]
    return WorkingSet.empty(source).joined(np.repeat(samples, count), nearest.ravel())


def _first_scan(chosen: WorkingSet, deadline: Deadline) -> WorkingSet:
    """Let pairs join block by block, with a few sweeps after each, so that the next is judged better."""
    source = chosen.source
    W = chosen.pair_sum()
    # Blocks are judged by what this array holds when their turn comes.
    unscaled = W / source.scale
    for turn, low in enumerate(scan_low_pairs(source.rows, source.labels, unscaled, 1.0, _JOIN)):
        if len(low.margins):
            chosen = chosen.joined(low.samples, low.classes)
            chosen = chosen.ascended(W, _SWEEPS_OF_A_BLOCK, turn, everywhere=False)
            unscaled[:] = W / source.scale
        deadline.tell("scans", turn, 1.0)
        if deadline.passed:
            break
    return chosen


def _solved(chosen: WorkingSet, gap: float, deadline: Deadline, seed: int) -> tuple[WorkingSet, float]:
    """Sweep until the gap among the chosen pairs is as small as that; the gap reached comes with the set."""
    looks = 0
    while True:
        # Made afresh, so that updates leave no rounding behind.
        W = chosen.pair_sum()
        square = float(np.sum(W * W))
        if looks:
            smallest = float(chosen.margins(W).min())
            reached = 1.0 - smallest * float(chosen.alpha.sum()) / square if square > 0.0 else 0.0
            if not reached > gap or deadline.passed or min(1.0, reached) > 10.0 ** (1.0 - looks / _PACE):
                return chosen, reached
        looks += 1
        chosen = chosen.ascended(W, _SWEEPS, seed + _MOST_ROUNDS * looks, everywhere=True)
