"""Projections on norm balls and the simplex: CVXPY, the variational inequality, compiled code, by hand."""

from __future__ import annotations

import math
import warnings

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.contracts.norms import ALL_NORMS, NORMS

import steepest as st
from steepest.maxmargin.first_order import compiled
from steepest.maxmargin.first_order.projections import BALL_PROJECTION, project_simplex

CVXPY_NORMS = {
    "max": lambda V: cvxpy.max(cvxpy.abs(V)),
    "sum": lambda V: cvxpy.sum(cvxpy.abs(V)),
    "frobenius": lambda V: cvxpy.norm(V, "fro"),
    "entrywise-3": lambda V: cvxpy.pnorm(cvxpy.vec(V, order="C"), 3),
    "entrywise-4": lambda V: cvxpy.pnorm(cvxpy.vec(V, order="C"), 4),
    "spectral": cvxpy.sigma_max,
    "nuclear": cvxpy.normNuc,
}


def projected(norm, V, guess=None):
    offer = BALL_PROJECTION.of(norm)
    assert offer is not None
    return offer.project(V, guess)


@pytest.mark.parametrize("name", CVXPY_NORMS)
@pytest.mark.parametrize("shape", [(3, 5), (4, 2)])
def test_agrees_with_cvxpy(name, shape):
    V = np.random.default_rng(0).normal(size=shape)
    variable = cvxpy.Variable(shape)
    program = cvxpy.Problem(
        cvxpy.Minimize(cvxpy.sum_squares(variable - V)), [CVXPY_NORMS[name](variable) <= 1]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    expected = np.asarray(variable.value)
    np.testing.assert_allclose(projected(st.norm(name), V)[0], expected, atol=2e-6)


PROJECTED = [norm for norm in ALL_NORMS if BALL_PROJECTION.of(norm) is not None]
each_with_a_projection = pytest.mark.parametrize("norm", PROJECTED, ids=str)


@each_with_a_projection
@settings(max_examples=10, deadline=None)
@given(seed=some.integers(0, 10_000), size=some.sampled_from([0.0, 0.5, 1.0, 1.5, 100.0, 1e6]))
def test_no_other_point_of_the_ball_is_nearer(norm, seed, size):
    generator = np.random.default_rng(seed)
    V = generator.normal(size=(3, 4))
    V *= size / float(norm(V))
    P, guess = projected(norm, V)
    assert float(norm(P)) <= 1 + 1e-12
    # P is nearest if and only if ⟨V - P, U⟩ ≤ ⟨V - P, P⟩ for all U of the ball, most of all for D(V - P).
    rest = V - P
    assert float(norm.dual(rest)) <= float(np.sum(rest * P)) + 1e-9 * max(size, 1.0)
    if size < 1:
        np.testing.assert_allclose(P, V, atol=1e-14)
    # The number that comes back speeds the next projection, and does not change it.
    again, _ = projected(norm, V * 1.001, guess)
    np.testing.assert_allclose(again, projected(norm, V * 1.001)[0], atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 7), (6, 2)])
def test_compiled_projections_are_the_same(shape):
    V = 3 * np.random.default_rng(1).normal(size=shape)
    for norm in NORMS:
        offer = BALL_PROJECTION.of(norm)
        assert offer is not None
        assert offer.code is not None
        there = V.copy()
        compiled._project(offer.code, there, np.empty(shape), 0.0)
        np.testing.assert_allclose(there, offer.project(V, None)[0], atol=1e-9, err_msg=str(norm))


@pytest.mark.torch
@each_with_a_projection
def test_tensors_are_projected_where_they_are(norm):
    import torch

    V = np.random.default_rng(2).normal(size=(3, 4))
    there = projected(norm, torch.tensor(V))[0]
    assert isinstance(there, torch.Tensor)
    np.testing.assert_allclose(there.numpy(), projected(norm, V)[0], atol=1e-10)


@given(
    seed=some.integers(0, 10_000),
    size=some.integers(1, 30),
    start=some.sampled_from([-math.inf, -1.0, 0.2, 5.0]),
)
def test_nearest_point_of_the_simplex(seed, size, start):
    v = np.random.default_rng(seed).normal(size=size)
    q, threshold = project_simplex(v, start)
    assert q.min() >= 0
    assert q.sum() == pytest.approx(1, abs=1e-12)
    # All entries fall by the same θ, or to zero.
    np.testing.assert_allclose(q, np.maximum(v - threshold, 0), atol=1e-15)


def test_entries_of_minus_infinity_get_nothing():
    q, _ = project_simplex(np.array([[-math.inf, 0.3], [0.1, -math.inf]]))
    np.testing.assert_allclose(q, [[0, 0.6], [0.4, 0]])
