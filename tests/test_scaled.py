"""Scaled sums: right at any size and any difference of size."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.exact import frobenius

import steepest as st
from steepest.scaled import Scaled, zeros_like

scales = some.integers(-(10**6), 10**6).map(float)
matrices = some.integers(0, 10**6).map(lambda seed: np.random.default_rng(seed).normal(size=(3, 4)))


def exactly(scaled):
    with mpmath.workdps(40):
        if np.isinf(scaled.log_scale):
            return mpmath.zeros(*scaled.mantissa.shape)
        return mpmath.matrix(scaled.mantissa.tolist()) * mpmath.exp(int(scaled.log_scale))


def relative_error(scaled, exact):
    with mpmath.workdps(40):
        return float(frobenius(exactly(scaled) - exact) / frobenius(exact))


@given(a=matrices, b=matrices, scale=scales, apart=some.integers(-60, 60), beta=some.floats(0.01, 0.99))
@settings(max_examples=40)
def test_momentum_sums_are_right_to_rounding(a, b, scale, apart, beta):
    first, second = Scaled(a, np.asarray(scale)), Scaled(b, np.asarray(scale + apart))
    total = first * beta + second * (1 - beta)
    with mpmath.workdps(40):
        exact = exactly(first) * mpmath.mpf(beta) + exactly(second) * mpmath.mpf(1 - beta)
    assert relative_error(total, exact) <= 1e-14


def test_matrices_1e400_apart_add_to_the_larger_one():
    large = Scaled(np.array([[1.0, -2.0]]), np.array(-1000.0))
    small = Scaled(np.array([[3.0, 1.0]]), np.array(-1000.0 - 400 * 2.302585 // 1))
    np.testing.assert_array_equal((large + small).mantissa, (small + large).mantissa)
    assert relative_error(large + small, exactly(large)) <= 1e-15


def test_what_cancels_uncovers_what_was_1e400_smaller():
    large = Scaled(np.array([[1.0, -2.0]]), np.array(0.0))
    small = Scaled(np.array([[3.0, 1.0]]), np.array(-921.0))
    assert relative_error((large - large) + small, exactly(small)) <= 1e-15


def test_a_factor_of_zero_leaves_nothing_behind():
    stale = Scaled(np.array([[1.0, 1.0]]), np.array(0.0))
    fresh = Scaled(np.array([[0.5, -0.5]]), np.array(-5000.0))
    total = stale * 0.0 + fresh * 1.0
    assert relative_error(total, exactly(fresh)) <= 1e-15


@given(a=matrices, scale=scales)
@settings(max_examples=30)
def test_normalized_keeps_the_value_and_brings_the_largest_entry_to_order_one(a, scale):
    given_matrix = Scaled(a * 1e-290, np.asarray(scale))
    normalized = given_matrix.normalized()
    assert 1 - 1e-12 <= np.max(np.abs(normalized.mantissa)) <= np.e
    assert normalized.log_scale == np.rint(normalized.log_scale)
    assert relative_error(normalized, exactly(given_matrix)) <= 1e-14


def test_zero_subnormal_and_batches():
    batch = Scaled(np.array([[[0.0]], [[5e-324]], [[-1e308]]]), np.array([7.0, 0.0, 0.0])).normalized()
    assert np.isneginf(batch.log_scale[0])
    assert np.all(np.abs(batch.mantissa[1:]) >= 1)
    sizes = batch.log_norm(st.norm("spectral"))
    np.testing.assert_allclose(sizes[1:], [np.log(5e-324), np.log(1e308)])
    assert np.isneginf(sizes[0])
    assert np.isneginf((zeros_like(batch.mantissa) + zeros_like(batch.mantissa)).log_scale).all()


def test_rounded_returns_plain_numbers():
    assert Scaled(np.array([[2.0]]), np.array(1.0)).rounded()[0, 0] == pytest.approx(2 * np.e)
    assert Scaled(np.array([[2.0]]), np.array(-5000.0)).rounded()[0, 0] == 0.0
