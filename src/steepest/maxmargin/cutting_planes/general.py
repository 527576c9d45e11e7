"""Max margins in any norm with a value, a dual and a direction: which steps come when.

The dual of the max margin, min_{q ∈ simplex} ‖A(q)‖_*, is convex, and a direction D(A(q)) gives its value
and a subgradient: the margins of weights in the ball. Every direction is kept as a cut,
‖A(q')‖_* ≥ ⟨q', margins⟩, and convex combinations of the cuts' weights give the lower bound.

First come quasi-Newton steps (squares.py), which go to the end by themselves where the dual norm is smooth;
then master problems on the cuts, by turns plain (Kelley's method from central points, finite and fast for
polyhedral balls) and in a metric that is learned (bundle.py), for balls of which some of the surface is
curved. Corrections (polish.py) give the last digits. The margins of all pairs are checked, but only pairs
near the smallest margin are worked with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from steepest.geometry import Norm
from steepest.maxmargin.cutting_planes.bundle import Bundle
from steepest.maxmargin.cutting_planes.game import Game
from steepest.maxmargin.cutting_planes.master import solve_master
from steepest.maxmargin.cutting_planes.polish import Polish
from steepest.maxmargin.cutting_planes.squares import Squares
from steepest.maxmargin.first_order.coordinate import coordinate_ascent
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, all_pairs
from steepest.maxmargin.forms.reduced import Reduced, reduce
from steepest.maxmargin.separability.decision import against
from steepest.problem import Classification

__all__ = ["solve_by_cuts"]

_STEPS = 40
"""Quasi-Newton steps between two master problems, which cost about as much."""
_KEEPS_PACE, _FALLS, _SLOW = 0.7, 0.99, 5
"""Shares to which such a round must bring the gap, or the upper bound; how many slow ones are the last."""
_CENTRAL = 0.3
"""Share of what is left between the bounds to which plain master problems are solved: points well inside
make better cuts than vertices (Gondzio, González-Brevis and Munari, Eur. J. Oper. Res. 224, 2013)."""
_SHARP = 1e-2
"""The same where only the weights of a master problem matter."""
_TURNS = 5
"""Turns of the two master problems between two corrections."""
_MOST_CUTS, _CUTS_A_PAIR, _LATEST = 300, 1.25, 30
"""Cuts above which the quarter of least use is forgotten, at least or for each pair; the last are kept."""
_MOST_PAIRS = 1000
"""Pairs to begin with; of more, those of smallest margin in the Frobenius norm."""
_COARSE, _PACE = 1e-2, 8.0
"""Gap of the Frobenius margins that choose pairs, and the sweeps that a digit of it may cost."""
_NEAR, _GAPS, _LARGE = 0.2, 10.0, 1e-2
"""Pairs stay whose margin is above the smallest by less than this share and this many gaps, or whose dual
weight is at least this share of the largest."""
_FEWER = 0.7
"""Share of the pairs that must not be relevant any more, for quasi-Newton steps to go on with these alone."""
_ANEW = 0.1
"""Pairs are chosen anew where the gap has fallen to this share."""
_MOST_TURNS, _STALLED, _LEAST = 3000, 150, 0.99
"""Turns after which the method ends, and turns in which the gap must fall to this share."""
_DOUBTFUL = 60
"""Turns without a positive margin after which it is asked whether there is one."""
_NOTHING = 1e-13
"""Share of ‖A(q)‖_* at equal dual weights that counts as zero: data that cannot be separated."""


def solve_by_cuts(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    """Propose weights and dual weights, for a norm of which only value, dual and direction are used.

    Where no margin is positive, dual weights with A(q) = 0 are looked for between the stages.

    Args:
        problem: the data; tensors are computed with as NumPy arrays in float64.
        norm: any norm.
        gap: relative gap to reach.
        deadline: when to stop with what there is.
    """
    reduced = reduce(problem, norm)
    if not reduced.features.any():
        return
    # In the units of the game ‖A(q)‖_* is 1 at equal dual weights.
    game = _first_game(Pairs(reduced).balanced(), deadline)
    for stage in (_by_squares, partial(_by_planes, doubtful=True), _by_planes):
        stage(game, gap, deadline)
        yield _candidate(reduced, game, game.best.dual)
        if not game.cuts or _ended(game, gap, deadline):
            return
        if game.best.lower <= 0.0:
            thorough = stage is not _by_squares
            found = against(problem, game.best.dual, deadline, thorough=thorough)
            if found is not None and found.separable is False:
                yield _candidate(reduced, game, found.dual)
                return


def _candidate(reduced: Reduced, game: Game, dual: np.ndarray) -> Candidate:
    return Candidate(reduced.weights(game.best.weights), dual, game.calls, "cutting planes")


def _ended(game: Game, gap: float, deadline: Deadline) -> bool:
    deadline.tell("cutting planes", game.calls, game.gap)
    return game.gap <= gap or game.best.upper <= _NOTHING or deadline.passed


def _first_game(pairs: Pairs, deadline: Deadline) -> Game:
    """The game on all pairs, or on those of smallest margins in the Frobenius norm where there are many."""
    everything = all_pairs(pairs.y, pairs.reduced.classes)
    if len(everything) <= _MOST_PAIRS:
        return Game.of(pairs, everything)
    X, k = pairs.features, pairs.reduced.classes
    X = X / float(np.abs(X).max())
    W, _, _ = coordinate_ascent(X, pairs.y, k, _COARSE, deadline, _PACE)
    logits = X @ W.T
    margins = (logits[pairs.index, pairs.y][:, None] - logits)[tuple(everything.T)]
    game = Game.of(pairs, everything[np.argsort(margins, kind="stable")[:_MOST_PAIRS]])
    game.take_weights(pairs.in_norm(W))
    return game


def _by_squares(game: Game, gap: float, deadline: Deadline) -> None:
    """Quasi-Newton steps while they keep their pace."""
    steps = Squares.start(game, np.full(game.size, 1.0 / game.size))
    polish, gap_before, upper_before, slow = Polish(game), game.gap, game.best.upper, 0
    while game.cuts and not _ended(game, gap, deadline) and slow < _SLOW:
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
        if not found:
            return
        steady = game.gap <= _KEEPS_PACE * gap_before or game.best.upper <= _FALLS * upper_before
        slow = 0 if steady else slow + 1
        gap_before, upper_before = game.gap, game.best.upper
        kept = _relevant(game) if slow else np.arange(game.size)
        if len(kept) > _FEWER * game.size:
            kept = np.arange(game.size)
        elif slow:
            slow = 0
        _choose(game, steps, kept, W)


@dataclass
class _Progress:
    """How long the gap has not fallen."""

    gap: float
    turns: int = 0

    def stalled(self, gap: float) -> bool:
        """Whether it has not fallen enough in too many turns."""
        self.turns += 1
        if gap <= _LEAST * self.gap:
            self.gap, self.turns = gap, 0
        return self.turns >= _STALLED


def _by_planes(game: Game, gap: float, deadline: Deadline, doubtful: bool = False) -> None:
    """Plain master problems and those of the bundle method, by turns.

    While it is doubtful whether there is a positive margin, only some turns are spent on finding one.
    """
    game.choose(game.chosen[_relevant(game)])
    bundle, polish = Bundle.start(game, game.dual), Polish(game)
    progress, chosen_at = _Progress(game.gap), game.gap
    for turn in range(1, _MOST_TURNS + 1):
        plain = solve_master(game.matrix(), None, _CENTRAL * game.left)
        W = game.combined(plain.shares)
        game.take_weights(W)
        game.cut_on_the_way(game.dual, plain.q)
        metric = bundle.advance()
        if turn % _TURNS == 0:
            polish.correct(game.combined(metric.shares), metric.q)
            polish.correct(W, plain.q)
        _forget(game, plain.shares, metric.shares)
        kept = np.arange(game.size)
        if game.gap <= _ANEW * chosen_at:
            kept, chosen_at = _relevant(game), game.gap
        _choose(game, bundle, kept, W)
        if _ended(game, gap, deadline) or progress.stalled(game.gap):
            return
        if doubtful and (game.best.lower > 0.0 or turn == _DOUBTFUL):
            return


def _choose(game: Game, steps: Squares | Bundle, kept: np.ndarray, W: np.ndarray) -> None:
    """Keep some pairs, by their places, and add those outside the game whose margins W violates."""
    violated = game.violated(W)
    if len(violated) or len(kept) < game.size:
        game.choose(np.concatenate([game.chosen[kept], violated]))
        steps.choose(kept)


def _relevant(game: Game) -> np.ndarray:
    """Places of the pairs that may be active at the optimum; all as long as no margin is positive."""
    margins, q = game.margins(game.best.weights), game.dual
    lowest = float(margins.min())
    if lowest <= 0.0:
        return np.arange(game.size)
    near = margins < lowest * (1.0 + _NEAR + _GAPS * game.gap)
    return np.nonzero(near | (q > _LARGE * q.max()))[0]


def _forget(game: Game, plain: np.ndarray, metric: np.ndarray) -> None:
    """Where there are many cuts, forget some of small shares in both master problems; the last are kept."""
    count = len(game.cuts)
    if count <= max(_MOST_CUTS, _CUTS_A_PAIR * game.size):
        return
    use = np.zeros(count)
    use[: len(metric)] = metric
    use[: len(plain)] = np.maximum(use[: len(plain)], plain)
    use[-_LATEST:] = np.inf
    game.forget(np.sort(np.argsort(use, kind="stable")[count // 4 :]))
