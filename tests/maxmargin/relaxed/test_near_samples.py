"""Soft margins from a start among few samples, and hard ones with free weights as linear programs."""

import numpy as np
import pytest

import steepest as st
from steepest.maxmargin.relaxed.near_samples import near_level


def clouds(seed=0, samples=900):
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % 3
    X = rng.normal(size=(samples, 5)) + 2.5 * np.eye(3, 5)[y] + 7.0
    return X, np.where(rng.random(samples) < 0.02, (y + 1) % 3, y)


@pytest.mark.parametrize("norm", ["max", "sum", "frobenius", "spectral"])
def test_paths_leave_samples_out_and_find_the_same_margins(norm):
    problem = st.Classification(*clouds())
    solution, methods = None, set()
    for nu in (0.3, 0.15, 0.1):
        solution = st.max_margin(problem, norm, 1e-5, nu=nu, intercept=True, start=solution)
        alone = st.max_margin(problem, norm, 1e-7, nu=nu, intercept=True)
        assert max(solution.margin, alone.margin) <= min(solution.upper_bound, alone.upper_bound)
        assert solution.relative_gap <= 1e-5
        methods.add(solution.method)
    if norm in ("max", "sum"):
        assert "interior point among samples near the level" in methods


def test_starts_that_know_nothing_of_the_samples_change_no_margin():
    X, y = clouds(1)
    problem = st.Classification(X, y)
    start = st.max_margin(problem, "max", 1e-3, nu=0.2, intercept=True)
    # Of other features in the same shape.
    other = st.Classification(X[:, ::-1] * np.array([5.0, -1.0, 0.1, -3.0, 1.0]), y)
    found = st.max_margin(other, "max", 1e-6, nu=0.1, intercept=True, start=start)
    alone = st.max_margin(other, "max", 1e-6, nu=0.1, intercept=True)
    assert found.relative_gap <= 1e-6
    assert max(found.margin, alone.margin) <= min(found.upper_bound, alone.upper_bound)


def test_samples_near_the_level_have_every_class():
    lowest = np.concatenate([np.linspace(-1.0, 5.0, 300), np.linspace(50.0, 60.0, 20)])
    labels = np.repeat([0, 1], [300, 20])
    chosen = near_level(lowest, np.full(320, 1 / 16), labels)
    assert chosen[:48].all()
    assert chosen[300:].sum() == 3
    assert chosen.sum() < 75


@pytest.mark.parametrize("norm", ["max", "sum"])
@pytest.mark.parametrize("free", [[], [2]])
def test_hard_margins_with_free_weights_are_linear_programs(norm, free):
    rng = np.random.default_rng(3)
    y = np.arange(60) % 4
    X = rng.normal(size=(60, 8)) + 6.0 * np.eye(4, 8)[y] - 20.0
    problem = st.Classification(X, y)
    found = st.max_margin(problem, norm, 1e-7, intercept=True, free=free)
    assert free or found.method == "interior point (linear program)"
    other = st.max_margin(problem, norm, 1e-6, intercept=True, free=free, method="cutting-planes")
    assert found.relative_gap <= 1e-7
    assert max(found.margin, other.margin) <= min(found.upper_bound, other.upper_bound)
