"""Numbers with exponents of their own: sums and logarithms by hand."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some

from steepest.doubled import Doubled
from steepest.signals.numbers import HIDDEN, Numbers

MANTISSAS = some.floats(0.5, 2.0)
SCALES = some.integers(-9000, 9000)


def number(mantissa: float, scale: float) -> Numbers:
    return Numbers(np.array([mantissa]), np.array([float(scale)]))


def value(found: Numbers) -> Any:
    if found.mantissas[0] == 0:
        return mpmath.mpf(0)
    return mpmath.mpf(float(found.mantissas[0])) * mpmath.exp(mpmath.mpf(float(found.log_scales[0])))


@settings(max_examples=40, deadline=None)
@given(MANTISSAS, SCALES, MANTISSAS, some.integers(-60, 60), some.sampled_from([-1.0, 1.0]))
def test_sums_are_those_of_real_numbers_to_rounding_or_hidden(one, scale, other, apart, sign):
    mpmath.mp.dps = 60
    a, b = number(one, scale), number(sign * other, scale + apart)
    sizes = abs(value(a)) + abs(value(b))
    assert abs(value(a.plus(b)) - (value(a) + value(b))) <= 2 * HIDDEN * sizes


def test_what_cancels_is_zero_at_every_scale_and_adds_nothing():
    nothing = number(1.5, -8000).plus(number(-1.5, -8000))
    assert nothing.mantissas.tolist() == [0.0]
    assert value(nothing.plus(number(1.25, -8100))) == value(number(1.25, -8100))


def test_logarithms_of_zero_are_zero():
    found = Numbers.of_logs(Doubled(np.array([-np.inf, -8000.5]), np.zeros(2)))
    assert found.mantissas[0] == 0.0
    assert found.log_scales[1] == -8001.0
    assert np.isclose(found.mantissas[1], np.exp(0.5))
