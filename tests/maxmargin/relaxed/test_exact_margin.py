"""Margins of few samples in whole numbers: against programs in floats where these are sure, and alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as some

import steepest as st
from steepest.geometry import norm as norm_of
from steepest.maxmargin import Status, certificate
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import all_pairs
from steepest.maxmargin.forms.whole_simplex import least_cost
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.relaxed.exact_margin import best_free, exact_margin
from steepest.maxmargin.separability.exact import exact_margins

NORMS = ("max", "sum", "row-1/inf", "row-inf/1", "column-1/inf")


def ball_of(norm, shape):
    return LINEAR_BALL.required_of("norm", norm_of(norm), "this test", "")(shape)


def dual_norm(norm, A):
    """Of a matrix of fractions, by hand."""
    sizes = [[abs(each) for each in row] for row in A]
    columns = list(map(list, zip(*sizes, strict=True)))
    return {
        "max": lambda: sum(map(sum, sizes)),
        "sum": lambda: max(map(max, sizes)),
        "row-1/inf": lambda: sum(map(max, sizes)),
        "row-inf/1": lambda: max(map(sum, sizes)),
        "column-1/inf": lambda: sum(map(max, columns)),
    }[norm]()


def pair_sum(X, y, k, dual):
    A = [[Fraction(0)] * X.shape[1] for _ in range(k)]
    for (i, c), weight in dual.items():
        for j, entry in enumerate(X[i].tolist()):
            A[y[i]][j] += weight * Fraction(entry)
            A[c][j] -= weight * Fraction(entry)
    return A


def with_shared_codes(seed):
    """A feature of large codes that samples of all classes have, one that tells classes apart, and others."""
    generator = np.random.default_rng(seed)
    n, k = int(generator.integers(8, 30)), int(generator.integers(2, 5))
    y = generator.integers(0, k, n)
    y[: 2 * k] = np.tile(np.arange(k), 2)
    X = generator.normal(size=(n, 4))
    for j in range(int(generator.integers(1, 3))):
        missing = generator.random(n) < 0.4
        missing[:k] = True
        X[missing, j] = 10.0 ** int(generator.integers(9, 17)) - 1.0
    X[:, 3] = generator.permutation(k)[y] * 3.0 + 0.4 * generator.normal(size=n)
    return X, y, k


@settings(max_examples=40)
@given(seed=some.integers(0, 2**32 - 1))
def test_the_least_cost_is_that_of_a_program_in_floats(seed):
    generator = np.random.default_rng(seed)
    m, n = int(generator.integers(1, 5)), int(generator.integers(1, 9))
    A = generator.integers(-3, 4, (m, n))
    costs = generator.integers(0, 6, n)
    right = np.eye(m)[-1]
    found = least_cost(
        [[(i, int(v)) for i, v in enumerate(column) if v] for column in A.T], costs.tolist(), m, Deadline()
    )
    reference = scipy.optimize.linprog(costs, A_eq=A, b_eq=right, method="highs")
    if reference.status != 0:
        assert found is None
        return
    assert found is not None
    assert float(found.value) == pytest.approx(reference.fun, abs=1e-9)
    x = [found.solution.get(j, Fraction(0)) for j in range(n)]
    assert min(x) >= 0
    assert [sum(int(a) * each for a, each in zip(row, x, strict=True)) for row in A] == right.tolist()
    worth = [sum(int(a) * p for a, p in zip(column, found.prices, strict=True)) for column in A.T]
    assert all(each <= int(cost) for each, cost in zip(worth, costs, strict=True))
    assert found.prices[-1] == found.value


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("free", [0, 1, 2])
def test_both_sides_attain_the_margin_without_rounding(norm, free):
    for seed in range(4):
        X, y, k = with_shared_codes(seed)
        beside = np.c_[np.ones(len(X)), np.arange(len(X)) % 3][:, :free]
        found = exact_margin(X, y, ball_of(norm, (k, 4)), beside, Deadline())
        assert found is not None
        W = np.array(found.weights, dtype=object)
        everything, pairs = np.c_[X, beside], all_pairs(y, k)
        both = np.concatenate([W, np.array(found.free, dtype=object).reshape(k, -1)], axis=1)
        assert min(exact_margins(everything, y, both, pairs)) == found.value
        sizes = [[abs(each) for each in row] for row in found.weights]
        by_rows, by_columns = list(map(sum, sizes)), list(map(sum, zip(*sizes, strict=True)))
        assert {
            "max": max(map(max, sizes)),
            "sum": sum(by_rows),
            "row-1/inf": max(by_rows),
            "row-inf/1": sum(map(max, sizes)),
            "column-1/inf": max(by_columns),
        }[norm] <= 1
        assert sum(found.dual.values()) == 1
        assert min(found.dual.values()) > 0
        assert dual_norm(norm, pair_sum(X, y, k, found.dual)) == found.value
        assert not any(any(row) for row in pair_sum(beside, y, k, found.dual))


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_ordinary_data_has_the_margin_of_the_other_methods(norm, intercept):
    X, y, k = with_shared_codes(3)
    X = np.where(np.abs(X) > 1e6, 5.0, X)
    X[:, 2] = (y == 1) * 3.0
    solution = st.max_margin(st.Classification(X, y), norm, intercept=intercept)
    assert solution.method != "program in whole numbers"
    free = np.ones((len(X), int(intercept)))
    found = exact_margin(X, y, ball_of(norm, (k, 4)), free, Deadline())
    assert found is not None
    assert solution.margin * (1 - 1e-15) <= float(found.value) <= solution.upper_bound * (1 + 1e-15)


def test_weights_that_are_made_alike_zero_or_small_cost_margin():
    X, y = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), np.arange(3)
    ball, nothing = ball_of("max", (3, 2)), np.zeros((3, 0))
    whole = exact_margin(X, y, ball, nothing, Deadline())
    alike = exact_margin(X, y, ball, nothing, Deadline(), {(1, 0): 0, (2, 1): None})
    small = exact_margin(X, y, ball, nothing, Deadline(), small={0: 3})
    assert whole is not None
    assert alike is not None
    assert small is not None
    assert alike.weights[1][0] == alike.weights[0][0]
    assert alike.weights[2][1] == 0
    assert max(abs(row[0]) for row in small.weights) <= Fraction(1, 8)
    assert alike.value < whole.value
    assert small.value < whole.value


def test_free_weights_are_the_best_for_given_ones():
    X, y, k = with_shared_codes(5)
    W = np.random.default_rng(0).normal(size=(k, 4)).round(2)
    ones = np.ones((len(X), 1))
    B = best_free(X, y, W, ones, Deadline())
    assert B is not None
    pairs, both = all_pairs(y, k), np.c_[X, ones]
    level = min(exact_margins(both, y, np.c_[W.astype(object), B], pairs))
    for a in range(k):
        for step in (-1, 1):
            moved = np.array(B, dtype=object)
            moved[a, 0] += Fraction(step, 2**40)
            assert min(exact_margins(both, y, np.c_[W.astype(object), moved], pairs)) <= level


@pytest.mark.parametrize("norm", ["max", "sum", "row-1/inf"])
def test_shared_codes_beside_an_intercept_cost_no_digits(norm):
    for seed in range(5):
        X, y, k = with_shared_codes(seed)
        solution = st.max_margin(st.Classification(X, y), norm, intercept=True)
        assert solution.status is Status.SOLVED, (seed, solution.relative_gap)
        found = exact_margin(X, y, ball_of(norm, (k, 4)), np.ones((len(X), 1)), Deadline())
        assert found is not None
        assert solution.margin <= found.value <= Fraction(solution.upper_bound)
        assert solution.exact_dual is not None
        exact = {(i, c): weight for i, c, weight in solution.exact_dual}
        assert dual_norm(norm, pair_sum(X, y, k, exact)) <= Fraction(solution.upper_bound)
        flows = pair_sum(np.ones((len(X), 1)), y, k, exact)
        assert not any(each for (each,) in flows)
        rounded = np.zeros_like(solution.dual)
        for (i, c), weight in exact.items():
            rounded[i, c] = float(weight)
        assert np.array_equal(rounded, solution.dual)


@pytest.mark.parametrize("intercept", [True, False])
def test_codes_that_leave_nothing_to_tell_classes_apart_are_said_to_do_so(intercept):
    X, y, _ = with_shared_codes(1)
    X[1] = X[0]
    solution = st.max_margin(st.Classification(X, y), "sum", intercept=intercept)
    assert solution.status in (Status.NOT_SEPARABLE, Status.WEAKLY_SEPARABLE)
    assert (solution.margin, solution.upper_bound) == (0, 0)


def test_dual_weights_as_floats_are_enough_without_an_intercept():
    for seed in range(4):
        X, y, _ = with_shared_codes(seed)
        X[:, 2] = 1.0
        problem = st.Classification(X, y)
        for norm in ("max", "sum"):
            solution = st.max_margin(problem, norm)
            again = certificate(problem, norm, solution.weights, solution.dual)
            assert again.relative_gap <= 1e-8, (seed, norm)
