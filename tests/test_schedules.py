"""Step sizes of the family."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steepest.errors import InvalidArgument
from steepest.schedules import PolynomialDecay, Schedule


def test_step_sizes_by_hand():
    schedule = PolynomialDecay(2.0, 0.5)
    assert schedule(3) == pytest.approx(1.0)
    np.testing.assert_allclose(schedule(np.array([0, 3, 15])), [2.0, 1.0, 0.5])
    assert isinstance(schedule, Schedule)


@pytest.mark.parametrize(
    ("exponent", "decreasing", "summable"),
    [(0.0, False, False), (0.5, True, False), (1.0, True, False), (1.5, True, True)],
)
def test_assumption_of_the_paper(exponent, decreasing, summable):
    schedule = PolynomialDecay(1.0, exponent)
    assert (schedule.decreasing, schedule.summable) == (decreasing, summable)


@pytest.mark.parametrize("initial", [0, -1.0, math.nan, math.inf, "0.1", None, True])
def test_initial_step_must_be_positive_and_finite(initial):
    with pytest.raises(InvalidArgument, match=r"initial=.*: give a finite number greater than 0"):
        PolynomialDecay(initial, 0.5)


@pytest.mark.parametrize("exponent", [-0.1, math.nan, math.inf, "a"])
def test_exponent_must_not_be_negative(exponent):
    with pytest.raises(InvalidArgument, match=r"exponent=.*: give a finite number of at least 0"):
        PolynomialDecay(0.1, exponent)
