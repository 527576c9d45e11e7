"""One feature 1e12 times as large as the others costs rounding its digits, and not the whole solution."""

from __future__ import annotations

import numpy as np
import pytest
from tests.contracts.norms import every_norm

import steepest as st
from steepest.geometry import Schatten
from steepest.maxmargin.forms.clipping import clipped


def uneven(seed, classes=3, samples=20, features=10):
    """Separable data whose first feature says little about the class, and is 1e12 times as large."""
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), samples)
    X = generator.normal(size=(len(y), features)) + 3 * generator.normal(size=(classes, features))[y]
    X[:, 0] *= 1e12
    return st.Classification(X, y)


@every_norm
@pytest.mark.parametrize("seed", [0, 1])
def test_a_margin_is_found_and_certified_whatever_the_norm(norm, seed):
    problem = uneven(seed)
    solution = st.max_margin(problem, norm, time_limit=20)
    assert solution.separable
    # A(q) of the large feature cancels to 1e12 times the last digit of q. Where the dual norm is smooth that
    # counts twice; where it adds up entries, once.
    assert solution.relative_gap < (1e-7 if isinstance(norm, Schatten) or norm.p == 2 else 1e-3)
    # The large feature may as well be left out: its weights cost nothing.
    without = st.max_margin(st.Classification(problem.features[:, 1:], problem.labels), norm, 1e-6)
    assert solution.upper_bound >= without.margin


def test_scaled_data_has_the_margins_of_the_original():
    problem = uneven(2)
    clip = clipped(problem)
    assert clip is not None
    assert np.flatnonzero(clip.factors < 1).tolist() == [0]
    assert 1e4 < np.abs(clip.problem.features[:, 0]).max() < 1e7
    W = np.random.default_rng(0).normal(size=(3, 10))
    np.testing.assert_array_equal(
        clip.problem.features @ W.T, problem.features @ clip.weights(W).T
    )  # factors are powers of two
    solution = st.max_margin(clip.problem, "spectral")
    before = np.abs(problem.pair_sum(solution.dual)[:, 0]).max()
    after = min(np.abs(problem.pair_sum(q)[:, 0]).max() / q.sum() for q in clip.duals(solution.dual))
    assert after <= 16 * np.finfo(np.float64).eps * 1e12 < 1 < before


def test_large_features_among_noise_keep_their_proportions():
    generator = np.random.default_rng(4)
    y = np.repeat(np.arange(3), 10)
    X = generator.normal(size=(30, 12)) + 3 * generator.normal(size=(3, 12))[y]
    X[:, :7] *= 1e-12
    X[:, 7:] *= np.arange(1, 6)
    problem = st.Classification(X, y)
    clip = clipped(problem)
    assert clip is not None
    assert set(clip.factors[:7]) == {1.0}
    assert len(set(clip.factors[7:])) == 1
    solution = st.max_margin(problem, "spectral")
    assert solution.relative_gap <= 1e-8
    assert solution.margin == pytest.approx(
        st.max_margin(st.Classification(X[:, 7:], y), "spectral").margin, rel=1e-8
    )


@pytest.mark.parametrize("X", [np.zeros((2, 3)), np.eye(3)[:2], np.diag([1e-8, 1.0, 1e6])[:2]])
def test_features_of_like_size_are_left_alone(X):
    assert clipped(st.Classification(X, [0, 1])) is None
