"""Lemmas D.1, E.1, F.1 and G.1 at every step of real runs of all four methods."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.theory.instances import ANY_NORMS, LOSSES, NORMS, make_instance
from tests.theory.tightness import descent_claim

from steepest import Classification, Method, PolynomialDecay, descend
from steepest.theory.descent_lemma import (
    closed_form_error,
    descent_coefficients,
    descent_errors,
)
from steepest.theory.drift import drift_constant, snapshot_distances
from steepest.theory.effective_margin import Constants, setting

SIGNALS = {
    "plain": {"momentum": 0.0, "variance_reduction": False},
    "momentum": {"momentum": 0.8, "variance_reduction": False},
    "svrg": {"momentum": 0.0, "variance_reduction": True},
    "svrg and momentum": {"momentum": 0.8, "variance_reduction": True},
}


def every_step(problem, method, steps):
    return descend(problem, method, steps, records=range(steps + 1), engine="reference")


@pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")
@pytest.mark.parametrize("signal", SIGNALS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    norm_=st.sampled_from(ANY_NORMS),
    loss=st.sampled_from(LOSSES),
    first=st.sampled_from([0.003, 0.03, 0.3]),
    exponent=st.sampled_from([0.3, 0.5, 1.0]),
    momentum=st.sampled_from([0.3, 0.8, 0.95]),
)
def test_descent_lemma_at_every_step(signal, seed, norm_, loss, first, exponent, momentum):
    rng = np.random.default_rng(seed)
    problem = make_instance(rng, norm_, loss).problem
    size = int(rng.integers(1, problem.samples + 1))
    choice = {**SIGNALS[signal], "momentum": momentum if SIGNALS[signal]["momentum"] else 0.0}
    schedule = PolynomialDecay(first, exponent)
    method = Method(norm_, batch_size=size, loss=loss, schedule=schedule, seed=seed, **choice)
    trajectory = every_step(problem, method, 30)
    # Any number below the max margin serves; on data that is not separable only negative ones are.
    margin = float(np.max(problem.normalized_margin(trajectory.weights[1:], norm_)))
    for constants in ("sharp", "paper"):
        claim = descent_claim(problem, method, trajectory, margin, constants)
        assert claim.holds(1e-8), (constants, claim)


def worst_descent(signal, norm_, loss):
    """Two samples that want the same, at a large margin: every step follows an exponential."""
    pair = np.array([[1.0], [-1.0]])
    problem = Classification(pair, [0, 1])
    margin = float(norm_.dual(pair))
    method = Method(norm_, loss=loss, schedule=PolynomialDecay(1e-3, 0.5), **SIGNALS[signal])
    start = 12.0 * pair
    trajectory = descend(problem, method, 3, records=range(4), engine="reference", initial_weights=start)
    return problem, method, trajectory, margin


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["plain", "svrg"])
def test_descent_lemma_without_noise_is_tight(name, loss):
    """What a step loses to curvature is (2Rη)²/2 on both sides, to first order in η."""
    for norm_ in NORMS:
        problem, method, trajectory, margin = worst_descent(name, norm_, loss)
        claim = descent_claim(problem, method, trajectory, margin, "sharp")
        assert claim.holds(1e-6)
        assert claim.ratio > 0.99
        assert not replace(claim, right=0.5 * claim.right).holds()
        assert not replace(claim, right=-claim.right).holds()


def test_errors_by_hand():
    """n = k = 2, x = ±1, max-norm: R = 1. m = 2, η = 1, 1/2, 1/3 / 10, β = 1/2."""
    problem = Classification([[1.0], [-1.0]], [0, 1])
    schedule = PolynomialDecay(0.1, 1.0)
    eta = schedule(np.arange(3))
    beta = 0.5
    powers = beta ** np.arange(1, 4)
    bend = np.expm1(2 * eta) - 2 * eta
    c2 = drift_constant(schedule, beta, 1.0, 3)
    assert c2[1] == pytest.approx(beta * math.expm1(0.2) / eta[1])
    s = np.array([0.0, 0.1, 0.0])
    np.testing.assert_allclose(snapshot_distances(schedule, 2, 3), s, atol=1e-15)

    def errors(signal, constants):
        choice = {**SIGNALS[signal], "momentum": beta if SIGNALS[signal]["momentum"] else 0.0}
        return descent_errors(problem, Method("max", batch_size=1, schedule=schedule, **choice), 3, constants)

    rough = 2 * math.exp(0.2) * eta
    np.testing.assert_allclose(errors("plain", "sharp"), bend / eta, rtol=1e-9)
    np.testing.assert_allclose(errors("plain", "paper"), rough, rtol=1e-12)
    np.testing.assert_allclose(errors("svrg", "paper"), rough + 4 * np.expm1(2 * s), rtol=1e-12)
    momentum = rough + 4 * powers + 4 * 0.5 * 2 * c2 * eta
    np.testing.assert_allclose(errors("momentum", "paper"), momentum, rtol=1e-12)
    # Drifts that count a sample once an epoch: at t = 1 both steps are in one epoch, at t = 2 one has ended.
    once = np.array([0.0, math.expm1(0.2), beta * math.expm1(2 * (eta[0] + eta[1]))])
    sharp = bend / eta + 4 * powers + 4 * 0.5 * 2 * np.minimum(c2 * eta, once)
    np.testing.assert_allclose(errors("momentum", "sharp"), sharp, rtol=1e-9)
    stale = np.array([0.0, math.expm1(0.2), beta * math.expm1(0.2) * math.exp(2 * eta[1])])
    both = rough + 4 * powers + 4 * 0.5 * c2 * eta + 4 * 0.5 * stale
    np.testing.assert_allclose(errors("svrg and momentum", "paper"), both, rtol=1e-12)
    both = (
        bend / eta + 4 * powers + 4 * 0.5 * c2 * eta + 4 * 0.5 * stale
    )  # m = 2: each epoch has one stale step
    np.testing.assert_allclose(errors("svrg and momentum", "sharp"), both, rtol=1e-9)


def test_sharp_errors_of_variance_reduction_and_momentum_from_their_definition():
    """m = 4: over each epoch the largest stale term counts m - 1 times and the others once."""
    problem = Classification([[1.0], [-1.0], [0.5], [-0.5]], [0, 1, 0, 1])
    schedule, beta, steps, m = PolynomialDecay(0.05, 0.5), 0.8, 14, 4
    eta = schedule(np.arange(steps))
    since = snapshot_distances(schedule, m, steps)
    method = Method("max", batch_size=1, momentum=beta, variance_reduction=True, schedule=schedule)
    errors = descent_errors(problem, method, steps)
    for t in range(steps):
        ages = np.arange(t + 1)
        d = np.concatenate([[0.0], np.cumsum(eta[:t][::-1])])
        drift = np.sum(beta**ages * np.expm1(2 * d))
        stale = beta**ages * np.expm1(2 * since[t - ages]) * np.exp(2 * d)
        epochs = (t - ages) // m
        counted = sum(
            stale[epochs == e].sum() + (m - 2) * stale[epochs == e].max() for e in set(epochs.tolist())
        )
        expected = (math.expm1(2 * eta[t]) - 2 * eta[t]) / eta[t] + 4 * beta ** (t + 1)
        expected += 4 * (1 - beta) * (drift + counted)
        assert errors[t] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("signal", SIGNALS)
def test_sharp_errors_are_below_the_papers_and_both_below_the_closed_form(signal):
    rng = np.random.default_rng(5)
    problem = Classification(rng.normal(size=(12, 3)) * 0.2, np.arange(12) % 3)
    steps = 4000
    for norm_ in ("max", "spectral"):
        for size in (1, 4, None):
            method = Method(norm_, batch_size=size, schedule=PolynomialDecay(0.02, 0.5), **SIGNALS[signal])
            sharp, paper = (descent_errors(problem, method, steps, each) for each in ("sharp", "paper"))
            assert np.all(sharp <= paper * (1 + 1e-12))
            both: list[tuple[Constants, np.ndarray]] = [("sharp", sharp), ("paper", paper)]
            for constants, exact in both:
                numbers, previous = setting(problem, method, constants), math.inf
                for t in np.unique(np.geomspace(1, steps - 1, 40).astype(int)):
                    closed = closed_form_error(numbers, float(t))
                    assert exact[t] <= closed * (1 + 1e-9)
                    assert closed <= previous
                    previous = closed
                assert previous < math.inf


@pytest.mark.parametrize("signal", SIGNALS)
def test_coefficients_stay_bounded_so_errors_vanish(signal):
    problem = Classification(np.random.default_rng(1).normal(size=(6, 2)) * 0.3, [0, 1, 2] * 2)
    method = Method("frobenius", batch_size=2, schedule=PolynomialDecay(0.1, 0.5), **SIGNALS[signal])
    coefficients = descent_coefficients(problem, method, 100_000)
    assert np.max(coefficients[50_000:]) <= np.max(coefficients[100:])
    assert descent_errors(problem, method, 100_000)[-1] < 0.1
    # Steps 80_000 and 100_000 - 1 are at the same place of an epoch of three.
    assert coefficients[99_999] == pytest.approx(coefficients[79_998], rel=0.01)


def test_variance_reduction_tends_to_the_stated_constant():
    """α_t at the last step of an epoch tends to 2R² + 8R²(m-1)²; without the paper's factor 2^a."""
    problem = Classification(np.array([[1.0], [-1.0], [0.5], [-0.5]]), [0, 1, 0, 1])
    method = Method("max", batch_size=1, variance_reduction=True, schedule=PolynomialDecay(1e-3, 0.5))
    coefficients = descent_coefficients(problem, method, 100_000)
    assert coefficients[99_999] == pytest.approx(2 + 8 * 9, rel=1e-3)
    assert coefficients[99_996] == pytest.approx(2, rel=1e-3)


def test_noise_in_the_descent_lemma_is_tight_within_a_factor_of_about_two():
    """m = 2: steps on the others undo sample 1, which has all of the loss; γ is small: half of 4R is lost."""
    small = 1e-2
    X = np.array([[1.0, small], [-1.0, small], [-1.0, small], [0.0, -small]])
    problem = Classification(X, [0, 0, 0, 1])
    W = 10.0 * np.array([[-1.0, 1000.0], [1.0, -1000.0]])
    ratios = []
    for seed in range(6):
        method = Method("max", batch_size=2, schedule=PolynomialDecay(1e-3, 0.5), seed=seed)
        trajectory = descend(problem, method, 1, records=range(2), engine="reference", initial_weights=W)
        claim = descent_claim(problem, method, trajectory, float(problem.normalized_margin(W, "max")))
        assert claim.holds()
        ratios.append(claim.ratio)
    assert 0.45 < max(ratios) <= 1
