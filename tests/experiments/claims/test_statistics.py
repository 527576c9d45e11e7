"""The statistics of verdicts, against SciPy's and by what they promise: errors no more often than they
say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from steepest.errors import InvalidArgument
from steepest.experiments.claims.statistics import (
    LEVEL,
    data_sets_needed,
    fit_floor,
    fitted_exponent,
    holm,
    mean_interval,
    p_above,
    p_below,
    p_equivalent,
    slopes,
)


def scipys(values, bound, side):
    return float(np.asarray(stats.ttest_1samp(values, bound, alternative=side))[1])


SAMPLES = some.lists(some.floats(-50, 50), min_size=3, max_size=15).filter(lambda x: np.std(x) > 1e-3)


@settings(max_examples=50, deadline=None)
@given(SAMPLES, some.floats(-20, 20))
def test_intervals_and_tests_are_scipys(values, bound):
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    above, below = (scipys(values, bound, side) for side in ("greater", "less"))
    assert p_above(values, bound) == pytest.approx(above, rel=1e-8, abs=1e-300)
    assert p_below(values, bound) == pytest.approx(below, rel=1e-8, abs=1e-300)
    # What the interval shows and what the test decides are the same.
    assert (p_above(values, bound) <= LEVEL) == (found.low >= bound) or found.low == pytest.approx(bound)
    margin = abs(bound) + 0.1
    two = scipys(values, -margin, "greater"), scipys(values, margin, "less")
    assert p_equivalent(values, margin) == pytest.approx(max(two), rel=1e-8)


@settings(max_examples=50, deadline=None)
@given(some.lists(some.floats(0, 1), min_size=1, max_size=12))
def test_holms_method_is_what_its_definition_says(p_values):
    adjusted = holm(p_values)
    for level in (0.01, 0.025, 0.2):
        rejected = set()
        for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if p_values[place] > level / (len(p_values) - rank):
                break
            rejected.add(place)
        # At a value within rounding of the level either is right.
        sure = {i for i, p in enumerate(adjusted) if abs(p - level) > 1e-12}
        assert {i for i, p in enumerate(adjusted) if p <= level} & sure == rejected & sure


@pytest.mark.parametrize(
    "draw", [np.random.Generator.standard_normal, np.random.Generator.standard_exponential]
)
def test_intervals_of_ten_data_sets_hold_the_mean_as_often_as_they_say(draw):
    rng = np.random.default_rng(5)
    mean = 0.0 if draw is np.random.Generator.standard_normal else 1.0
    samples = draw(rng, (20_000, 10))
    half = stats.t.ppf(0.975, 9) * samples.std(axis=1, ddof=1) / math.sqrt(10)
    assert mean_interval(samples[0]).high == pytest.approx(samples[0].mean() + half[0])
    covered = np.mean(np.abs(samples.mean(axis=1) - mean) <= half)
    # Exact for normal values; for the skewest that log-ratios come near, a little below.
    assert covered == pytest.approx(0.95, abs=0.006) if mean == 0 else 0.88 < covered < 0.95


def test_a_family_of_tests_errs_no_more_often_than_its_level():
    rng = np.random.default_rng(7)
    wrong = sum(
        min(holm([p_above(row, 0.0) for row in rng.standard_normal((7, 10))])) <= LEVEL for _ in range(600)
    )
    assert wrong <= stats.binom.ppf(0.999, 600, LEVEL)


def test_equivalence_is_rarely_shown_at_its_margin_and_nearly_always_inside():
    rng = np.random.default_rng(9)
    margin = math.log(1.3)
    at, inside = (
        np.mean([p_equivalent(mean + 0.1 * rng.standard_normal(10), margin) <= LEVEL for _ in range(600)])
        for mean in (margin, 0.0)
    )
    assert at <= stats.binom.ppf(0.999, 600, LEVEL) / 600
    assert inside > 0.99


@pytest.mark.parametrize(("deviation", "effect"), [(0.24, 0.14), (1.0, 0.05), (0.01, 1.0), (2.0, 1.0)])
def test_the_data_sets_needed_are_the_fewest_whose_interval_is_narrow_enough(deviation, effect):
    def half(count):
        return stats.t.ppf(0.975, count - 1) * deviation / math.sqrt(count)

    needed = data_sets_needed(deviation, effect)
    assert half(needed) <= effect
    assert needed == 2 or half(needed - 1) > effect
    with pytest.raises(InvalidArgument, match="effect=0: give a number above 0"):
        data_sets_needed(deviation, 0)


def test_nothing_is_said_of_one_value_or_of_what_is_no_number():
    for values in ([1.0], [1.0, math.nan, 2.0], [1.0, math.inf]):
        assert p_above(values, 0.0) == p_below(values, 0.0) == p_equivalent(values, 5.0) == 1.0
    assert mean_interval([1.0]).low == -math.inf
    # Values without any spread are beyond a bound, or they are not.
    assert (p_above([1.0] * 3, 0.9), p_above([1.0] * 3, 1.0), p_below([1.0] * 3, 1.1)) == (0.0, 1.0, 0.0)


def test_slopes_are_those_of_straight_lines():
    x = np.log([1.0, 3.0, 10.0, 30.0])
    noise = np.random.default_rng(3).standard_normal((2, 4))
    expected = [np.polyfit(x, row, 1)[0] for row in noise]
    np.testing.assert_allclose(slopes(x, noise), expected)


@settings(max_examples=25, deadline=None)
@given(some.floats(0.02, 0.9), some.floats(0.2, 1.2), some.integers(0, 1000))
def test_floors_are_found_and_needed_where_there_is_one(share, exponent, seed):
    t = np.unique(np.rint(np.geomspace(1, 300_000, 300)))
    falling = (t / t[-1]) ** -exponent
    noise = np.exp(1e-4 * np.random.default_rng(seed).standard_normal(len(t)))
    found = fit_floor(t, (share + (1 - share) * falling) * noise)
    assert found.floor == pytest.approx(share, abs=0.05)
    assert found.advantage > 4
    none = fit_floor(t, falling * noise)
    assert abs(none.floor) < 0.05


def test_a_floor_of_what_cannot_be_fitted_is_no_number():
    assert math.isnan(fit_floor(np.array([1.0, 2.0]), np.array([1.0, 0.5])).floor)
    assert math.isnan(fit_floor(np.geomspace(1, 1000, 50), np.full(50, -1.0)).advantage)


def test_the_exponent_is_that_of_the_last_decade():
    steps = np.geomspace(1, 1e4, 81)
    error = np.where(steps < 1e3, 1.0, (steps / 1e3) ** -0.7)
    assert fitted_exponent(steps, error) == pytest.approx(0.7)
    assert math.isnan(fitted_exponent(steps, -error))
    assert math.isnan(fitted_exponent(steps[-2:], error[-2:]))
