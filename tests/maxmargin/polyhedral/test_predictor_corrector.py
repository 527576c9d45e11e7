"""Linear programs on our own path: HiGHS as an independent check, degenerate data, both spaces."""

from __future__ import annotations

import numpy as np
import pytest
from tests.maxmargin.known import problem_with_known_margin

import steepest as st
from steepest.maxmargin import Status, certificate
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.polyhedral.predictor_corrector import operations, solve_polyhedral

both = pytest.mark.parametrize("norm", ["max", "sum"])


def gap_of(problem, norm, gap=1e-9):
    reduced = reduce(problem, st.norm(norm))
    found = solve_polyhedral(reduced, gap, Deadline())
    return certificate(problem, norm, reduced.weights(found.weights), found.dual).relative_gap


@both
@pytest.mark.parametrize("size", [(5, 30, 40), (3, 40, 40), (4, 24, 90), (2, 12, 12)])
def test_agrees_with_highs(norm, size):
    classes, samples, features = size
    generator = np.random.default_rng(3)
    problem = st.Classification(generator.normal(size=(samples, features)), np.arange(samples) % classes)
    ours = st.max_margin(problem, norm, method="interior-point")
    theirs = st.max_margin(problem, norm, method="linear-program")
    assert "linear program" in ours.method
    assert ours.status is Status.SOLVED
    assert ours.margin == pytest.approx(theirs.margin, rel=2e-8)


@both
@pytest.mark.parametrize("seed", range(4))
def test_known_optimum_to_a_gap_of_1e_11(norm, seed):
    problem, _, _ = problem_with_known_margin(norm, seed=seed)
    assert gap_of(problem, norm, 1e-11) <= 2e-11


@both
def test_more_samples_than_features(norm):
    generator = np.random.default_rng(0)
    y = np.arange(120) % 4
    problem = st.Classification(5 * generator.normal(size=(4, 7))[y] + generator.normal(size=(120, 7)), y)
    assert gap_of(problem, norm) <= 2e-9


@both
def test_duplicated_samples_and_features(norm):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(9, 15))
    X = np.concatenate([X, X])
    problem = st.Classification(np.concatenate([X, X, 0 * X], axis=1), np.tile(np.arange(9) % 3, 2))
    assert gap_of(problem, norm) <= 2e-9


@both
def test_one_feature(norm):
    # W = (w, -w): the sample nearest to 0 decides; γ = 2w with ‖W‖ = 1.
    problem = st.Classification([[1.0], [3.0], [-2.0]], [0, 0, 1])
    solution = st.max_margin(problem, norm, method="interior-point")
    assert solution.margin == pytest.approx(2.0 / (1.0 if norm == "max" else 2.0), rel=1e-8)


def test_samples_or_weights_whichever_costs_less():
    # 10 (n² d + n³) against (9 d)³ / 3 and what forming it costs.
    assert operations(200, 400, 10) == pytest.approx(10 * (200**2 * 400 + 200**3))
    assert operations(1797, 64, 10) == pytest.approx((9 * 64) ** 3 / 3 + 2 * 1797 * 10 * 64**2)
