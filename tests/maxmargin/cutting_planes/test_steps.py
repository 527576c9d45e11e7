"""Steps on the game of dual weights: each keeps bounds that hold, and comes nearer."""

from __future__ import annotations

import numpy as np
import pytest

import steepest as st
from steepest.maxmargin.cutting_planes.bundle import Bundle
from steepest.maxmargin.cutting_planes.game import Game
from steepest.maxmargin.cutting_planes.master import solve_master
from steepest.maxmargin.cutting_planes.polish import Polish, equalise_by_dual_weights, equalise_by_weights
from steepest.maxmargin.cutting_planes.squares import Squares
from steepest.maxmargin.forms.pairs import Pairs, all_pairs
from steepest.maxmargin.forms.reduced import reduce

PROBLEM = st.datasets.gaussian(classes=3, samples_per_class=6, features=12, seed=3)


def game_in(norm: str) -> Game:
    pairs = Pairs(reduce(PROBLEM, st.norm(norm))).balanced()
    return Game.of(pairs, all_pairs(pairs.y, PROBLEM.n_classes))


def equal(game: Game) -> np.ndarray:
    return np.full(game.size, 1.0 / game.size)


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "schatten-4", "entrywise-3"])
def test_quasi_newton_steps_go_to_the_end_where_the_dual_norm_is_smooth(norm):
    game = game_in(norm)
    steps = Squares.start(game, equal(game))
    values = [steps.point.value]
    while len(values) < 300 and steps.advance():
        values.append(steps.point.value)
    assert (np.diff(values) <= 0).all()
    known = st.max_margin(PROBLEM, norm, 1e-10)
    margin = game.take_weights(game.pairs.in_norm(known.weights))
    assert margin * (1 - 1e-12) <= game.best.upper <= margin * (1 + 1e-6)


@pytest.mark.parametrize("norm", ["nuclear", "row-2/1", "max", "sum"])
def test_master_problems_and_the_bundle_close_the_gap_where_it_is_not(norm):
    game = game_in(norm)
    bundle, gaps = Bundle.start(game, equal(game)), []
    for _ in range(60):
        master = solve_master(game.matrix(), None, 0.3 * game.left)
        game.take_weights(game.combined(master.shares))
        game.cut_on_the_way(game.dual, master.q)
        bundle.advance()
        gaps.append(game.gap)
        assert game.best.lower <= game.best.upper
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-4


def test_cuts_are_exact_where_they_are_made_and_below_the_dual_norm_elsewhere():
    for norm in ("spectral", "sum", "row-2/1"):
        game, rng = game_in(norm), np.random.default_rng(0)
        places = rng.dirichlet(np.ones(game.size), 6)
        cuts = [game.cut(q) for q in places]
        values = [float(game.pairs.reduced.norm.dual(game.pair_sum(q))) for q in places]
        np.testing.assert_allclose([cut.value for cut in cuts], values, rtol=1e-12)
        for cut in cuts:
            assert (places @ cut.margins <= np.array(values) * (1 + 1e-12)).all()


def test_corrections_only_improve_the_bounds():
    game = game_in("schatten-4")
    steps = Squares.start(game, equal(game))
    for _ in range(60):
        steps.advance()
    before = (game.best.lower, game.best.upper)
    W = game.cut(game.dual).weights
    equalise_by_weights(game, W, game.dual)
    equalise_by_dual_weights(game, game.dual)
    assert game.best.lower >= before[0]
    assert game.best.upper <= before[1]
    assert game.gap < 1e-9


def test_a_correction_that_gains_nothing_pauses_twice_as_long_each_time():
    game, calls = game_in("frobenius"), []
    polish = Polish(game)
    for look in range(12):
        polish._unless_paused("weights", lambda look=look: calls.append(look))
    assert calls == [0, 2, 5, 10]


def test_pairs_that_are_left_out_are_found_again_by_their_margins():
    game = game_in("frobenius")
    game.choose(game.chosen[:4])
    W = game.cut(np.full(4, 0.25)).weights
    violated = game.violated(W)
    margins = game.pairs.margins(W)
    lowest = margins[tuple(game.chosen.T)].min()
    assert len(violated)
    assert (margins[tuple(violated.T)] < lowest).all()
    assert not {tuple(pair) for pair in violated} & {tuple(pair) for pair in game.chosen}
