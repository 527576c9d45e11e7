"""Scans of few unknowns: all digits, in every norm with an interior point."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

import steepest as st
from steepest.maxmargin import Status


def planted(samples, dimension, classes, least, seed=0):
    """Labels of the largest of linear functions, without the samples that are nearly ties."""
    generator = np.random.default_rng(seed)
    W = generator.normal(size=(classes, dimension))
    X = generator.normal(size=(2 * samples, dimension))
    ordered = np.sort(X @ W.T, axis=1)
    X = X[ordered[:, -1] - ordered[:, -2] > least][:samples]
    return X, np.argmax(X @ W.T, axis=1)


@pytest.mark.parametrize(
    ("norm", "least"), [("max", 0.05), ("max", 1e-5), ("sum", 1e-5), ("frobenius", 1e-5), ("nuclear", 1e-5)]
)
def test_scans_reach_the_gap_that_interior_points_reach(norm, least):
    problem = st.Classification(*planted(5000, 6, 3, least))
    solution = st.max_margin(problem, norm, 1e-8, method="scans")
    assert solution.status is Status.SOLVED
    assert solution.relative_gap <= 1e-8
    bounds = st.maxmargin.certificate(problem, norm, solution.weights, solution.dual)
    assert bounds.relative_gap <= 1e-8


@pytest.mark.parametrize("norm", ["max", "sum"])
def test_agrees_with_the_linear_program(norm):
    X, y = planted(600, 5, 3, 0.01)
    scans = st.max_margin(st.Classification(X, y), norm, 1e-8, method="scans")
    program = st.max_margin(st.Classification(X, y), norm, 1e-8, method="linear-program")
    assert scans.status is Status.SOLVED
    assert scans.margin == pytest.approx(program.margin, rel=2e-8)


def test_single_precision_features_are_scanned_in_double_precision():
    X, y = planted(5000, 4, 3, 0.02)
    X = X.astype(np.float32)
    solution = st.max_margin(st.Classification(X, y), "max", 1e-8, method="scans")
    assert solution.status is Status.SOLVED


def test_sparse_features_of_few_columns():
    X, y = planted(500, 6, 3, 0.05)
    X = np.where(np.abs(X) < 0.1, 0.0, X)
    problem = st.Classification(sparse.csr_array(X), y)
    solution = st.max_margin(problem, "sum", 1e-8, method="scans")
    whole = st.max_margin(st.Classification(X, y), "sum", 1e-9)
    assert solution.status is Status.SOLVED
    assert solution.margin == pytest.approx(whole.margin, rel=2e-8)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_samples_that_no_weights_separate_are_found(form):
    X, y = planted(2000, 4, 2, 0.05)
    X[np.flatnonzero(y == 0)[0]] = X[y == 1].mean(axis=0)
    solution = st.max_margin(st.Classification(form(X), y), "max", 1e-8, method="scans")
    assert solution.separable is False
    assert solution.status is Status.NOT_SEPARABLE
