"""Linear programs of the pairs and weights that matter: the margin of the whole, and when they give up."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

import steepest as st
from steepest.geometry import norm as as_norm
from steepest.maxmargin import Status
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.scans import solve, support_program
from steepest.maxmargin.scans.frobenius import solve_frobenius
from steepest.maxmargin.scans.solve import source_of


@pytest.fixture(autouse=True)
def _many_rounds(monkeypatch):
    """Interior points take no part, programs begin with a few pairs and grow by a few."""
    monkeypatch.setattr(solve, "_FEW", 0)
    monkeypatch.setattr(support_program, "_FIRST_PAIRS", 5)
    monkeypatch.setattr(support_program, "_ROOM", 4)


def counts(classes=5, samples=60, words=80, seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    frequency = generator.gamma(1.0, size=(classes, words)) / np.arange(1, words + 1)
    return generator.poisson(100.0 * frequency[y]).astype(float), y


def started(problem):
    source = source_of(problem.rows, problem.labels, problem.n_classes)
    return solve_frobenius(source, 1e-2, Deadline())[0]


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("norm", ["sum", "row-1/inf", "column-1/inf"])
def test_the_vertex_is_the_optimum_of_the_whole(norm, form):
    X, y = counts()
    whole = st.max_margin(st.Classification(X, y), norm, 1e-9, method="linear-program")
    problem = st.Classification(form(1e-5 * X), y)
    found = support_program.solve_on_support(started(problem), as_norm(norm), 1e-9, Deadline())
    assert found is not None
    W, chosen, pivots = found
    q = np.zeros((problem.samples, problem.n_classes))
    q[chosen.rows[chosen.place], chosen.other] = chosen.alpha
    bounds = st.maxmargin.certificate(st.Classification(1e-5 * X, y), norm, W, q)
    assert bounds.relative_gap <= 2e-9
    assert 1e5 * bounds.margin == pytest.approx(whole.margin, rel=3e-9)
    assert pivots > 0
    # At a vertex no more pairs have weight than parts of weights and budgets.
    assert np.count_nonzero(q) <= np.count_nonzero(W) + 80


def test_scans_take_programs_where_few_pairs_have_weight(monkeypatch):
    problem = st.Classification(*counts())
    solution = st.max_margin(problem, "sum", 1e-9, method="scans")
    assert (solution.status, solution.method) == (Status.SOLVED, "scans, linear programs")
    monkeypatch.setattr(support_program, "_MOST_PIVOTS", 3)
    other = st.max_margin(problem, "sum", 1e-4, method="scans")
    assert (other.status, other.method) == (Status.SOLVED, "scans, primal-dual gradient")
    assert other.margin <= solution.upper_bound
    assert solution.margin <= other.upper_bound


@pytest.mark.parametrize("name", ["_MOST_PAIRS", "_MOST_ROUNDS"])
def test_programs_that_grow_are_given_up(monkeypatch, name):
    monkeypatch.setattr(support_program, name, 1)
    chosen = started(st.Classification(*counts()))
    assert support_program.solve_on_support(chosen, as_norm("sum"), 1e-9, Deadline()) is None


def test_time_ends_them():
    chosen = started(st.Classification(*counts()))
    assert support_program.solve_on_support(chosen, as_norm("sum"), 1e-9, Deadline.after(1e-9)) is None


def test_norms_with_budgets_are_those_of_sums():
    named = {"sum": True, "row-1/inf": True, "max": False, "row-inf/1": False, "spectral": False}
    assert {name: support_program.has_budgets(as_norm(name)) for name in named} == named
