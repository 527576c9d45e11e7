"""Pairs of a reduced problem: margins, A(q) and their matrix agree with those of the problem itself."""

from __future__ import annotations

import numpy as np
import pytest
from tests.problems import random_problem

import steepest as st
from steepest.geometry.facts import UNITARILY_INVARIANT, is_true
from steepest.maxmargin.forms.pairs import Pairs, all_pairs, dense_dual
from steepest.maxmargin.forms.reduced import reduce


@pytest.fixture(params=["max", "spectral"])
def reduced(request):
    return reduce(random_problem(classes=4, samples=6, features=9), st.norm(request.param))


def test_margins_and_pair_sums_are_those_of_the_problem(reduced):
    problem = random_problem(classes=4, samples=6, features=9)
    pairs = Pairs(reduced)
    generator = np.random.default_rng(0)
    W = reduced.weights(generator.normal(size=reduced.shape))
    V = reduced.coordinates(W)
    expected = np.asarray(problem.pair_margins(W))
    np.testing.assert_allclose(reduced.scale * pairs.margins(V)[pairs.mask], expected[pairs.mask], atol=1e-12)
    assert reduced.scale * pairs.lowest_margin(V) == pytest.approx(float(problem.margin(W)))
    q = np.where(pairs.mask, generator.exponential(size=(6, 4)), 0.0)
    # ⟨A(q), V⟩ is the sum of margins, in every coordinates.
    assert np.sum(pairs.pair_sum(q) * V) == pytest.approx(np.sum(q * pairs.margins(V)))
    np.testing.assert_allclose(
        reduced.scale * pairs.pair_sum(q), reduced.coordinates(np.asarray(problem.pair_sum(q))), atol=1e-12
    )


def test_rows_and_the_sparse_matrix_are_the_same_operator(reduced):
    pairs = Pairs(reduced, 3.0)
    every = all_pairs(reduced.labels, 4)
    V = np.random.default_rng(1).normal(size=reduced.shape)
    margins = pairs.margins(V)[tuple(every.T)]
    np.testing.assert_allclose(np.sum(pairs.rows(every) * V, axis=(1, 2)), margins)
    np.testing.assert_allclose(pairs.matrix(every) @ V.ravel(), margins)
    few = every[[5, 2]]
    np.testing.assert_array_equal(pairs.matrix(few).toarray(), pairs.rows(few).reshape(2, -1) + 0.0)


def test_dual_weights_of_pairs_are_clipped_and_never_all_zero():
    pairs = np.array([[0, 1], [1, 0]])
    np.testing.assert_array_equal(dense_dual(np.array([-1.0, 2.0]), pairs, (2, 2)), [[0, 0], [2, 0]])
    np.testing.assert_array_equal(dense_dual(np.array([-1.0, 0.0]), pairs, (2, 2)), [[0, 1], [1, 0]])


def test_only_unitarily_invariant_norms_lose_features_and_classes():
    problem = random_problem(classes=3, samples=4, features=9)
    for name in ("max", "entrywise-3", "spectral", "frobenius", "schatten-4"):
        norm = st.norm(name)
        kept = (3, 9) if not is_true(UNITARILY_INVARIANT, norm) else (2, 4)
        assert reduce(problem, norm).shape == kept
