"""Codes for what is missing, dummies and dates: features that dwarf or nearly explain each other."""

from __future__ import annotations

from fractions import Fraction
from operator import mul

import numpy as np
import pytest
from tests.maxmargin.separability.exact_program import separable

import steepest as st
from steepest.maxmargin import Status
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import all_pairs
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.interior.coordinates import InCoordinates
from steepest.maxmargin.relaxed import solve_graded
from steepest.maxmargin.relaxed.far_entries import views
from steepest.maxmargin.relaxed.leading import coordinates
from steepest.maxmargin.relaxed.nearest_floats import nearest_floats
from steepest.maxmargin.relaxed.solve_graded import nearly_dependent
from steepest.maxmargin.separability.exact_program import decide_exactly

CODES = (1e16, -1e17, 1e20, 9.99e99, -999.0)


def with_codes(seed, *, apart, columns=1, classes=2):
    """Samples of five features, of which some entries are codes; the last two tell classes apart, or none."""
    generator = np.random.default_rng(seed)
    n = int(generator.integers(30, 120))
    X, y = generator.normal(size=(n, 5)), generator.integers(0, classes, n)
    y[:classes] = np.arange(classes)
    for j in range(columns):
        missing = generator.random(n) < 0.15
        missing[: 2 * classes] = True
        X[missing, j] = CODES[int(generator.integers(len(CODES)))]
    if apart:
        X[:, 3] = (y == 1) + 0.3 * generator.random(n)
        X[:, 4] = (y == 2) + 0.3 * generator.random(n) - 1.0
    return X, y


@pytest.mark.parametrize("seed", range(8))
def test_separability_is_that_of_rational_numbers(seed):
    X, y = with_codes(seed, apart=seed % 2 == 0, columns=1 + seed % 3, classes=2 + seed % 2)
    found = st.separability(st.Classification(X, y)).separable
    assert found is separable(X, y)


def test_codes_that_a_program_in_floats_takes_for_zero_are_decided_in_rational_numbers():
    X, y = with_codes(186, apart=False, columns=4, classes=4)
    assert not separable(X, y)
    found = st.separability(st.Classification(X, y))
    assert (found.separable, found.exact, found.residual) == (False, True, 0.0)
    assert found.exact_dual is not None
    sums = [[Fraction(0)] * 5 for _ in range(4)]
    for i, c, weight in found.exact_dual:
        assert weight > 0
        for j, entry in enumerate(X[i].tolist()):
            sums[y[i]][j] += weight * Fraction(entry)
            sums[c][j] -= weight * Fraction(entry)
    assert not any(map(any, sums))


@pytest.mark.parametrize("seed", range(6))
def test_the_exact_program_has_dual_weights_or_weights_that_separate(seed):
    X, y = with_codes(seed, apart=seed % 2 == 0, columns=1 + seed % 4, classes=2)
    found = decide_exactly(X, y, 2, Deadline())
    assert found is not None
    assert (not len(found.overlapped)) is separable(X, y)
    rows = [[Fraction(entry) for entry in row] for row in X.tolist()]
    logits = [[sum(map(mul, row, w)) for w in found.weights] for row in rows]
    zero = {tuple(pair) for pair in found.overlapped.tolist()}
    for i, c in all_pairs(y, 2).tolist():
        margin = logits[i][y[i]] - logits[i][c]
        assert margin == 0 if (i, c) in zero else margin > 0
    assert sum(found.dual.values()) == (1 if zero else 0)
    assert set(found.dual) <= zero


def test_dual_weights_that_run_off_overflow_nothing():
    """Warnings are errors here; before, the Newton system of this data overflowed."""
    for columns in (1, 2):
        X, y = with_codes(309, apart=False, columns=columns)
        solution = st.max_margin(st.Classification(X, y), "frobenius", 1e-6)
        assert solution.status is Status.NOT_SEPARABLE


@pytest.mark.parametrize(
    "norm", ["max", "sum", "frobenius", "spectral", "nuclear", "schatten-4", "row-2/inf", "row-1/inf"]
)
def test_codes_cost_no_digits_of_a_margin(norm):
    for seed in range(3):
        X, y = with_codes(seed, apart=True, columns=1 + seed % 2)
        solution = st.max_margin(st.Classification(X, y), norm)
        assert solution.status is Status.SOLVED, (seed, solution.relative_gap)
        # A code is as good as any other that is far.
        X = np.where(np.abs(X) > 1e10, np.sign(X) * 1e13, X)
        other = st.max_margin(st.Classification(X, y), norm)
        assert other.margin == pytest.approx(solution.margin, rel=1e-6)


def with_shared_codes(seed, *, classes=3):
    """Samples of which two of the classes share a code of one feature, while the third has none."""
    generator = np.random.default_rng(seed)
    n = int(generator.integers(30, 100))
    X, y = generator.normal(size=(n, 2 + classes)), generator.integers(0, classes, n)
    y[:classes] = np.arange(classes)
    for c in range(1, classes):
        X[:, 2 + c] = (y == c) + 0.3 * generator.random(n) - (c == classes - 1)
    sharing = generator.permutation(classes)[:2]
    missing = (generator.random(n) < 0.25) & np.isin(y, sharing)
    missing[[int(np.flatnonzero(y == c)[0]) for c in sharing]] = True
    X[missing, 0] = CODES[int(generator.integers(4))]
    return X, y


@pytest.mark.parametrize("norm", ["max", "spectral"])
def test_codes_that_only_some_classes_share_cost_no_digits(norm):
    for seed in (2, 3):
        X, y = with_shared_codes(seed)
        solution = st.max_margin(st.Classification(X, y), norm)
        assert solution.status is Status.SOLVED, (seed, solution.relative_gap)


def test_weights_that_differ_by_less_than_floats_do_cost_what_they_must():
    """Two classes weigh the coded feature alike and not by 0: floats have no difference of 1e-99 there."""
    solution = st.max_margin(st.Classification(*with_shared_codes(3)), "frobenius", 2e-5)
    assert solution.status is Status.SOLVED


def test_samples_of_very_different_sizes():
    generator = np.random.default_rng(0)
    for norm in ("max", "frobenius", "spectral"):
        X = generator.integers(-3, 4, size=(14, 3)).astype(float)
        y = np.argmax(X @ np.array([[1.0, 2.0, 0.0], [-1.0, 0.0, 1.0], [0.0, -2.0, 1.0]]).T, axis=1)
        X = np.ldexp(X + 0.1 * np.eye(3)[y], generator.choice([-40, 0, 40], size=(14, 1)))
        if st.separability(st.Classification(X, y)).separable:
            solution = st.max_margin(st.Classification(X, y), norm)
            assert solution.status is Status.SOLVED, (norm, solution.relative_gap)


def test_rows_that_contradict_each_other_become_coordinates():
    regular = np.random.default_rng(0).normal(size=(8, 3))
    rows = np.r_[[[1e20, -1e20, 1.0], [-1e20, 1e20, 2.0], [0.0, 1e20, 3.0]], regular]
    found = coordinates(rows, Deadline())
    assert found is not None
    assert len(found.pivots) == 1
    ((row, column),) = found.pivots
    assert row in (0, 1)
    # The coordinate is the margin of its row, and the sum of both rows is what they leave.
    assert found.high[row].tolist() == np.eye(3)[column].tolist()
    weights = found.to_weights @ np.array([3.0, 5.0, 7.0])
    left = found.high @ np.array([3.0, 5.0, 7.0])
    assert left[3:] == pytest.approx(regular @ weights)
    exact = [
        sum(Fraction(x) * Fraction(w) for x, w in zip(r, weights, strict=True)) for r in rows[:2].tolist()
    ]
    assert left[0] + left[1] == pytest.approx(float(exact[0] + exact[1]))
    assert {each for each, _ in found.contradictory} == {0, 1}


@pytest.mark.parametrize("norm", ["max", "nuclear", "row-2/1"])
def test_data_with_codes_that_is_not_separable_is_said_to_be_so(norm):
    X, y = with_codes(1, apart=False, columns=2)
    assert not separable(X, y)
    solution = st.max_margin(st.Classification(X, y), norm)
    assert solution.status is Status.NOT_SEPARABLE
    assert (solution.margin, solution.upper_bound) == (0, 0)


def test_codes_of_one_class_have_their_way():
    X, y = with_codes(0, apart=True)
    X[:, 0] = np.random.default_rng(1).normal(size=len(y)) + y
    clean = st.max_margin(st.Classification(X, y), "frobenius")
    weight = (clean.weights[1] - clean.weights[0])[0]
    assert abs(weight) > 1e-3
    coded = np.flatnonzero(y == 1)[~np.isin(np.flatnonzero(y == 1), clean.support[:, 0])][:3]
    X[coded, 0] = np.sign(weight) * 1e20
    found = st.max_margin(st.Classification(X, y), "frobenius")
    assert found.margin == pytest.approx(clean.margin, rel=1e-8)
    assert found.status is Status.SOLVED


def test_larger_codes_decide_where_smaller_ones_contradict():
    X = np.array([[1e20, 1e16], [2.0, 1e16], [1.0, 2.0], [-1.0, 1.0]])
    y = np.array([0, 1, 0, 1])
    (view, *_) = views(np.r_[X, X[2:] * 1.1], np.r_[y, y[2:]], 2, Deadline())
    assert view.tiny == ()
    (view, *_) = views(np.r_[X[1:], [[-1.0, 1e16]]], np.array([1, 0, 1, 0]), 2, Deadline())
    assert view.tiny in ((1,), ())


@pytest.mark.parametrize(
    ("norm", "classes"),
    [("max", 2), ("sum", 3), ("nuclear", 2), ("spectral", 3), ("entrywise-3", 3), ("row-2/1", 2)],
)
def test_dummies_that_sum_to_ones_stand_in_for_them(norm, classes):
    i = np.arange(20)
    X, y = np.c_[20240101.0 + i, np.eye(3)[i % 3]], i * classes // 20
    solution = st.max_margin(st.Classification(X, y), norm, gap=1e-7)
    assert solution.relative_gap <= 1e-7
    # Equal weights of the dummies are one weight of a column of ones.
    ones = st.max_margin(st.Classification(np.c_[X[:, 0], np.ones(20)], y), norm)
    assert solution.margin >= ones.margin * (1 - 1e-6)


@pytest.mark.parametrize("norm", ["max", "nuclear", "row-2/1"])
def test_two_dates_and_ones(norm):
    i = np.arange(20)
    other = np.random.default_rng(0).permutation(20)
    X = np.c_[20240101.0 + i, 20230101.0 + other, np.ones(20)]
    assert st.max_margin(st.Classification(X, i >= 9), norm).relative_gap <= 1e-8


def test_features_are_nearly_dependent_where_others_explain_them():
    ones = np.ones(5)
    assert nearly_dependent(np.c_[ones, 1e6 + np.arange(5)])
    assert not nearly_dependent(np.c_[ones, 1e6 * np.arange(5)])
    assert not nearly_dependent(np.c_[ones, 10 + np.arange(5)])
    assert not nearly_dependent(np.zeros((3, 2)))


def test_features_that_are_said_to_be_apart_are_so_by_pivots_too(monkeypatch):
    """The shortcut by products says nothing that the factorisation with pivots would not."""
    generator = np.random.default_rng(0)
    cases = []
    for _ in range(200):
        X = generator.normal(size=(int(generator.integers(2, 20)), int(generator.integers(2, 8))))
        X[:, 0] = X[:, 1] + 10.0 ** generator.uniform(-16, 1) * X[:, 0]
        cases.append(X * 10.0 ** generator.uniform(-6, 6, X.shape[1]))
    found = [nearly_dependent(X) for X in cases]
    assert any(found)
    assert any(solve_graded._far_from_dependent(X / np.abs(X).max(axis=0)) for X in cases)
    monkeypatch.setattr(solve_graded, "_far_from_dependent", lambda scaled: False)
    assert found == [nearly_dependent(X) for X in cases]


@pytest.mark.parametrize("norm", ["max", "sum", "entrywise-3", "spectral", "nuclear"])
def test_a_ball_in_other_coordinates_has_the_same_barrier(norm):
    generator = np.random.default_rng(2)
    U = np.triu(generator.normal(size=(4, 4))) + 3 * np.eye(4)
    C = np.linalg.inv(U).T
    inner = BALL_BARRIER.required_of("norm", st.norm(norm), "this test", "")
    ball = BALL_BARRIER.required_of("norm", InCoordinates(st.norm(norm), C, U), "this test", "")
    V = generator.normal(size=(3, 4))
    V *= 0.5 / float(st.norm(norm)(V @ C))
    E, G = generator.normal(size=(2, 3, 4))
    point, same = ball.at(V), inner.at(V @ C)
    assert point is not None
    assert same is not None
    assert np.allclose(point.gradient, same.gradient @ C.T)
    assert np.sum(E * point.hessian(E)) == pytest.approx(np.sum((E @ C) * same.hessian(E @ C)))
    assert point.inverse_norm(G) == pytest.approx(same.inverse_norm(G @ U))
    assert ball.at(3 * V) is None
    # The matrix of the Hessian in coordinates of classes from the last one, without what all classes share.
    T = np.eye(3)[:, :2] - 1 / 3
    if norm in ("spectral", "nuclear"):
        M = np.zeros((2, 4, 2, 4))
        point.add_to(M, 1.0, T)
        Y = generator.normal(size=(2, 4))
        assert np.einsum("ab,abcd,cd", Y, M, Y) == pytest.approx(np.sum((T @ Y) * point.hessian(T @ Y)))


def test_weights_are_rounded_so_that_logits_keep_their_digits():
    exact = [[Fraction(1, 3), -Fraction(10**9, 3)], [Fraction(2, 7), -Fraction(2 * 10**9, 7)]]
    X = np.array([[1e9, 1.0], [1e9 + 1, 1.0]])
    W = nearest_floats(exact, X, 0.3)
    for row, of_row in zip(W.tolist(), exact, strict=True):
        for i, x in enumerate(X.tolist()):
            logit = sum(Fraction(w) * Fraction(each) for w, each in zip(row, x, strict=True))
            assert abs(logit - i * of_row[0]) < 1e-11
