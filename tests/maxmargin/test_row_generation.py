"""Row generation: the same certified margins as the whole problem's, from a few of its samples."""

from __future__ import annotations

import numpy as np
import pytest

import steepest as st
from steepest.maxmargin import Status


def clusters(classes=4, samples=6000, dimension=6, separation=6.0):
    generator = np.random.default_rng(0)
    y = np.arange(samples) % classes
    centres = separation * generator.normal(size=(classes, dimension))
    return st.Classification(centres[y] + 0.3 * generator.normal(size=(samples, dimension)), y)


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "nuclear", "max", "entrywise-3"])
def test_agrees_with_the_whole_problem(norm):
    problem = clusters()
    rows = st.max_margin(problem, norm, method="row-generation")
    whole = st.max_margin(problem, norm, 1e-6, method="interior-point")
    assert rows.status is Status.SOLVED
    assert rows.margin == pytest.approx(whole.margin, rel=2e-6)
    assert "row generation" in rows.method
    # All samples count in the margin, few in the dual weights.
    assert problem.normalized_margin(rows.weights, norm) == pytest.approx(rows.margin, rel=1e-9)
    assert len(np.unique(rows.support[:, 0])) < 0.2 * problem.samples


def test_is_chosen_for_many_samples():
    assert "row generation" in st.max_margin(clusters(), "max").method


def test_contradiction_among_a_few_samples_is_certified():
    problem = clusters()
    X, y = problem.features.copy(), problem.labels.copy()
    near = X[y == y[0]]
    X[-1], y[-1] = 0.3 * near[0] + 0.7 * near[1], (y[0] + 1) % 4
    solution = st.max_margin(st.Classification(X, y), "spectral")
    assert solution.separable is False
    assert solution.upper_bound < 1e-12
