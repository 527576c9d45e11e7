"""Verdicts on hostile data are those of rational arithmetic, and know neither units nor an order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some
from tests.maxmargin.separability.exact_program import kind
from tests.maxmargin.separability.test_separability import assert_evidence_holds

import steepest as st
from steepest.maxmargin import Separation, Status
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.conditioned import condition
from steepest.maxmargin.separability.exact_program import decide_exactly, is_small_enough
from steepest.maxmargin.separability.exponents import row_and_column_exponents
from steepest.maxmargin.separability.rational import as_floats, in_range, nearest_floats


def labelled(generator, X, k, noise):
    """Labels that features nearly decide."""
    spread = X.std(axis=0)
    scores = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0) @ generator.normal(size=(X.shape[1], k))
    return (scores + noise * generator.normal(size=scores.shape)).argmax(axis=1)


def dates(generator):
    n, k = int(generator.integers(6, 30)), int(generator.integers(2, 4))
    offset = generator.choice([20240101.0, 1.7e9, 2460000.5, 1.7e15])
    X = np.column_stack([offset + generator.integers(0, 3000, n), np.ones(n), generator.normal(size=n)])
    return X, labelled(generator, X, k, generator.choice([0.0, 0.3]))


def codes(generator):
    n, k, d = int(generator.integers(10, 24)), int(generator.integers(2, 5)), int(generator.integers(2, 4))
    X = np.round(generator.normal(size=(n, d)), 1)
    y = labelled(generator, X, k, generator.choice([0.0, 0.05]))
    missing = generator.random((n, d)) < generator.choice([0.03, 0.15])
    return np.where(missing, generator.choice([1e16, 1e20, -999.0, 9999.0], size=(n, d)), X), y


def repeated(generator):
    n, k, d = int(generator.integers(4, 16)), int(generator.integers(2, 4)), int(generator.integers(2, 4))
    X = np.round(generator.normal(size=(n, d)), 1)
    y = labelled(generator, X, k, generator.choice([0.0, 0.3]))
    again = generator.integers(0, n, n)
    factors = generator.choice([1.0, 3.0, 0.1], size=(n, 1))
    return np.concatenate([X, X[again] * factors]), np.concatenate([y, y[again]])


def last_digits(generator):
    """Samples that differ from others by their last digits, some with other labels."""
    X, y = repeated(generator)
    again = generator.integers(0, len(X), 3)
    near = X[again] * (1 + 2.0**-52 * generator.integers(-1, 2, X[again].shape))
    labels = np.where(generator.random(3) < 0.5, y[again], generator.integers(0, y.max() + 1, 3))
    return np.concatenate([X, near]), np.concatenate([y, labels])


FAMILIES = {"dates": dates, "codes": codes, "repeated": repeated, "last digits": last_digits}


def drawn(family, seed):
    X, y = FAMILIES[family](np.random.default_rng([seed, len(family)]))
    return X, np.unique(y, return_inverse=True)[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_data_is_decided_as_in_rational_arithmetic(family):
    seen = set()
    for seed in range(14):
        X, y = drawn(family, seed)
        if y.max() == 0:
            continue
        found = st.separability(st.Classification(X, y))
        # Weights that floats cannot hold leave it undecided, which is no wrong answer.
        if found.kind is not Separation.UNDECIDED:
            assert found.kind.name == kind(X, y), seed
            assert found.exact
            seen.add(found.kind)
            if found.kind is Separation.SEPARABLE or found.exact_dual is not None:
                assert_evidence_holds(found)
    assert len(seen) >= 2


@settings(max_examples=30, deadline=None)
@given(some.sampled_from(sorted(FAMILIES)), some.integers(0, 2**32 - 1))
def test_units_and_order_change_no_verdict(family, seed):
    """Samples times 2^±40, features times 2^±900, and samples, features and classes in another order."""
    X, y = drawn(family, seed)
    assume(y.max() > 0)
    generator = np.random.default_rng(seed)
    n, d = X.shape
    whole = st.separability(st.Classification(X, y))
    rows = generator.integers(-40, 41, (n, 1))
    scaled = np.ldexp(np.ldexp(X, rows), generator.integers(-900, 901, d))
    found = st.separability(st.Classification(scaled, y))
    assert (found.kind, found.exact) == (whole.kind, whole.exact)
    if whole.overlapped is not None:
        np.testing.assert_array_equal(found.overlapped, whole.overlapped)
        np.testing.assert_array_equal(found.coefficients, whole.coefficients)
    samples, features, classes = (generator.permutation(each) for each in (n, d, y.max() + 1))
    turned = st.separability(st.Classification(scaled[samples][:, features], classes[y][samples]))
    if Separation.UNDECIDED not in (turned.kind, whole.kind):
        assert turned.kind is whole.kind


def test_a_weakly_separable_table_stays_so_with_samples_in_any_units():
    X = np.array([[1.0, 1], [1, 2], [1, 2], [1, 3], [1, 0.5], [1, 3.5]])
    y = np.array([0, 0, 1, 1, 0, 1])
    for seed in range(20):
        factors = np.exp2(np.random.default_rng(seed).choice([-40, 40], (6, 1)))
        problem = st.Classification(X * factors, y)
        assert st.separability(problem).kind is Separation.WEAKLY_SEPARABLE
        assert st.max_margin(problem, "max").status is Status.WEAKLY_SEPARABLE


@given(some.integers(0, 2**32 - 1))
def test_conditioned_features_follow_powers_of_two_to_the_last_bit(seed):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(7, 4)) * (generator.random((7, 4)) < 0.8)
    rows, columns = generator.integers(-300, 301, (7, 1)), generator.integers(-500, 501, 4)
    first, second = condition(X), condition(np.ldexp(np.ldexp(X, rows), columns))
    np.testing.assert_array_equal(first.features, second.features)
    r, c = row_and_column_exponents(X)
    moved_r, moved_c = row_and_column_exponents(np.ldexp(np.ldexp(X, rows), columns))
    used = X != 0
    shift = (moved_r - r - rows[:, 0])[:, None] + (moved_c - c - columns)
    assert not shift[used].any()


def test_exact_programs_end_at_the_deadline_and_are_for_few_numbers():
    X, y = codes(np.random.default_rng(0))
    assert decide_exactly(X, y, int(y.max()) + 1, Deadline.after(1e-9)) is None
    assert is_small_enough(X, 3)
    assert not is_small_enough(np.random.default_rng(0).normal(size=(50, 41)), 2)
    assert not is_small_enough(np.random.default_rng(0).normal(size=(2000, 20)), 3)


def test_rational_weights_are_brought_into_the_range_of_floats():
    W = ((Fraction(2) ** 2000, Fraction(2) ** 100), (Fraction(0), Fraction(-1)))
    scaled = in_range(W)
    floats = nearest_floats(scaled)
    assert np.isfinite(floats).all()
    assert [scaled[0][0] / scaled[0][1], scaled[0][0] / scaled[1][1]] == [2**1900, -(Fraction(2) ** 2000)]
    assert nearest_floats([[Fraction(-2) ** 2001]]).tolist() == [[-np.inf]]
    third = Fraction(1, 3)
    # A difference of any two classes is held with twice the digits by one of the candidates.
    W = ((Fraction(0),), (third,), (2 * third + Fraction(1, 7),))
    best = {}
    for floats in as_floats(W):
        for a in range(3):
            for b in range(a):
                difference = Fraction(float(floats[a, 0])) - Fraction(float(floats[b, 0]))
                error = abs(difference / (W[a][0] - W[b][0]) - 1)
                best[a, b] = min(best.get((a, b), 1), error)
    assert max(best.values()) < Fraction(1, 2**100)
