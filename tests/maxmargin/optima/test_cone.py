"""The cone of optima: projections by hand, against CVXPY, and by the conditions that make a point nearest."""

from __future__ import annotations

import warnings

import cvxpy
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as some

import steepest as st
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.optima.cone import OptimaCone
from steepest.maxmargin.optima.entry_faces import MaxFace, SumFace
from steepest.maxmargin.optima.spectral_faces import NuclearFace, SpectralFace

TWO = st.Classification([[2.0, 0.0], [0.0, 1.0]], [0, 1])


def max_norm_cone():
    """All t [[a, -1], [b, 1]] with a - b ≥ 1 and abs ≤ 1: margin 2 at the second sample decides."""
    reduced = reduce(TWO, st.norm("max"))
    V = np.array([[0.5, -1.0], [-0.5, 1.0]])
    face = MaxFace(np.array([[0.0, -1.0], [0.0, 1.0]]))
    directions = face.lift(np.eye(2))
    return OptimaCone.through(reduced, face, V, directions, 1e-12)


def test_points_of_the_cone_are_their_own_projections():
    cone = max_norm_cone()
    for a, b, t in [(0.5, -0.5, 1.0), (1.0, 0.0, 3.0), (1.0, -1.0, 0.1)]:
        y = cone.coordinates(t * np.array([[a, -1.0], [b, 1.0]]))
        found = cone.project(y)
        np.testing.assert_allclose(found.point, y, atol=1e-12)
        assert float(cone.sizes @ y) == pytest.approx(t)


def test_projection_by_hand():
    # From a = b = 0 at t = 1, both entries and t are free: nearest is a = t/2, b = -t/2, where t = 4/5
    # minimises t²/2 + 2 (t - 1)².
    cone = max_norm_cone()
    target = cone.coordinates(np.array([[0.0, -1.0], [0.0, 1.0]]))
    found = cone.project(target)
    np.testing.assert_allclose(cone.matrix(found.point), 0.8 * np.array([[0.5, -1], [-0.5, 1]]), atol=1e-9)
    # The opposite of an inner direction has the apex nearest.
    opposite = cone.project(-cone.coordinates(np.array([[0.8, -1.0], [-0.8, 1.0]])))
    np.testing.assert_allclose(opposite.point, 0, atol=1e-12)


def cone_of(norm, seed=0):
    """The whole cone of a face through a random optimum of no matter what problem: its pairs have margins."""
    generator = np.random.default_rng(seed)
    problem = st.Classification(generator.normal(size=(3, 4)), [0, 1, 2])
    solution = st.max_margin(problem, norm, 1e-10)
    reduced = reduce(problem, st.norm(norm))
    G, V = Pairs(reduced).pair_sum(solution.dual), reduced.coordinates(solution.weights)
    exposed = {
        "max": MaxFace.exposed,
        "sum": SumFace.exposed,
        "spectral": SpectralFace.exposed,
        "nuclear": NuclearFace.exposed,
    }[norm]
    face = exposed(G, V, 1e-6)
    z = face.pull(V - face.base)
    V = face.base + face.lift(z if face.total is None else z / float(face.total @ z))
    free = np.eye(face.count) if face.total is None else scipy.linalg.null_space(face.total[None]).T
    # A margin below the largest leaves the cone an interior in all directions of the face.
    cone = OptimaCone.through(reduced, face, V, face.lift(free), 1e-12)
    cone.margin *= 0.5
    return cone


def nearest_by_cvxpy(cone, target):
    y = cvxpy.Variable(len(target))
    V = sum(y[i] * cone.basis[i] for i in range(len(target)))
    t = cone.sizes @ y
    pairs = Pairs(cone.reduced)
    places = np.argwhere(pairs.mask)
    limits = [cvxpy.sum(cvxpy.multiply(row, V)) >= cone.margin * t for row in pairs.rows(places)]
    size = {
        MaxFace: lambda V: cvxpy.max(cvxpy.abs(V)),
        SumFace: lambda V: cvxpy.sum(cvxpy.abs(V)),
        SpectralFace: cvxpy.sigma_max,
        NuclearFace: cvxpy.normNuc,
    }[type(cone.face)](V)
    program = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(y - target)), [*limits, size <= t])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver=cvxpy.CLARABEL)
    return np.asarray(y.value)


@pytest.mark.parametrize("norm", ["max", "sum", "spectral", "nuclear"])
@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_cvxpy(norm, seed):
    cone = cone_of(norm, seed)
    target = np.random.default_rng(seed + 10).normal(size=len(cone.basis))
    target += 2 * cone.coordinates(cone.face.gauge)
    found = cone.project(target)
    assert found.violation <= 1e-9
    theirs = nearest_by_cvxpy(cone, target)
    assert np.linalg.norm(found.residual) == pytest.approx(np.linalg.norm(target - theirs), abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(seed=some.integers(0, 1000), norm=some.sampled_from(["max", "sum", "spectral", "nuclear"]))
def test_a_projection_is_orthogonal_to_what_is_left_and_no_point_is_on_its_side(seed, norm):
    cone = cone_of(norm)
    generator = np.random.default_rng(seed)
    targets = generator.normal(size=(4, len(cone.basis)))
    for target, found in zip(targets, cone.project_all(targets), strict=True):
        np.testing.assert_allclose(found.point + found.residual, target, atol=1e-12)
        # Moreau: the residual lies in the polar cone and is orthogonal to the projection.
        assert abs(found.residual @ found.point) <= 1e-9
        inside = cone.project(generator.normal(size=len(target))).point
        assert found.residual @ inside <= 1e-8


def test_distances_are_sines_and_one_beyond_a_right_angle():
    cone = max_norm_cone()
    inside = np.array([[0.8, -1.0], [-0.8, 1.0]])
    outside = np.array([[1.0, 1.0], [1.0, 1.0]])
    directions = np.stack([each / np.linalg.norm(each) for each in (inside, -inside, outside)])
    distances = cone.distances(directions, 1e-12)
    np.testing.assert_allclose(distances[:2], [0.0, 1.0], atol=1e-9)
    assert 0 < distances[2] <= 1
