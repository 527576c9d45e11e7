"""Products and their errors against rationals, at any scale and with sums that cancel."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from steepest.maxmargin.certificates import products
from steepest.maxmargin.certificates.products import (
    absolute_product,
    accurate_product,
    exact_product,
    product,
)

EVERY = pytest.mark.parametrize("multiply", [product, accurate_product, exact_product])


def exactly(A, B):
    return [
        [sum(Fraction(a) * Fraction(b) for a, b in zip(row, column, strict=True)) for column in B.T]
        for row in A
    ]


def factors(seed, spread):
    """Return factors [3, 8] and [8, 2] over 2^±spread; products cancel by pairs but for their last digits."""
    generator = np.random.default_rng(seed)
    A = generator.normal(size=(3, 8)) * 2.0 ** generator.integers(-spread, spread + 1, size=(3, 8))
    B = generator.normal(size=(8, 2)) * 2.0 ** generator.integers(-spread, spread + 1, size=(8, 2))
    A[:, 4:7], B[4:7] = -A[:, :3], B[:3] * (1 + 2.0**-50)
    return A, B


@EVERY
@settings(max_examples=15, deadline=None)
@given(seed=some.integers(0, 2**32 - 1), spread=some.sampled_from([0, 5, 30]))
def test_errors_hold_and_are_as_small_as_each_way_of_summing_promises(multiply, seed, spread):
    A, B = factors(seed, spread)
    value, error = multiply(A, B)
    terms = np.abs(A) @ np.abs(B)
    smallest = {
        product: 12 * 2.0**-53 * terms,
        accurate_product: 3 * 2.0**-53 * np.abs(value) + 300 * 2.0**-106 * terms,
        exact_product: 1.001 * 2.0**-53 * np.abs(value) + 1e-280,
    }[multiply]
    assert (error <= smallest).all()
    for found, bound, exact in zip(value.flat, error.flat, chain(*exactly(A, B)), strict=True):
        assert abs(Fraction(found) - exact) <= Fraction(bound)
        if multiply is exact_product:
            assert found == float(exact)


@pytest.mark.parametrize("multiply", [accurate_product, exact_product])
@pytest.mark.parametrize(("of_a", "of_b"), [(1000, -1000), (-1000, 1000), (900, 100), (-900, -40)])
def test_scales_of_the_factors_change_nothing_but_the_scale(multiply, of_a, of_b):
    A, B = factors(3, 2)
    value, error = multiply(A, B)
    scaled, scaled_error = multiply(np.ldexp(A, of_a), np.ldexp(B, of_b))
    np.testing.assert_array_equal(scaled, np.ldexp(value, of_a + of_b))
    np.testing.assert_allclose(scaled_error, np.ldexp(error, of_a + of_b), rtol=1e-12)


@pytest.mark.parametrize("multiply", [accurate_product, exact_product])
def test_factors_near_the_ends_of_the_range_lose_nothing(multiply):
    # Each product is near 2^-40; one scale after the other would leave none of its digits on the way.
    A, B = np.array([[3.0, 5.0]]) * 2.0**-1060, np.array([[7.0], [1.0]]) * 2.0**1020
    value, error = multiply(A, B)
    assert value[0, 0] == 26.0 * 2.0**-40
    assert error[0, 0] < 1e-14 * value[0, 0]
    value, error = multiply(np.array([[3.0 * 2.0**-600]]), np.array([[2.0**-475]]))
    assert abs(Fraction(value[0, 0]) - Fraction(3, 2**1075)) <= Fraction(error[0, 0])


@EVERY
def test_what_underflows_is_within_the_error(multiply):
    A, B = np.array([[1.0, 1e-200]]), np.array([[0.0], [1e-200]])
    value, error = multiply(A, B)
    exact = exactly(A, B)[0][0]
    assert exact > 0
    assert abs(Fraction(value[0, 0]) - exact) <= Fraction(error[0, 0])


@EVERY
def test_sums_without_terms_are_exact_to_what_underflows(multiply):
    value, error = multiply(np.zeros((2, 3)), np.ones((3, 2)))
    np.testing.assert_array_equal(value, 0.0)
    assert (error <= 1e-300).all()


def test_rows_are_multiplied_in_chunks_as_at_once(monkeypatch):
    A, B = factors(5, 3)
    whole = accurate_product(A, B)
    sizes = []
    compensated = products._compensated

    def seen(rows, columns):
        sizes.append(len(rows))
        return compensated(rows, columns)

    monkeypatch.setattr(products, "_compensated", seen)
    monkeypatch.setattr(products, "_CHUNK", 4)
    np.testing.assert_array_equal(accurate_product(A, B), whole)
    assert sizes == [2, 1]


@pytest.mark.parametrize("shape", [(40, 6, 3), (3, 40, 6), (3, 6, 40)])
def test_sizes_of_large_factors_are_multiplied_in_blocks(monkeypatch, shape):
    r, m, c = shape
    generator = np.random.default_rng(0)
    A, B = generator.normal(size=(r, m)), generator.normal(size=(m, c))
    monkeypatch.setattr(products, "AT_ONCE", 30)
    np.testing.assert_allclose(absolute_product(A, B), np.abs(A) @ np.abs(B), rtol=1e-14)
