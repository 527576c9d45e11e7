"""HiGHS and Clarabel on small instances: known optima, agreement with ours, what they lack."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.maxmargin.known import problem_with_known_margin
from tests.problems import random_problem

import steepest as st
from steepest.errors import MissingCapability, MissingExtra
from steepest.maxmargin import Status, certificate
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.peers.clarabel import CONIC_PROGRAM, solve_conic_program
from steepest.maxmargin.peers.highs import solve_linear_program
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL

CONIC = ("max", "sum", "frobenius", "entrywise-3", "entrywise-1.5", "spectral", "nuclear", "schatten-2")
LINEAR = ("max", "sum")


def gap_of(solve, problem, norm):
    reduced = reduce(problem, st.norm(norm))
    found = solve(reduced, 1e-8, Deadline())
    return certificate(problem, norm, reduced.weights(found.weights), found.dual).relative_gap


@pytest.mark.parametrize("norm", CONIC)
def test_clarabel_finds_a_known_optimum(norm):
    problem, _, _ = problem_with_known_margin(norm, samples=16, dimension=20, extra=4)
    assert gap_of(solve_conic_program, problem, norm) <= 1e-7


@pytest.mark.parametrize("norm", LINEAR)
def test_highs_finds_a_known_optimum(norm):
    problem, _, _ = problem_with_known_margin(norm, samples=16, dimension=20, extra=4)
    assert gap_of(solve_linear_program, problem, norm) <= 1e-9


@pytest.mark.parametrize(("method", "norms"), [("conic-program", CONIC), ("linear-program", LINEAR)])
def test_agree_with_ours(method, norms):
    problem = random_problem(classes=3, samples=9, features=12, seed=4)
    for norm in norms:
        theirs = st.max_margin(problem, norm, 1e-7, method=method)
        assert theirs.status is Status.SOLVED
        assert theirs.margin == pytest.approx(st.max_margin(problem, norm).margin, rel=2e-7)


def test_dual_weights_are_the_multipliers_of_the_margins():
    # One feature: the nearest samples of the two classes bear all of the dual weight, in equal parts.
    problem = st.Classification([[1.0], [3.0], [-2.0], [-5.0]], [0, 0, 1, 1])
    for solve in (solve_conic_program, solve_linear_program):
        found = solve(reduce(problem, st.norm("max")), 1e-9, Deadline())
        q = found.dual / found.dual.sum()
        # A(q) = Σ q x over both signs: any split gives ‖A(q)‖_* = 2 Σ q |x|, least at |x| = 1 alone.
        np.testing.assert_allclose(q, [[0, 1], [0, 0], [0, 0], [0, 0]], atol=1e-6)


def test_what_norms_do_not_offer_is_named():
    for norm in ("schatten-3", "schatten-1.5"):
        assert CONIC_PROGRAM.of(st.norm(norm)) is None
        with pytest.raises(
            MissingCapability, match=r"method=\"conic-program\" needs a unit ball in Clarabel's"
        ):
            solve_conic_program(reduce(random_problem(), st.norm(norm)), 1e-8, Deadline())
    for norm in ("frobenius", "spectral", "nuclear", "entrywise-3"):
        assert LINEAR_BALL.of(st.norm(norm)) is None
        with pytest.raises(
            MissingCapability, match=r"method=\"linear-program\" needs a unit ball of few linear"
        ):
            solve_linear_program(reduce(random_problem(), st.norm(norm)), 1e-8, Deadline())


def test_without_clarabel_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "clarabel", None)
    with pytest.raises(MissingExtra, match=r"pip install 'steepest\[peers\]'"):
        st.max_margin(random_problem(), "frobenius", method="conic-program")
    assert st.max_margin(random_problem(), "frobenius").status is Status.SOLVED
