"""Numbers of the theory on cases that are worked out by hand, and where arguments end."""

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest

from steepest import Classification, Method, PolynomialDecay, max_margin
from steepest.datasets import gaussian
from steepest.errors import InvalidArgument, InvalidData
from steepest.theory import (
    batch_alignment,
    batch_condition,
    bias_direction,
    check_assumptions,
    descent_coefficients,
    descent_errors,
    dimension_comparison,
    drift_start_bound,
    fit_exponent,
    lemma_constants,
)
from steepest.theory.alignment import alignment_along
from steepest.theory.bound import _better
from steepest.theory.descent_lemma import _log_drift, closed_form_error
from steepest.theory.drift import drift_bound, log_memory_drift
from steepest.theory.drift_start import _growth
from steepest.theory.effective_margin import is_analysed, setting
from steepest.theory.inequality import Inequality
from steepest.theory.inputs import as_batches, as_horizon, as_steps
from steepest.theory.loss_lemmas import curvature, log_total_odds, loss_deficit
from steepest.theory.realised import _over
from steepest.theory.stretches import Ground, Stretches, least_falls, measured_stretches

PAIR = Classification([[1.0], [-1.0]], [0, 1])


@pytest.mark.parametrize(
    ("settings", "analysed"),
    [
        ({}, True),
        ({"momentum": 0.5}, True),
        ({"variance_reduction": True}, True),
        ({"signal": "saga"}, False),
        ({"momentum": 0.5, "momentum_kind": "heavy-ball"}, False),
        ({"momentum": 0.0, "momentum_kind": "heavy-ball"}, True),
    ],
)
def test_which_methods_the_theorems_are_about(settings, analysed):
    assert is_analysed(Method("max", 1, **settings)) is analysed


def test_where_numbers_of_steps_and_batches_end():
    assert (as_batches(1), as_batches(10**8)) == (1, 10**8)
    assert (as_horizon(0), as_horizon(10**9)) == (0, 10**9)
    assert descent_errors(PAIR, Method("max"), 0).shape == (0,)
    for read, number in ((as_batches, 0), (as_batches, 10**8 + 1), (as_horizon, -1), (as_horizon, 10**9 + 1)):
        with pytest.raises(InvalidArgument):
            read(number)


def test_the_numbers_behind_the_effective_margin():
    # m = 2, R = 1: noise 4 (m - 1) R = 4 without momentum, none with variance reduction.
    schedule = PolynomialDecay(0.1, 0.5)
    *_, plain = check_assumptions(PAIR, "max", schedule, 5.0, batch_size=1)
    assert plain.values == {"rho": 1.0, "noise": 4.0, "batches": 2.0, "kappa": 1.0}
    *_, reduced = check_assumptions(PAIR, "max", schedule, 5.0, batch_size=1, variance_reduction=True)
    assert reduced.values == {"rho": 5.0, "noise": 0.0, "batches": 2.0, "kappa": 0.0}


def test_a_schedule_outside_the_closed_forms_has_no_comparison_of_dimensions():
    for exponent in (0.0, 1.01, 1.5):
        method = Method("max", momentum=0.9, schedule=PolynomialDecay(0.1, exponent))
        with pytest.raises(InvalidArgument, match="0 < exponent <= 1"):
            dimension_comparison(PAIR, method, 2.0)


def test_the_dimensions_that_are_compared_are_half_decades():
    method = Method("max", momentum=0.9, schedule=PolynomialDecay(0.1, 0.5))
    rows = dimension_comparison(PAIR, method, 2.0)
    assert [row.features for row in rows] == [10, 32, 100, 316, 1000, 3162, 10_000]
    last = rows[-1]
    assert last.step == 100 * last.fan_start > 100 * last.paper_start


def test_rounding_is_allowed_for_by_the_number_of_terms_and_the_size_of_logits():
    # n k + k d + 16 R ‖W‖ roundings: R = 3 here.
    problem = Classification([[3.0], [-1.0], [2.0]], [0, 1, 0])
    ground = Ground.of(problem, "max", "cross-entropy")
    expected = np.array([6.0 + 2.0, 6.0 + 2.0 + 16 * 3 * 5.0]) * 2.0**-52
    np.testing.assert_allclose(ground.rounding(np.array([0.0, 5.0])), expected, rtol=1e-12)


def test_a_hundred_records_are_all_fitted_and_more_are_thinned():
    for records in (99, 100, 101):
        steps = np.linspace(100.0, 1000.0, records)
        points = fit_exponent(steps, steps**-0.5).points
        assert points == records if records <= 100 else points < 100


def test_batches_are_compared_at_margins_that_are_those_of_the_table():
    problem = gaussian(classes=3, samples_per_class=3, features=12, scale=3.0, seed=4)
    solution = max_margin(problem, "spectral")
    assert not math.isclose(solution.margin, 1.0, rel_tol=0.1)
    condition = batch_condition(problem, "spectral", solution, [2, 9], partitions=3, seed=5)
    assert condition.scales == (0.0, 1.0, 4.0, 16.0, 64.0)
    for place, scale in enumerate(condition.scales):
        W = scale / solution.margin * solution.weights
        assert float(problem.margin(W)) == pytest.approx(scale, rel=1e-6)
        for row in condition.rows:
            alone = batch_alignment(problem, "spectral", row.batch_size, W, partitions=3, seed=5)
            assert row.mean[place] == pytest.approx(float(alone.mean))
            assert row.worst[place] == pytest.approx(float(alone.worst))


@pytest.mark.parametrize("constants", ["sharp", "paper", "fan"])
@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_coefficients_leave_the_start_up_of_momentum_out(constants, momentum):
    # R = max ‖x‖₁ = 4 and d = 3: δ_t = 4R β^(t+1) [times d for Fan et al.] + α_t η_t.
    problem = Classification([[1.0, 2.0, -1.0], [-1.0, 0.0, 0.5]], [0, 1])
    method = Method("max", momentum=momentum, schedule=PolynomialDecay(0.02, 0.5))
    errors = descent_errors(problem, method, 4, constants)
    coefficients = descent_coefficients(problem, method, 4, constants)
    start_up = 4 * 4 * (3 if constants == "fan" else 1) * momentum ** np.arange(1, 5)
    sizes = 0.02 * np.arange(1, 5) ** -0.5
    np.testing.assert_allclose(errors, start_up + coefficients * sizes, rtol=1e-12)
    assert (coefficients > 0).all()


def test_margins_over_sizes():
    margins = np.array([0.5, 2.0, 1.0, -1.0, 0.0, 1.0])
    floors = _over(margins, np.array([2.0, 0.5, 0.25, 1.0, 1.0, 0.0]))
    np.testing.assert_allclose(floors, [0.25, 4.0, 4.0, -np.inf, -np.inf, -np.inf])
    assert floors[0] < 0.25


def test_falls_of_one_stretch_with_visible_rounding():
    # Exponential loss: G = L, so both factors are 1. At ‖W‖ = 1e12 logits round by 16 R 1e12 ε, R = 3.
    ground = Ground.of(Classification([[3.0], [-1.0]], [0, 1]), "max", "exponential")
    rounded = 2 * 3 * 0.1 * (2 * 2 + 2 * 1 + 16 * 3 * 1e12) * 2.0**-52
    assert rounded > 1e-3
    curved = math.exp(2 * 3 * 0.1) - 1 - 2 * 3 * 0.1
    losses, sizes = np.array([-5.0, -6.0]), np.array([1.0, 1e12])
    for forward, backward, fall in ((1.0, 0.1, 1.0 - curved - rounded), (0.2, 0.9, 0.9 - rounded)):
        way = Stretches(np.array([forward]), np.array([backward]), np.array([0.1]), losses, losses)
        assert least_falls(ground, way, sizes) == pytest.approx([fall], rel=1e-12)


@pytest.mark.parametrize(
    "features",
    [
        [[0.0, -2.0], [0.0, 1.0]],
        [[-2.0, 0.0], [0.0, 1.0]],
        [[1.0, 0.5], [0.0, 1.0]],
        [[1.0, 0.0], [1.0, 0.0]],
        [[0.0, 0.0], [0.0, 1.0]],
    ],
)
def test_data_that_is_not_orthogonal_and_positive_has_no_bias_in_closed_form(features):
    with pytest.raises(InvalidData, match="give orthogonal data"):
        bias_direction(Classification(features, [0, 1]), "frobenius")


@pytest.mark.parametrize("name", ["cross-entropy", "exponential", "pairwise-logistic"])
def test_the_odds_of_every_loss_count_as_convex(name):
    # Proven for each, and held against lines by test_total_odds_are_convex_along_lines.
    assert lemma_constants(name).convex_odds


@pytest.mark.parametrize("moved", [0.5, 300.0, 700.0, 708.0, 720.0, 1000.0])
def test_closed_forms_are_infinite_where_exponentials_leave_float64(moved):
    # m = 2 and η = 1, so that 2R (m-1) η = ``moved``, with R = ``moved`` / 2.
    R = moved / 2
    problem = Classification([[R], [-R]], [0, 1])
    method = Method("max", 1, variance_reduction=True, schedule=PolynomialDecay(1.0, 0.5))
    size, grown = 2**-0.5, math.expm1(moved) if moved < 709 else math.inf
    curved = moved * size
    expected = (math.expm1(curved) - curved) / size + 4 * R * grown
    assert closed_form_error(setting(problem, method), 1.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("first", [1e-3, 30.0, 3000.0])
def test_the_bound_of_the_drift_is_infinite_where_it_leaves_float64_and_falls_later(first):
    bound = drift_bound(PolynomialDecay(first, 1.0), 0.5, 1.0)
    early, late = bound.memory_drift(bound.start), bound.memory_drift(1e7)
    assert math.isinf(early) == (bound.log_tail(bound.start) > 709)
    # Far out what is older than t/2 weighs nothing: 2R η_(t/2) · 4 β' / (1-β)², β' = 3/4.
    assert late == pytest.approx(2 * first / (5e6 + 1) * 12, rel=1e-6)


SIZES = [
    *(1e-300, 1e-30, 1e-12, 1e-9, 9e-9, 2e-8, 1e-6, 5e-5, 0.9e-4, 1.5e-4, 9e-4, 1.1e-3),
    *(0.03, 1.0, 20.0, 35.0, 37.0, 600.0),
]


@pytest.mark.parametrize("x", SIZES)
def test_curvature_keeps_its_digits_at_every_size(x):
    with mpmath.workdps(400):
        exact = float(mpmath.expm1(mpmath.mpf(x)) - mpmath.mpf(x))
    assert float(curvature(0.5, x)) == pytest.approx(exact, rel=2e-12, abs=0.0)


@pytest.mark.parametrize("name", ["cross-entropy", "pairwise-logistic"])
@pytest.mark.parametrize("y", SIZES)
def test_deficit_and_odds_of_a_total_loss_keep_their_digits(name, y):
    # With n = 1 and L = y: 1 - (1 - e^-y) / y, min(1, y/2) for the paper, and log(e^y - 1).
    with mpmath.workdps(400):
        total = mpmath.exp(mpmath.mpf(math.log(y)))
        sharp, odds = float(1 + mpmath.expm1(-total) / total), float(mpmath.log(mpmath.expm1(total)))
    # The logarithm of y has 1e-16 of itself, up to 7e-14 of y.
    assert float(loss_deficit(name, math.log(y), 1)) == pytest.approx(sharp, rel=2e-12, abs=1e-300)
    papers = float(loss_deficit(name, math.log(y), 1, sharp=False))
    assert papers == pytest.approx(min(1, y / 2), rel=2e-12, abs=1e-300)
    assert float(log_total_odds(name, math.log(y), 1)) == pytest.approx(odds, rel=2e-12, abs=1e-12)


def test_the_drift_starts_at_twice_its_contraction_where_nothing_is_left_of_old_steps():
    # β = 0.1: q = log(β'/β) = log 5.5, and 2R η₀ = 0.99 q contracts from (0.99)^10 on, a = 1/10.
    first = 0.99 * math.log(5.5) / 2
    assert drift_start_bound(PolynomialDecay(first, 0.1), 0.1, 1.0) == pytest.approx(2 * 0.99**10)


def test_a_step_may_be_recorded_twice():
    assert as_steps([0, 3, 3]).tolist() == [0, 3, 3]
    with pytest.raises(InvalidArgument):
        as_steps([0, 3, 2])


def test_the_better_floor_counts_from_the_last_record_s_own_anchor():
    low, high = np.array([0.0, 0.0, 0.1]), np.array([-np.inf, 0.2, 0.3])
    first, second = np.array([0, 1, 0]), np.array([1, 0, 2])
    floor, start = _better([(first, low), (second, high)], np.array([0, 5, 9]))
    assert (floor.tolist(), start) == ([0.0, 0.2, 0.3], 9.0)
    assert _better([(second, high), (first, low)], np.array([0, 5, 9]))[1] == 9.0


def test_one_record_has_no_stretches():
    found = measured_stretches(Ground.of(PAIR, "max", "cross-entropy"), np.zeros((1, 2, 1)))
    assert found.forward.shape == found.backward.shape == found.lengths.shape == (0,)


def test_where_a_ray_and_a_fit_end():
    problem = gaussian(classes=2, samples_per_class=4, features=20, seed=1)
    solution = max_margin(problem, "frobenius")
    with pytest.raises(InvalidArgument, match="positive margin"):
        batch_condition(problem, "frobenius", replace(solution, margin=0.0), [1])
    steps = np.geomspace(100, 1000, 5).round()
    assert fit_exponent(steps, 1 / steps).points == 5
    with pytest.raises(InvalidArgument):
        fit_exponent(steps[1:], 1 / steps[1:])


def test_growth_by_hand():
    # moved (1 + Σ s^-a), the sum as an integral from 1 to the step where contraction begins.
    assert _growth(0.5, 1.5, 1.0) == pytest.approx(0.5 * (1 + math.log(1.5)), rel=1e-15)
    assert _growth(0.5, 2.25, 0.5) == pytest.approx(0.5 * (1 + (1.5 - 1) / 0.5), rel=1e-15)
    assert _growth(0.5, 0.5, 1.0) == 0.0


def test_what_is_allowed_for_rounding_near_zero():
    assert Inequality("zero", 0.9e-12, 0.0).holds()
    assert not Inequality("zero", 1.5e-12, 0.0).holds()


def test_nothing_is_known_of_steps_before_the_first_record():
    numbers = setting(PAIR, Method("max"))
    found = alignment_along(PAIR, numbers, None, np.array([2, 5]), np.zeros((2, 2, 1)))
    assert found.shape == (5,)
    assert (found[:2] == -np.inf).all()
    assert np.isfinite(found[2:]).all()


def test_only_sharp_constants_count_a_batch_once_an_epoch():
    problem = gaussian(classes=2, samples_per_class=4, features=20, seed=1)
    paper, sharp = (setting(problem, Method("max", 2, momentum=0.9), kind) for kind in ("paper", "sharp"))
    memory = log_memory_drift(paper.schedule, 0.9, paper.radius, 6) + math.log(4)
    assert (_log_drift(paper, 6) == memory).all()
    assert (_log_drift(sharp, 6)[2:] < memory[2:]).all()
