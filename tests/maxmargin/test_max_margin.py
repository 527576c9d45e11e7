"""max_margin: known optima, an independent solver, hard data, arguments."""

from __future__ import annotations

import warnings

import cvxpy
import numpy as np
import pytest
from tests.contracts.norms import every_norm
from tests.maxmargin.known import problem_with_known_margin
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument
from steepest.maxmargin import Status, certificate

CVXPY_NORMS = {
    "max": lambda W: cvxpy.max(cvxpy.abs(W)),
    "sum": lambda W: cvxpy.sum(cvxpy.abs(W)),
    "frobenius": lambda W: cvxpy.norm(W, "fro"),
    "entrywise-3": lambda W: cvxpy.pnorm(cvxpy.vec(W, order="C"), 3),
    "spectral": cvxpy.sigma_max,
    "nuclear": cvxpy.normNuc,
}


def margin_by_cvxpy(problem, norm):
    W, margin = cvxpy.Variable((problem.n_classes, problem.dimension)), cvxpy.Variable()
    pairs = [(i, c) for i, y in enumerate(problem.labels) for c in range(problem.n_classes) if c != y]
    limits = [(W[problem.labels[i]] - W[c]) @ problem.features[i] >= margin for i, c in pairs]
    program = cvxpy.Problem(cvxpy.Maximize(margin), [*limits, CVXPY_NORMS[norm](W) <= 1])
    with warnings.catch_warnings():
        # Where the margin is 0 its solver may say that it is less accurate than asked.
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver=cvxpy.CLARABEL)
    assert isinstance(margin.value, np.ndarray)
    return float(margin.value)


def assert_certified(solution, problem, norm, gap):
    assert solution.status is Status.SOLVED
    assert solution.separable
    assert solution.relative_gap <= gap
    bounds = certificate(problem, norm, solution.weights, solution.dual)
    assert bounds.margin == pytest.approx(solution.margin, rel=1e-11)
    assert bounds.upper_bound == pytest.approx(solution.upper_bound, rel=1e-11)
    assert st.norm(norm)(solution.weights) == pytest.approx(1.0, rel=1e-12)
    assert problem.margin(solution.weights) == pytest.approx(solution.margin, rel=1e-9)
    assert solution.dual.min() >= 0
    assert solution.dual.sum() == pytest.approx(1.0)
    assert not solution.dual[np.arange(problem.samples), problem.labels].any()
    assert (solution.dual[tuple(solution.support.T)] > 0).all()


@every_norm
@pytest.mark.parametrize("seed", [0, 1])
def test_known_optimum_is_found_to_the_gap(norm, seed):
    problem, _, _ = problem_with_known_margin(norm, scale=3.0, seed=seed)
    solution = st.max_margin(problem, norm)
    assert_certified(solution, problem, norm, 1e-8)
    assert solution.margin <= 3.0 * (1 + 1e-12)
    assert solution.upper_bound >= 3.0 * (1 - 1e-12)


@every_norm
def test_first_order_method_finds_known_optimum(norm):
    problem, _, _ = problem_with_known_margin(norm, seed=2)
    solution = st.max_margin(problem, norm, 1e-4, method="first-order")
    assert_certified(solution, problem, norm, 1e-4)
    assert "first-order" in solution.method
    assert solution.margin <= 1.0 + 1e-12
    assert solution.upper_bound >= 1.0 - 1e-12


@pytest.mark.parametrize("norm", CVXPY_NORMS)
@pytest.mark.parametrize("size", [(3, 9, 5), (2, 8, 12), (4, 12, 6)])
def test_agrees_with_an_independent_formulation(norm, size):
    classes, samples, features = size
    generator = np.random.default_rng(5)
    y = np.arange(samples) % classes
    problem = st.Classification(
        3 * generator.normal(size=(classes, features))[y] + generator.normal(size=(samples, features)), y
    )
    expected = margin_by_cvxpy(problem, norm)
    solution = st.max_margin(problem, norm)
    if expected > 1e-6:
        assert solution.margin == pytest.approx(expected, rel=1e-5)
    else:
        assert solution.separable is False


@every_norm
def test_contradiction_is_certified(norm):
    generator = np.random.default_rng(1)
    X = np.concatenate([generator.normal(size=(6, 10)), np.ones((2, 10))])
    problem = st.Classification(X, [0, 1, 2, 0, 1, 2, 0, 1])
    solution = st.max_margin(problem, norm)
    assert solution.separable is False
    # All but the two samples at one point can be told apart.
    assert solution.status is Status.WEAKLY_SEPARABLE
    assert np.abs(problem.pair_sum(solution.dual)).max() < 1e-13
    assert solution.margin == 0.0
    assert not solution.weights.any()
    assert solution.upper_bound < 1e-12
    assert "not separable" in str(solution.status)


@every_norm
def test_more_random_samples_than_weights_are_not_separable(norm):
    problem = random_problem(classes=3, samples=60, features=5)
    solution = st.max_margin(problem, norm)
    assert solution.separable is False
    assert solution.upper_bound < 1e-12


@every_norm
def test_sample_at_zero_has_margin_zero(norm):
    solution = st.max_margin(st.Classification([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0]], [0, 1, 1]), norm)
    assert solution.separable is False
    assert solution.upper_bound == 0.0
    assert solution.relative_gap == 0.0


@every_norm
def test_two_samples_on_a_line(norm):
    # W = (w, -w), margins 2w and 4w: γ = 2 / ‖(1, -1)‖.
    solution = st.max_margin(st.Classification([[1.0], [-2.0]], ["a", "b"]), norm)
    assert solution.margin == pytest.approx(2.0 / float(norm(np.array([[1.0], [-1.0]]))), rel=1e-8)


@every_norm
def test_scale_and_units_do_not_matter(norm):
    problem = random_problem(classes=3, samples=6, features=8)
    tiny = st.Classification(problem.features * 2.0**-400, problem.labels)
    expected = st.max_margin(problem, norm)
    solution = st.max_margin(tiny, norm)
    assert solution.margin == pytest.approx(expected.margin * 2.0**-400, rel=1e-8)


def test_a_limit_returns_the_best_bounds_so_far():
    problem = random_problem(classes=10, samples=60, features=100)
    solution = st.max_margin(problem, "schatten-3", 1e-12, method="first-order", time_limit=0.05)
    assert solution.status is Status.GAP_NOT_REACHED
    assert 0.0 <= solution.margin <= solution.upper_bound < np.inf


@pytest.mark.torch
def test_tensors_give_the_same_solution():
    import torch

    problem = random_problem()
    tensors = st.Classification(torch.tensor(problem.features.copy()), torch.tensor(problem.labels))
    for method in ("auto", "first-order"):
        ours = st.max_margin(tensors, "spectral", 1e-6, method=method)
        assert ours.margin == pytest.approx(st.max_margin(problem, "spectral", 1e-6).margin, rel=1e-6)


linear_ball = 'method="linear-program" needs a unit ball of few linear inequalities, which it does not offer'
cones = 'method="conic-program" needs a unit ball in Clarabel\'s cones, which it does not offer'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gap": 0.0}, "gap=0.0: give a relative gap between 0 and 1"),
        ({"gap": float("nan")}, "give a relative gap between 0 and 1"),
        ({"time_limit": -1}, "time_limit=-1: give a positive number of seconds"),
        ({"method": "simplex"}, "method='simplex': give one of auto, "),
        ({"norm": "l2"}, "l2"),
        ({"norm": "frobenius", "method": "linear-program"}, linear_ball),
        ({"norm": "schatten-3", "method": "conic-program"}, cones),
    ],
)
def test_arguments_outside_what_is_documented_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        st.max_margin(random_problem(), **{"norm": "max", **arguments})


@every_norm
@pytest.mark.parametrize("method", ["auto", "interior-point"])
def test_support_pairs_are_few(norm, method):
    generator = np.random.default_rng(0)
    y = np.arange(90) % 3
    problem = st.Classification(4 * generator.normal(size=(3, 5))[y] + generator.normal(size=(90, 5)), y)
    solution = st.max_margin(problem, norm, method=method)
    assert_certified(solution, problem, norm, 1e-8)
    # A vertex or a face of the optima has no more active pairs than there are unknowns, and one more.
    assert len(solution.support) <= 3 * 5 + 1


class DualTooSmall:
    """The max-norm with a dual that is half of what it should be."""

    def __call__(self, A):
        return np.max(np.abs(A), axis=(-2, -1))

    def dual(self, A):
        return np.sum(np.abs(A), axis=(-2, -1)) / 2

    def direction(self, S):
        return np.sign(S)


@pytest.mark.parametrize("nu", [None, 0.9])
def test_a_norm_whose_bounds_cross_is_refused(nu):
    problem = st.datasets.gaussian(classes=2, samples_per_class=3, features=6, seed=0)
    right = st.max_margin(problem, "max", nu=nu).margin
    with pytest.raises(InvalidArgument, match=r"DualTooSmall.*contradict each other") as refused:
        st.max_margin(problem, DualTooSmall(), nu=nu)
    assert f"{right:.5g}"[:5] in refused.value.remedy
