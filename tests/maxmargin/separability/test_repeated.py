"""Data that a few samples keep from being separable is told apart at once, with evidence anyone can check."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.contracts.norms import every_norm

import steepest as st
from steepest.maxmargin import Status
from steepest.maxmargin.separability.repeated import repeated_sample


def found_in(X, y):
    problem = st.Classification(X, y)
    return repeated_sample(problem.features, problem.labels, problem.n_classes)


def exact_pair_sum(X, y, pairs, weights):
    """A(q) of the two classes of a pair in rational arithmetic, row by row."""
    total = {}
    for (i, c), q in zip(pairs, weights, strict=True):
        for j, x in enumerate(X[i].tolist()):
            for row, sign in ((int(y[i]), 1), (int(c), -1)):
                total[row, j] = total.get((row, j), Fraction(0)) + sign * q * Fraction(x)
    return total


@given(seed=some.integers(0, 2**32 - 1), power=some.integers(-40, 40), odd=some.sampled_from([1, 3, 5]))
def test_a_point_or_its_multiple_with_two_labels_is_found_by_one_product(seed, power, odd):
    generator = np.random.default_rng(seed)
    # Few digits, so that multiples are exact.
    X, y = np.round(generator.normal(size=(30, 7)) * 2**20), np.arange(30) % 3
    X[17] = odd * X[3] * 2.0**power
    found = found_in(X, y)
    assert found is not None
    assert found.exact is not None
    assert sorted(found.pairs.tolist()) == [[3, y[17]], [17, y[3]]]
    assert sum(found.exact) == 1
    assert not any(exact_pair_sum(X, y, found.pairs.tolist(), found.exact).values())


def test_what_is_a_multiple_but_for_rounding_is_none():
    X = np.array([[0.1, 0.3, 0.7], [0.2, 0.5, 0.1], [0.1 * 3, 0.3 * 3, 0.7 * 3]])
    assert found_in(X, [0, 1, 1]) is None


def test_a_sample_at_the_origin_has_no_margin():
    found = found_in([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]], [0, 1, 2])
    assert found is not None
    assert found.pairs.tolist() == [[1, 2]]


def test_features_of_very_different_size_hide_no_repeated_sample():
    X = np.array([[1e16, 1.0], [1e16, 2.0], [1e16, 3.0], [1e16, 2.0]])
    found = found_in(X, [0, 0, 1, 1])
    assert found is not None
    assert sorted(found.pairs[:, 0].tolist()) == [1, 3]


def test_points_that_repeat_with_one_label_or_turn_round_are_no_contradiction():
    X = np.array([[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0], [2.0, 4.0]])
    assert found_in(X, [0, 0, 1, 0]) is None
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
    q = solution.dual
    assert q.sum() == pytest.approx(1)
    # Every column of A(q) is rounding of its own terms.
    terms = q.T @ np.abs(X) + np.eye(10)[y].T @ (q.sum(axis=1)[:, None] * np.abs(X))
    assert (np.abs(problem.pair_sum(q)) <= 1e-14 * terms).all()
    assert set(np.argwhere(q > 0)[:, 0]) == {0, 1, 10}
    without = st.Classification(np.delete(X, 1, axis=0), np.delete(y, 1))
    assert st.max_margin(without, norm, 1e-2).separable
