"""Data that cannot be separated is told apart, with dual weights that anyone can check."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.contracts.norms import every_norm

import steepest as st
from steepest.maxmargin import Status
from steepest.maxmargin.certificates.contradiction import repeated_sample


def assert_certified(problem, q):
    """A(q) = 0 to rounding of the terms that cancel."""
    assert (q >= 0).all()
    assert q.sum() == pytest.approx(1)
    assert not q[np.arange(problem.samples), problem.labels].any()
    terms = np.abs(q).T @ np.abs(problem.features)
    assert np.abs(problem.pair_sum(q)).max() <= 1e-13 * terms.max()


@given(seed=some.integers(0, 2**32 - 1), factor=some.sampled_from([1.0, 3.0, 0.1, 1e-8, 1e8]))
def test_a_point_or_its_multiple_with_two_labels_is_found_by_one_product(seed, factor):
    generator = np.random.default_rng(seed)
    X, y = generator.normal(size=(30, 7)), np.arange(30) % 3
    X[17] = factor * X[3]
    problem = st.Classification(X, y)
    q = repeated_sample(problem)
    assert q is not None
    assert np.argwhere(q > 0).tolist() == [[3, y[17]], [17, y[3]]]
    assert_certified(problem, q)


def test_a_sample_at_the_origin_has_no_margin():
    problem = st.Classification([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]], [0, 1, 2])
    q = repeated_sample(problem)
    assert q is not None
    assert np.argwhere(q > 0)[:, 0].tolist() == [1]
    assert_certified(problem, q)


def test_points_that_repeat_with_one_label_or_turn_round_are_no_contradiction():
    X = np.array([[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0], [2.0, 4.0]])
    assert repeated_sample(st.Classification(X, [0, 0, 1, 0])) is None
    assert st.max_margin(st.Classification(X, [0, 0, 1, 0]), "spectral").separable


@every_norm
def test_one_sample_between_two_of_another_class_is_found_among_many(norm):
    """Everything else can be separated: the contradiction is in three pairs of 2,700."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(300, 80)), np.arange(300) % 10
    X[1] = 0.3 * X[0] + 0.7 * X[10]
    problem = st.Classification(X, y)
    solution = st.max_margin(problem, norm)
    assert solution.status is Status.NOT_SEPARABLE
    assert not solution.weights.any()
    assert_certified(problem, solution.dual)
    assert set(np.argwhere(solution.dual > 0)[:, 0]) == {0, 1, 10}
    without = st.Classification(np.delete(X, 1, axis=0), np.delete(y, 1))
    assert st.max_margin(without, norm, 1e-2).separable
