"""Separability with an intercept, within time, and with classes that no sample has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steepest as st
from steepest.errors import InvalidArgument
from steepest.maxmargin.separability.result import Separation


def test_an_intercept_is_a_feature_of_ones_that_was_added():
    X, y = np.array([[1.0], [2.0], [2.0], [3.0]]), ["no", "no", "yes", "yes"]
    assert st.separability(st.Classification(X, y)).kind is Separation.NOT_SEPARABLE
    found = st.separability(st.Classification(X, y, "trial"), intercept=True)
    by_hand = st.separability(st.Classification(np.c_[X, np.ones(4)], y))
    assert found.intercept
    assert not by_hand.intercept
    assert found.kind is by_hand.kind is Separation.WEAKLY_SEPARABLE
    assert found.problem.name == "trial"
    np.testing.assert_array_equal(found.weights, by_hand.weights)
    np.testing.assert_array_equal(found.coefficients, by_hand.coefficients)
    assert found.infinite() == ("class 'yes' against 'no': feature 0 to +inf, (intercept) to -inf",)
    assert by_hand.infinite() == ("class 'yes' against 'no': feature 0 to +inf, feature 1 to -inf",)
    # Names of all features, the intercept's among them, are as good.
    assert found.infinite(["dose", "(intercept)"]) == found.infinite(["dose"])
    assert found.infinite(["dose", "ones"])[0].endswith("ones to -inf")


@pytest.mark.parametrize("intercept", [1, "yes", None])
def test_an_intercept_is_true_or_false(intercept: Any):
    with pytest.raises(InvalidArgument, match=r"intercept=.*give True or False"):
        st.separability(st.Classification(np.eye(2), [0, 1]), intercept=intercept)


def test_classes_without_samples_are_kept():
    X = [[1.0, 2.0], [3.0, 1.0], [2.0, 2.0], [0.0, 1.0]]
    problem = st.Classification(X, [0, 1, 1, 0], classes=[0, 1, 2])
    found = st.separability(problem, intercept=True)
    assert found.separable
    assert found.weights.shape == (3, 3)
    assert found.problem.classes.tolist() == [0, 1, 2]
    every: tuple[dict[str, Any], ...] = (
        {},
        {"intercept": True},
        {"nu": 0.5},
        {"nu": 0.5, "intercept": True},
        {"free": [0]},
    )
    for norm in ("frobenius", "max", "nuclear", "row-2/1"):
        for options in every:
            assert st.max_margin(problem, norm, **options).relative_gap <= 1e-8, (norm, options)
    alone = st.Classification(problem.features, [1, 1, 1, 1], classes=[0, 1])
    # Of one class any weights that favour it will do: W = [[-1, -1], [1, 1]] / 1 in the max-norm, x = [0, 1].
    assert st.max_margin(alone, "max").margin == pytest.approx(2.0)
    with pytest.raises(InvalidArgument, match="all samples are of one class"):
        st.max_margin(alone, "max", intercept=True)


def test_no_step_begins_that_would_end_after_the_time_limit():
    generator = np.random.default_rng(0)
    problem = st.Classification(generator.normal(size=(4000, 100)), generator.integers(0, 8, 4000))
    found = st.separability(problem, time_limit=1e-6)
    assert found.kind is Separation.UNDECIDED
    assert "maximum likelihood" not in found.tried
    assert 0 < found.residual <= 1
