"""Offsets that a penalised column of ones can undo cost no digits, whatever the norm."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from tests.contracts.norms import every_norm

import steepest as st
from steepest.maxmargin.relaxed.offsets import far_feature

OFFSETS = {
    "dates": (20240101.0, 1.0),
    "days in Unix seconds": (1.7e9, 86400.0),
    "Julian dates": (2460310.5, 1.0),
    "postal codes": (90001.0, 1.0),
    "Unix seconds": (1.7e9, 1.0),
    "telephone numbers": (1.2025550000e10, 1.0),
    "Unix milliseconds": (1.7e12, 1000.0),
}


def margins_of_one_feature(low, high):
    """The max margins of features [x, 1] of two classes that are apart between ``low`` and ``high``."""
    low, high = Fraction(low), Fraction(high)
    middle, apart = (low + high) / 2, high - low
    return {
        "max": float(apart / middle),
        "sum": float(apart / (2 * (middle + 1))),
        "frobenius": float(apart / 2) * math.sqrt(float(2 / (middle**2 + 1))),
        "row-2/inf": float(apart) / math.sqrt(float(middle**2 + 1)),
        "row-1/inf": float(apart / (middle + 1)),
    }


@pytest.mark.parametrize("name", OFFSETS)
def test_two_classes_have_the_margin_of_the_two_nearest_samples(name):
    first, step = OFFSETS[name]
    x = first + step * np.arange(20)
    problem = st.Classification(np.c_[x, np.ones(20)], np.arange(20) >= 9)
    for norm, margin in margins_of_one_feature(x[8], x[9]).items():
        solution = st.max_margin(problem, norm)
        assert solution.status is st.maxmargin.Status.SOLVED, (norm, solution.relative_gap)
        assert solution.margin == pytest.approx(margin, rel=2e-8), norm
        assert solution.margin <= margin * (1 + 1e-15) <= solution.upper_bound * (1 + 1e-14), norm


@every_norm
def test_every_norm_reaches_the_gap_on_dates(norm):
    X = np.c_[20240101.0 + np.arange(12), np.ones(12)]
    assert st.max_margin(st.Classification(X, np.arange(12) * 3 // 12), norm).relative_gap <= 1e-7


@pytest.mark.parametrize(
    "norm", ["max", "sum", "frobenius", "spectral", "nuclear", "schatten-4", "entrywise-3"]
)
@pytest.mark.parametrize("ones", [1.0, -3.0])
def test_other_features_may_stand_beside_dates_and_ones(norm, ones):
    generator = np.random.default_rng(0)
    x = 20240101.0 + np.arange(20)
    X = np.c_[x, np.full(20, ones), generator.normal(size=(20, 2))]
    solution = st.max_margin(st.Classification(X, np.arange(20) >= 9), norm)
    assert solution.relative_gap <= 1e-8
    # What separates by itself is not taken for an offset.
    separate = generator.normal(size=(20, 2)) + 5 * (np.arange(20) % 2)[:, None]
    solution = st.max_margin(st.Classification(np.c_[X[:, :2], separate], np.arange(20) % 2), norm)
    assert solution.relative_gap <= 1e-8
    assert solution.margin > 0.1


def test_data_that_is_not_separable_is_said_to_be_so():
    X = np.c_[20240101.0 + np.arange(20), np.ones(20)]
    solution = st.max_margin(st.Classification(X, np.arange(20) % 2), "row-2/1")
    assert solution.status is st.maxmargin.Status.NOT_SEPARABLE


def test_weights_are_spelled_so_that_their_roundings_agree():
    x = 1.7e9 + np.arange(20)
    problem = st.Classification(np.c_[x, np.ones(20)], np.arange(20) >= 9)
    W = st.max_margin(problem, "frobenius").weights
    exact = [Fraction(float(w)) * Fraction(float(each)) + Fraction(float(b)) for (w, b) in W for each in x]
    scores = np.array(exact).reshape(2, 20)
    lowest = min((scores[1] - scores[0])[9:].min(), (scores[0] - scores[1])[:9].min())
    best = margins_of_one_feature(x[8], x[9])["frobenius"]
    # Rounding weights near 1/2 costs 1e-7 of this margin.
    assert float(lowest) == pytest.approx(best, rel=1e-9)
    assert np.linalg.norm(W) == pytest.approx(1, abs=1e-10)


def test_the_far_feature_is_the_one_that_explains_another():
    ones = np.ones(5)
    assert far_feature(np.c_[ones, 1e6 + np.arange(5)]) == 1
    assert far_feature(np.c_[ones, 1e6 * np.arange(5)]) is None
    assert far_feature(np.c_[ones, 10 + np.arange(5)]) is None
    assert far_feature(np.zeros((3, 2))) is None
