"""One feature 1e12 times as large as the others costs rounding its digits, and not the whole solution."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from tests.contracts.norms import every_norm

import steepest as st
from steepest.maxmargin.forms.clipping import clipped


def uneven(seed, classes=3, samples=20, features=10):
    """Separable data whose first feature says little about the class, and is 1e12 times as large."""
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), samples)
    X = generator.normal(size=(len(y), features)) + 3 * generator.normal(size=(classes, features))[y]
    X[:, 0] *= 1e12
    return st.Classification(X, y)


def exact_pair_sum(problem, q, feature):
    """Return the largest modulus of A(q) in a feature, in rational arithmetic."""
    A = [Fraction(0)] * problem.n_classes
    for i, c in np.argwhere(q > 0):
        term = Fraction(float(q[i, c])) * Fraction(float(problem.features[i, feature]))
        A[problem.labels[i]] += term
        A[c] -= term
    return float(max(abs(each) for each in A))


@every_norm
@pytest.mark.parametrize("seed", [0, 1])
def test_a_margin_is_found_and_certified_whatever_the_norm(norm, seed):
    problem = uneven(seed)
    solution = st.max_margin(problem, norm, time_limit=20)
    assert solution.separable
    # A(q) of the large feature cancels to 1e12 times the last digit of large dual weights; tiny ones mend it.
    assert solution.relative_gap <= 1e-8
    # The large feature may as well be left out: its weights cost nothing.
    without = st.max_margin(st.Classification(problem.features[:, 1:], problem.labels), norm, 1e-6)
    assert solution.upper_bound >= without.margin


@pytest.mark.parametrize(("seed", "norm"), [(9, "max"), (9, "frobenius"), (15, "max")])
def test_a_large_feature_that_tells_one_class_from_the_others_leaves_it_next_to_no_dual_weight(seed, norm):
    problem = uneven(seed)
    solution = st.max_margin(problem, norm, time_limit=20)
    assert solution.relative_gap <= 1e-8
    x = problem.features[:, 0]
    apart = [c for c in range(3) if (x[problem.labels == c] < 0).all()]
    assert len(apart) == 1
    assert solution.dual[problem.labels == apart[0]].sum() <= 1e-12


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
    after = min(exact_pair_sum(problem, q, 0) for q in clip.duals(solution.dual))
    assert after <= 1e-9 < 1 < before


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


@pytest.mark.parametrize("X", [np.zeros((2, 3)), np.eye(3)[:2], np.diag([1e-3, 1.0, 1e6])[:2]])
def test_features_of_like_size_are_left_alone(X):
    assert clipped(st.Classification(X, [0, 1])) is None


def test_two_dual_weights_whose_last_digits_cannot_cancel_are_helped_by_tiny_ones():
    # 1/3 and 2/3 of 3e12 and 1.5e12 + 1: no two floats make the sum vanish.
    X = [[3e12, 1.0, 2.0], [1.5e12 + 1, -1.0, 3.0], [2.9e12, 7.0, 1.0], [1.1e12, -9.0, 0.0]]
    problem = st.Classification(X, [0, 1, 0, 1])
    clip = clipped(problem)
    assert clip is not None
    q = np.array([[0.0, 1 / 3], [2 / 3, 0.0], [0.0, 0.0], [0.0, 0.0]])
    as_solved, *corrected = clip.duals(q)
    # The sum that the solver left, 2/3, takes 2/3 / 2.9e12; corrections leave last digits alone.
    assert as_solved[2:].sum() == pytest.approx(2 / 3 / 2.9e12, rel=1e-3)
    for settled in corrected:
        assert settled[2:].sum() <= 1e-15
    for settled in (as_solved, *corrected):
        assert exact_pair_sum(problem, settled, 0) <= 1e-11
        assert settled.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("norm", ["max", "frobenius", "sum", "spectral"])
def test_of_two_features_the_larger_may_be_the_far_one(norm):
    x = np.random.default_rng(0).uniform(1, 2, 30)
    solution = st.max_margin(st.Classification(np.c_[x * 1e12, np.ones(30)], x > np.median(x)), norm)
    assert solution.relative_gap < 1e-8


@pytest.mark.parametrize("norm", ["max", "frobenius", "sum", "spectral"])
@pytest.mark.parametrize(("first", "step"), [(1.7e9, 86400.0), (2460000.5, 1.0)])
def test_times_with_large_offsets_beside_a_column_of_ones(norm, first, step):
    X = np.c_[first + step * np.arange(20), np.ones(20)]
    assert st.max_margin(st.Classification(X, np.arange(20) >= 9), norm).relative_gap < 1e-8
