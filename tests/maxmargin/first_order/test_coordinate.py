"""Coordinate ascent in the Frobenius norm: known optima, both ways of keeping logits, LIBLINEAR."""

from __future__ import annotations

import numpy as np
import pytest
from tests.maxmargin.known import problem_with_known_margin
from tests.problems import random_problem

import steepest as st
from steepest.maxmargin import certificate
from steepest.maxmargin.first_order.coordinate import coordinate_ascent
from steepest.maxmargin.forms.candidate import Deadline


def ascend(problem, gap=1e-9, pace=1e9):
    X = np.asarray(problem.features)
    return coordinate_ascent(X, problem.labels, problem.n_classes, gap, Deadline(), pace)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_optimum(seed):
    problem, W, _ = problem_with_known_margin("frobenius", seed=seed)
    found, q, _ = ascend(problem)
    assert certificate(problem, "frobenius", found, q).relative_gap <= 2e-9
    # The Frobenius optimum is unique, and weights are off by the root of the gap.
    np.testing.assert_allclose(found / np.linalg.norm(found), W / np.linalg.norm(W), atol=1e-4)


def test_more_samples_than_the_gram_matrix_is_kept_for():
    generator = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = 4 * generator.normal(size=(3, 6))[y] + generator.normal(size=(60, 6))
    problem = st.Classification(X, y)
    found, q, _ = ascend(problem)
    assert certificate(problem, "frobenius", found, q).relative_gap <= 2e-9
    # Zero features change no inner product, but with them the Gram matrix is kept.
    wide = st.Classification(np.pad(X, ((0, 0), (0, 40))), y)
    padded, _, _ = ascend(wide)
    assert problem.normalized_margin(padded[:, :6], "frobenius") == pytest.approx(
        problem.normalized_margin(found, "frobenius"), rel=2e-9
    )


def test_weights_are_the_pair_sum_of_the_dual_weights():
    problem = random_problem(classes=4, samples=20, features=30)
    W, q, _ = ascend(problem, gap=1e-3)
    np.testing.assert_allclose(W, problem.pair_sum(q), atol=1e-12 * np.abs(W).max())
    assert q.min() >= 0
    assert not q[np.arange(20), problem.labels].any()


def test_gives_up_where_data_is_not_separable():
    problem = random_problem(classes=3, samples=60, features=4)
    _, _, sweeps = ascend(problem, pace=10)
    assert sweeps < 200


def test_a_sample_at_zero_is_passed_over():
    _, q, _ = ascend(st.Classification([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0]], [0, 1, 2]), pace=4)
    assert not q[0].any()


@pytest.mark.sklearn
def test_agrees_with_liblinear():
    from sklearn.svm import LinearSVC

    problem = random_problem(classes=5, samples=40, features=60)
    model = LinearSVC(
        multi_class="crammer_singer", C=1e6, tol=1e-8, fit_intercept=False, random_state=0, max_iter=20_000
    ).fit(problem.features, problem.labels)
    W, _, _ = ascend(problem)
    np.testing.assert_allclose(model.coef_, W, atol=1e-5 * np.abs(W).max())


def test_the_support_is_solved_to_rounding_once_it_is_known():
    rng = np.random.default_rng(0)
    problem = st.Classification(rng.normal(size=(40, 40)), np.arange(40) % 4)
    solution = st.max_margin(problem, "frobenius", 1e-9)
    assert solution.method == "coordinate ascent"
    assert solution.relative_gap <= 1e-12
