"""The smallest ν with a positive margin is the least mean hinge loss, which knows no norm."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from tests.estimators.data import blobs

from steepest.estimators import softest
from steepest.estimators.grid import grid
from steepest.estimators.softest import largest_nu, least_hinge_loss, smallest_nu
from steepest.estimators.solving import Settings, problem_of, solved
from steepest.estimators.training import distinct


def overlapping(classes, seed=0, n=30):
    X, y = blobs(n, 3, centers=classes, cluster_std=4.0, random_state=seed)
    return distinct(X, y, np.arange(classes), np.random.default_rng(seed).uniform(0.5, 2.0, n))


def least_loss(training, *, intercept):
    """Return min over W, b of the weighted mean of (1 - m_i)₊ by HiGHS, independent of our solvers."""
    X, y, k = training.features, training.labels, len(training.classes)
    if intercept:
        X = np.column_stack([X, np.ones(len(X))])
    n, d = X.shape
    rows = []
    for i in range(n):
        for c in range(k):
            if c != y[i]:
                W = np.zeros((k, d))
                W[y[i]], W[c] = X[i], -X[i]
                rows.append(np.concatenate([W.ravel(), np.eye(n)[i]]))
    shares = training.weights / training.weights.sum()
    costs = np.concatenate([np.zeros(k * d), shares])
    bounds = [(None, None)] * (k * d) + [(0, None)] * n
    return linprog(costs, A_ub=-np.array(rows), b_ub=-np.ones(len(rows)), bounds=bounds).fun


@pytest.mark.parametrize(
    ("norm", "classes", "intercept"),
    [
        ("frobenius", 2, True),
        ("frobenius", 3, False),
        ("max", 3, True),
        ("max", 2, False),
        ("spectral", 2, True),
        ("spectral", 3, False),
    ],
)
def test_the_smallest_nu_is_the_least_hinge_loss_in_every_norm(norm, classes, intercept):
    training = overlapping(classes)
    settings = Settings(norm, 1e-6, intercept)
    problem = problem_of(training, settings, soft=True)
    least = least_loss(training, intercept=intercept)
    found = smallest_nu(problem, training, settings, 0.0)
    assert found is not None
    assert least < found <= 1.0101 * least
    assert solved(problem, training.weights, settings, found).margin > 0
    assert solved(problem, training.weights, settings, 0.98 * least).margin <= 0


def test_where_solutions_take_long_the_smallest_nu_is_some_per_cent_above(monkeypatch):
    training, settings = overlapping(3), Settings("frobenius", 1e-6, True)
    monkeypatch.setattr(softest, "_QUICK", 0)
    found = smallest_nu(problem_of(training, settings, soft=True), training, settings, 0.0)
    assert found is not None
    assert 1.01 < found / least_loss(training, intercept=True) <= 1.1


def test_a_hinge_loss_is_least_over_all_sizes_of_the_weights():
    rng = np.random.default_rng(0)
    for _ in range(20):
        margins, shares = rng.normal(0.3, 1.0, 15), rng.dirichlet(np.ones(15))
        sizes = np.linspace(0, 50, 20001)
        every = np.maximum(1 - sizes[:, None] * margins, 0) @ shares
        assert least_hinge_loss(margins, shares) <= every.min() + 1e-12
        assert least_hinge_loss(margins, shares) >= every.min() - 1e-2
    assert least_hinge_loss(np.array([1.0, 2.0]), np.array([0.5, 0.5])) == 0.0
    assert least_hinge_loss(np.array([-1.0, -2.0]), np.array([0.5, 0.5])) == 1.0


def test_separable_data_has_the_share_of_its_lightest_sample():
    training = distinct(
        np.array([[0.0], [1.0], [3.0]]), np.array([0, 0, 1]), np.arange(2), np.array([1.0, 1, 2])
    )
    settings = Settings("max", 1e-6, True)
    problem = problem_of(training, settings, soft=True)
    found = smallest_nu(problem, training, settings, 0.0)
    assert found == pytest.approx(0.25)
    values = grid(4, problem, training, settings)
    assert values == pytest.approx(np.geomspace(0.25, 1.0, 4), rel=2e-4)


def test_the_largest_nu_is_twice_what_the_heaviest_class_leaves():
    assert largest_nu(np.array([0.9, 0.1]), intercept=True) == pytest.approx(0.2)
    assert largest_nu(np.array([0.4, 0.3, 0.3]), intercept=True) == 1.0
    assert largest_nu(np.array([0.9, 0.1]), intercept=False) == 1.0


def test_a_mean_among_the_other_class_has_no_nu():
    X, y = np.array([[-1.0], [1.0], [-2.0], [2.0], [0.0]]), np.array([0, 0, 0, 0, 1])
    training = distinct(X, y, np.arange(2), np.ones(5))
    settings = Settings("frobenius", 1e-4, True)
    assert smallest_nu(problem_of(training, settings, soft=True), training, settings, 0.0) is None
