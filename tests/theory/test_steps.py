"""Sums of step sizes against direct sums, and the thresholds that invert them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf, zeta

from steepest import PolynomialDecay
from steepest.errors import InvalidArgument
from steepest.theory.steps import require_polynomial, step_sizes, step_sum, steps_until_size, steps_until_sum

schedules = st.builds(PolynomialDecay, st.floats(1e-3, 10), st.floats(0.05, 1.0))


@pytest.mark.parametrize("exponent", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("steps", [0, 1, 4096, 4097, 300_000])
def test_sum_against_a_direct_one(exponent, steps):
    schedule = PolynomialDecay(0.3, exponent)
    assert step_sum(schedule, steps) == pytest.approx(math.fsum(step_sizes(schedule, steps)), rel=1e-13)


@pytest.mark.parametrize("exponent", [0.3, 0.5, 0.75])
def test_sum_far_out_against_the_zeta_function(exponent):
    with mp.workdps(40):
        a, t = mpf(exponent), mpf(10) ** 15
        expected = zeta(a) - zeta(a, t + 1)
        assert step_sum(PolynomialDecay(1.0, exponent), 1e15) == pytest.approx(float(expected), rel=1e-12)


@given(schedules, st.integers(0, 500), st.floats(1e-3, 50))
def test_steps_until_sum_is_the_first(schedule, start, total):
    step = steps_until_sum(schedule, start, total)
    if step > 1e12:
        return
    reached = step_sum(schedule, step) - step_sum(schedule, start)
    assert reached >= total * (1 - 1e-9)
    if step > start:
        assert step_sum(schedule, step - 1) - step_sum(schedule, start) < total * (1 + 1e-9)


@given(schedules, st.floats(1e-6, 20))
def test_steps_until_size_is_the_first(schedule, size):
    step = steps_until_size(schedule, size)
    if math.isinf(step):
        return
    assert schedule(step) <= size
    if 0 < step < 1e12:
        assert schedule(step - 1) > size * (1 - 1e-12)


def test_sums_that_are_never_reached():
    assert math.isinf(steps_until_sum(PolynomialDecay(1.0, 2.0), 0, 2.0))
    assert math.isinf(steps_until_size(PolynomialDecay(1.0, 0.0), 0.5))
    assert math.isinf(steps_until_size(PolynomialDecay(1.0, 0.01), 1e-100))
    assert steps_until_sum(PolynomialDecay(), 7, 0.0) == 7.0


def test_closed_forms_know_one_family():
    with pytest.raises(InvalidArgument, match="PolynomialDecay"):
        require_polynomial(np.cos)
