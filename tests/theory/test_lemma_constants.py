"""What lemmas use of each loss, on random totals and instances; and a user's own, with and without it."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.losses import BARE, OPEN
from tests.theory.instances import LOSSES, NORMS, make_instance
from tests.theory.lemmas import NAMES, evaluate, worst_cases

import steepest
from steepest import Classification, Method, PolynomialDecay, descend, theory
from steepest.errors import MissingCapability
from steepest.losses import log_loss, log_proxy
from steepest.theory import lemma_constants, loss_lemmas, noise_lemmas

WITH_CONSTANTS = (*LOSSES, OPEN)


@pytest.mark.parametrize("loss", WITH_CONSTANTS, ids=str)
@given(log_total=st.floats(-700, 5))
def test_the_potential_falls_by_what_the_deficit_leaves(loss, log_total):
    """Y'(y) y (1 - deficit(y)) = 1, y (1 - deficit) increases, and Y is 0 where samples are separated."""
    constants = lemma_constants(loss)
    ahead = log_total + 1e-5
    here, there, middle = (np.array(each) for each in (log_total, ahead, 0.5 * (log_total + ahead)))
    rise = float(constants.log_total_odds(there) - constants.log_total_odds(here))
    # In terms of log y the slope is 1 / (1 - deficit).
    kept = 1 - float(constants.deficit_of(middle))
    assert rise * kept == pytest.approx(1e-5, rel=1e-4, abs=1e-12 * abs(log_total))
    first, last = (float(each + np.log(1 - constants.deficit_of(each))) for each in (here, there))
    assert first <= last + 1e-13  # rounding, where the deficit is nearly 1
    assert constants.deficit_of(here) <= constants.deficit_of(here, sharp=False) + 1e-15
    at_separation = constants.log_total_odds(np.log(constants.separating_total))
    assert float(at_separation) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("loss", WITH_CONSTANTS, ids=str)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_the_loss_at_zero_and_the_largest_proxy_are_those_of_the_loss(loss, seed):
    rng = np.random.default_rng(seed)
    problem = make_instance(rng, NORMS[0], loss).problem
    k, constants = problem.n_classes, lemma_constants(loss)
    W = np.zeros((k, problem.dimension))
    assert float(log_loss(problem, loss, W)) == pytest.approx(math.log(constants.loss_at_zero(k)), abs=1e-14)
    proxy = float(log_proxy(problem, loss, 100 * rng.normal(size=W.shape)))
    largest = constants.largest_proxy(k)
    assert math.isinf(largest) or proxy <= math.log(largest) + 1e-14


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), norm_=st.sampled_from(NORMS))
def test_lemmas_hold_for_a_loss_that_brings_its_constants(name, seed, norm_):
    rng = np.random.default_rng(seed)
    for claim in evaluate(name, make_instance(rng, norm_, OPEN), rng):
        assert claim.holds(1e-9), claim


@pytest.mark.parametrize("name", ["C.7", "C.8"])
def test_its_constants_are_the_smallest(name):
    for claims in (worst_cases(name, norm_, OPEN) for norm_ in NORMS[:3]):
        assert all(claim.holds(1e-9) for claim in claims)
        assert max(claim.ratio for claim in claims) > 0.99


@pytest.mark.parametrize("loss", [OPEN, "pairwise-logistic"], ids=str)
def test_bounds_of_a_pairwise_loss_hold_on_a_run(loss):
    problem = Classification(np.eye(3)[[0, 1, 2, 0]] + 0.1, [0, 1, 2, 0])
    gamma = steepest.max_margin(problem, "max")
    method = Method("max", loss=loss, schedule=PolynomialDecay(0.05, 0.5))
    run = descend(problem, method, 3000, reference=gamma)
    for constants in ("sharp", "paper"):
        measured = theory.margin_bound(problem, run, gamma, constants)
        predicted = theory.predicted_margin_bound(problem, method, gamma, run.steps[1:], constants)
        assert np.all(measured.floor <= run.normalized_margin + 1e-12)
        assert np.all(predicted.floor <= run.normalized_margin[1:] + 1e-12)
        later = theory.predicted_margin_bound(problem, method, gamma, np.array([200_000]), constants)
        assert later.floor[0] > 0.5 * gamma.margin
        assert theory.thresholds(problem, method, gamma, constants).separation >= np.argmax(run.margin > 0)


def test_with_two_classes_the_pairwise_logistic_bounds_are_those_of_cross_entropy():
    problem = Classification([[1.0, 0.2], [-1.0, 0.1], [-0.8, 0.3]], [0, 1, 1])
    steps = np.array([10, 1000, 20_000])
    for constants in ("sharp", "paper"):
        pairs, softmax = (
            theory.predicted_margin_bound(problem, Method("max", loss=each), 1.0, steps, constants)
            for each in ("pairwise-logistic", "cross-entropy")
        )
        np.testing.assert_allclose(pairs.floor, softmax.floor, rtol=1e-12)
        assert pairs.start == softmax.start


def test_without_constants_descent_runs_and_the_theory_says_what_is_missing():
    problem = Classification([[1.0], [-1.0]], [0, 1])
    method = Method("max", loss=BARE)
    run = descend(problem, method, 20)
    assert run.normalized_margin[-1] == pytest.approx(2.0)
    W = run.final_weights
    message = (
        r"^loss='additive-margin-2': the theory needs lemma constants, which it does not offer; "
        r"offer them, or give a loss that has them, such as cross-entropy$"
    )
    for refused in (
        lambda: theory.effective_margin(problem, method, 2.0),
        lambda: theory.margin_bound(problem, run, 2.0),
        lambda: theory.predicted_margin_bound(problem, method, 2.0, np.array([10])),
        lambda: theory.thresholds(problem, method, 2.0),
        lambda: theory.summarize(problem, method, 2.0),
        lambda: theory.check_assumptions(problem, "max", method.schedule, 2.0, loss=BARE),
        lambda: theory.measured_alignment(problem, method, W),
        lambda: loss_lemmas.proxy_stability(problem, BARE, W, 2 * W),
        lambda: loss_lemmas.gradient_stability(problem, BARE, W, 2 * W),
        lambda: loss_lemmas.taylor_remainder(problem, BARE, W, W, 0.1),
        lambda: loss_lemmas.separation(problem, BARE, W),
        lambda: noise_lemmas.variance_reduced_deviation(problem, BARE, W, 2 * W, np.array([0]), 2),
    ):
        with pytest.raises(MissingCapability, match=message):
            refused()
    lower, upper = loss_lemmas.gradient_and_proxy(problem, BARE, W, 2.0, "max")
    assert lower.holds()
    assert upper.holds()
    assert noise_lemmas.sampling_noise(problem, BARE, W, np.array([0]), 2).holds()


@pytest.mark.parametrize("total", [1e-12, 0.5, 20.0, 35.0, 50.0, 600.0])
def test_odds_of_a_total_by_hand(total):
    odds = lemma_constants("cross-entropy").log_total_odds(np.array([math.log(total)]))
    assert odds[0] == pytest.approx(total + math.log(-math.expm1(-total)), rel=1e-12)


def test_losses_after_growth_and_small_deficits_by_hand():
    """Three classes: L(0) = 2 times e^growth where G = L, log 3 + growth where G ≤ 1; the series."""
    exponential, cross_entropy = (
        lemma_constants("exponential"),
        lemma_constants("cross-entropy"),
    )
    assert exponential.log_loss_after(3, 0.7) == pytest.approx(math.log(2) + 0.7)
    assert cross_entropy.log_loss_after(3, 0.7) == pytest.approx(math.log(math.log(3) + 0.7))
    for log_total in (math.log(9.9e-5), math.log(1.1e-4), -1.0, 3.0):
        with mpmath.workdps(40):
            y = mpmath.exp(mpmath.mpf(log_total))
            deficit = float(1 - (1 - mpmath.exp(-y)) / y)
        relative = 1e-12 if log_total < math.log(1e-4) or log_total > -2 else 1e-11
        assert float(cross_entropy.deficit_of(np.array(log_total))) == pytest.approx(
            deficit, rel=relative, abs=0
        )
