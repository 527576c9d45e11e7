"""Soft margins that are exactly 0, or whose conditions leave no room, are said to be so with a proof."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some
from tests.maxmargin.separability.exact_program import no_soft_margin

import steepest as st
from steepest.errors import InvalidArgument
from steepest.maxmargin import Status
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.relaxed import exact_dual as module
from steepest.maxmargin.relaxed.exact_dual import corrected, exact_dual, surely_exist
from steepest.maxmargin.relaxed.no_margin import vanishing_near
from steepest.maxmargin.relaxed.repair import nearest_within

NORMS = ("frobenius", "max", "sum", "spectral", "nuclear", "row-2/1")


def assert_shows_zero(solution, X, y, caps):
    """Check that dual weights are within caps and that their A(q) is rounding in every feature."""
    q = solution.dual
    assert (solution.margin, solution.upper_bound, solution.relative_gap) == (0.0, 0.0, 0.0)
    assert q.sum() == pytest.approx(1, abs=1e-13)
    assert (q.sum(axis=1) <= caps * (1 + 1e-12)).all()
    T = -q
    T[np.arange(len(y)), y] = q.sum(axis=1)
    assert (np.abs(T.T @ X) <= 1e-13 * (np.abs(T).T @ np.abs(X)).max(axis=0)).all()


@some.composite
def soft_data(draw):
    generator = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    k, d = int(generator.integers(2, 4)), int(generator.integers(1, 3))
    n = int(generator.integers(4, 9))
    X = generator.integers(-3, 4, (n, d)).astype(float)
    if generator.random() < 0.4:
        X = np.round(generator.normal(size=(n, d)), int(generator.integers(0, 3)))
    y = generator.integers(0, k, n)
    assume(len(np.unique(y)) > 1)
    shares = [Fraction(1), Fraction(1, 2), Fraction(9, 10), Fraction(n - 1, n), Fraction(2, n)]
    nu = shares[int(generator.integers(5))]
    weights = generator.integers(1, 4, n) if generator.random() < 0.3 else np.ones(n, dtype=int)
    return X, np.unique(y, return_inverse=True)[1], nu, weights


@settings(max_examples=20, deadline=None)
@given(soft_data(), some.sampled_from(NORMS), some.booleans())
def test_a_soft_margin_is_none_if_and_only_if_rational_dual_weights_give_zero(data, norm, intercept):
    X, y, nu, weights = data
    assume(nu * len(y) > 1)
    terms = {"nu": float(nu), "sample_weight": weights.astype(float), "intercept": intercept}
    both = np.c_[X, np.ones(len(X))] if intercept else X
    caps = [Fraction(int(each)) / (nu * int(weights.sum())) for each in weights]
    none = no_soft_margin(both, y, caps)
    if intercept and not no_soft_margin(np.ones((len(X), 1)), y, caps):
        with pytest.raises(InvalidArgument, match="the intercept makes the margin by itself"):
            st.max_margin(st.Classification(X, y), norm, **terms)
        return
    solution = st.max_margin(st.Classification(X, y), norm, 1e-6, **terms)
    assert (solution.status is Status.NO_SOFT_MARGIN) is none
    if none:
        assert_shows_zero(solution, both, y, np.array([float(each) for each in caps]))
    else:
        assert solution.status is Status.SOLVED
        assert 0 < solution.margin <= solution.upper_bound


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("intercept", [False, True])
def test_two_labels_of_every_sample_leave_no_soft_margin_for_any_share(norm, intercept):
    X, y = np.repeat([[1.0, 2.0], [3.0, -1.0], [0.1, 0.7]], 2, axis=0), np.tile([0, 1], 3)
    for nu in (0.4, 0.5, 0.9, 1.0):
        found = st.max_margin(st.Classification(X, y), norm, nu=nu, intercept=intercept)
        assert found.status is Status.NO_SOFT_MARGIN
        assert_shows_zero(found, X, y, np.full(6, 1 / (6 * nu)))


@pytest.mark.parametrize("norm", NORMS)
def test_all_samples_at_their_caps_bound_a_margin_with_a_free_intercept(norm):
    """At nu = 1 there is one q, the caps: the margin is the dual norm of the difference of means."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(12, 3)) + 4.0, np.arange(12) % 2
    X[:, 0] += y
    found = st.max_margin(st.Classification(X, y), norm, nu=1.0, intercept=True)
    half = (X[y == 0].mean(axis=0) - X[y == 1].mean(axis=0)) / 2
    exact = float(st.norm(norm).dual(np.stack([half, -half])))
    assert found.status is Status.SOLVED
    assert found.upper_bound == pytest.approx(exact, rel=1e-7)
    assert found.margin == pytest.approx(exact, rel=1e-7)
    X[:, 1] = np.repeat(np.arange(6.0), 2)
    free = st.max_margin(st.Classification(X, y), norm, nu=1.0, free=[1], intercept=True)
    assert free.status is Status.SOLVED
    assert free.upper_bound < np.inf
    balanced = st.max_margin(
        st.Classification(X[:-1], y[:-1]), norm, nu=1.0, intercept=True, class_weight="balanced"
    )
    assert balanced.status is Status.SOLVED


def test_a_margin_of_roundings_by_free_weights_alone_is_refused():
    """Sums of decimals that are equal differ by the rounding of floats, and weights may be of any size."""
    X = np.array(
        [[-0.4, 0.6], [-1.1, 1], [1.9, 0.7], [0.3, 0.8], [1.3, -0.2], [0.9, 0.8], [-1.3, 0.3], [0.1, -0.2]]
    )
    y = np.array([1, 0, 1, 1, 0, 0, 0, 1])
    with pytest.raises(
        InvalidArgument, match=r"free=\[1\]: these features have a margin of less than a rounding"
    ):
        st.max_margin(st.Classification(X, y), "frobenius", nu=1.0, free=[1])
    with pytest.raises(InvalidArgument, match=r"free=\[0\]: these features have a margin by themselves"):
        st.max_margin(st.Classification(X, y), "frobenius", nu=1.0, free=[0])


def test_many_features_and_classes_of_noise_have_no_soft_margin():
    """1,050 sums that are to vanish."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(1200, 150)), generator.integers(0, 8, 1200)
    found = st.max_margin(st.Classification(X, y), "frobenius", 1e-4, nu=0.5, intercept=True)
    assert found.status is Status.NO_SOFT_MARGIN
    assert_shows_zero(found, X, y, np.full(1200, 1 / 600))


def test_proofs_and_corrections_are_refused_where_there_is_nothing_to_prove(monkeypatch):
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(60, 2)), np.arange(60) % 3
    caps = np.full(60, 1 / 30)
    q = np.where(y[:, None] == np.arange(3), 0.0, 1 / 120)
    assert not surely_exist(q, y, X, caps)
    near = corrected(q, y, X, caps)
    assert surely_exist(near, y, X, caps)
    # A feature that another determines leaves a direction in which nothing can be corrected.
    assert not surely_exist(near, y, np.c_[X, 2 * X[:, 0]], caps)
    # Samples at caps without a second pair cannot move.
    assert not surely_exist(near, y, X, near.sum(axis=1))
    assert exact_dual(near, y, X, [Fraction(1, 100)] * 60) is None
    exact = exact_dual(near, y, X, [Fraction(1, 30)] * 60)
    assert exact is not None
    assert sum(exact.values()) == 1
    left = [[Fraction(0)] * 2 for _ in range(3)]
    for (i, c), each in exact.items():
        for j, entry in enumerate(X[i].tolist()):
            left[y[i]][j] += each * Fraction(entry)
            left[c][j] -= each * Fraction(entry)
    assert not any(map(any, left))
    monkeypatch.setattr(module, "_MOST_SUMS", 1)
    assert not surely_exist(near, y, X, caps)
    assert corrected(q, y, X, caps) is q


def test_entries_that_are_lost_beside_others_prove_nothing():
    # Any w > 0 gives both samples of dual weight a positive margin, however small 1e-300 is beside 1e300.
    y, q, caps = np.array([0, 1, 0]), np.array([[0.0, 0.5], [0.5, 0.0], [0.0, 0.0]]), np.full(3, 0.6)
    assert vanishing_near(q, y, np.array([[1e-300], [-1e-300], [1e300]]), caps, Deadline()) is None
    assert vanishing_near(q, y, np.array([[1e-300], [1e-300], [1e-299]]), caps, Deadline()) is not None


def test_a_program_that_repairs_dual_weights_is_not_begun_out_of_time():
    y, caps = np.array([0, 0, 1, 1]), np.full(4, 0.4)
    q = np.array([[0.0, 0.5], [0.0, 0.1], [0.4, 0.0], [0.0, 0.0]])
    found = nearest_within(q, y, np.ones((4, 1)), caps, Deadline.after(60.0))
    assert found is not None
    assert (found.sum(axis=1) <= caps).all()
    assert found[:2].sum() == pytest.approx(found[2:].sum(), abs=1e-10)
    assert nearest_within(q, y, np.ones((4, 1)), caps, Deadline.after(0.0)) is None
