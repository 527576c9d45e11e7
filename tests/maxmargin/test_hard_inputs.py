"""Data that breaks solvers: each is solved, or refuted, with bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest
from tests.contracts.norms import every_norm
from tests.maxmargin.known import problem_with_known_margin

import steepest as st
from steepest.maxmargin import Status, certificate


def solved(problem, norm, gap=1e-8, **options):
    solution = st.max_margin(problem, norm, gap, time_limit=20, **options)
    assert solution.status is Status.SOLVED, solution
    assert certificate(problem, norm, solution.weights, solution.dual).relative_gap <= 1.001 * gap
    return solution


def labelled_by_columns(samples=30, dimension=8, seed=1):
    X = np.random.default_rng(seed).normal(size=(samples, dimension))
    return X, X[:, :3].argmax(axis=1)


@every_norm
@pytest.mark.parametrize("seed", [3, 4])
def test_interior_point_finds_known_optimum(norm, seed):
    problem, _, _ = problem_with_known_margin(norm, samples=24, seed=seed)
    # At the sum-norm's vertices rounding ends the path earlier; "auto" goes on with a linear program there.
    solution = solved(problem, norm, 1e-6 if str(norm) == "sum" else 1e-8, method="interior-point")
    assert solution.margin <= 1.0 + 1e-12
    assert solution.upper_bound >= 1.0 - 1e-12


@every_norm
def test_features_in_units_from_1e_minus_8_to_1e8(norm):
    X, y = labelled_by_columns()
    exponents = np.random.default_rng(2).uniform(-8, 8, size=8)
    solution = st.max_margin(st.Classification(X * 10.0**exponents, y), norm, time_limit=20)
    assert solution.separable
    # In the max-norm the last digit of a weight of size 1 is worth 6e-7 of the margin: refinement chooses
    # smaller weights for the large features, and ends at 4.5e-8.
    assert solution.relative_gap < (1e-7 if str(norm) == "max" else 1e-8)


@every_norm
def test_one_feature_1e12_larger_than_the_others_never_gets_a_wrong_bound(norm):
    X, y = labelled_by_columns()
    X = X.copy()
    X[:, 7] *= 1e12
    problem = st.Classification(X, y)
    solution = st.max_margin(problem, norm, time_limit=20)
    # Leaving the large feature out is allowed, so its margin is a lower bound.
    without = st.max_margin(st.Classification(X[:, :7], y), norm)
    assert solution.upper_bound >= without.margin
    assert solution.margin <= solution.upper_bound
    assert solution.separable is not False


@every_norm
def test_barely_separable(norm):
    problem = st.Classification([[1.0, 1e-6], [1.0, -1e-6], [0.3, 1e-6]], [0, 1, 0])
    solution = solved(problem, norm)
    # W = (w, -w) in the second feature alone has γ = 2e-6 w with ‖W‖ = 1.
    assert solution.margin == pytest.approx(2e-6 / float(norm(np.array([[1.0], [-1.0]]))), rel=1e-7)


@every_norm
def test_duplicated_and_collinear_samples(norm):
    X, y = labelled_by_columns(samples=12)
    base = solved(st.Classification(X, y), norm)
    more = st.Classification(np.concatenate([X, X, 3.0 * X]), np.concatenate([y, y, y]))
    assert solved(more, norm).margin == pytest.approx(base.margin, rel=2e-8)


@every_norm
def test_features_of_low_rank(norm):
    generator = np.random.default_rng(0)
    low = generator.normal(size=(20, 3))
    problem = st.Classification(low @ generator.normal(size=(3, 30)), low.argmax(axis=1))
    assert solved(problem, norm).separable


@every_norm
def test_one_sample_a_class(norm):
    solved(st.Classification(np.random.default_rng(0).normal(size=(6, 9)), np.arange(6)), norm)


@every_norm
def test_more_classes_than_features(norm):
    angles = 2 * np.pi * np.arange(9) / 9
    solved(st.Classification(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.arange(9)), norm)


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "max", "nuclear"])
def test_integer_and_single_precision_input_give_the_same_margin(norm):
    X = np.random.default_rng(0).integers(-9, 10, size=(12, 10))
    y = np.arange(12) % 3
    margins = [
        solved(st.Classification(A, y), norm).margin for A in (X, X.astype(np.float32), X.astype(float))
    ]
    np.testing.assert_allclose(margins, margins[0], rtol=2e-8)


@pytest.mark.parametrize("norm", ["frobenius", "spectral"])
def test_a_thousand_classes(norm):
    # X = I, one sample a class: W = (I - 11ᵀ/k) over its norm is optimal by symmetry, with equal margins.
    k = 1000
    expected = 1.0 / float(st.norm(norm)(np.eye(k) - 1.0 / k))
    solution = solved(st.Classification(np.eye(k), np.arange(k)), norm)
    assert solution.margin == pytest.approx(expected, rel=1e-8)


def test_orthonormal_samples_have_a_known_margin():
    # X = I, one sample a class: W = (I - 11ᵀ/k) scaled is optimal by symmetry, with every margin equal to 1.
    k = 7
    centred = np.eye(k) - 1.0 / k
    for name in ("frobenius", "spectral", "nuclear", "schatten-3"):
        solution = solved(st.Classification(np.eye(k), np.arange(k)), name)
        assert solution.margin == pytest.approx(1.0 / float(st.norm(name)(centred)), rel=1e-8)


@pytest.mark.sklearn
@pytest.mark.parametrize(("bias", "expected"), [(False, 0.59395095), (True, 0.60990526)])
def test_digits_have_the_max_norm_margins_that_linear_programs_find(bias, expected):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X / 16
    X = np.concatenate([X, np.ones((len(X), 1))], axis=1) if bias else X
    solution = solved(st.Classification(X, y), "max", method="interior-point")
    assert solution.margin == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("size", [1e300, 1e-300])
@pytest.mark.parametrize(
    "norm",
    ["spectral", "nuclear", "schatten-4", "schatten-1.5", "max", "row-2/inf", "mean-square-spectral"],
)
def test_features_near_the_ends_of_the_range_have_the_bounds_of_features_of_size_1(norm, size):
    X, y = labelled_by_columns()
    reference, large = (solved(st.Classification(X * factor, y), norm) for factor in (1.0, size))
    assert large.margin / size == pytest.approx(reference.margin, rel=2e-8)
    assert large.upper_bound / size == pytest.approx(reference.upper_bound, rel=2e-8)


@pytest.mark.sklearn
@pytest.mark.parametrize("norm", ["schatten-20", "schatten-50"])
def test_cuts_close_what_an_interior_point_leaves_of_features_in_units_of_their_own(norm):
    from sklearn.datasets import load_wine

    X, y = load_wine(return_X_y=True)
    solution = st.max_margin(st.Classification(X, y), norm)
    assert solution.status is Status.SOLVED
    spectral = st.max_margin(st.Classification(X, y), "spectral")
    assert solution.margin <= spectral.upper_bound
    assert solution.upper_bound >= 3 ** (-1 / 20) * spectral.margin
