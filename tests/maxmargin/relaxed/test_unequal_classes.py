"""Free intercepts beside classes of unequal sizes: the interior point keeps to its path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import steepest as st
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import reduce


@pytest.mark.sklearn
@pytest.mark.parametrize(("norm", "margin"), [("max", 0.0045513), ("sum", 0.00044774)])
def test_breast_cancer_is_solved_by_the_interior_point(norm, margin):
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    X, y = load_breast_cancer(return_X_y=True)
    problem = st.Classification(StandardScaler().fit_transform(X), y)
    solution = st.max_margin(problem, norm, gap=1e-4, intercept=True, method="interior-point")
    assert solution.status.name == "SOLVED"
    assert solution.margin == pytest.approx(margin, rel=2e-4)


def _of_unequal_classes():
    rng = np.random.default_rng(0)
    rng.random(400)  # the draws of these data are those that lost the path
    rng.normal(size=(400, 10))
    y = rng.choice(3, p=[0.02, 0.08, 0.9], size=400)
    X = rng.normal(size=(400, 10))
    X[:, :2] += 4 * (y[:, None] == np.arange(2))
    return st.Classification(X, y)


@pytest.mark.parametrize("norm", ["max", "spectral"])
def test_a_path_that_is_lost_begins_anew(norm):
    problem = _of_unequal_classes()
    inside = st.max_margin(problem, norm, gap=1e-4, intercept=True, nu=0.02, method="interior-point")
    assert inside.status.name == "SOLVED"
    assert inside.margin > 0


def test_even_start_balances_the_flows_and_keeps_to_the_caps():
    problem = _of_unequal_classes()
    reduced = reduce(problem, st.norm("max"))
    for caps in (None, np.full(400, 0.3)):
        q = Pairs(_even(reduced, caps)).uniform
        flows = np.array([q[problem.labels == a].sum(axis=0) for a in range(3)])
        np.testing.assert_allclose(flows, (1 - np.eye(3)) / 6, rtol=1e-12)
        assert caps is None or np.all(q.sum(axis=1) <= caps / 2)
    small = np.full(400, 1 / 400 * 1.5)
    np.testing.assert_allclose(Pairs(_even(reduced, small)).uniform.sum(axis=1), 1 / 400, rtol=1e-12)


def _even(reduced, caps):
    return replace(reduced, even=True, caps=caps)
