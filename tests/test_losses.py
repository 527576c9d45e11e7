"""Losses and gradients against mpmath, at margins where ordinary arithmetic has long lost the direction."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.exact import direction_error, frobenius, gradient_and_logs, log_size
from tests.problems import random_problem, weights_with_margins

import steepest as st
from steepest.losses import CROSS_ENTROPY, EXPONENTIAL, LOSSES, loss

MARGINS = [1.0, 40.0, 800.0, 1e5]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("margin", [*MARGINS, -5.0])
@pytest.mark.parametrize("tied", [False, True], ids=["one sample leads", "all samples tie"])
def test_direction_log_loss_and_log_proxy_are_exact(name, margin, tied):
    problem = random_problem(classes=4, samples=6, features=30)
    spread = np.random.default_rng(1).uniform(0.0, 1.0, problem.samples)
    W = weights_with_margins(problem, margin + spread if tied else margin * (1 + 0.5 * spread))
    gradient, log_loss, log_proxy = gradient_and_logs(problem.features, problem.labels, W, name)
    measured = loss(name).gradient(problem, W)
    assert direction_error(measured, gradient) <= 1e-14
    assert float(measured.log_norm(st.norm("frobenius"))) == pytest.approx(
        float(log_size(gradient)), rel=1e-13
    )
    assert float(loss(name).log_loss(problem, W)) == pytest.approx(float(log_loss), rel=1e-12)
    assert float(loss(name).log_proxy(problem, W)) == pytest.approx(float(log_proxy), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@given(seed=some.integers(0, 10**6), log_margin=some.floats(-2, 6), classes=some.integers(2, 5))
@settings(max_examples=15)
def test_any_weights_give_exact_directions(name, seed, log_margin, classes):
    problem = random_problem(classes=classes, samples=7, features=9, seed=seed)
    W = 10**log_margin * np.random.default_rng(seed + 1).normal(size=(classes, 9))
    gradient, log_loss, _ = gradient_and_logs(problem.features, problem.labels, W, name)
    assert direction_error(loss(name).gradient(problem, W), gradient) <= 1e-12
    assert float(loss(name).log_loss(problem, W)) == pytest.approx(float(log_loss), rel=1e-12, abs=1e-13)


def test_the_naive_formula_is_noise_where_ours_is_exact():
    problem = random_problem(classes=3, samples=5, features=20)
    W = weights_with_margins(problem, 45.0 + np.arange(5) / 5)
    exact, _, _ = gradient_and_logs(problem.features, problem.labels, W, "cross-entropy")
    logits = problem.features @ W.T
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    naive = (softmax - problem.one_hot).T @ problem.features
    exact = np.array(mpmath.matrix(exact / frobenius(exact)).tolist(), dtype=float)
    assert np.linalg.norm(naive / np.linalg.norm(naive) - exact) > 0.1
    ours = CROSS_ENTROPY.gradient(problem, W).mantissa
    assert np.linalg.norm(ours / np.linalg.norm(ours) - exact) < 1e-13


def test_two_samples_by_hand():
    # k = 2, d = 1, x = (1, -1): both margins are w_0 - w_1 = m, every residual is 1 / (1 + e^m).
    problem = st.Classification([[1.0], [-1.0]], [0, 1])
    W = np.array([[1.5], [-0.5]])
    residual = 1 / (1 + np.exp(2.0))
    gradient = CROSS_ENTROPY.gradient(problem, W).rounded()
    np.testing.assert_allclose(gradient, [[-residual], [residual]], rtol=1e-14)
    np.testing.assert_allclose(CROSS_ENTROPY.log_loss(problem, W), np.log(np.log1p(np.exp(-2.0))), rtol=1e-14)
    np.testing.assert_allclose(EXPONENTIAL.log_loss(problem, W), -2.0, rtol=1e-14)
    np.testing.assert_allclose(EXPONENTIAL.log_proxy(problem, W), -2.0, rtol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_rows_of_a_gradient_sum_to_zero_and_batches_of_weights_agree_with_one_by_one(name):
    problem = random_problem()
    W = np.random.default_rng(2).normal(size=(2, 3, 4, 20)) * np.array([1.0, 300.0])[:, None, None, None]
    batched = loss(name).gradient(problem, W)
    assert np.max(np.abs(batched.mantissa.sum(axis=-2))) < 1e-14
    for index in np.ndindex(2, 3):
        alone = loss(name).gradient(problem, W[index])
        np.testing.assert_allclose(batched.mantissa[index], alone.mantissa, rtol=1e-12, atol=1e-14)
        assert batched.log_scale[index] == alone.log_scale


@pytest.mark.parametrize("name", LOSSES)
def test_anytime_certificate_is_a_point_of_the_simplex_and_bounds_the_max_margin(name):
    # x = ±1 in one dimension: the spectral max margin is that of (1, -1) / sqrt(2).
    problem = st.Classification([[1.0], [-1.0]], [0, 1])
    q = loss(name).residual_weights(problem, np.array([[3000.0], [-3000.0]]))
    assert q.sum() == pytest.approx(1.0)
    assert np.all(q[problem.one_hot] == 0)
    assert st.norm("spectral").dual(problem.pair_sum(q)) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("name", ["mse", "", None, 3])
def test_unknown_loss_lists_the_known(name):
    with pytest.raises(st.errors.InvalidArgument, match="give one of cross-entropy, exponential"):
        loss(name)


@pytest.mark.torch
@pytest.mark.parametrize("name", LOSSES)
def test_tensors_give_the_numbers_that_arrays_give(name):
    import torch

    problem = random_problem()
    twin = st.Classification(torch.asarray(problem.features.copy()), problem.labels)
    W = 500 * np.random.default_rng(3).normal(size=(2, 4, 20))
    ours, theirs = loss(name).gradient(problem, W), loss(name).gradient(twin, torch.asarray(W))
    np.testing.assert_allclose(theirs.mantissa.numpy(), ours.mantissa, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(theirs.log_scale.numpy(), ours.log_scale)
    np.testing.assert_allclose(
        loss(name).log_loss(twin, torch.asarray(W)).numpy(), loss(name).log_loss(problem, W), rtol=1e-13
    )
