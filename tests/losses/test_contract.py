"""Every loss against mpmath, where ordinary arithmetic has long lost the direction, and its promises."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.contracts.losses import every_loss
from tests.exact import direction_error, frobenius, gradient_and_logs, log_size
from tests.problems import random_problem, weights_with_margins

import steepest as st
from steepest.doubled import Doubled
from steepest.losses import CROSS_ENTROPY, EXPONENTIAL, gradient, log_loss, log_proxy, residual_weights

MARGINS = [1.0, 40.0, 800.0, 1e5]


@every_loss
@pytest.mark.parametrize("margin", [*MARGINS, -5.0])
@pytest.mark.parametrize("tied", [False, True], ids=["one sample leads", "all samples tie"])
def test_direction_log_loss_and_log_proxy_are_exact(loss, margin, tied):
    problem = random_problem(classes=4, samples=6, features=30)
    spread = np.random.default_rng(1).uniform(0.0, 1.0, problem.samples)
    W = weights_with_margins(problem, margin + spread if tied else margin * (1 + 0.5 * spread))
    exact, exact_loss, exact_proxy = gradient_and_logs(problem.features, problem.labels, W, loss.name)
    measured = gradient(problem, loss, W)
    assert direction_error(measured, exact) <= 1e-14
    assert float(measured.log_norm(st.norm("frobenius"))) == pytest.approx(float(log_size(exact)), rel=1e-13)
    assert float(log_loss(problem, loss, W)) == pytest.approx(float(exact_loss), rel=1e-12)
    assert float(log_proxy(problem, loss, W)) == pytest.approx(float(exact_proxy), rel=1e-12)


@every_loss
@given(seed=some.integers(0, 10**6), log_margin=some.floats(-2, 6), classes=some.integers(2, 5))
@settings(max_examples=15)
def test_any_weights_give_exact_directions(loss, seed, log_margin, classes):
    problem = random_problem(classes=classes, samples=7, features=9, seed=seed)
    W = 10**log_margin * np.random.default_rng(seed + 1).normal(size=(classes, 9))
    exact, exact_loss, _ = gradient_and_logs(problem.features, problem.labels, W, loss.name)
    assert direction_error(gradient(problem, loss, W), exact) <= 1e-12
    assert float(log_loss(problem, loss, W)) == pytest.approx(float(exact_loss), rel=1e-12, abs=1e-13)


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
    ours = gradient(problem, CROSS_ENTROPY, W).mantissa
    assert np.linalg.norm(ours / np.linalg.norm(ours) - exact) < 1e-13


def test_two_samples_by_hand():
    # k = 2, d = 1, x = (1, -1): both margins are w_0 - w_1 = m, every residual is 1 / (1 + e^m).
    problem = st.Classification([[1.0], [-1.0]], [0, 1])
    W = np.array([[1.5], [-0.5]])
    residual = 1 / (1 + np.exp(2.0))
    ours = gradient(problem, CROSS_ENTROPY, W).rounded()
    np.testing.assert_allclose(ours, [[-residual], [residual]], rtol=1e-14)
    np.testing.assert_allclose(
        log_loss(problem, CROSS_ENTROPY, W), np.log(np.log1p(np.exp(-2.0))), rtol=1e-14
    )
    np.testing.assert_allclose(log_loss(problem, EXPONENTIAL, W), -2.0, rtol=1e-14)
    np.testing.assert_allclose(log_proxy(problem, EXPONENTIAL, W), -2.0, rtol=1e-14)


@every_loss
def test_rows_of_a_gradient_sum_to_zero_and_batches_of_weights_agree_with_one_by_one(loss):
    problem = random_problem()
    W = np.random.default_rng(2).normal(size=(2, 3, 4, 20)) * np.array([1.0, 300.0])[:, None, None, None]
    batched = gradient(problem, loss, W)
    assert np.max(np.abs(batched.mantissa.sum(axis=-2))) < 1e-14
    for index in np.ndindex(2, 3):
        alone = gradient(problem, loss, W[index])
        np.testing.assert_allclose(batched.mantissa[index], alone.mantissa, rtol=1e-12, atol=1e-14)
        assert batched.log_scale[index] == alone.log_scale


@every_loss
def test_anytime_certificate_is_a_point_of_the_simplex_and_bounds_the_max_margin(loss):
    # x = ±1 in one dimension: the spectral max margin is that of (1, -1) / sqrt(2).
    problem = st.Classification([[1.0], [-1.0]], [0, 1])
    q = residual_weights(problem, loss, np.array([[3000.0], [-3000.0]]))
    assert q.sum() == pytest.approx(1.0)
    assert np.all(q[problem.one_hot] == 0)
    assert st.norm("spectral").dual(problem.pair_sum(q)) == pytest.approx(np.sqrt(2))


@every_loss
@given(seed=some.integers(0, 10**6), log_size=some.floats(-2, 5))
@settings(max_examples=15)
def test_no_attained_margin_is_above_the_certificate_of_any_weights(loss, seed, log_size):
    """Lemma C.2: γ ≤ ‖A(q)‖_* for the residuals of any weights, so for the margins that others attain too."""
    problem = random_problem(seed=seed)
    generator = np.random.default_rng(seed)
    W, other = generator.normal(size=(2, 4, 20))
    W = np.exp(log_size) * W
    q = residual_weights(problem, loss, W)
    assert q.sum() == pytest.approx(1.0)
    assert np.all(q >= 0)
    assert np.all(q[problem.one_hot] == 0)
    for norm in (st.norm("max"), st.norm("spectral")):
        size = norm.dual(problem.pair_sum(q))
        attained = max(problem.normalized_margin(each, norm) for each in (W, -W, other))
        assert attained <= size * (1 + 1e-12)
        slope = gradient(problem, loss, W)
        ratio = np.log(norm.dual(slope.mantissa)) + slope.log_scale - log_proxy(problem, loss, W)
        assert ratio == pytest.approx(np.log(size), abs=1e-11)


@every_loss
@given(seed=some.integers(0, 10**6), log_size=some.floats(-2, 2), step=some.floats(1e-3, 3))
@settings(max_examples=25)
def test_losses_are_convex_fall_with_every_margin_and_are_at_least_their_proxy(loss, seed, log_size, step):
    generator = np.random.default_rng(seed)
    a, move = np.exp(log_size) * generator.normal(size=(2, 3, 5))
    a[:, 0] = move[:, 0] = -np.inf
    move = step * np.abs(move)
    move[:, 0] = 0.0

    def at(log_odds):
        found = loss.residuals(Doubled(log_odds, np.zeros_like(log_odds)))
        weights = np.exp(found.log_weights.high + found.log_weights.low)
        return np.exp(found.log_losses.high + found.log_losses.low), found.shares * weights[:, None]

    (low, r), (high, _), (middle, _) = at(a), at(a + move), at(a + 0.5 * move)
    assert np.all(middle > low)
    assert np.all(middle <= 0.5 * (low + high) * (1 + 1e-12))
    assert np.all(r[:, 1:] > 0)
    assert np.all(r.sum(axis=1) <= low * (1 + 1e-12))
    # The residuals are the slope: a central difference of the loss.
    h = 1e-5
    for c in range(1, 5):
        shift = np.where(np.arange(5) == c, h, 0.0)
        slope = (at(a + shift)[0] - at(a - shift)[0]) / (2 * h)
        np.testing.assert_allclose(slope, r[:, c], rtol=1e-6, atol=1e-9 * float(low.max()))


def test_pairwise_logistic_by_hand_and_with_two_classes_it_is_cross_entropy():
    # One sample of class 0 in three classes at W = diag(1, 0, -1): log-odds -1 and -2.
    problem = st.Classification(np.ones((3, 1)), [0, 1, 2])
    W = np.array([[1.0], [0.0], [-1.0]])
    a = np.array([[-1.0, -2.0], [1.0, -1.0], [2.0, 1.0]])
    expected = np.log1p(np.exp(a)).sum() / 3
    assert float(np.exp(log_loss(problem, "pairwise-logistic", W))) == pytest.approx(expected, rel=1e-14)
    sigma = 1 / (1 + np.exp(-a))
    assert float(np.exp(log_proxy(problem, "pairwise-logistic", W))) == pytest.approx(sigma.sum() / 3)
    rows = np.array(
        [
            sigma[1, 0] + sigma[2, 0] - sigma[0].sum(),
            sigma[0, 0] + sigma[2, 1] - sigma[1].sum(),
            sigma[0, 1] + sigma[1, 1] - sigma[2].sum(),
        ]
    )
    np.testing.assert_allclose(
        gradient(problem, "pairwise-logistic", W).rounded()[:, 0], rows / 3, rtol=1e-14
    )
    two = random_problem(classes=2)
    W = 30 * np.random.default_rng(0).normal(size=(2, 20))
    for function in (log_loss, log_proxy):
        assert function(two, "pairwise-logistic", W) == pytest.approx(
            function(two, "cross-entropy", W), rel=1e-14
        )


@pytest.mark.torch
@every_loss
def test_tensors_give_the_numbers_that_arrays_give(loss):
    import torch

    problem = random_problem()
    twin = st.Classification(torch.asarray(problem.features.copy()), problem.labels)
    W = 500 * np.random.default_rng(3).normal(size=(2, 4, 20))
    ours, theirs = gradient(problem, loss, W), gradient(twin, loss, torch.asarray(W))
    np.testing.assert_allclose(theirs.mantissa.numpy(), ours.mantissa, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(theirs.log_scale.numpy(), ours.log_scale)
    np.testing.assert_allclose(
        log_loss(twin, loss, torch.asarray(W)).numpy(), log_loss(problem, loss, W), rtol=1e-13
    )
