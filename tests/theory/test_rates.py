"""Predicted rates against Corollary 4.2 and the bound they abbreviate; fits on curves that are known."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest import Classification, Method, PolynomialDecay, descend, theory
from steepest.errors import InvalidArgument


@given(st.floats(0.01, 1.0), st.integers(1, 10_000), st.floats(2, 1e12))
def test_without_noise_it_is_the_corollary(a, n, t):
    rate = float(theory.predicted_rate(a, n, t))
    if a < 0.5:
        expected = (t ** (1 - 2 * a) + n) / t ** (1 - a)
    elif a == 0.5:
        expected = (math.log(t) + n) / math.sqrt(t)
    elif a < 1:
        expected = n / t ** (1 - a)
    else:
        expected = n / math.log(t)
    assert rate == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("a", [0.3, 0.5, 0.75, 1.0])
def test_noise_slows_but_keeps_the_exponent(a):
    t = np.geomspace(1e12, 1e13, 30)
    plain = theory.predicted_rate(a, 10, t)
    variants: tuple[dict[str, Any], ...] = (
        {"momentum": 0.9},
        {"momentum": 0.9, "batches": 5},
        {"batches": 5, "variance_reduction": True},
        {"momentum": 0.9, "batches": 5, "variance_reduction": True},
    )
    for settings in variants:
        slower = theory.predicted_rate(a, 10, t, **settings)
        assert np.all(slower > plain)
        assert theory.fit_exponent(t, slower).exponent == pytest.approx(
            theory.fit_exponent(t, plain).exponent, abs=0.02
        )
    assert theory.fit_exponent(t, plain).exponent == pytest.approx(theory.predicted_exponent(a), abs=0.04)
    more = theory.predicted_rate(a, 10, t, momentum=0.9, batches=5, variance_reduction=True)
    assert np.all(more < theory.predicted_rate(a, 10, t, momentum=0.99, batches=5, variance_reduction=True))


@pytest.mark.parametrize("a", [0.3, 0.5, 0.75])
def test_rate_and_bound_have_the_same_slope(a):
    problem = Classification([[1.0], [-1.0]], [0, 1])
    method = Method("max", schedule=PolynomialDecay(0.2, a))
    steps = np.unique(np.geomspace(1e5, 1e6, 30).astype(int))
    bound = theory.predicted_margin_bound(problem, method, 2.0, steps)
    fitted = theory.fit_exponent(steps, bound.gap).exponent
    predicted = theory.fit_exponent(steps, theory.predicted_rate(a, 2, steps)).exponent
    assert fitted == pytest.approx(predicted, abs=0.08)


def test_rates_by_hand_for_every_method_and_a_small_effective_margin():
    """D = 1 + m β/(1-β), 1 + (m-1)², 1 + β/(1-β) + (m-1)²; w = (D/ρ)^{(1-a)/a}, at a = 1 1 + log(D/ρ)."""
    n, t, m, beta = 7, 1000.0, 4, 0.8
    noises = {(0.0, False): 1.0, (beta, False): 1 + 4 * 4.0, (0.0, True): 1 + 9.0, (beta, True): 1 + 4 + 9.0}
    for (momentum, reduced), noise in noises.items():
        for rho in (1.0, 0.1):
            w = noise / rho
            expected = {
                0.25: (noise * t**0.5 + n * w**3) / t**0.75,
                0.5: (noise * math.log(t) + n * w) / t**0.5,
                0.75: (noise - 1 + n * w ** (1 / 3)) / t**0.25,
                1.0: (noise - 1 + n * (1 + math.log(w))) / math.log(t),
            }
            for a, value in expected.items():
                found = theory.predicted_rate(a, n, t, momentum, m, reduced, relative_margin=rho)
                assert float(found) == pytest.approx(value, rel=1e-12)
    plain, reduced = (theory.predicted_rate(0.5, n, t, beta, m, each) for each in (False, True))
    assert theory.predicted_rate(0.5, n, t, beta, m) == plain != reduced
    for wrong in (0.0, 2.5, math.nan):
        with pytest.raises(InvalidArgument, match="relative_margin"):
            theory.predicted_rate(0.5, n, t, relative_margin=wrong)


@given(st.floats(0.05, 2), st.floats(1e-6, 1e6), st.floats(0.3, 3))
def test_fit_recovers_a_power(exponent, factor, decades):
    t = np.geomspace(1, 1e4, 300)
    fit = theory.fit_exponent(t, factor * t**-exponent, decades=decades)
    assert fit.exponent == pytest.approx(exponent, rel=1e-6)
    assert fit.interval[0] <= fit.exponent <= fit.interval[1]
    assert fit.last == 10_000
    assert fit.first >= 10 ** (4 - decades) * 0.95
    assert fit.points <= 100


def test_interval_covers_the_truth_also_with_correlated_noise():
    rng = np.random.default_rng(0)
    t = np.geomspace(100, 1000, 80)
    for correlation in (0.0, 0.8, 0.95):
        covered = 0
        for _ in range(300):
            noise = np.zeros(80)
            for i in range(1, 80):
                noise[i] = correlation * noise[i - 1] + 0.05 * rng.normal()
            low, high = theory.fit_exponent(t, t**-0.5 * np.exp(noise)).interval
            covered += low <= 0.5 <= high
        assert covered / 300 >= 0.95


def test_the_interval_over_data_sets_covers_their_mean_as_often_as_it_says():
    """Exponents of ten data sets spread by 0.06, as they do on mixture; each curve bends besides."""
    rng = np.random.default_rng(1)
    t = np.geomspace(1000, 10_000, 40)
    schedule = PolynomialDecay(0.1, 0.5)

    def data_sets() -> list[Any]:
        return [
            SimpleNamespace(
                steps=t,
                relative_margin_error=t ** -(0.5 + 0.06 * rng.normal()) * (1 + 0.01 * rng.normal(size=40)),
                method=SimpleNamespace(schedule=schedule),
            )
            for _ in range(10)
        ]

    intervals = np.array([theory.fit_rate(data_sets()).interval for _ in range(300)])
    covered = (intervals[:, 0] <= 0.5) & (intervals[:, 1] >= 0.5)
    assert 0.92 <= np.mean(covered) <= 0.98
    runs = data_sets()
    fit = theory.fit_rate(runs)
    assert (fit.runs, fit.points, fit.predicted) == (10, 400, 0.5)
    assert "over 10 runs" in str(fit)
    # Student's with 9 degrees of freedom, by hand.
    assert theory.fit_rate(runs, decades=1.0) == fit
    exponents = [theory.fit_rate(run).exponent for run in runs]
    half = 2.262157 * np.std(exponents, ddof=1) / np.sqrt(10)
    assert fit.interval == pytest.approx((np.mean(exponents) - half, np.mean(exponents) + half), rel=1e-6)
    with pytest.raises(InvalidArgument, match="at least 2"):
        theory.fit_rate(runs[:1])
    other: Any = SimpleNamespace(
        steps=t, relative_margin_error=1 / t, method=SimpleNamespace(schedule=PolynomialDecay(0.1, 0.3))
    )
    with pytest.raises(InvalidArgument, match="same schedule"):
        theory.fit_rate([runs[0], other])


def test_an_interval_by_hand():
    """Three blocks that share their ends, slopes -1, -2, -3 in log t; Student's with 2 degrees: 4.302653."""
    x = np.log(10.0) + np.arange(7) / 10
    y = np.cumsum([0.0, -0.1, -0.1, -0.2, -0.2, -0.3, -0.3])
    fit = theory.fit_exponent(np.exp(x), np.exp(y))
    centred = np.arange(7) - 3.0
    assert fit.exponent == pytest.approx(-float(centred @ y) / 2.8)
    half = 4.302653 / np.sqrt(3)
    assert fit.interval == pytest.approx((fit.exponent - half, fit.exponent + half), rel=1e-6)


def test_measured_exponent_beside_the_predicted_one():
    rng = np.random.default_rng(0)
    problem = Classification(rng.normal(size=(12, 20)), np.arange(12) % 3)
    trajectory = descend(problem, Method("frobenius", schedule=PolynomialDecay(0.3, 0.5)), 20_000)
    best = descend(problem, Method("frobenius", schedule=PolynomialDecay(3.0, 0.3)), 50_000)
    margin = float(best.upper_bound[-1])
    reference: Any = SimpleNamespace(norm=best.method.norm, weights=best.final_weights, upper_bound=margin)
    fit = theory.fit_rate(trajectory.against(reference))
    assert fit.predicted == 0.5
    assert fit.exponent == pytest.approx(0.5, abs=0.1)
    assert "predicted 0.5" in str(fit)


def test_errors():
    with pytest.raises(InvalidArgument, match="0 < exponent <= 1"):
        theory.predicted_exponent(0.0)
    with pytest.raises(InvalidArgument, match="0 < exponent <= 1"):
        theory.predicted_exponent(1.5)
    with pytest.raises(InvalidArgument, match="at least 2"):
        theory.predicted_rate(0.5, 10, 1)
    with pytest.raises(InvalidArgument, match="momentum=1"):
        theory.predicted_rate(0.5, 10, 10, momentum=1)
    t = np.arange(1, 50)
    with pytest.raises(InvalidArgument, match="it has 4 usable records"):
        theory.fit_exponent(t, np.where(t > 45, 1.0, -1.0))
    with pytest.raises(InvalidArgument, match="it has 0 usable"):
        theory.fit_exponent(t, 0.0 * t)
    with pytest.raises(InvalidArgument, match="one gap a step"):
        theory.fit_exponent(t, t[1:])
    with pytest.raises(InvalidArgument, match="confidence=1"):
        theory.fit_exponent(t, 1 / t, confidence=1)
    with pytest.raises(InvalidArgument, match="decades=0"):
        theory.fit_exponent(t, 1 / t, decades=0)
    run = SimpleNamespace(method=SimpleNamespace(schedule=np.cos), steps=t, relative_margin_error=1 / t)
    assert theory.fit_rate(run).predicted is None  # pyright: ignore[reportArgumentType]


def test_one_batch_an_epoch_unless_said():
    t = np.array([10, 1000])
    said = theory.predicted_rate(0.5, 100, t, momentum=0.5, batches=1)
    np.testing.assert_array_equal(theory.predicted_rate(0.5, 100, t, momentum=0.5), said)
    assert np.all(said != theory.predicted_rate(0.5, 100, t, momentum=0.5, batches=2))
