"""certificate: bounds that hold for any weights and dual weights, to the last rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.contracts.norms import every_norm
from tests.maxmargin.known import problem_with_known_margin
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument
from steepest.maxmargin import certificate
from steepest.maxmargin.certificates import bounds as rounded
from steepest.maxmargin.certificates.bounds import dual_above, margin_below
from steepest.maxmargin.certificates.products import accurate_product, product


@every_norm
def test_bounds_of_a_known_optimum_enclose_its_margin(norm):
    problem, W, q = problem_with_known_margin(norm, scale=7.0)
    bounds = certificate(problem, norm, W, q)
    assert bounds.margin <= 7.0 * (1 + 1e-12)
    assert bounds.upper_bound >= 7.0 * (1 - 1e-12)
    assert bounds.relative_gap < 1e-10


@every_norm
@settings(max_examples=10, deadline=None)
@given(seed=some.integers(0, 2**32 - 1))
def test_any_weights_and_any_dual_weights_enclose_the_max_margin(norm, seed):
    problem, _, _ = problem_with_known_margin(norm)
    generator = np.random.default_rng(seed)
    W, q = generator.normal(size=(4, 60)), generator.exponential(size=(50, 4))
    bounds = certificate(problem, norm, W, q)
    assert bounds.margin <= 1.0 <= bounds.upper_bound


@settings(max_examples=30, deadline=None)
@given(seed=some.integers(0, 2**32 - 1), exponent=some.integers(-12, 12))
def test_products_are_within_their_error_of_the_exact_ones(seed, exponent):
    generator = np.random.default_rng(seed)
    A, B = generator.normal(size=(3, 7)), generator.normal(size=(7, 2)) * 10.0**exponent
    # The last column cancels what the others add up to, to the last digits.
    A[:, -1], B[-1] = -(A[:, :-1] @ B[:-1])[:, 0], [1.0, 0.0]
    exact = [
        [sum(Fraction(a) * Fraction(b) for a, b in zip(row, column, strict=True)) for column in B.T]
        for row in A
    ]
    for compute in (product, accurate_product):
        value, error = compute(A, B)
        for i in range(3):
            for j in range(2):
                assert abs(Fraction(value[i, j]) - exact[i][j]) <= Fraction(error[i, j])
    plain, doubled = product(A, B)[1], accurate_product(A, B)[1]
    assert (doubled <= plain).all()
    assert (doubled[:, 0] < 1e-10 * plain[:, 0] + 1e-15 * np.abs(value[:, 0])).all()


def test_margins_that_cancel_are_computed_in_doubled_precision():
    # Exact in integers: the margin of W is 2 while its terms are 1e9.
    big = 10**9
    problem = st.Classification([[big + 1.0, big], [big, big + 1.0]], [0, 1])
    W = np.array([[1.0, -1.0], [-1.0, 1.0]])
    bounds = certificate(problem, "max", W, [[0, 1], [1, 0]])
    assert 2.0 * (1 - 1e-13) <= bounds.margin <= 2.0 <= bounds.upper_bound <= 2.0 * (1 + 1e-13)


def test_dual_weights_of_any_sum_are_taken_to_the_last_digit():
    # A(q) vanishes in the large feature: what is left is 1 over the sum of q, exact in integers.
    problem = st.Classification([[1e6, 1.0], [1e6 + 1, 1.0]], [0, 1])
    bounds = certificate(problem, "max", np.zeros((2, 2)), [[0, 1e6 + 1], [1e6, 0]])
    assert bounds.upper_bound == pytest.approx(2 / (2e6 + 1), rel=1e-13)


def test_zero_weights_certify_zero():
    problem = random_problem()
    assert certificate(problem, "max", np.zeros((4, 20)), np.ones((12, 4))).margin == 0.0


def test_wrong_weights_get_a_negative_bound():
    problem, W, q = problem_with_known_margin("spectral")
    assert certificate(problem, "spectral", -W, q).margin < 0


@pytest.mark.parametrize(
    ("W", "q", "message"),
    [
        (np.zeros((3, 20)), np.ones((12, 4)), r"W=\(3, 20\): give weights of shape \[..., 4, 20\]"),
        (np.full((4, 20), np.nan), np.ones((12, 4)), "give finite weights"),
        (np.ones((4, 20)), np.ones((12, 3)), r"q=\(12, 3\): give dual weights of shape \[12, 4\]"),
        (np.ones((4, 20)), -np.ones((12, 4)), "none negative and not all zero"),
        (np.ones((4, 20)), np.zeros((12, 4)), "none negative and not all zero"),
        (np.ones((4, 20)), np.full((12, 4), np.inf), "give finite dual weights"),
    ],
)
def test_input_that_certifies_nothing_is_refused(W, q, message):
    with pytest.raises(InvalidArgument, match=message):
        certificate(random_problem(), "max", W, q)


@pytest.mark.parametrize("size", [2.0**60, 2.0**200])
def test_a_margin_that_doubled_precision_hides_beside_one_that_it_shows_is_taken_from_exact_sums(size):
    # Both margins are 2^-70; the first is what is left of two terms that cancel.
    X = np.array([[size, -size, 2.0**-70], [0.0, 0.0, 2.0**-70]])
    W = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    below = margin_below(X, np.array([0, 0]), W, st.norm("max"))
    assert 2.0**-70 * (1 - 1e-12) <= below <= 2.0**-70


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_the_upper_bound_of_large_features_is_that_of_the_rows_with_dual_weight(monkeypatch, share):
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(50, 8)), np.arange(50) % 3
    q = np.where((np.arange(50) < 50 * share)[:, None], generator.random((50, 3)), 0.0)
    q[np.arange(50), y] = 0.0
    small = dual_above(X, y, q, st.norm("sum"))
    monkeypatch.setattr(rounded, "AT_ONCE", 1)
    large = dual_above(X, y, q, st.norm("sum"))
    assert large == pytest.approx(small, rel=1e-12)
