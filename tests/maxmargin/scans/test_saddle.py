"""Primal-dual gradient steps among chosen pairs: products, bounds and the margin of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

import steepest as st
from steepest.geometry import norm as as_norm
from steepest.maxmargin import Status
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.scans import saddle, solve
from steepest.maxmargin.scans.frobenius import chosen_first, solve_frobenius
from steepest.maxmargin.scans.pair_products import PairProducts
from steepest.maxmargin.scans.solve import source_of


def gaussian(classes=8, samples=60, dimension=40, seed=0):
    y = np.arange(samples) % classes
    return np.random.default_rng(seed).normal(size=(samples, dimension)), y


@pytest.fixture
def few_are_many(monkeypatch):
    """Neither interior points nor linear programs take part, however few the unknowns and pairs are."""
    monkeypatch.setattr(solve, "_FEW", 0)
    monkeypatch.setattr(solve, "_FEW_PAIRS", 0)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.2, 1.0])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_products_are_those_of_the_pairs(form, share, precision):
    X, y = gaussian()
    X[np.random.default_rng(1).random(X.shape) < 0.5] = 0.0
    problem = st.Classification(form(X), y)
    chosen = chosen_first(source_of(problem.rows, problem.labels, problem.n_classes))
    chosen = chosen.kept(np.random.default_rng(3).random(len(chosen)) < share)
    generator = np.random.default_rng(2)
    W, q, sizes = generator.normal(size=(8, 40)), generator.random(len(chosen)), 1.0 + generator.random(40)
    chosen = chosen.weighed(q)
    pairs = PairProducts.of(chosen, sizes, precision)
    margins, total = pairs.margins((W * sizes).astype(precision)), pairs.pair_sum(q.astype(precision))
    accuracy = 1e-5 if precision is np.float32 else 1e-13
    assert margins.dtype == total.dtype == precision
    np.testing.assert_allclose(margins, chosen.margins(W), rtol=0, atol=accuracy * 10)
    np.testing.assert_allclose(total * sizes, chosen.pair_sum(), rtol=0, atol=accuracy * 100)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("norm", ["max", "sum"])
def test_polyhedral_norms_agree_with_the_whole(norm):
    problem = st.Classification(*gaussian())
    scans = st.max_margin(problem, norm, 1e-4, method="scans")
    whole = st.max_margin(problem, norm, 1e-6, method="interior-point")
    assert scans.status is Status.SOLVED
    assert scans.method == "scans, primal-dual gradient"
    assert scans.margin <= whole.upper_bound
    assert scans.upper_bound >= whole.margin


@pytest.mark.usefixtures("few_are_many")
def test_a_budget_of_sparse_features_gives_the_margin_of_the_array():
    X, y = gaussian(classes=4, samples=40)
    X[np.random.default_rng(1).random(X.shape) < 0.6] = 0.0
    solution = st.max_margin(st.Classification(sparse.csr_array(X), y), "sum", 1e-4, method="scans")
    whole = st.max_margin(st.Classification(X, y), "sum", 1e-8)
    assert solution.status is Status.SOLVED
    assert solution.method == "scans, primal-dual gradient"
    assert solution.margin == pytest.approx(whole.margin, rel=2e-4)


@pytest.mark.usefixtures("few_are_many")
def test_an_array_of_zeros_is_scanned_as_sparse_rows_with_a_step_for_each_feature():
    """Counts whose features differ in size by a thousand, as those of words do."""
    generator = np.random.default_rng(0)
    y = np.arange(60) % 6
    X = np.where(generator.random((60, 200)) < 0.08, np.geomspace(1.0, 1e-3, 200), 0.0)
    problem = st.Classification(X, y)
    arrays = st.max_margin(problem, "max", 1e-4, method="scans")
    rows = st.max_margin(st.Classification(sparse.csr_array(X), y), "max", 1e-4, method="scans")
    whole = st.max_margin(problem, "max", 1e-8, method="interior-point")
    for each in (arrays, rows):
        assert each.status is Status.SOLVED
        assert each.method == "scans, primal-dual gradient"
        assert each.margin <= whole.upper_bound
        assert each.upper_bound >= whole.margin
    bounds = st.maxmargin.certificate(problem, "max", arrays.weights, arrays.dual)
    assert bounds.relative_gap <= 1e-4


def test_the_steps_are_those_of_the_pairs_that_are_chosen(monkeypatch):
    """The operator of few pairs is smaller than that of all, and pairs join by scans until none violates."""
    sizes, sets = [], []
    hold = saddle.Saddle._hold

    def noted(self, chosen):
        hold(self, chosen)
        sizes.append(self.size)
        sets.append(len(chosen))

    monkeypatch.setattr(saddle.Saddle, "_hold", noted)
    X, y = gaussian(classes=10, samples=150, dimension=100)
    problem, norm = st.Classification(X, y), as_norm("max")
    source = source_of(problem.rows, problem.labels, problem.n_classes)
    chosen, _, _ = solve_frobenius(source, 1e-2, Deadline())
    W, found, steps = saddle.solve_saddle(chosen, norm, 1e-3, Deadline())
    assert steps < 20_000
    bounds = st.maxmargin.certificate(problem, norm, W, _dual(problem, found))
    assert bounds.relative_gap <= 1e-3
    Z = X / source.scale
    E = np.eye(10)
    rows = [np.outer(E[y[i]] - E[c], Z[i]).ravel() for i in range(len(y)) for c in range(10) if c != y[i]]
    assert sizes[-1] < 0.8 * np.linalg.norm(np.array(rows), 2)
    assert sets[-1] < 0.5 * len(rows)


def _dual(problem, chosen):
    q = np.zeros((problem.samples, problem.n_classes))
    q[chosen.rows[chosen.place], chosen.other] = chosen.alpha
    return q


def test_a_deadline_ends_it_where_all_weights_are_zero(monkeypatch):
    problem = st.Classification(*gaussian())
    source = source_of(problem.rows, problem.labels, problem.n_classes)
    chosen, _, _ = solve_frobenius(source, 1e-1, Deadline())
    now = saddle.Saddle.now
    monkeypatch.setattr(saddle.Saddle, "now", lambda self: (np.zeros((8, 40)), *now(self)[1:]))
    _, _, steps = saddle.solve_saddle(chosen, as_norm("max"), 1e-9, Deadline.after(0.0))
    assert steps == 1
