"""Max margins in any norm with a value, a dual and a direction: which steps come when.

The dual max margin min_{q ∈ simplex} ‖A(q)‖_* is a convex function, of which a direction D(A(q)) gives the value
and a subgradient. Every direction is kept as a cut; convex combinations of the cuts' weights are weights of
the ball, and give the lower bound.

First come quasi-Newton steps (squares.py), which find the end by themselves where the dual norm is smooth;
then master problems of cutting planes, by turns plain (Kelley's method from central points, finite and fast
for polyhedral balls) and in a metric that is learned (bundle.py), for balls that are neither. Small
corrections (polish.py) give the last digits. All pairs are checked, but only those near the smallest
margin are worked with.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steepest.geometry import Norm
from steepest.maxmargin.certificates.contradiction import contradiction
from steepest.maxmargin.cutting_planes.bundle import Bundle
from steepest.maxmargin.cutting_planes.game import Game
from steepest.maxmargin.cutting_planes.master import solve_master
from steepest.maxmargin.cutting_planes.polish import Polish
from steepest.maxmargin.cutting_planes.squares import Squares
from steepest.maxmargin.first_order.coordinate import coordinate_ascent
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, all_pairs
from steepest.maxmargin.forms.reduced import reduce
from steepest.problem import Classification

__all__ = ["solve_by_cuts"]

_STEPS = 40
"""Quasi-Newton steps between two master problems, which cost about as much."""
_KEEPS_PACE = 0.7
"""Share to which such a round must bring the gap for another."""
_CENTRAL = 0.3
"""Share of what is left between the bounds to which plain master problems are solved: points well inside make
better cuts than vertices (Gondzio, González-Brevis and Munari, Eur. J. Oper. Res. 224, 2013)."""
_SHARP = 1e-2
"""The same where the master problem is for its weights."""
_TURNS = 5
"""Turns of the two master problems between two corrections."""
_MOST_CUTS, _CUTS_A_PAIR, _LATEST = 300, 1.25, 30
"""Cuts above which the quarter of least use is forgotten, at least or for each pair; the last are kept."""
_MOST_PAIRS = 1500
"""Pairs that are worked with from the start; of more, those of smallest margin in the Frobenius norm."""
_NEAR, _GAPS, _LARGE = 0.1, 10.0, 1e-2
"""Pairs stay whose margin is above the smallest by less than this share and this many gaps, or whose dual
weight is at least this share of the largest."""
_MOST_TURNS, _STALLED, _LEAST = 3000, 150, 0.99
"""Turns after which the method ends; turns in which the gap must fall to this share."""
_NOTHING = 1e-13
"""Share of ‖A(q)‖_* at equal dual weights that counts as zero: data that cannot be separated."""
_COARSE, _PACE = 1e-2, 8.0
"""Gap of the guess that chooses pairs, and the sweeps that a digit of it may cost."""


def solve_by_cuts(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    """Propose weights and dual weights, for a norm of which only value, dual and direction are known.

    Data that seems not to be separable is checked for a contradiction after the first steps.
    """
    reduced = reduce(problem, norm)
    pairs = Pairs(reduced).balanced()
    game = Game.of(pairs, _first_pairs(pairs))

    def candidate(q: np.ndarray | None = None) -> Candidate:
        best = game.best
        dual = best.dual if q is None else q
        return Candidate(reduced.weights(best.weights), dual, game.calls, "cutting planes")

    if pairs.reduced.features.any():
        _by_squares(game, gap, deadline)
        yield candidate()
        if game.best.lower <= 0.0:
            against = contradiction(problem, game.best.dual, deadline)
            if against is not None:
                yield candidate(against)
                return
        if not _ended(game, gap, deadline):
            _by_planes(game, gap, deadline)
    yield candidate()


def _ended(game: Game, gap: float, deadline: Deadline) -> bool:
    # The features are such that ‖A(q)‖_* is 1 at equal dual weights.
    return game.gap <= gap or game.best.upper <= _NOTHING or deadline.passed


def _first_pairs(pairs: Pairs) -> np.ndarray:
    everything = all_pairs(pairs.y, pairs.reduced.classes)
    if len(everything) <= _MOST_PAIRS:
        return everything
    X, size = pairs.features, float(np.abs(pairs.features).max()) or 1.0
    W, _, _ = coordinate_ascent(X / size, pairs.y, pairs.reduced.classes, _COARSE, Deadline(), _PACE)
    logits = X @ W.T
    margins = (logits[pairs.index, pairs.y][:, None] - logits)[tuple(everything.T)]
    return everything[np.argsort(margins, kind="stable")[:_MOST_PAIRS]]


def _by_squares(game: Game, gap: float, deadline: Deadline) -> None:
    """Quasi-Newton steps while they keep their pace."""
    polish, before = Polish(game), 1.0
    steps = Squares.start(game, np.full(game.size, 1.0 / game.size))
    while not _ended(game, gap, deadline):
        found = True
        for _ in range(_STEPS):
            found = steps.advance()
            if not found or deadline.passed:
                break
        game.forget(np.arange(max(0, len(game.cuts) - _MOST_CUTS), len(game.cuts)))
        master = solve_master(game.matrix(), None, _SHARP * game.left)
        W = game.combined(master.shares)
        game.take_weights(W)
        game.cut(master.q)
        polish.correct(W, master.q)
        LOG('squares', game)
        violated = game.violated(W)
        if len(violated):
            q = game.dual
            game.choose(np.concatenate([game.chosen, violated]))
            # Where dual weights are zero they stay so.
            q = np.concatenate([q, np.full(len(violated), 1.0 / game.size)])
            steps = Squares.start(game, q / q.sum())
        elif not found or game.gap > _KEEPS_PACE * before:
            return
        before = game.gap


def _by_planes(game: Game, gap: float, deadline: Deadline) -> None:
    """Plain master problems and those of the bundle method, by turns."""
    game.choose(game.chosen[_relevant(game)])
    bundle, polish = Bundle.start(game, game.dual), Polish(game)
    chosen_at = stalled_at = game.gap
    stalled = 0
    for turn in range(1, _MOST_TURNS + 1):
        plain = solve_master(game.matrix(), None, _CENTRAL * game.left)
        W = game.combined(plain.shares)
        game.take_weights(W)
        game.cut_on_the_way(game.dual, plain.q)
        metric = bundle.advance()
        if turn % _TURNS == 0:
            polish.correct(game.combined(metric.shares), metric.q)
            polish.correct(W, plain.q)
            LOG('planes', game, turn, bundle.predicted, bundle.tau, game.size)
            kept = np.arange(game.size)
            if game.gap <= _LEAST_SHARE * chosen_at:
                kept, chosen_at = _relevant(game), game.gap
            violated = game.violated(W)
            if len(violated) or len(kept) < game.size:
                game.choose(np.concatenate([game.chosen[kept], violated]))
                bundle.choose(kept, game.size)
        _forget(game, plain.shares, metric.shares)
        stalled += 1
        if game.gap <= _LEAST * stalled_at:
            stalled, stalled_at = 0, game.gap
        if _ended(game, gap, deadline) or stalled >= _STALLED:
            return


_LEAST_SHARE = 0.1
"""Pairs are chosen anew where the gap has fallen to this share."""


def _relevant(game: Game) -> np.ndarray:
    """Places of the pairs that may be active at the optimum; all as long as no margin is positive."""
    margins, q = game.margins(game.best.weights), game.dual
    lowest = float(margins.min())
    if lowest <= 0.0:
        return np.arange(game.size)
    near = margins < lowest * (1.0 + _NEAR + _GAPS * game.gap)
    return np.nonzero(near | (q > _LARGE * q.max()))[0]


def _forget(game: Game, *shares: np.ndarray) -> None:
    """Forget cuts of small shares where there are many; those made since are kept."""
    count = len(game.cuts)
    if count <= max(_MOST_CUTS, _CUTS_A_PAIR * game.size):
        return
    use = np.full(count, np.inf)
    use[: len(shares[0])] = shares[0]
    use[: len(shares[0])] = np.maximum(use, np.pad(shares[1], (0, count - len(shares[1]))))[: len(shares[0])]
    use[-_LATEST:] = np.inf
    game.forget(np.sort(np.argsort(use, kind="stable")[count // 4 :]))

import time
T0=time.time()
def LOG(tag, game, *a):
    print(tag, f'{time.time()-T0:.2f} calls {game.calls} upper {game.best.upper:.12f} gap {game.gap:.2e} J {len(game.cuts)}', *a, flush=True)
