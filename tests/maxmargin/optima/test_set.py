"""The set of optima: canonical solution, uniqueness, distances; by hand, by properties, against CVXPY."""

from __future__ import annotations

import pickle
import warnings

import cvxpy
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.contracts.norms import every_norm
from tests.maxmargin.known import problem_with_known_margin
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument
from steepest.maxmargin import certificate
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.optima.faces import EXPOSED_FACE
from steepest.maxmargin.optima.refinement import refine
from steepest.maxmargin.optima.set import SetOfOptima

FLAT = ("max", "sum", "spectral", "nuclear")
each_flat_norm = pytest.mark.parametrize("norm", FLAT)


def rare_hard_class(classes=4):
    """Samples along the classes' own axes, x_i = α_i e_{y_i}, so that the class of smallest α decides γ."""
    return st.Classification(np.diag(np.arange(1.0, classes + 1)), range(classes))


def assert_optimal(problem, norm, W, solution, gap=1e-8):
    bounds = certificate(problem, norm, W, solution.dual)
    assert bounds.margin >= solution.upper_bound * (1 - gap)


# By hand


def test_max_norm_by_hand():
    # γ = 2 at the second sample alone: W_02 = -1, W_12 = 1, while 2 (W_00 - W_10) ≥ 2 leaves two entries
    # free; they are least at ±1/2.
    problem = st.Classification([[2.0, 0.0], [0.0, 1.0]], [0, 1])
    solution = st.max_margin(problem, "max", canonical=True)
    np.testing.assert_allclose(solution.weights, [[0.5, -1.0], [-0.5, 1.0]], atol=1e-9)
    assert solution.unique is False
    assert (solution.uniqueness.unknowns, solution.uniqueness.rank) == (2, 0)
    # The cone is {t [[a, -1], [b, 1]] : a - b ≥ 1, abs ≤ 1}: nearest to [[1, 1], [-1, -1]] / 2 is its apex or
    # an edge; [[1, -1], [0, 1]] belongs to it, and so does [[1, 0], [-1, 0]] not, whose angle to
    # [[1, -1], [-1, 1]] is the least: 45 degrees.
    assert solution.distance_to_optima([[1.0, -1.0], [0.0, 1.0]]) == pytest.approx(0, abs=1e-9)
    assert solution.distance_to_optima([[1.0, 0.0], [-1.0, 0.0]]) == pytest.approx(np.sqrt(0.5))
    assert solution.cosine_to_optima([[1.0, 0.0], [-1.0, 0.0]]) == pytest.approx(np.sqrt(0.5))


def test_sum_norm_by_hand():
    # One feature, two classes: w_0 - w_1 is the margin and abs(w_0) + abs(w_1) = 1, so any split is optimal.
    problem = st.Classification([[1.0], [-1.0]], [0, 1])
    solution = st.max_margin(problem, "sum", canonical=True)
    np.testing.assert_allclose(solution.weights, [[0.5], [-0.5]], atol=1e-9)
    assert solution.unique is False
    for split in (0.0, 0.3, 1.0):
        assert solution.distance_to_optima([[split], [split - 1]]) == pytest.approx(0, abs=1e-9)
    # The cone is the quadrant w_0 ≥ 0 ≥ w_1.
    assert solution.distance_to_optima([[3.0], [4.0]]) == pytest.approx(0.8)
    assert solution.distance_to_optima([[-3.0], [4.0]]) == pytest.approx(1.0)


def test_spectral_norm_by_hand():
    # The hard class decides γ through one singular pair; the others need singular values below 1 only.
    problem = rare_hard_class()
    solution = st.max_margin(problem, "spectral", canonical=True)
    values = np.linalg.svd(solution.weights, compute_uv=False)
    assert solution.unique is False
    assert values[0] == pytest.approx(1.0)
    assert values[1] < 0.99
    assert solution.uniqueness.other is not None
    assert_optimal(problem, "spectral", solution.uniqueness.other, solution)
    # A shift of all rows that is orthogonal to them changes neither a margin nor the spectral norm.
    shifted = solution.weights + 0.5 * np.ones((4, 1)) * _orthogonal_row(solution.weights) / 2
    assert float(st.norm("spectral")(shifted)) == pytest.approx(1.0)
    assert_optimal(problem, "spectral", shifted, solution)
    assert solution.distance_to_optima(shifted) == pytest.approx(0, abs=1e-6)


def _orthogonal_row(W):
    return np.linalg.svd(W)[2][-1]


def test_nuclear_norm_by_hand():
    # Two classes: W = (w, -w)/..., of rank one, so that the nuclear norm is the Frobenius norm: unique.
    problem = st.Classification([[2.0, 0.0], [0.0, 1.0]], [0, 1])
    solution = st.max_margin(problem, "nuclear", canonical=True)
    frobenius = st.max_margin(problem, "frobenius", 1e-10)
    assert solution.unique is True
    np.testing.assert_allclose(solution.weights, frobenius.weights, atol=1e-8)


@each_flat_norm
def test_equal_classes_on_their_axes_have_one_optimum_up_to_symmetry(norm):
    # With x_c = e_c the identity, centred where that costs nothing, is optimal by symmetry.
    problem = st.Classification(np.eye(3), [0, 1, 2])
    solution = st.max_margin(problem, norm, canonical=True)
    assert solution.unique is True, solution.uniqueness
    expected = 2 * np.eye(3) - 1 if norm == "max" else np.eye(3) - 1 / 3
    if norm == "sum":
        expected = np.eye(3)
    np.testing.assert_allclose(solution.weights, expected / float(st.norm(norm)(expected)), atol=1e-7)


@every_norm
def test_one_feature_and_two_classes(norm):
    solution = st.max_margin(st.Classification([[1.0], [-2.0]], ["a", "b"]), norm, canonical=True)
    np.testing.assert_allclose(solution.weights, solution.weights[0] * [[1], [-1]], atol=1e-9)
    assert solution.unique is (str(norm) != "sum")
    assert solution.canonical is not None
    assert solution.canonical.frobenius_gap == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("norm", ["frobenius", "entrywise-3", "schatten-4"])
def test_strictly_convex_balls_have_one_optimum(norm):
    problem = random_problem(classes=3, samples=6, features=8)
    solution = st.max_margin(problem, norm, canonical=True)
    assert solution.unique is True
    assert "strictly convex" in str(solution.uniqueness)
    W = np.random.default_rng(0).normal(size=(5, 3, 8))
    cosine = np.einsum("mkd,kd->m", W, solution.weights)
    cosine /= np.linalg.norm(W, axis=(1, 2)) * np.linalg.norm(solution.weights)
    expected = np.where(cosine > 0, np.sqrt(1 - cosine**2), 1.0)
    np.testing.assert_allclose(solution.distance_to_optima(W), expected, atol=1e-12)


# Against an independent formulation


def least_frobenius_by_cvxpy(problem, norm, margin, target=None):
    """Nearest point to a target (0: least Frobenius norm) among weights of norm 1 and margin as given."""
    W = cvxpy.Variable((problem.n_classes, problem.dimension))
    size = {
        "max": lambda W: cvxpy.max(cvxpy.abs(W)),
        "sum": lambda W: cvxpy.sum(cvxpy.abs(W)),
        "spectral": cvxpy.sigma_max,
        "nuclear": cvxpy.normNuc,
    }[norm](W)
    pairs = [(i, c) for i, y in enumerate(problem.labels) for c in range(problem.n_classes) if c != y]
    t = 1 if target is None else cvxpy.Variable()
    limits = [(W[problem.labels[i]] - W[c]) @ problem.features[i] >= margin * t for i, c in pairs]
    objective = cvxpy.sum_squares(W - (0 if target is None else target))
    program = cvxpy.Problem(cvxpy.Minimize(objective), [*limits, size <= t])
    with warnings.catch_warnings():
        # Sets that are thin but for the tolerance leave its solver less accurate than asked, as it says.
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return np.asarray(W.value)


PROBLEMS = {
    "hard class": rare_hard_class(),
    "gaussian": random_problem(classes=3, samples=6, features=8),
    "mixture": st.datasets.mixture(4, 6, 5, 2.5, seed=1),
    "few samples": random_problem(classes=5, samples=5, features=4, seed=3),
}


@each_flat_norm
@pytest.mark.parametrize("name", PROBLEMS)
def test_least_frobenius_norm_and_distance_agree_with_cvxpy(norm, name):
    problem = PROBLEMS[name]
    solution = st.max_margin(problem, norm, canonical=True)
    assert solution.canonical is not None
    assert solution.canonical.frobenius_gap is not None
    assert solution.canonical.frobenius_gap <= 1e-9
    # The tolerance lets the independent solver have an interior, and widens curved sets by its square root.
    # Its cones of nuclear norms need more of one: a last digit of the margin decides if it fails at 1e-8.
    room = 1e-7 if norm == "nuclear" else 1e-8
    margin, widened = solution.margin * (1 - room), 1e-5 if norm in ("max", "sum") else 1e-3
    ours = np.linalg.norm(solution.weights)
    theirs = np.linalg.norm(least_frobenius_by_cvxpy(problem, norm, margin))
    assert ours * (1 - widened) <= theirs <= ours * (1 + 1e-5)
    W = np.random.default_rng(1).normal(size=solution.weights.shape) + 2 * solution.weights / ours
    W /= np.linalg.norm(W)
    nearest = least_frobenius_by_cvxpy(problem, norm, margin, W)
    assert solution.distance_to_optima(W) == pytest.approx(np.linalg.norm(W - nearest), abs=widened)


# Properties


@settings(max_examples=25)
@given(
    norm=some.sampled_from(FLAT),
    seed=some.integers(0, 10_000),
    sizes=some.sampled_from([(2, 4, 3), (3, 6, 5), (4, 4, 6), (3, 9, 4), (5, 5, 3)]),
    scale=some.sampled_from([1e-6, 1.0, 1e5]),
)
def test_properties_of_the_set_of_optima(norm, seed, sizes, scale):
    k, n, d = sizes
    generator = np.random.default_rng(seed)
    means = 3 * generator.normal(size=(k, d))
    y = np.arange(n) % k
    problem = st.Classification(scale * (means[y] + 0.3 * generator.normal(size=(n, d))), y)
    found = st.max_margin(problem, norm)
    if not found.separable:
        assert found.unique is None
        assert np.isnan(found.distance_to_optima(np.ones((k, d))))
        return
    canonical = st.max_margin(problem, norm, canonical=True)
    bounds = certificate(problem, norm, canonical.weights, canonical.dual)
    assert bounds.relative_gap <= 1e-8
    assert st.norm(norm)(canonical.weights) == pytest.approx(1.0, rel=1e-12)
    least = np.linalg.norm(canonical.weights)
    optima = [found.weights, canonical.weights]
    if canonical.unique is False:
        assert canonical.uniqueness.other is not None
        assert canonical.uniqueness.other_cosine is not None
        optima.append(canonical.uniqueness.other)
        assert canonical.uniqueness.other_cosine < 1
    for W in optima:
        assert_optimal(problem, norm, W, canonical)
    # Weights within a gap of 1e-8 are some sqrt(2e-8) from the optima of a curved ball, and so is their sum.
    assert np.linalg.norm(found.weights) >= least * (1 - 1e-3)
    for W in (found.weights, sum(optima)):
        assert canonical.distance_to_optima(5 * W) <= 1e-3
    for W in optima[1:]:
        assert np.linalg.norm(W) >= least * (1 - 1e-9)
        assert canonical.distance_to_optima(5 * W) <= 1e-6
    if canonical.unique:
        np.testing.assert_allclose(found.weights, canonical.weights, atol=float(1e-3 * least))
    W = generator.normal(size=(k, d)) / np.sqrt(k * d) + generator.uniform(0, 2) * optima[-1] / least
    W /= np.linalg.norm(W)
    for V in optima:
        direction = V / np.linalg.norm(V)
        along = max(float(np.sum(W * direction)), 0.0)
        short = 1e-3 if V is found.weights else 1e-6
        assert canonical.distance_to_optima(W) <= np.linalg.norm(W - along * direction) + short
    # The set does not depend on which of its points it was worked out from.
    again = SetOfOptima(problem, st.norm(norm), optima[-1], canonical.dual, 1e-8)
    assert again.distance(W, 1e-10) == pytest.approx(canonical.distance_to_optima(W), abs=1e-5)


@each_flat_norm
@pytest.mark.parametrize("problem", [rare_hard_class(), random_problem(classes=3, samples=6, features=8)])
def test_units_change_neither_verdict_nor_canonical_weights(norm, problem):
    solution = st.max_margin(problem, norm, canonical=True)
    scaled = st.Classification(problem.features * 2.0**-60, problem.labels)
    again = st.max_margin(scaled, norm, canonical=True)
    assert again.unique == solution.unique
    np.testing.assert_allclose(again.weights, solution.weights, atol=1e-7)


@each_flat_norm
@pytest.mark.parametrize("seed", [0, 1])
def test_the_known_optimum_is_in_the_set(norm, seed):
    problem, W, _ = problem_with_known_margin(norm, seed=seed)
    solution = st.max_margin(problem, norm, canonical=True)
    assert solution.optima.attained_gap <= 1e-10
    assert solution.distance_to_optima(W) <= 1e-6


@each_flat_norm
def test_refinement_closes_the_gap_of_a_coarse_solution(norm):
    problem = random_problem(classes=4, samples=12, features=15)
    coarse = st.max_margin(problem, norm, 1e-6, method="interior-point")
    reduced = reduce(problem, st.norm(norm))
    refined = refine(reduced, reduced.coordinates(coarse.weights), coarse.dual)
    assert refined is not None
    bounds = certificate(problem, norm, reduced.weights(refined.weights), refined.dual)
    assert bounds.relative_gap <= 1e-11 < coarse.relative_gap


@pytest.mark.parametrize(
    ("norm", "dual", "primal", "count"),
    [
        ("spectral", [3.0, 2.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.5, 0.2], 8),
        ("nuclear", [2.0, 2.0, 2.0, 1.0, 0.5], [0.5, 0.3, 0.2, 0.0, 0.0], 6),
    ],
)
def test_faces_turn_as_their_derivative_says(norm, dual, primal, count):
    generator = np.random.default_rng(4)
    skews = [(K - K.T) / 2 for K in (generator.normal(size=(5, 5)), generator.normal(size=(7, 7)))]

    def turned_by(angle, values):
        # Turning the frames keeps the singular values, and so the kind of face.
        left, right = (scipy.linalg.expm((1 + angle) * K) for K in skews)
        return left @ np.eye(5, 7) * 1.0 @ np.diag([*values, 0.0, 0.0]) @ right.T

    exposed = EXPOSED_FACE.of(st.norm(norm))
    assert exposed is not None
    face = exposed(turned_by(0, dual), turned_by(0, primal), 1e-9)
    assert face.count == count
    W = face.base + face.lift(face.pull(generator.normal(size=(5, 7))))
    step = 1e-5
    E = (turned_by(step, dual) - turned_by(-step, dual)) / (2 * step)
    movement = face.turned(E, W)
    assert np.linalg.norm(movement) > 0.1
    for signed in (step, -step):
        there = face.at(turned_by(signed, dual))
        left = W + signed * movement
        # What is within the face is left to its parameters.
        outside = left - there.base - there.lift(there.pull(left - there.base))
        assert np.linalg.norm(outside) <= 1e-3 * step


# Edges


@each_flat_norm
def test_data_that_is_not_separable_has_no_direction(norm):
    problem = st.Classification([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]], [0, 0, 1, 1])
    solution = st.max_margin(problem, norm, canonical=True)
    assert solution.unique is None
    assert "no weights of positive margin" in str(solution.uniqueness)
    assert np.isnan(solution.distance_to_optima(np.eye(2)))
    assert solution.canonical is None


def test_weights_of_zero_have_no_direction_and_arrays_give_arrays():
    solution = st.max_margin(rare_hard_class(), "max")
    distances = solution.distance_to_optima(np.stack([np.zeros((4, 4)), solution.weights])[None])
    assert distances.shape == (1, 2)
    assert distances[0] == pytest.approx([1.0, 0.0], abs=1e-7)


def test_arguments_of_the_distance_are_checked():
    solution = st.max_margin(rare_hard_class(), "max")
    with pytest.raises(InvalidArgument, match=r"give weights of shape \[..., 4, 4\]"):
        solution.distance_to_optima(np.ones((3, 4)))
    with pytest.raises(InvalidArgument, match="give finite weights"):
        solution.distance_to_optima(np.full((4, 4), np.nan))
    with pytest.raises(InvalidArgument, match="accuracy=0: give a positive number"):
        solution.distance_to_optima(np.eye(4), accuracy=0)


def test_a_coarse_gap_decides_nothing():
    problem = random_problem(classes=10, samples=60, features=100)
    solution = st.max_margin(problem, "max", 0.2, method="first-order", canonical=True)
    assert solution.margin > 0
    assert solution.unique is None
    assert solution.canonical is not None
    assert "the solver's optimum" in str(solution.canonical)
    assert solution.margin <= solution.upper_bound


def test_a_solution_survives_pickling_and_its_text_stays_short():
    solution = st.max_margin(rare_hard_class(), "spectral", canonical=True)
    assert solution.unique is False
    again = pickle.loads(pickle.dumps(solution))
    assert str(again.uniqueness) == str(solution.uniqueness)
    assert "\n" not in repr(solution)
    assert len(repr(solution)) < 250
    assert again.distance_to_optima(np.eye(4)) == solution.distance_to_optima(np.eye(4))
