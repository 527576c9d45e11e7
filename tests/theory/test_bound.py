"""Margin bounds: never above what was measured, on runs of all four methods, and by hand."""

import math
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.theory.instances import ANY_NORMS, LOSSES, NORMS

from steepest import Classification, Entrywise, Method, PolynomialDecay, descend
from steepest.errors import InvalidArgument
from steepest.geometry import norm_label
from steepest.losses import residual_weights
from steepest.theory.alignment import alignment_along, measured_alignment
from steepest.theory.bound import margin_bound, predicted_margin_bound
from steepest.theory.descent_lemma import descent_errors
from steepest.theory.effective_margin import Constants, effective_margin, setting
from steepest.theory.loss_lemmas import log_total_odds
from steepest.theory.noise_lemmas import sampling_noise
from steepest.theory.thresholds import thresholds

pytestmark = pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")

SIGNALS = {
    "full batch": {},
    "full batch, momentum": {"momentum": 0.9},
    "mini-batch, momentum": {"momentum": 0.995, "batch_size": "half"},
    "svrg": {"variance_reduction": True, "batch_size": 2},
    "svrg and momentum": {"variance_reduction": True, "momentum": 0.7, "batch_size": 2},
}


def separable(seed, k=3, d=4, n=6):
    """Orthogonal-ish classes with a margin, and W in the direction of their means as a first separator."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    X = np.eye(k, d)[y] + 0.15 * rng.normal(size=(n, d))
    return Classification(X, y)


def stub(**attributes) -> Any:
    return SimpleNamespace(**attributes)


def attained_margin(problem, norm_):
    """A margin that some W attains: a lower bound of γ, which is what the theorems need."""
    method = Method(norm_, schedule=PolynomialDecay(0.5, 0.4))
    return float(np.max(descend(problem, method, 2000).normalized_margin))


def method_for(problem, norm_, signal, loss, first, exponent=0.5):
    choice = dict(SIGNALS[signal])
    if choice.get("batch_size") == "half":
        choice["batch_size"] = problem.samples // 2
    return Method(norm_, loss=loss, schedule=PolynomialDecay(first, exponent), **choice)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_bounds_are_never_above_the_measured_margin(signal, loss):
    informative = 0
    for index, norm_ in enumerate(NORMS):
        problem = separable(index)
        margin = attained_margin(problem, norm_)
        method = method_for(problem, norm_, signal, loss, first=0.02)
        trajectory = descend(problem, method, 20_000, records=60)
        for bound in (
            margin_bound(problem, trajectory, margin, "sharp"),
            margin_bound(problem, trajectory, margin, "paper"),
            margin_bound(problem, trajectory, margin, measured_noise=True),
            predicted_margin_bound(problem, method, margin, trajectory.steps, "sharp"),
            predicted_margin_bound(problem, method, margin, trajectory.steps, "paper"),
        ):
            assert np.all(bound.floor <= trajectory.normalized_margin * (1 + 1e-9) + 1e-12)
            informative += bool(bound.floor[-1] > 0)
    assert informative >= 12


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(ANY_NORMS),
    st.sampled_from(sorted(SIGNALS)),
    st.sampled_from(LOSSES),
    st.sampled_from([0.003, 0.03, 0.3, 1.0]),
    st.sampled_from([0.2, 0.5, 0.8, 1.0]),
)
def test_bounds_hold_on_random_runs(seed, norm_, signal, loss, first, exponent):
    rng = np.random.default_rng(seed)
    k, d = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    n = int(rng.integers(k, 8))
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    problem = Classification(rng.normal(size=(n, d)) + 2 * rng.normal(size=(k, d))[y], y)
    method = method_for(problem, norm_, signal, loss, first, exponent)
    trajectory = descend(problem, method, 300, records=range(0, 301, 3))
    margin = float(np.max(trajectory.normalized_margin))
    for constants in ("sharp", "paper"):
        for bound in (
            margin_bound(problem, trajectory, margin, constants),
            predicted_margin_bound(problem, method, margin, trajectory.steps, constants),
        ):
            assert np.all(bound.floor <= trajectory.normalized_margin * (1 + 1e-9) + 1e-12)
    bound = margin_bound(problem, trajectory, margin, measured_noise=True)
    assert np.all(bound.floor <= trajectory.normalized_margin * (1 + 1e-9) + 1e-12)


@pytest.mark.parametrize("signal", SIGNALS)
def test_bounds_are_in_the_unit_of_the_features(signal):
    """Eight times the features, an eighth of the step sizes: the same runs, and eight times each bound."""
    problem = separable(1)
    scaled = Classification(8.0 * np.asarray(problem.features), problem.labels)
    margin = attained_margin(problem, "max")
    methods = [method_for(problem, "max", signal, "cross-entropy", first) for first in (0.02, 0.02 / 8.0)]
    runs = [descend(problem, methods[0], 4_000, records=30), descend(scaled, methods[1], 4_000, records=30)]
    floors = [
        [
            *(margin_bound(data, run, of, constants).floor for constants in ("sharp", "paper")),
            margin_bound(data, run, of, measured_noise=True).floor,
            *(predicted_margin_bound(data, method, of, run.steps, c).floor for c in ("sharp", "paper")),
        ]
        for data, method, run, of in zip(
            (problem, scaled), methods, runs, (margin, 8.0 * margin), strict=True
        )
    ]
    assert np.isfinite(floors[0]).any()
    np.testing.assert_allclose(8.0 * np.array(floors[0]), floors[1], rtol=1e-7)


def test_bound_by_hand():
    """n = k = 2, x = ±1, max-norm: γ = 2, R = 1, one step 0.3, then 0.15 and 0.1; records at t = 0, 1, 3."""
    problem = Classification([[1.0], [-1.0]], [0, 1])
    schedule = PolynomialDecay(0.3, 1.0)
    length = np.array([0.0, 0.3, 0.55])
    # δ = (e^{2η} - 1 - 2η) / η = 0.7404, 0.3324, 0.2140, so Σ η (2 - δ) = 0.8067; margin = 2·length.
    gained = 1.1 - sum(math.expm1(2 * eta) - 2 * eta for eta in (0.3, 0.15, 0.1))
    assert gained == pytest.approx(0.8067, abs=1e-4)
    trajectory = stub(
        method=Method("max", schedule=schedule, loss="exponential"),
        steps=np.array([0, 1, 3]),
        weights=np.array([[[w], [-w]] for w in length]),
        log_loss=-2 * length,
    )
    # Exponential loss: nL = 2 at the start, so Y = log 2, and the floor is (0.8067 - 0.6931) / 0.55.
    bound = margin_bound(problem, trajectory, 2.0)
    assert bound.start == 0.0
    assert bound.floor[-1] == pytest.approx(0.2064, abs=1e-4)
    assert bound.gap[-1] == pytest.approx(2 - 0.2064, abs=1e-4)
    predicted = predicted_margin_bound(problem, trajectory.method, 2.0, np.array([3]))
    assert predicted.floor[0] == pytest.approx(bound.floor[-1], rel=1e-12)
    # L < 1/2 at the last record alone (e^{-0.6} = 0.55, e^{-1.1} = 0.33): the paper's form starts there.
    paper = margin_bound(problem, trajectory, 2.0, "paper")
    assert paper.start == 3.0
    assert np.isneginf(paper.floor).all()
    # Cross-entropy: nL = 2 log 2, Y = log 3 > 0.8067: too early to say anything.
    trajectory.method = Method("max", schedule=schedule)
    trajectory.log_loss = np.log(np.log1p(np.exp(-2 * length)))
    assert np.isneginf(margin_bound(problem, trajectory, 2.0).floor).all()


def test_thresholds_by_hand():
    """n = k = 2, x = ±1: R = 1, γ = ρ = 2, full batch, η_t = 0.2 / √(t+1)."""
    problem = Classification([[1.0], [-1.0]], [0, 1])
    method = Method("max", schedule=PolynomialDecay(0.2, 0.5))
    # δ_0 = (e^{0.4} - 1.4) / 0.2 = 0.459 < ρ/2: descent from the start, with L_0 = log 2.
    sums = np.cumsum(0.2 / np.sqrt(np.arange(1, 100)))
    # Sharp: Σ η ≥ (2/ρ) log(e^{2 log 2} - 1) = log 3; paper: 2R² e^{2Rη_0} η_0 = 0.597, Σ η ≥ (8/ρ) log 2.
    cases: list[tuple[Constants, float]] = [("sharp", math.log(3)), ("paper", 4 * math.log(2))]
    for constants, needed in cases:
        found = thresholds(problem, method, 2.0, constants)
        assert found.drift == found.descent == 0.0
        assert found.separation == 1 + int(np.argmax(sums >= needed))
    # Momentum 1/2: β e^{2Rη} ≤ 3/4 once η ≤ log(3/2) / 2 = 0.2027, which holds from J = 0 on, so t₀ = 0;
    # with η_0 = 0.5 once √(t+1) ≥ 2.466, from J = 6 on, so t₀ = 12.
    assert thresholds(problem, Method("max", momentum=0.5, schedule=method.schedule), 2.0).drift == 0.0
    large = Method("max", momentum=0.5, schedule=PolynomialDecay(0.5, 0.5))
    assert thresholds(problem, large, 2.0).drift == 12.0
    exponential = Method("max", loss="exponential", schedule=method.schedule)
    # log(nL) starts at log 2 and has to come to 0: Σ η ≥ (2/ρ) log 2.
    found = thresholds(problem, exponential, 2.0)
    assert found.separation == 1 + int(np.argmax(sums >= math.log(2)))


def test_paper_form_by_hand():
    problem = Classification([[1.0], [-1.0]], [0, 1])
    schedule = PolynomialDecay(0.5, 0.5)
    method = Method("max", schedule=schedule)
    trajectory = descend(problem, method, 6, records=range(7), engine="reference")
    eta = schedule(np.arange(6))
    loss = np.exp(trajectory.log_loss)
    start = int(np.flatnonzero(2 * loss <= math.log(2))[0])
    alpha = 2 * math.exp(2 * 0.5)
    bound = margin_bound(problem, trajectory, 2.0, "paper")
    for t in range(start + 1, 7):
        middle = eta[start:t]
        numerator = 2 * eta[:start].sum() + np.sum(2 * middle * np.minimum(1, loss[start:t]))
        numerator += np.sum(alpha * middle**2)
        assert bound.start == start
        assert bound.gap[t] == pytest.approx(numerator / eta[:t].sum(), rel=1e-9)
    assert np.isposinf(bound.gap[: start + 1]).all()


@pytest.mark.parametrize("signal", ["full batch", "svrg", "svrg and momentum"])
def test_odds_fall_by_what_the_proof_says_at_every_step(signal):
    """Y_{t+1} ≤ Y_t - η_t (ρ - δ_t) wherever δ_t ≤ ρ: the potential of the sharp bound."""
    for norm_ in NORMS[:5]:
        problem = separable(1)
        margin = attained_margin(problem, norm_)
        method = method_for(problem, norm_, signal, "cross-entropy", first=0.01)
        trajectory = descend(problem, method, 400, records=range(401))
        odds = log_total_odds("cross-entropy", trajectory.log_loss, problem.samples)
        gains = method.schedule(np.arange(400)) * (margin - descent_errors(problem, method, 400))
        usable = gains >= 0
        assert usable.sum() > 100
        assert np.all(np.diff(odds)[usable] <= -gains[usable] + 1e-9)


def test_sharp_bound_is_above_the_papers_and_near_the_truth():
    problem = separable(0)
    for norm_ in ("max", "frobenius", "spectral"):
        margin = attained_margin(problem, norm_)
        method = Method(norm_, schedule=PolynomialDecay(0.05, 0.5))
        trajectory = descend(problem, method, 50_000, records=40)
        sharp = margin_bound(problem, trajectory, margin)
        paper = margin_bound(problem, trajectory, margin, "paper")
        assert sharp.floor[-1] >= paper.floor[-1]
        assert sharp.floor[-1] > 0.75 * margin


def test_data_independent_bounds_start_no_earlier_than_measured_ones():
    problem = separable(2)
    margin = attained_margin(problem, "frobenius")
    method = Method("frobenius", schedule=PolynomialDecay(0.1, 0.3))
    trajectory = descend(problem, method, 20_000, records=200)
    measured = margin_bound(problem, trajectory, margin, "paper")
    predicted = predicted_margin_bound(problem, method, margin, trajectory.steps, "paper")
    assert measured.start <= predicted.start <= thresholds(problem, method, margin, "paper").separation + 1
    assert predicted.floor[-1] > 0
    assert predicted.floor[-1] <= measured.floor[-1] + 1e-12


def test_measured_noise_says_something_where_the_worst_case_does_not():
    """Momentum on data whose ρ is negative: the measured alignment is positive, and so becomes the floor."""
    problem = separable(3)
    margin = attained_margin(problem, "frobenius")
    method = Method("frobenius", batch_size=3, momentum=0.9, schedule=PolynomialDecay(0.05, 0.5))
    assert effective_margin(problem, method, margin, "paper").vacuous
    trajectory = descend(problem, method, 4000, records=range(4001))
    worst = margin_bound(problem, trajectory, margin)
    measured = margin_bound(problem, trajectory, margin, measured_noise=True)
    assert measured.floor[-1] >= worst.floor[-1]
    assert 0 < measured.floor[-1] <= trajectory.normalized_margin[-1]


@pytest.mark.parametrize("norm_", ANY_NORMS, ids=norm_label)
def test_measured_alignment_bounds_every_batch(norm_):
    """ρ(W) is at most ‖∇L‖_*/G - 2 ‖Ξ_B‖_*/G for every batch, and at least the worst case."""
    problem = separable(4)
    rng = np.random.default_rng(0)
    method = Method(norm_, batch_size=3)
    for W in rng.normal(size=(3, 3, 4)):
        value = float(measured_alignment(problem, method, W))
        q = residual_weights(problem, Method().loss, W)
        size = norm_.dual(problem.pair_sum(q))
        worst = max(
            sampling_noise(problem, "cross-entropy", W, np.array(batch), 2, norm_).left
            for batch in combinations(range(6), 3)
        )
        assert value <= size - 2 * worst + 1e-12
        # The certificate is at least any attained margin, and the noise at most its worst case.
        attained = float(problem.normalized_margin(W, norm_))
        assert attained <= size
        assert value >= effective_margin(problem, method, attained).value - 1e-9
    batched = measured_alignment(problem, method, rng.normal(size=(2, 3, 4)))
    assert batched.shape == (2,)


def test_vacuous_methods_get_no_bound():
    problem = separable(0)
    method = Method("spectral", batch_size=1)
    trajectory = descend(problem, method, 200)
    for bound in (
        margin_bound(problem, trajectory, 0.5),
        margin_bound(problem, trajectory, 0.5, "paper"),
        predicted_margin_bound(problem, method, 0.5, trajectory.steps),
    ):
        assert bound.effective_margin.vacuous
        assert np.isneginf(bound.floor).all()
        assert np.isposinf(bound.gap).all()
        assert math.isinf(bound.start)


def test_thresholds():
    problem = separable(0)
    vacuous = thresholds(problem, Method("max", batch_size=1), 0.5)
    assert math.isinf(vacuous.descent)
    assert math.isinf(vacuous.separation)
    for signal in SIGNALS:
        method = method_for(problem, "frobenius", signal, "cross-entropy", 0.1)
        found = thresholds(problem, method, 0.6)
        assert 0 <= found.drift <= found.descent < found.separation < math.inf
    for loss in LOSSES:
        # The measured separation comes no later than the predicted one.
        method = Method("frobenius", schedule=PolynomialDecay(0.2, 0.5), loss=loss)
        found = thresholds(problem, method, attained_margin(problem, "frobenius"))
        trajectory = descend(problem, method, int(found.separation))
        assert trajectory.margin[-1] > 0
    with pytest.raises(InvalidArgument, match="PolynomialDecay"):
        thresholds(problem, stub(**{**_settings(Method("max")), "schedule": np.cos}), 0.5)
    constant = Method("frobenius", momentum=0.9, schedule=PolynomialDecay(5.0, 0.0))
    assert math.isinf(thresholds(problem, constant, 0.6).drift)


def _settings(method):
    names = ("norm", "batch_size", "momentum", "variance_reduction", "loss", "schedule")
    return {name: getattr(method, name) for name in names}


@pytest.mark.parametrize("loss", LOSSES)
def test_bounds_of_runs_that_start_elsewhere(loss):
    problem = separable(0)
    margin = attained_margin(problem, "spectral")
    method = Method("spectral", loss=loss, schedule=PolynomialDecay(0.05, 0.4))
    start = 3.0 * np.random.default_rng(0).normal(size=(3, 4))
    trajectory = descend(problem, method, 20_000, records=60, initial_weights=start)
    for constants in ("sharp", "paper"):
        bound = margin_bound(problem, trajectory, margin, constants)
        assert bound.floor[-1] > 0
        assert np.all(bound.floor <= trajectory.normalized_margin * (1 + 1e-9) + 1e-12)


def test_bound_is_within_a_factor_of_four_of_the_measured_gap():
    """As the page says: the largest gap over bound of these runs is about a third."""
    problem = separable(NORMS.index(Entrywise(10)))
    norm_ = Entrywise(10)
    margin = attained_margin(problem, norm_)
    method = Method(norm_, loss="exponential", schedule=PolynomialDecay(0.1, 0.5))
    trajectory = descend(problem, method, 20_000, records=100)
    for constants in ("sharp", "paper"):
        bound = margin_bound(problem, trajectory, margin, constants)
        known = bound.floor > 0
        ratio = (margin - trajectory.normalized_margin[known]) / bound.gap[known]
        assert 0.25 < ratio.max() <= 1


@pytest.mark.parametrize(
    "choice", [{"batch_size": 2}, {"batch_size": 2, "momentum": 0.9}, {"variance_reduction": True}]
)
def test_alignment_between_records_is_a_lower_bound_and_exact_at_them(choice):
    problem = separable(5)
    for norm_ in ("max", "spectral", "entrywise-3"):
        method = Method(norm_, schedule=PolynomialDecay(0.02, 0.5), **choice)
        every = descend(problem, method, 40, records=range(41), engine="reference")
        measured = measured_alignment(problem, method, every.weights[:-1])
        sparse = np.arange(0, 41, 8)
        arguments = (problem, setting(problem, method), method.batch_size)
        least = alignment_along(*arguments, sparse, every.weights[sparse])
        assert np.all(least <= measured + 1e-12)
        np.testing.assert_allclose(least[::8], measured[::8], rtol=1e-12)
        exact = alignment_along(*arguments, every.steps, every.weights)
        np.testing.assert_allclose(exact, measured, rtol=1e-12)


def test_measured_noise_is_charged_at_every_step():
    """With every step recorded the floor is the sum of η (ρ(W) - δ) from the first separated record on."""
    problem = separable(3)
    method = Method("frobenius", batch_size=3, momentum=0.95, schedule=PolynomialDecay(0.05, 0.5))
    trajectory = descend(problem, method, 2000, records=range(2001))
    bound = margin_bound(problem, trajectory, -1.0, measured_noise=True)  # ρ itself is of no help here
    gains = measured_alignment(problem, method, trajectory.weights[:-1]) - descent_errors(
        problem, method, 2000
    )
    gains *= method.schedule(np.arange(2000))
    start = int(bound.start)
    assert np.all(gains[start:] >= 0)
    odds = float(log_total_odds("cross-entropy", trajectory.log_loss[start], problem.samples))
    floor = (gains[start:].sum() - odds) / np.linalg.norm(trajectory.final_weights)
    assert bound.floor[-1] == pytest.approx(floor, rel=1e-9)
    assert floor > 0


def test_paper_form_before_the_run_by_hand():
    """n = k = 2, x = ±1, η_t = 0.2 / √(t+1): t_A = 0, and t₁ is the first t with Σ η ≥ 4 log 2."""
    problem = Classification([[1.0], [-1.0]], [0, 1])
    schedule = PolynomialDecay(0.2, 0.5)
    eta = schedule(np.arange(400))
    sums = np.concatenate([[0.0], np.cumsum(eta)])
    start = int(np.argmax(sums >= 4 * math.log(2)))
    alpha = 2 * math.exp(2 * 0.2)
    fading = 0.5 * np.exp(-(sums[start:400] - sums[start]))
    numerator = 2 * sums[start] + np.sum(eta[start:] * (2 * fading + alpha * eta[start:]))
    bound = predicted_margin_bound(problem, Method("max", schedule=schedule), 2.0, np.array([400]), "paper")
    assert bound.start == start
    assert bound.gap[0] == pytest.approx(numerator / sums[400], rel=1e-9)


@pytest.mark.parametrize("size", [0.5, 2.0])
def test_separation_in_paper_form_waits_for_four_n_log_k_over_rho(size):
    """n = k = 2, x = ±size, so that ρ = 2 size: t₁ is the first t with η t ≥ 4 n log 2 / ρ."""
    problem = Classification([[size], [-size]], [0, 1])
    method = Method("max", schedule=PolynomialDecay(0.001, 0.0))
    bound = predicted_margin_bound(problem, method, 2 * size, np.array([20_000]), "paper")
    assert bound.start == math.ceil(4 * 2 * math.log(2) / (2 * size) / 0.001)
