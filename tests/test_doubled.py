"""Products in doubled precision against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some

from steepest.doubled import Doubled, head, head_bits, precise_product, two_sum


def exact_dot(a, b):
    return sum((Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True)), Fraction(0))


@given(
    seed=some.integers(0, 10**6),
    terms=some.sampled_from([1, 2, 7, 100, 1000]),
    row_scale=some.floats(-150, 150),
    column_scale=some.floats(-150, 150),
)
@settings(max_examples=30)
def test_product_has_twice_the_digits(seed, terms, row_scale, column_scale):
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(2, terms)) * 10**row_scale
    columns = generator.normal(size=(3, terms)) * 10**column_scale
    product = precise_product(rows, head(rows), columns)
    for i in range(2):
        for c in range(3):
            exact = exact_dot(rows[i], columns[c])
            ours = Fraction(float(product.high[i, c])) + Fraction(float(product.low[i, c]))
            size = exact_dot(np.abs(rows[i]), np.abs(columns[c]))
            assert abs(ours - exact) <= size * Fraction(1, 2**68)


@given(seed=some.integers(0, 10**6))
@settings(max_examples=20)
def test_badly_scaled_columns_are_never_worse_than_an_ordinary_product(seed):
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(1, 30)) * 10 ** generator.uniform(-12, 12, 30)
    columns = generator.normal(size=(1, 30)) / np.abs(rows)
    product = precise_product(rows, head(rows), columns)
    ours = Fraction(float(product.high[0, 0])) + Fraction(float(product.low[0, 0]))
    size = exact_dot(np.abs(rows[0]), np.abs(columns[0]))
    assert abs(ours - exact_dot(rows[0], columns[0])) <= size * Fraction(30, 2**53)


def test_head_and_tail_add_up_exactly_and_heads_have_few_bits():
    rows = (
        np.random.default_rng(0).normal(size=(5, 64)) * np.array([1e-300, 1e-20, 1.0, 1e20, 1e290])[:, None]
    )
    heads = head(rows)
    np.testing.assert_array_equal(heads + (rows - heads), rows)
    unit = 2.0 ** (np.ceil(np.log2(np.abs(rows).max(axis=1))) - head_bits(64))
    np.testing.assert_array_equal(np.rint(heads / unit[:, None]), heads / unit[:, None])
    np.testing.assert_array_equal(head(np.zeros((1, 3))), np.zeros((1, 3)))


@given(a=some.floats(-1e150, 1e150), b=some.floats(-1e150, 1e150))
def test_two_sum_is_exact(a, b):
    total, error = two_sum(np.float64(a), np.float64(b))
    assert Fraction(float(total)) + Fraction(float(error)) == Fraction(a) + Fraction(b)


def test_differences_of_large_numbers_keep_their_last_digits():
    a = Doubled(np.array(1e5), np.array(3e-13))
    b = Doubled(np.array(1e5), np.array(1e-13))
    difference = a - b
    assert difference.high + difference.low == 3e-13 - 1e-13
