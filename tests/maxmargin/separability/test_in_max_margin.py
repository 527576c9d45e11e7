"""Max margins say of separability what is so: the same in every norm, and never against their own bounds."""

from __future__ import annotations

import numpy as np
import pytest

import steepest as st
from steepest.maxmargin import Separation, Status

NORMS = ("frobenius", "spectral", "max", "sum", "nuclear", "schatten-4", "entrywise-3")
OF_KIND = {
    Separation.NOT_SEPARABLE: Status.NOT_SEPARABLE,
    Separation.WEAKLY_SEPARABLE: Status.WEAKLY_SEPARABLE,
}


def quasi_complete():
    generator = np.random.default_rng(3)
    rare = np.arange(40) % 4 == 0
    X = np.column_stack([np.ones(40), generator.normal(size=(40, 2)), rare])
    return X, ((X[:, 1] + generator.logistic(size=40) > 0) | rare).astype(int)


def codes():
    generator = np.random.default_rng(1)
    X = generator.normal(size=(50, 3))
    y = (X[:, 0] > 0).astype(int)
    X[generator.random((50, 3)) < 0.1] = 1e16
    return X, y


HARD = {
    "a flag beside timestamps": ([[1.7e15, -1], [1.7e15, 1]], [0, 1]),
    "neighbours": ([[3e7, 1], [3e7 + 1, 1]], [0, 1]),
    "one far away": ([[1, 1], [2, 1], [3, 1], [1e20, 1]], [0, 1, 1, 1]),
    "close": ([[1, 1], [1 + 1e-13, 1]], [0, 1]),
    "next floats": ([[1, 1], [1 + 2.0**-52, 1]], [0, 1]),
    "seconds": ([[1.7e9 + i, 1] for i in range(20)], [0] * 10 + [1] * 10),
    "seconds by turns": ([[1.7e9 + i, 1] for i in range(20)], [0, 1] * 10),
    "quasi-complete": quasi_complete(),
    "codes": codes(),
    "two labels": ([[1, 2], [3, 6], [0, 1]], [0, 1, 1]),
    "xor": ([[0, 0, 1], [1, 1, 1], [0, 1, 1], [1, 0, 1]], [0, 0, 1, 1]),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", HARD)
def test_norms_agree_with_what_is_decided_once(name, norm):
    problem = st.Classification(*HARD[name])
    known = st.separability(problem)
    solution = st.max_margin(problem, norm, 1e-4, time_limit=20)
    assert known.kind is not Separation.UNDECIDED
    assert solution.separable is known.separable
    assert 0 <= solution.margin <= solution.upper_bound
    if known.separable:
        assert solution.upper_bound > 0
        assert solution.status in (Status.SOLVED, Status.GAP_NOT_REACHED)
    else:
        assert solution.status is OF_KIND[known.kind]
        assert not solution.weights.any()
        assert solution.upper_bound == 0 or not known.exact
        assert (solution.margin, solution.relative_gap) == (0, 0) or not known.exact


@pytest.mark.parametrize("method", ["first-order", "interior-point", "cutting-planes", "linear-program"])
def test_every_method_ends_with_the_same_verdict(method):
    problem = st.Classification(*quasi_complete())
    assert st.max_margin(problem, "max", method=method).status is Status.WEAKLY_SEPARABLE


def nearly_twice(seed):
    """Two samples of two labels that differ by a last digit here and there, among a few others."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(6, 4))
    X[1] = X[0] * (1 + 2.0**-52 * generator.integers(-2, 3, 4))
    return X, np.append([0, 1], generator.integers(0, 2, 4))


@pytest.mark.parametrize("seed", range(8))
def test_norms_agree_about_samples_that_differ_by_rounding(seed):
    problem = st.Classification(*nearly_twice(seed))
    known = st.separability(problem)
    for norm in NORMS[:4]:
        solution = st.max_margin(problem, norm, 1e-4)
        assert solution.separable is known.separable
        assert 0 <= solution.margin <= solution.upper_bound


def test_what_is_undecided_says_so_with_both_bounds():
    """Rational weights separate two samples that differ by rounding; no floats that do were found."""
    generator = np.random.default_rng(13)
    k, d, n = (int(generator.integers(*each)) for each in ((2, 4), (2, 6), (4, 8)))
    X = generator.normal(size=(n, d))
    X[1] = X[0] * (1 + 2.0**-52 * generator.integers(-2, 3, d))
    y = np.append([0, 1], generator.integers(0, k, n - 2))
    problem = st.Classification(X, np.unique(y, return_inverse=True)[1])
    assert st.separability(problem).kind is Separation.UNDECIDED
    for norm in NORMS[:4]:
        solution = st.max_margin(problem, norm)
        assert solution.status is Status.UNDECIDED
        assert solution.separable is None
        assert str(solution.status).startswith("separability undecided: ")
        assert solution.margin == 0 < solution.upper_bound
