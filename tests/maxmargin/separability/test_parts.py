"""The parts that decisions rest on: rational arithmetic, conditioned features, proofs of overlap."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.conditioned import condition, conditionings
from steepest.maxmargin.separability.evidence import null_weights, relative_margins, separates
from steepest.maxmargin.separability.exact import (
    are_multiples,
    exact_margins,
    exact_null_weights,
    exact_solution,
    whole_numbers,
    with_products,
)
from steepest.maxmargin.separability.likelihood import fit_likelihood
from steepest.maxmargin.separability.overlap import all_overlap

floats = some.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: float(np.float32(x)))


@given(some.lists(floats, min_size=1, max_size=6))
def test_whole_numbers_are_one_multiple_of_the_row(row):
    whole = whole_numbers(np.array(row))
    first = next((j for j, entry in enumerate(row) if entry), None)
    if first is not None:
        factor = Fraction(whole[first]) / Fraction(row[first])
        assert factor > 0
        assert [Fraction(each) * factor for each in row] == whole


@given(seed=some.integers(0, 2**32 - 1), size=some.integers(1, 12))
def test_null_weights_of_generic_columns_are_found_exactly(seed, size):
    """Columns in general position with a known positive combination that vanishes."""
    generator = np.random.default_rng(seed)
    columns = generator.integers(-9, 10, (size, size + 1)).astype(float)
    q = generator.integers(1, 5, size + 1)
    # The last column makes the combination vanish.
    columns[:, -1] = -(columns[:, :-1] @ q[:-1])
    q[-1] = 1
    if np.linalg.matrix_rank(columns) < size:
        return
    extra = np.concatenate([columns, 2 * columns[:1], np.zeros((1, size + 1))])
    assert exact_null_weights(extra) == [Fraction(int(each), int(q.sum())) for each in q]
    broken = extra.copy()
    broken[-1, 0] = 1e-300
    assert exact_null_weights(broken) is None


def test_null_weights_that_are_not_unique_or_not_positive_are_none():
    assert exact_null_weights(np.array([[1.0, -1.0, 1.0, -1.0]])) is None
    assert exact_null_weights(np.array([[1.0, 1.0]])) is None
    assert exact_null_weights(np.array([[1.0, -1.0 - 2**-52]])) == [
        Fraction(2**52 + 1, 2**53 + 1),
        Fraction(2**52, 2**53 + 1),
    ]


@given(seed=some.integers(0, 2**32 - 1))
def test_systems_are_solved_exactly(seed):
    generator = np.random.default_rng(seed)
    square = generator.normal(size=(4, 4)) * np.exp2(generator.integers(-60, 60, (4, 1)))
    right = [[Fraction(int(each)) for each in generator.integers(-9, 9, 4)] for _ in range(2)]
    found = exact_solution(square, right)
    assert found is not None
    for x, b in zip(found, right, strict=True):
        for row, each in zip(square.tolist(), b, strict=True):
            assert sum(Fraction(a) * v for a, v in zip(row, x, strict=True)) == each
    square[3] = 2 * square[0]
    assert exact_solution(square, right) is None


@given(seed=some.integers(0, 2**32 - 1))
def test_vectors_are_given_their_products_exactly(seed):
    generator = np.random.default_rng(seed)
    rows, near = generator.normal(size=(3, 6)), [Fraction(each) for each in generator.normal(size=6)]
    products = [Fraction(0), Fraction(1, 3), Fraction(-2)]
    found = with_products(rows, products, near)
    assert found is not None
    for row, product in zip(rows.tolist(), products, strict=True):
        assert sum(Fraction(a) * x for a, x in zip(row, found, strict=True)) == product
    twice = np.concatenate([rows, 2 * rows[:1]])
    assert with_products(twice, [*products, Fraction(1)], near) is None
    assert with_products(twice, [*products, Fraction(0)], near) == found


def test_multiples_are_positive_and_exact():
    assert are_multiples(np.array([0.0, 1.0, -3.0]), np.array([0.0, 2.0**-1000, -3 * 2.0**-1000]))
    assert not are_multiples(np.array([1.0, 2.0]), np.array([-1.0, -2.0]))
    assert not are_multiples(np.array([1.0, 2.0]), np.array([1.0, np.nextafter(2.0, 3.0)]))
    assert not are_multiples(np.array([1.0, 0.0]), np.array([1.0, 5e-324]))


@pytest.mark.parametrize(
    "X",
    [
        [[1.7e9 + i, 1.0, (i % 3) / 7] for i in range(9)],
        [[1e12 + i, 1e12 - i, i % 2] for i in range(9)],
        [[1e300 * (i + 1), 1e-300 * (i % 4), 1.0] for i in range(9)],
    ],
)
def test_weights_of_conditioned_features_have_their_margins(X):
    X = np.array(X)
    conditioned = condition(X)
    assert np.linalg.cond(conditioned.features) < 1e3
    generator = np.random.default_rng(0)
    V = generator.normal(size=(2, conditioned.features.shape[1]))
    expected = conditioned.features @ (V[0] - V[1])
    y = np.zeros(len(X), dtype=int)
    pairs = np.column_stack([np.arange(len(X)), np.ones(len(X), dtype=int)])
    found = exact_margins(X, y, conditioned.weights(V), pairs)
    clear = np.abs(expected) > 1e-2
    assert clear.sum() > 4
    assert [float(np.sign(each)) for each in np.array(found)[clear]] == np.sign(expected[clear]).tolist()


def test_features_that_others_determine_are_left_out_in_their_order():
    generator = np.random.default_rng(0)
    A = np.round(generator.normal(size=(20, 2)) * 64)
    X = np.column_stack([A[:, 0], np.zeros(20), 3 * A[:, 0], A[:, 1], A[:, 0] - 2 * A[:, 1], np.ones(20)])
    conditioned = condition(X)
    assert conditioned.columns.tolist() == [0, 3, 5]
    assert conditioned.sure


def test_huge_entries_are_scaled_by_the_classes_that_have_them():
    X = np.ones((8, 2)) * np.arange(1.0, 9)[:, None]
    X[:, 1] = 9.5 - X[:, 0] ** 2
    assert len(list(conditionings(X, np.arange(8) % 2))) == 1
    X[[2, 3], 0] = 1e16
    both = list(conditionings(X, np.arange(8) % 2))
    assert [each.exponents[0] < -40 for each in both] == [True, False]
    one = list(conditionings(X, (np.arange(8) > 3).astype(int)))
    assert [each.exponents[0] < -40 for each in one] == [False, True]


def test_likelihood_has_a_maximum_where_pairs_overlap_and_proves_it():
    generator = np.random.default_rng(1)
    Z, y = generator.normal(size=(200, 5)), generator.integers(0, 3, 200)
    fit = fit_likelihood(Z, y, 3, Deadline())
    assert fit is not None
    assert fit.converged
    assert not fit.separating
    assert all_overlap(Z, y, fit.probabilities)
    assert all_overlap(Z, y, fit.probabilities, 1e-12)
    assert not all_overlap(Z, y, fit.probabilities, 1e-2)
    assert not all_overlap(Z, y, np.where(fit.probabilities > 0, 1.0, 0.0))


def test_quasi_complete_separation_is_no_overlap():
    Z = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 2.0], [1.0, 3.0]])
    y = np.array([0, 0, 1, 1])
    fit = fit_likelihood(Z, y, 2, Deadline())
    assert fit is not None
    assert not fit.separating
    assert not all_overlap(Z, y, fit.probabilities)


def test_weights_separate_by_more_than_rounding_or_exactly():
    X, y = np.array([[1.0, 1.0], [1.0 + 2.0**-52, 1.0]]), np.array([0, 1])
    assert separates(X, y, np.array([[0.0, 0.0], [3.0, -(3.0 + 2.0**-51)]]))
    assert not separates(X, y, np.array([[0.0, 0.0], [3.0, -3.0]]))
    assert not separates(X, y, np.zeros((2, 2)))
    assert not separates(X, y, np.array([[0.0, 0.0], [np.inf, -1.0]]))


def test_what_takes_long_is_left_out_where_no_time_is_left(monkeypatch):
    def too_long(*arguments):
        raise AssertionError("no time is left for corrections")

    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(500, 30)), generator.integers(0, 6, 500)
    pairs = np.argwhere(y[:, None] != np.arange(6))
    monkeypatch.setattr("steepest.maxmargin.separability.evidence.zero_to_rounding", too_long)
    late, guess = Deadline.after(0.0), np.ones(len(pairs))
    assert null_weights(X, y, 6, condition(X), pairs, late, guess) is None


def test_weights_that_are_next_to_nothing_beside_another_class_are_not_lost():
    X, W = np.array([[1.0], [1e-3], [2.0]]), np.array([[5e-324], [0.0], [1.0]])
    found = relative_margins(X, np.array([0, 1, 2]), W)
    assert found.tolist() == [[np.inf, 1.0, -1.0], [-1.0, np.inf, -1.0], [1.0, 1.0, np.inf]]
    assert separates(X[[0, 2]], np.array([0, 1]), W[[0, 2]] * [[-1.0], [1.0]]) is False
    assert separates(-X[:1], np.array([1]), W[:2])


@given(seed=some.integers(0, 2**32 - 1))
def test_weights_are_said_to_separate_where_they_do_so_exactly_whatever_their_sizes(seed):
    generator = np.random.default_rng(seed)
    powers = [-1074, -1073, -1070, -1000, -500, 0, 900]
    W = np.ldexp(generator.integers(-4, 5, (3, 2)).astype(float), generator.choice(powers, (3, 2)))
    X = np.ldexp(generator.integers(-4, 5, (2, 2)).astype(float), generator.choice(powers, (2, 2)))
    exact = exact_margins(X, np.array([0, 1]), W, np.array([[0, 1], [0, 2], [1, 0], [1, 2]]))
    assert separates(X, np.array([0, 1]), W) is (min(exact) > 0)
