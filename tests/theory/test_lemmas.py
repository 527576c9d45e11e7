"""Every lemma of spec 2.1 on random instances, in a dozen norms and both losses; and how tight each is."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.theory import plain
from tests.theory.instances import ANY_NORMS, LOSSES, NORMS, instances, make_instance
from tests.theory.lemmas import NAMES, evaluate, worst_cases

from steepest import Classification
from steepest.losses import log_loss
from steepest.theory import loss_lemmas, noise_lemmas
from steepest.theory.inequality import Inequality


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150)
@given(instance=instances(ANY_NORMS), seed=st.integers(0, 2**32 - 1))
def test_lemma_holds(name, instance, seed):
    if name == "C.1" and instance.norm not in NORMS:
        return  # it is about the paper's norms; no other lemma stands on it
    for claim in evaluate(name, instance, np.random.default_rng(seed)):
        assert claim.holds(1e-9), claim


@pytest.mark.parametrize("name", NAMES)
def test_lemma_is_tight_so_a_smaller_constant_or_a_flipped_sign_breaks_it(name):
    for norm_ in NORMS:
        for loss in LOSSES:
            claims = worst_cases(name, norm_, loss)
            assert all(claim.holds(1e-9) for claim in claims)
            worst = max(claims, key=lambda claim: claim.ratio)
            assert worst.ratio > 0.99
            assert not replace(worst, right=0.5 * np.asarray(worst.right)).holds()
            assert not replace(worst, right=-np.asarray(worst.right)).holds()


@settings(max_examples=40)
@given(instances())
def test_relative_gradients_against_plain_numpy(instance):
    X, y, W = instance.X, instance.y, instance.W
    proxy = plain.proxy(X, y, W, instance.loss)
    full = plain.gradient(X, y, W, instance.loss)
    ours = loss_lemmas.relative_gradient(instance.problem, instance.loss, W)
    np.testing.assert_allclose(ours * proxy, full, rtol=1e-9, atol=1e-9 * proxy * np.abs(X).max())
    batch, m = instance.history[-1], instance.batches
    weights = noise_lemmas.batch_weights(len(y), batch, m)
    ours = loss_lemmas.relative_gradient(instance.problem, instance.loss, W, sample_weights=weights)
    expected = plain.gradient(X, y, W, instance.loss, batch, m)
    np.testing.assert_allclose(ours * proxy, expected, rtol=1e-9, atol=1e-9 * m * proxy * np.abs(X).max())


@settings(max_examples=40)
@given(instances())
def test_sides_against_plain_numpy(instance):
    """The left sides once more, from the definitions."""
    X, y, W, W_new = instance.X, instance.y, instance.W, instance.W_new
    name, norm_ = instance.loss, instance.norm
    proxy = plain.proxy(X, y, W, name)
    if proxy < 1e-200:
        return
    difference = plain.gradient(X, y, W_new, name) - plain.gradient(X, y, W, name)
    claim = loss_lemmas.gradient_stability(instance.problem, name, W, W_new, norm_)
    assert claim.left == pytest.approx(norm_.dual(difference) / proxy, rel=1e-6, abs=1e-9)
    batch, m = instance.history[-1], instance.batches
    noise = plain.gradient(X, y, W, name, batch, m) - plain.gradient(X, y, W, name)
    claim = noise_lemmas.sampling_noise(instance.problem, name, W, batch, m, norm_)
    assert claim.left == pytest.approx(norm_.dual(noise) / proxy, rel=1e-6, abs=1e-9)
    reduced = (
        plain.gradient(X, y, W, name, batch, m)
        - plain.gradient(X, y, W_new, name, batch, m)
        + plain.gradient(X, y, W_new, name)
    )
    claim = noise_lemmas.variance_reduced_deviation(instance.problem, name, W, W_new, batch, m, norm_)
    deviation = norm_.dual(reduced - plain.gradient(X, y, W, name)) / proxy
    assert claim.left == pytest.approx(deviation, rel=1e-6, abs=1e-8)


@settings(max_examples=20)
@given(instances())
def test_noise_of_an_epoch_sums_to_zero_also_with_a_smaller_last_batch(instance):
    total = np.zeros(len(instance.y))
    for batch in instance.history[: instance.batches]:
        total += noise_lemmas.batch_weights(len(instance.y), batch, instance.batches) - 1.0
    np.testing.assert_allclose(total, 0.0, atol=1e-12)


def test_full_batch_has_no_noise():
    instance = make_instance(np.random.default_rng(3), NORMS[0], "cross-entropy", batches=1)
    for name in ("C.11", "C.12", "C.13", "C.14"):
        for claim in evaluate(name, instance, np.random.default_rng(0)):
            assert claim.left <= 1e-14
            assert claim.right == 0.0


def test_lemmas_at_a_loss_of_1e_minus_1000():
    problem = Classification([[1.0, 0.2], [-1.0, 0.1], [-0.8, 0.3]], [0, 1, 1])
    W = 1500.0 * np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert float(log_loss(problem, "cross-entropy", W)) < -2300
    lower, upper = loss_lemmas.gradient_and_proxy(problem, "cross-entropy", W, 1.0, "spectral")
    assert lower.holds()
    assert upper.holds()
    assert 0.5 < upper.ratio <= 1
    claim = loss_lemmas.gradient_stability(problem, "cross-entropy", W, W * (1 + 1e-5), "max")
    assert claim.holds()
    assert claim.ratio > 0.5
    assert loss_lemmas.separation(problem, "cross-entropy", W).ratio == pytest.approx(1.0, abs=1e-9)


def test_lemmas_of_small_losses_are_tight_where_the_lightest_sample_has_all_of_the_loss():
    problem = Classification([[1.0, 0.0], [0.0, -1.0]], [0, 1]).weighted([1.0, 3.0])
    for size in (-6.0, -1.0, 1.0):
        W = np.array([[size, 40.0], [-size, -40.0]])
        lower, upper = loss_lemmas.proxy_and_loss(problem, "cross-entropy", W)
        assert lower.ratio == pytest.approx(1.0, abs=1e-12)
        assert upper.holds()
        assert loss_lemmas.separation(problem, "cross-entropy", W).ratio == pytest.approx(1.0, abs=1e-12)
    # Of weights 1/2 and 3/2 the loss counts as one of four samples: log 2 / 4 is where it is small.
    assert loss_lemmas.small_loss_ratio(problem, "cross-entropy", W) is not None
    W[:, 0] *= -1e-3
    assert loss_lemmas.small_loss_ratio(problem, "cross-entropy", W) is None


def test_hand_worked_case():
    """n = k = 2, x = 1 and -1, W = (w, -w): margin 2w, R = 1, L = log(1 + e^{-2w}), G = 1/(1 + e^{2w})."""
    problem = Classification([[1.0], [-1.0]], [0, 1])
    w = 0.3
    W = np.array([[w], [-w]])
    loss, proxy = math.log1p(math.exp(-2 * w)), 1 / (1 + math.exp(2 * w))
    lower, upper = loss_lemmas.gradient_and_proxy(problem, "cross-entropy", W, 2.0, "max")
    assert (lower.left, lower.right) == pytest.approx((2.0, 2.0))
    assert upper.right == 2.0
    ratio, _ = loss_lemmas.proxy_and_loss(problem, "cross-entropy", W)
    assert ratio.left == pytest.approx((1 - math.exp(-2 * loss)) / (2 * loss))
    assert ratio.right == pytest.approx(proxy / loss)
    odds = loss_lemmas.log_total_odds("cross-entropy", math.log(loss), 2)
    assert odds == pytest.approx(math.log(math.exp(2 * loss) - 1))
    assert loss_lemmas.log_total_odds("exponential", math.log(loss), 2) == pytest.approx(math.log(2 * loss))
    eta = 0.1
    claim = loss_lemmas.taylor_remainder(problem, "cross-entropy", W, [[-1.0], [1.0]], eta, "max")
    after = math.log1p(math.exp(-2 * (w + eta)))
    assert claim.left == pytest.approx((after - loss + eta * 2 * proxy) / proxy)
    assert claim.right == pytest.approx(math.exp(2 * eta) - 1 - 2 * eta)


@given(st.floats(-2000, 3), st.integers(1, 1000))
def test_loss_deficit_and_odds_are_accurate_and_ordered(log_loss, samples):
    sharp = float(loss_lemmas.loss_deficit("cross-entropy", log_loss, samples))
    paper = float(loss_lemmas.loss_deficit("cross-entropy", log_loss, samples, sharp=False))
    assert 0 <= sharp <= paper * (1 + 1e-12) <= 1 + 1e-12
    total = samples * math.exp(log_loss)
    if total > 1e-3:
        assert sharp == pytest.approx(1 - (1 - math.exp(-total)) / total, rel=1e-9)
    odds = float(loss_lemmas.log_total_odds("cross-entropy", log_loss, samples))
    expected = math.log(samples) + log_loss if total < 1e-12 else total + math.log(-math.expm1(-total))
    assert odds == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.floats(1e-12, 600.0))
def test_curvature_is_accurate_and_below_the_papers(eta):
    ours = float(loss_lemmas.curvature(0.5, eta))
    series = sum(eta**j / math.factorial(j) for j in range(2, 12))
    assert ours == pytest.approx(series if eta < 0.1 else math.expm1(eta) - eta, rel=1e-9)
    assert ours <= 0.5 * eta**2 * math.exp(eta) * (1 + 1e-12)


def test_inequality_ratios():
    assert Inequality("", 1.0, 2.0).ratio == 0.5
    assert Inequality("", 0.0, 0.0).ratio == 0.0
    assert Inequality("", 1.0, 0.0).ratio == math.inf
    assert Inequality("", -1.0, -2.0).ratio == math.inf
    assert Inequality("", np.array([1.0, 3.0]), np.array([2.0, 4.0])).ratio == 0.75
    assert not Inequality("", 1.0 + 1e-8, 1.0).holds()


def test_the_exponential_loss_may_exceed_exp_of_minus_the_margin():
    """Only e^{-margin} ≤ nL is true: with more than two classes L ≤ e^{-margin} fails at W = 0."""
    problem = Classification(np.eye(3), [0, 1, 2])
    W = np.zeros((3, 3))
    assert math.exp(float(log_loss(problem, "exponential", W))) == pytest.approx(2.0)
    assert math.exp(-float(problem.margin(W))) == 1.0
    assert loss_lemmas.separation(problem, "exponential", W).holds()


def test_small_losses_by_one_condition_of_two():
    """Two losses of .3: L = .3 ≤ log 2 / 2, while G = 1 - e^-.3 = .259 > 1/4; L / G ≤ 2 log 2."""
    problem = Classification([[1.0], [-1.0]], [0, 1])
    half = -0.5 * math.log(math.expm1(0.3))
    found = loss_lemmas.small_loss_ratio(problem, "cross-entropy", np.array([[half], [-half]]))
    assert found is not None
    assert found.left == pytest.approx(0.3 / -math.expm1(-0.3))
    assert found.right == pytest.approx(2 * math.log(2))


def test_momentum_drift_by_hand():
    """One sample x = 1 of two classes, W from 0 to (s, -s)/2: a function of the margin s is all there is.

    With β = 1/4, only the older gradient differs: (1-β) β of it counts, with 2 |change| as its dual norm.
    """
    problem = Classification([[1.0]], [0], classes=[0, 1])
    s = 0.6
    path = [np.zeros((2, 1)), np.array([[s / 2], [-s / 2]])]
    found = noise_lemmas.momentum_drift(problem, "cross-entropy", path, [np.array([0])] * 2, 1, 0.25, "max")
    here = 1 / (1 + math.exp(s))
    share = 0.75 * 0.25
    assert found.left == pytest.approx(share * 2 * (0.5 - here) / here, rel=1e-12)
    assert found.right == pytest.approx(2 * share * math.expm1(2 * s / 2), rel=1e-12)
