"""What the paper states beside its theorems: margins not normalised, t₀, small β, ρ in rates, dimensions."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.theory.instances import LOSSES, NORMS
from tests.theory.test_bound import SIGNALS, attained_margin, method_for, separable

from steepest import Classification, Method, PolynomialDecay, descend, theory
from steepest.errors import InvalidArgument
from steepest.theory.constants import noise_factor, noise_share, papers_required_momentum
from steepest.theory.descent_lemma import closed_form_error, descent_errors, descent_errors_of
from steepest.theory.dimensions import settled_gap
from steepest.theory.drift import drift_bound, drift_constant
from steepest.theory.effective_margin import setting
from steepest.theory.steps import step_sum
from steepest.theory.thresholds import thresholds_of

pytestmark = pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")

PAIR = Classification([[1.0], [-1.0]], [0, 1])
FAN = Method("max", momentum=0.9, schedule=PolynomialDecay(0.1, 0.5))


def columns(problem, method, margin) -> dict[str, Any]:
    return {
        each.key: (each.sharp, each.paper) for each in theory.summarize(problem, method, margin).quantities
    }


def test_the_papers_column_has_one_share_of_noise_throughout():
    """(1-β) m² in κ, in ρ, in the smallest β and in t₁."""
    problem = separable(0, n=12)
    radius = problem.feature_bound
    for beta in (0.5, 0.99, 0.9999):
        method = Method("max", batch_size=4, momentum=beta, schedule=PolynomialDecay(0.1, 0.5))
        found = columns(problem, method, 0.4)
        share = (1 - beta) * 9
        assert found["noise_share"][1] == pytest.approx(share)
        assert found["effective_margin"][1] == pytest.approx(0.4 - 4 * 2 * radius * share)
        assert found["required_momentum"][1] == papers_required_momentum(0.4, radius, 3)
        assert (found["effective_margin"][1] > 0) == (beta > found["required_momentum"][1])
        assert math.isfinite(found["separation_start"][1]) == (found["effective_margin"][1] > 0)
    # Without momentum there is no (1-β) in the theorem.
    assert columns(problem, Method("max", batch_size=4), 0.4)["noise_share"] == (1.0, 1.0)


@pytest.mark.parametrize("signal", SIGNALS)
@settings(max_examples=4, deadline=None)
@given(
    st.integers(0, 5),
    st.sampled_from((NORMS[0], NORMS[2], NORMS[4])),
    st.sampled_from(LOSSES),
    st.floats(0.05, 0.4),
)
def test_the_margin_itself_is_never_below_its_bound(signal, seed, norm_, loss, first):
    problem = separable(seed)
    method = method_for(problem, norm_, signal, loss, first)
    margin = attained_margin(problem, norm_)
    run = descend(problem, method, 400, records=40)
    for constants in ("sharp", "paper"):
        bound = theory.unnormalized_margin_bound(problem, run, margin, constants)
        assert np.all(bound.floor <= run.margin * (1 + 1e-9) + 1e-9)
        if constants == "paper":
            assert np.all(np.isneginf(bound.floor[bound.steps < bound.start]))
    # Over the weights' norm the sharp one is the normalised bound.
    sharp = theory.unnormalized_margin_bound(problem, run, margin)
    normalised = theory.margin_bound(problem, run, margin)
    known = np.isfinite(normalised.floor)
    lengths = np.asarray(norm_(run.weights))[known]
    np.testing.assert_allclose(normalised.floor[known] * lengths, sharp.floor[known], rtol=1e-9)


def test_unnormalised_margins_by_hand():
    """D.3 on the pair: R = 1, γ = ρ = 2, δ_s = 2 η_s e^{2 η_0}, from the first record with L ≤ log 2 / 2."""
    run = descend(PAIR, Method("max", schedule=PolynomialDecay(0.1, 0.5)), 400, records=list(range(401)))
    bound = theory.unnormalized_margin_bound(PAIR, run, 2.0, "paper")
    total = 2 * np.exp(np.asarray(run.log_loss))
    start = int(np.flatnonzero(total <= math.log(2))[0])
    assert bound.start == start > 0
    sizes = 0.1 * np.arange(1, 401) ** -0.5
    gains = sizes * (2.0 * (1 - np.minimum(1, total[:-1] / 2)) - 2.0 * sizes * math.exp(0.2))
    expected = np.concatenate([np.full(start, -np.inf), [0.0], np.cumsum(gains[start:])])
    np.testing.assert_allclose(bound.floor, expected, rtol=1e-9)
    none = theory.unnormalized_margin_bound(PAIR, run, -1.0)
    assert np.all(np.isneginf(none.floor))


@pytest.mark.parametrize("exponent", [0.3, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("momentum", [0.05, 0.5, 0.9, 0.97])
def test_from_the_closed_form_of_its_start_on_the_drift_has_settled(exponent, momentum):
    """(C.15) for a < 1 and (C.16) for a = 1: c₂(t) ≤ 16 β' R η_{t/2} / ((1-β)² η_t) from T₀ ≥ t₀ on."""
    for first in (0.01, 0.1, 0.4):
        schedule = PolynomialDecay(first, exponent)
        start = theory.drift_start_bound(schedule, momentum, 1.0)
        assert drift_bound(schedule, momentum, 1.0).start <= start
        if start > 20_000:
            continue
        t = np.arange(math.ceil(start), math.ceil(start) + 500)
        drift = drift_constant(schedule, momentum, 1.0, int(t[-1]) + 1)[t]
        head = 8 * (1 + momentum) * schedule(np.ceil(t / 2)) / ((1 - momentum) ** 2 * schedule(t))
        assert np.all(drift <= head)
    # T₀ is a closed form: it follows (1-β)^{-1/a}, up to a logarithm.
    lags = np.array([1e-3, 1e-5])
    far = [theory.drift_start_bound(PolynomialDecay(1.0, exponent), 1 - lag, 1.0) for lag in lags]
    slope = math.log(far[1] / far[0]) / math.log(lags[0] / lags[1])
    assert 1 / exponent - 0.01 <= slope <= 1 / exponent + 0.15
    with pytest.raises(InvalidArgument, match="0 < exponent <= 1"):
        theory.drift_start_bound(PolynomialDecay(0.1, 0.0), 0.5, 1.0)


def test_a_closed_form_by_hand():
    """a = 1, R = η₀ = 1, β = 1/2: q = log 1.5, J̄ = 2/q, λ = log 4/3, Ḡ = 2 (1 + log J̄)."""
    margin, fading = math.log(1.5), math.log(4 / 3)
    contraction = 2 / margin
    excess = 2 * (1 + math.log(contraction)) + math.log(4 + contraction) - math.log(8 * 0.75 * 4)
    expected = 4 / fading * (excess + math.log(4 / fading) - 1) + 1
    assert theory.drift_start_bound(PolynomialDecay(1.0, 1.0), 0.5, 1.0) == pytest.approx(expected)
    # t₀ = 2J itself: the first J with 2 / (J+1) ≤ log 1.5 is 4.
    assert drift_bound(PolynomialDecay(1.0, 1.0), 0.5, 1.0).start == 8.0


@pytest.mark.parametrize("batch_size", [None, 4, 2])
def test_sharp_constants_are_continuous_where_momentum_vanishes_and_the_papers_are_not(batch_size):
    """Remark 4.4: the paper's bound with momentum does not recover the one without; the sharp one does."""
    problem = separable(1, n=8)
    plain = Method("max", batch_size=batch_size, schedule=PolynomialDecay(0.1, 0.5))
    slight = Method("max", batch_size=batch_size, momentum=1e-9, schedule=PolynomialDecay(0.1, 0.5))
    for reduced in (False, True):
        kept = {"variance_reduction": reduced, "batch_size": batch_size, "schedule": plain.schedule}
        np.testing.assert_allclose(
            descent_errors(problem, Method("max", momentum=1e-9, **kept), 50),
            descent_errors(problem, Method("max", **kept), 50),
            rtol=1e-6,
            atol=1e-7,
        )
    sharp = [theory.effective_margin(problem, each, 0.5).value for each in (plain, slight)]
    assert sharp[1] == pytest.approx(sharp[0], abs=1e-6)
    found = [theory.thresholds(problem, each, 50.0 * (batch_size or 1)) for each in (plain, slight)]
    assert found[0].separation == pytest.approx(found[1].separation, rel=0.02)
    if batch_size is not None:
        m = 8 // batch_size
        assert noise_factor(1e-9, m) == pytest.approx(m - 1)
        assert noise_share(1e-9, m, "paper") == pytest.approx(m**2)
        paper = [theory.effective_margin(problem, each, 0.5, "paper").value for each in (plain, slight)]
        assert paper[1] < paper[0] - 1


def test_the_warm_up_of_a_small_effective_margin_grows_as_corollary_4_5_says():
    """Σ η until t_A from the thresholds themselves, over decades of ρ: ρ^{-(1-a)/a}, and log 1/ρ at a = 1."""
    for a in (0.4, 0.5, 0.75, 1.0):
        method = Method("max", momentum=0.9, schedule=PolynomialDecay(0.1, a))
        numbers = setting(PAIR, method)
        sums = []
        for rho in (1e-4, 1e-5, 1e-6):
            found = thresholds_of(numbers, theory.effective_margin(PAIR, method, rho))
            sums.append(step_sum(PolynomialDecay(0.1, a), found.descent))
        if a == 1:
            assert (sums[2] - sums[1]) == pytest.approx(sums[1] - sums[0], rel=0.01)
            assert (sums[2] - sums[1]) == pytest.approx(0.1 * math.log(10), rel=0.01)
        else:
            assert math.log10(sums[2] / sums[1]) == pytest.approx((1 - a) / a, rel=0.02)


def test_descent_starts_where_the_error_comes_below_half_of_rho():
    for method in (
        Method("max", schedule=PolynomialDecay(0.7, 0.5)),
        Method("max", momentum=0.5, schedule=PolynomialDecay(0.1, 0.5)),
        Method("max", batch_size=1, variance_reduction=True, schedule=PolynomialDecay(0.1, 0.5)),
    ):
        numbers = setting(PAIR, method)
        found = theory.thresholds(PAIR, method, 2.0)
        assert found.drift == drift_bound(method.schedule, method.momentum, 1.0).start
        assert found.descent > 1
        assert (
            closed_form_error(numbers, found.descent) <= 1.0 < closed_form_error(numbers, found.descent - 1)
        )


def test_separation_starts_when_the_steps_since_then_add_up():
    """R = 0.7, ρ = γ = 1.1, n = 2: Σ η ≥ (2/ρ) log(e^{n L_A} - 1), or (4n/ρ) L_A as in the paper."""
    problem = Classification([[0.7], [-0.7]], [0, 1])
    schedule = PolynomialDecay(0.9, 0.5)
    method = Method("max", schedule=schedule)
    for constants in ("sharp", "paper"):
        found = theory.thresholds(problem, method, 1.1, constants)
        assert found.descent > 0
        loss = math.log(2) + 1.4 * step_sum(schedule, found.descent)
        needed = 2 / 1.1 * math.log(math.expm1(2 * loss)) if constants == "sharp" else 8 / 1.1 * loss
        before, then = (
            step_sum(schedule, found.separation - back) - step_sum(schedule, found.descent) for back in (1, 0)
        )
        assert before < needed <= then
    # The reduced signal alone, where steps since the snapshot count with R and m - 1.
    reduced = Method("max", batch_size=1, variance_reduction=True, schedule=method.schedule)
    x, y = 1.4 * 0.9 / 11, 1.4 * 0.9 / math.sqrt(120)
    expected = (math.expm1(x) - x) / (0.9 / 11) + 4 * 0.7 * math.expm1(y)
    assert closed_form_error(setting(problem, reduced), 120.0) == pytest.approx(expected)


@pytest.mark.parametrize("t", [9.0, 1001.0])
def test_the_closed_form_with_momentum_and_variance_reduction_by_hand(t):
    """m = 3, β = 1/2, R = 0.7: every term; the snapshots of recent steps are from m - 1 before ⌈t/2⌉."""
    problem = Classification([[0.7], [-0.7], [0.7]], [0, 1, 0])
    radius = 0.7
    schedule = PolynomialDecay(0.1, 0.5)
    method = Method("max", 1, 0.5, True, schedule=schedule)
    half = math.ceil(t / 2)

    def eta(s):
        return 0.1 / math.sqrt(s + 1)

    bound = drift_bound(schedule, 0.5, radius)
    x = 2 * radius * eta(t)
    curved = (math.expm1(x) - x) / eta(t)
    drift = 2 * 1.5 * 2 * radius * eta(half) / 0.25 + math.exp(bound.log_tail(t))
    recent = 2 * math.expm1(2 * 2 * radius * eta(half - 2)) / 0.5
    old = math.exp(bound.log_tail(t)) * math.expm1(2 * 2 * radius * eta(0))
    noise = 0.5 ** (t + 1) + 0.5 * drift + 2 * 0.5 * (recent + old)
    expected = curved + 4 * radius * noise
    numbers = setting(problem, method)
    assert closed_form_error(numbers, t) == pytest.approx(expected, rel=1e-9)
    # It is a bound on the recursion's, everywhere it is finite.
    exact = descent_errors_of(numbers, 1200)
    formed = np.array([closed_form_error(numbers, s) for s in range(1200)])
    assert np.all(exact <= formed)


def test_a_factor_of_the_dimension_in_drift_and_start_up_alone():
    """Of the full batch with momentum: δ_fan - curvature = d (δ_paper - curvature)."""
    problem = separable(0, d=5)
    paper, fan = (descent_errors(problem, FAN, 60, each) for each in ("paper", "fan"))
    plain = descent_errors(problem, Method("max", schedule=FAN.schedule), 60, "paper")
    np.testing.assert_allclose(fan - plain, 5 * (paper - plain), rtol=1e-9)
    assert theory.effective_margin(problem, FAN, 0.4, "fan") == theory.effective_margin(
        problem, FAN, 0.4, "paper"
    )
    numbers = [setting(problem, FAN, each) for each in ("paper", "fan")]
    at_plain = closed_form_error(setting(problem, Method("max", schedule=FAN.schedule), "paper"), 5000.0)
    with_drift = [closed_form_error(each, 5000.0) - at_plain for each in numbers]
    assert with_drift[1] == pytest.approx(5 * with_drift[0])
    alpha = [theory.descent_coefficients(problem, FAN, 60, each) for each in ("paper", "fan")]
    curved = plain / FAN.schedule(np.arange(60))
    np.testing.assert_allclose(alpha[1] - curved, 5 * (alpha[0] - curved), rtol=1e-6, atol=1e-9)
    with pytest.raises(InvalidArgument, match=r"constants.*full batch"):
        descent_errors(problem, Method("max", batch_size=2, momentum=0.9), 5, "fan")


def test_with_fixed_radius_only_the_older_bound_grows_with_the_dimension():
    rows = theory.dimension_comparison(PAIR, FAN, 2.0, [1, 10, 100, 1000])
    assert len({(row.paper_start, row.paper_gap, row.step) for row in rows}) == 1
    assert rows[0].fan_start == rows[0].paper_start == theory.thresholds(PAIR, FAN, 2.0, "paper").separation
    assert rows[0].fan_gap == rows[0].paper_gap < rows[1].fan_gap < rows[2].fan_gap < rows[3].fan_gap < 1
    # t₁ follows Σ η until d α η_t ≤ ρ, of the order d^{1/a}; here a = 1/2.
    assert rows[3].fan_start / rows[2].fan_start == pytest.approx(100, rel=0.1)
    with pytest.raises(InvalidArgument, match="momentum"):
        theory.dimension_comparison(PAIR, Method("max"), 2.0)
    with pytest.raises(InvalidArgument, match="exponent"):
        theory.dimension_comparison(PAIR, Method("max", momentum=0.5, schedule=PolynomialDecay(0.1, 0)), 2.0)
    # The closed form bounds what is summed step by step.
    method = Method("max", momentum=0.5, schedule=PolynomialDecay(0.01, 0.5))
    start = theory.thresholds(PAIR, method, 2.0, "paper").separation
    at = int(3 * start)
    (row,) = theory.dimension_comparison(PAIR, method, 2.0, [1], step=at)
    summed = theory.predicted_margin_bound(PAIR, method, 2.0, np.array([at]), "paper")
    assert summed.gap[0] / 2.0 <= row.paper_gap < 1


def test_where_the_drift_has_started_by_hand():
    """a = 1/2, η₀ = 0.9, β = 1/2, R = 1: contraction once η ≤ log(3/2) / 2, and fading by 3/4 a step."""
    contraction = (1.8 / math.log(1.5)) ** 2
    growth = 1.8 * (1 + 2 * (math.sqrt(contraction) - 1))
    fading = math.log(4 / 3)
    excess = growth + math.log(4 + contraction) - math.log(8 * 0.75 * 0.9) + 2 * math.log(0.5)
    expected = 4 / fading * (excess + 0.5 * math.log(2 / fading) - 0.5) + 1
    assert expected > 2 * contraction
    assert theory.drift_start_bound(PolynomialDecay(0.9, 0.5), 0.5, 1.0) == pytest.approx(expected)


def test_measured_alignment_by_hand():
    """W = 0, two classes, max-norm: G = 1/2, w_i = |x_i| / (3/2) and ‖∇L‖_* / G = 8/3; m - 1 = 2 for one."""
    problem = Classification([[1.0], [-1.0], [2.0]], [0, 1, 0])
    plain, reduced = Method("max", batch_size=1), Method("max", batch_size=1, variance_reduction=True)
    noise = (2 * 2 + 1 + 1) / 1.5
    assert theory.measured_alignment(problem, plain, np.zeros((2, 1))) == pytest.approx(8 / 3 - 2 * noise)
    assert theory.measured_alignment(problem, reduced, np.zeros((2, 1))) == pytest.approx(8 / 3)


def test_growth_before_the_drift_fades_by_hand():
    """η_t = 1/(t+1), β = 1/2, R = 2: until η ≤ log 2 / 4, five steps, e^{2RΣη} β^t grows."""
    bound = drift_bound(PolynomialDecay(1.0, 1.0), 0.5, 2.0)
    expected = 4 * (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) - 5 * math.log(2)
    assert bound.log_growth == pytest.approx(expected)


def test_the_closed_gap_one_step_after_its_start_by_hand():
    problem = Classification([[1.0], [-1.0]], [0, 1])
    schedule = PolynomialDecay(0.2, 0.5)
    numbers = setting(problem, Method("max", schedule=schedule))
    rho = theory.EffectiveMargin(1.5, 0.0, 1.0, 1, 0.0)
    start = step_sum(schedule, 8)
    size = 0.2 / 3
    lost = 1.5 * start + 0.5 * (1.5 * size + 2) + closed_form_error(numbers, 8) * size
    assert settled_gap(numbers, rho, 8, 9) == pytest.approx(lost / (1.5 * (start + size)))
