"""Sizes at the ends of the float range, zero, thin and empty matrices, entries that are not finite."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from tests.contracts.arrays import NUMPY, NUMPY_SINGLE, every_double, every_kind
from tests.contracts.loops import through
from tests.contracts.norms import through_all_norms, through_norms
from tests.geometry.instances import well_conditioned

import steepest as st
from steepest.geometry import RANK_CUTOFF


def inner(A, B):
    return np.sum(A * B, axis=(-2, -1))


@every_kind
@through_norms
@through("shape", [(3, 4), (2, 20), (1, 5), (5, 1), (1, 1)])
def test_entries_near_the_ends_of_the_float_range(norm, kind, shape):
    S = well_conditioned(shape, np.random.default_rng(0))
    exact = kind.back(kind(S))
    expected, value = kind.back(norm.direction(kind(S))), kind.back(norm.dual(kind(S)))
    largest, smallest = (1e300, 1e-300) if kind.dtype == "float64" else (1e35, 1e-33)
    for factor in (largest, smallest):
        scaled = kind(exact * factor)
        np.testing.assert_allclose(kind.back(norm.direction(scaled)), expected, atol=50 * kind.eps)
        assert kind.back(norm.dual(scaled)) / factor == pytest.approx(float(value), rel=50 * kind.eps)


@every_kind
@through_norms
@through("shape", [(3, 4), (2, 20), (1, 5), (5, 1), (1, 1)])
def test_subnormal_entries(norm, kind, shape):
    unit = float(np.finfo(kind.dtype).smallest_subnormal)
    # Integer multiples of the smallest subnormal are exact, and so is their quotient by the largest of them.
    whole = np.rint(1000 * well_conditioned(shape, np.random.default_rng(1)))
    expected = kind.back(norm.direction(kind(whole)))
    np.testing.assert_allclose(kind.back(norm.direction(kind(whole * unit))), expected, atol=50 * kind.eps)
    value = kind.back(norm.dual(kind(whole)))
    # The value itself is rounded to a multiple of the smallest subnormal.
    assert float(kind.back(norm.dual(kind(whole * unit))) / unit) == pytest.approx(float(value), abs=0.51)


@every_double
@through_norms
def test_one_matrix_may_hold_both_ends_of_the_range(norm, kind):
    S = np.array([[1e300, -1e-300, 0.0], [5e-324, 1e300, -1e-10]])
    D = kind.back(norm.direction(kind(S)))
    assert np.isfinite(D).all()
    assert float(norm(D)) <= 1 + 1e-14
    assert inner(S / 1e300, D) == pytest.approx(float(norm.dual(kind(S))) / 1e300, rel=1e-14)


@through_all_norms
def test_a_value_beyond_the_range_is_infinity(norm):
    A = np.full((4, 4), 1.5e308)
    expected = float(norm(A / 2.0**10)) * 2.0**10
    if math.isfinite(expected):
        assert norm(A) == pytest.approx(expected, rel=1e-15)
    else:
        with pytest.warns(RuntimeWarning, match="overflow"):
            assert norm(A) == math.inf
    D = norm.direction(A)
    assert np.isfinite(D).all()
    assert norm(D) <= 1 + 1e-14


@every_kind
@through_norms
@through("shape", [(3, 4), (1, 5), (5, 1), (2, 3, 20)])
def test_zero_has_value_zero_and_direction_zero(norm, kind, shape):
    S = kind(np.zeros(shape))
    np.testing.assert_array_equal(kind.back(norm(S)), np.zeros(shape[:-2]))
    np.testing.assert_array_equal(kind.back(norm.direction(S)), np.zeros(shape))
    np.testing.assert_array_equal(kind.back(norm.direction(-S)), np.zeros(shape))


@every_kind
@through_norms
@through("shape", [(0, 4), (4, 0), (0, 0), (3, 0, 4), (2, 4, 0), (0, 3, 4), (0, 2, 30), (0, 1, 3)])
def test_empty_matrices_have_value_zero_and_an_empty_direction(norm, kind, shape):
    S = kind(np.zeros(shape))
    for value in (norm(S), norm.dual(S)):
        np.testing.assert_array_equal(kind.back(value), np.zeros(shape[:-2]))
    assert kind.back(norm.direction(S)).shape == shape


@every_kind
@through_norms
@through("shape", [(1, 7), (7, 1)])
def test_one_row_or_one_column(norm, kind, shape):
    values = np.arange(-3.0, 4.0)
    S = kind(values.reshape(shape))
    D = kind.back(norm.direction(S))
    if isinstance(norm, st.Schatten):
        # Of rank one: every Schatten norm is the Frobenius norm.
        np.testing.assert_allclose(D, values.reshape(shape) / np.sqrt(28), atol=4 * kind.eps)
        assert float(norm(S)) == pytest.approx(np.sqrt(28), rel=4 * kind.eps)
    else:
        assert inner(D, values.reshape(shape)) == pytest.approx(float(norm.dual(S)), rel=20 * kind.eps)


@every_kind
@through_norms
@through("shape", [(3, 4), (2, 20), (1, 5), (5, 1)])
@through("bad", [math.nan, math.inf, -math.inf])
def test_entries_that_are_not_finite_spoil_their_own_matrix_alone(norm, kind, shape, bad):
    S = np.stack([well_conditioned(shape, np.random.default_rng(seed)) for seed in range(3)])
    clean = kind.back(norm.direction(kind(S))), kind.back(norm(kind(S)))
    S[1, 0, -1] = bad
    D, values = kind.back(norm.direction(kind(S))), kind.back(norm(kind(S)))
    assert np.isnan(D[1]).all()
    np.testing.assert_array_equal(values[1], abs(bad))
    for place in (0, 2):
        np.testing.assert_allclose(D[place], clean[0][place], atol=8 * kind.eps)
        assert values[place] == clean[1][place]


@pytest.mark.parametrize("family", [st.Entrywise, st.Schatten])
@through("p", [1 + 2.0**-52, 1.001, 1e4, 1e300, Fraction(10**400), 1 + Fraction(1, 10**400)])
def test_exponents_near_the_ends_of_their_range(family, p):
    norm = family(p)
    assert norm.dual_norm.dual_norm == norm
    S = np.random.default_rng(2).standard_normal((3, 5))
    S[0, 0] = 0
    D = norm.direction(S)
    assert norm(D) == pytest.approx(1, rel=1e-14)
    assert inner(S, D) == pytest.approx(norm.dual(S), rel=1e-12)
    end = family(1 if p < 2 else math.inf)
    assert norm(S) == pytest.approx(end(S), rel=1e-2)
    assert family is st.Schatten or p > 2 or D[0, 0] == 0


def test_a_gradient_of_one_sample_has_one_direction_in_every_schatten_norm():
    # Lemma H.1: rank one, so spectral, nuclear and Frobenius directions are the same matrix.
    generator = np.random.default_rng(3)
    for _ in range(20):
        residual = generator.dirichlet(np.ones(10))
        residual[0] -= residual.sum()
        S = np.outer(residual, generator.standard_normal(100)) * 10.0 ** generator.uniform(-300, 300)
        expected = st.norm("frobenius").direction(S)
        for name in ("spectral", "nuclear", "schatten-4", "schatten-1.5"):
            np.testing.assert_allclose(st.norm(name).direction(S), expected, atol=1e-14)


@pytest.mark.parametrize("kind", [NUMPY, NUMPY_SINGLE], ids=str)
@through("p", [1, 1.5, 3, 4, math.inf])
def test_schatten_directions_use_the_rank_cutoff_for_every_p(kind, p):
    cutoff = RANK_CUTOFF * kind.eps / NUMPY.eps
    D = st.Schatten(p).direction(kind(np.diag([1, 0.5, cutoff / 2])))
    assert D[2, 2] == 0
    assert D[0, 0] > 0


@every_kind
def test_schatten_2_is_frobenius_and_drops_nothing(kind):
    S = kind(np.diag([1, 0.5, 1e-3 * 450 * kind.eps]))
    D = kind.back(st.Schatten(2).direction(S))
    np.testing.assert_array_equal(D, kind.back(st.Entrywise(2).direction(S)))
    assert D[2, 2] > 0
    assert kind.back(st.Schatten(2)(S)) == kind.back(st.Entrywise(2)(S))
