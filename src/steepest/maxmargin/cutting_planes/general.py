"""Max margins in any norm with a value, a dual and a direction: which step comes when."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steepest.geometry import Norm
from steepest.maxmargin.cutting_planes.bundle import Bundle
from steepest.maxmargin.cutting_planes.game import Game
from steepest.maxmargin.cutting_planes.master import solve_master
from steepest.maxmargin.cutting_planes.polish import equalise_by_dual_weights, equalise_by_weights
from steepest.maxmargin.cutting_planes.squares import Squares
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.pairs import Pairs, all_pairs
from steepest.maxmargin.forms.reduced import reduce
from steepest.problem import Classification

__all__ = ["solve_by_cuts"]

_LOOK = 40
_CUTS = 300


def solve_by_cuts(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    reduced = reduce(problem, norm)
    pairs = Pairs(reduced)
    game = Game.of(pairs, all_pairs(reduced.labels, reduced.classes))
    _quick(game, gap, deadline)
    if game.gap > gap and not deadline.passed:
        _bundle(game, gap, deadline)
    yield Candidate(reduced.weights(game.best.weights), game.best.dual, game.calls, "cutting planes")


def _look(game: Game) -> None:
    master = solve_master(game.matrix(), None, 1e-2 * game.left)
    W = game.combined(master.shares)
    game.take_weights(W)
    game.cut(master.q)
    equalise_by_weights(game, W, master.q)
    q = game.dual
    equalise_by_dual_weights(game, q)


def _quick(game, gap, deadline):
    steps = Squares.start(game, np.full(game.size, 1 / game.size))
    last = 1.0
    while not deadline.passed:
        ok = True
        for _ in range(_LOOK):
            ok = steps.advance()
            if not ok: break
        game.forget(np.arange(max(0, len(game.cuts) - _CUTS), len(game.cuts)))
        _look(game)
        LOG('quick', game)
        if game.gap <= gap or game.gap > 0.5 * last or not ok: return
        last = game.gap


def _bundle(game, gap, deadline):
    b = Bundle.start(game, game.dual)
    it = 0
    while not deadline.passed:
        it += 1
        W, q = b.advance()
        if it % 10 == 0:
            equalise_by_weights(game, W, q)
            _look(game)
            LOG('bundle', game, it, b.predicted, b.tau)
        if game.gap <= gap: return

import time
T0=time.time()
def LOG(tag, game, *a):
    print(tag, f'{time.time()-T0:.2f} calls {game.calls} upper {game.best.upper:.12f} gap {game.gap:.2e} J {len(game.cuts)}', *a, flush=True)
