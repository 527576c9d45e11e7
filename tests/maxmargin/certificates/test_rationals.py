"""Both bounds against rationals, where sums cancel so far that plain, doubled and exact sums are needed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import steepest as st
from steepest.maxmargin import certificate
from steepest.maxmargin.certificates.bounds import pair_margins_below, simplex_weights

PLAIN, DOUBLED, EXACT = 0.0, 2.0**24, 2.0**45


def cancelling(seed, offset):
    """Return data [12, 6] of three classes around an offset that neither W's margins nor A(q) see."""
    generator = np.random.default_rng(seed)
    X = offset + generator.integers(-512, 513, size=(12, 6)) / 128
    y = np.repeat([0, 1, 2], 4)
    W = generator.integers(-9, 10, size=(3, 6)).astype(float)
    W[:, -1] -= W.sum(axis=1)
    q = np.zeros((12, 3))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        shared = generator.integers(0, 10, size=4)
        q[y == a, b], q[y == b, a] = shared, generator.permutation(shared)
    return st.Classification(X, y), W, q


def margins_of(problem, W):
    rows = [[Fraction(v) for v in row] for row in problem.features.tolist()]
    logits = [
        [sum(Fraction(w) * x for w, x in zip(weights, row, strict=True)) for weights in W] for row in rows
    ]
    return [
        [None if c == label else of[label] - of[c] for c in range(len(W))]
        for of, label in zip(logits, problem.labels.tolist(), strict=True)
    ]


def pair_sum(problem, q):
    """Return A(q) / Σq in rationals, [3][6]."""
    total = [[Fraction(0)] * problem.dimension for _ in range(problem.n_classes)]
    for row, label, weights in zip(problem.features.tolist(), problem.labels.tolist(), q, strict=True):
        for c, weight in enumerate(weights):
            for j, x in enumerate(row):
                total[label][j] += Fraction(weight) * Fraction(x)
                total[c][j] -= Fraction(weight) * Fraction(x)
    return [[value / sum(map(Fraction, q.ravel())) for value in row] for row in total]


def check(problem, W, q):
    """Check both bounds in two norms whose values are rational."""
    lowest = min(value for row in margins_of(problem, W) for value in row if value is not None)
    entries = [abs(value) for row in pair_sum(problem, q) for value in row]
    sizes = [Fraction(value) for value in np.abs(W).ravel()]
    for norm, size, dual in (("max", max(sizes), sum(entries)), ("sum", sum(sizes), max(entries))):
        bounds = certificate(problem, norm, W, q)
        assert 0 <= lowest / size - Fraction(bounds.margin) <= abs(lowest / size) / 10**9
        assert 0 <= Fraction(bounds.upper_bound) - dual <= dual / 10**9


@pytest.mark.parametrize("offset", [PLAIN, DOUBLED, EXACT])
@pytest.mark.parametrize("seed", range(4))
def test_bounds_are_those_of_rational_arithmetic_rounded_to_the_safe_side(seed, offset):
    problem, W, q = cancelling(seed, offset)
    check(problem, W, q)


@pytest.mark.parametrize("seed", range(4))
def test_what_plain_sums_lose_is_allowed_for(seed):
    # Every product rounds, and a thousandfold of what is left cancels.
    problem, W, q = cancelling(seed, 0.0)
    X = 1000.0 + np.random.default_rng(seed).normal(size=(12, 6))
    check(st.Classification(X, problem.labels), W, q)


@pytest.mark.parametrize("seed", range(2))
def test_sums_that_cancel_beyond_doubled_precision_are_exact(seed):
    # A(q) is 0 in every feature but the last, 2^-85 of the others.
    problem, W, q = cancelling(seed, 0.0)
    X = np.broadcast_to(2.0**45 * np.array([1.0, 3.0, 5.0, 7.0, 9.0, 1.0]), (12, 6)).copy()
    X[:, -1] = problem.features[:, 0] * 2.0**-40
    problem = st.Classification(X, problem.labels)
    entries = [abs(value) for row in pair_sum(problem, q) for value in row]
    for norm, dual in (("max", sum(entries)), ("sum", max(entries))):
        upper = Fraction(certificate(problem, norm, W, q).upper_bound)
        assert 0 <= upper - dual <= dual / 10**9


def test_bounds_of_nothing_are_exactly_zero():
    problem = st.Classification(np.zeros((2, 2)), [0, 1])
    bounds = certificate(problem, "max", [[3.0, 1.0], [3.0, 1.0]], [[0, 1], [1, 0]])
    assert (bounds.margin, bounds.upper_bound) == (0.0, 0.0)


@pytest.mark.parametrize("offset", [PLAIN, DOUBLED, EXACT])
def test_margins_of_all_pairs_are_rounded_down(offset):
    problem, W, _ = cancelling(7, offset)
    found = pair_margins_below(problem.features, problem.labels, W)
    for row, exact_row in zip(found.tolist(), margins_of(problem, W), strict=True):
        for value, exact in zip(row, exact_row, strict=True):
            if exact is None:
                assert value == np.inf
            else:
                assert 0 <= exact - Fraction(value) <= max(abs(exact), 1) / 10**9


@pytest.mark.parametrize("power", [-1050, -900, 0, 900, 1000])
def test_the_scale_of_dual_weights_changes_no_digit(power):
    problem, W, q = cancelling(1, DOUBLED)
    expected = certificate(problem, "max", W, q)
    assert certificate(problem, "max", W, np.ldexp(q, power)) == expected
    assert certificate(problem, "max", np.ldexp(W, power // 2), q) == expected


def test_dual_weights_that_sum_to_a_power_of_two_keep_every_digit():
    problem, _, q = cancelling(2, PLAIN)
    q[q > 0] += np.random.default_rng(0).random(np.count_nonzero(q))
    q /= q.sum()
    while q.sum() == 1.0:
        q *= 1 + 2.0**-52
    assert abs(q.sum() - 1) < 1e-14
    for power in (0, 3, -3):
        np.testing.assert_array_equal(simplex_weights(problem, np.ldexp(q, power)), q)
    np.testing.assert_allclose(simplex_weights(problem, 3 * q), q, rtol=1e-15)
    nearly = q * (1 + 1e-12)
    assert abs(simplex_weights(problem, nearly).sum() - 1) < 1e-14
