"""Soft margins and free weights: bounds around what other solvers find, and conditions that hold exactly."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import Any

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.contracts.norms import Foreign

import steepest as st
from steepest.errors import InvalidArgument
from steepest.maxmargin import Status
from steepest.maxmargin.forms.worst import mean_of_worst, within_caps

BALLS: dict[str, Any] = {
    "frobenius": lambda W: cvxpy.norm(W, "fro") <= 1,
    "spectral": lambda W: cvxpy.sigma_max(W) <= 1,
    "nuclear": lambda W: cvxpy.normNuc(W) <= 1,
    "max": lambda W: cvxpy.max(cvxpy.abs(W)) <= 1,
    "sum": lambda W: cvxpy.sum(cvxpy.abs(W)) <= 1,
    "entrywise-3": lambda W: cvxpy.pnorm(cvxpy.vec(W, order="C"), 3) <= 1,
    "row-2/inf": lambda W: cvxpy.max(cvxpy.norm(W, 2, axis=1)) <= 1,
}
NORMS: dict[str, Any] = {**{name: st.norm(name) for name in BALLS}, "foreign": Foreign(st.norm("spectral"))}
ACCURACY = 2e-5  # of the other solver, whose nuclear norms are off by some 1e-6


def apart(classes: int, size: int, features: int, by: float, seed: int = 0) -> st.Classification:
    """Gaussian clusters away from the origin."""
    rng, y = np.random.default_rng(seed), np.repeat(np.arange(classes), size)
    X = rng.normal(size=(len(y), features))
    X[:, :classes] += by * np.eye(classes)[y]
    return st.Classification(X + 3.0, y)


def optimum(
    problem: st.Classification,
    ball: Any,
    nu: float | None,
    intercept: bool,
    free: tuple[int, ...],
    weights: np.ndarray,
) -> float:
    """The relaxed max margin by CVXPY and Clarabel."""
    X, y, k = np.asarray(problem.features), problem.labels, problem.n_classes
    W, level, below = cvxpy.Variable((k, X.shape[1])), cvxpy.Variable(), cvxpy.Variable(len(y), nonneg=True)
    logits = X @ W.T
    if intercept:
        logits = logits + np.ones((len(y), 1)) @ cvxpy.Variable((1, k))
    conditions: list[Any] = [
        logits[i, y[i]] - logits[i, c] >= level - below[i]
        for i in range(len(y))
        for c in range(k)
        if c != y[i] and weights[i] > 0
    ]
    penalised = [j for j in range(X.shape[1]) if j not in free]
    conditions.append(ball(W[:, penalised]))
    cost = level if nu is None else level - (weights / (nu * weights.sum())) @ below
    if nu is None:
        conditions.append(below == 0)
    whole = cvxpy.Problem(cvxpy.Maximize(cost), conditions)
    with warnings.catch_warnings():
        # It says so where it is off by more than 1e-8; the comparison allows it ACCURACY.
        warnings.simplefilter("ignore", UserWarning)
        found: Any = whole.solve(solver=cvxpy.CLARABEL)
    return found


def flows(problem: st.Classification, q: np.ndarray) -> list[Fraction]:
    """What leaves each class less what comes to it, without rounding."""
    found = [Fraction(0)] * problem.n_classes
    for i, c in np.argwhere(q > 0).tolist():
        found[problem.labels[i]] += Fraction(float(q[i, c]))
        found[c] -= Fraction(float(q[i, c]))
    return found


def level(problem: st.Classification, solution: st.maxmargin.MaxMarginSolution, caps=None) -> float:
    """Mean of the worst margins of the returned weights, over the norm of those that it measures."""
    logits = np.asarray(problem.features) @ solution.weights.T
    if solution.intercept is not None:
        logits = logits + solution.intercept
    index = np.arange(problem.samples)
    margins = logits[index, problem.labels][:, None] - logits
    margins[index, problem.labels] = np.inf
    worst = margins.min(axis=1)
    measured = np.delete(solution.weights, solution.free, axis=1)
    value = worst.min() if caps is None else mean_of_worst(worst, caps)
    return float(value / solution.norm(measured))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_the_bounds_enclose_what_another_solver_finds(norm, classes):
    problem = apart(classes, 7, 4, 5.0)
    weights = np.random.default_rng(1).uniform(0.2, 2.0, problem.samples)
    weights[3] = 0.0
    ball = BALLS["spectral" if norm == "foreign" else norm]
    for nu, intercept, free in (
        (None, True, ()),
        (0.4, False, ()),
        (0.4, True, ()),
        (None, False, (3,)),
        (0.4, True, (3,)),
    ):
        solution = st.max_margin(
            problem, NORMS[norm], 1e-8, intercept=intercept, free=free, nu=nu, sample_weight=weights
        )
        expected = optimum(problem, ball, nu, intercept, free, weights)
        assert solution.status is Status.SOLVED, (nu, intercept, free, solution)
        assert solution.margin <= expected * (1 + ACCURACY)
        assert solution.upper_bound >= expected * (1 - ACCURACY)
        kept = np.flatnonzero(weights)
        caps = None if nu is None else weights[kept] / (nu * weights.sum())
        assert not solution.dual[3].any()
        of_kept = st.Classification(np.asarray(problem.features)[kept], problem.labels[kept])
        assert level(of_kept, solution, caps) == pytest.approx(solution.margin, rel=1e-9)
        if intercept and not free:
            assert not any(flows(problem, solution.dual))
        if caps is not None:
            total = sum(map(Fraction, solution.dual.ravel().tolist()))
            for row, cap in zip(solution.dual[kept], caps, strict=True):
                assert sum(map(Fraction, row.tolist())) <= Fraction(float(cap)) * total * Fraction(1 + 1e-14)


@pytest.mark.parametrize(
    ("first", "step"), [(20240101.0, 1.0), (1.7e9, 86400.0), (2460000.5, 1.0), (90001.0, 1.0)]
)
def test_large_offsets_cost_no_digits_beside_a_free_intercept(first, step):
    problem = st.Classification((first + step * np.arange(20))[:, None], np.arange(20) >= 9)
    for norm, margin in (("max", 1.0), ("sum", 0.5), ("frobenius", 0.5**0.5), ("entrywise-3", 2 ** (-1 / 3))):
        solution = st.max_margin(problem, norm, intercept=True)
        assert solution.status is Status.SOLVED
        assert solution.margin <= margin * step <= solution.upper_bound
        assert not any(flows(problem, solution.dual))


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "max", "row-2/inf"])
def test_the_softest_margin_is_that_of_the_mean_and_the_hardest_that_of_the_minimum(norm):
    problem = st.datasets.gaussian(classes=2, samples_per_class=6, features=20, seed=4)
    softest = st.max_margin(problem, norm, nu=1.0)
    # With two classes and ν = 1 every sample has its cap, and the dual weights leave no choice.
    q = np.where(problem.labels[:, None] == np.arange(2), 0.0, 1.0 / problem.samples)
    expected = float(st.norm(norm).dual(problem.pair_sum(q)))
    assert softest.margin <= expected * (1 + 1e-12)
    assert softest.upper_bound >= expected * (1 - 1e-12)
    assert softest.relative_gap < 1e-8
    hard = st.max_margin(problem, norm)
    barely = st.max_margin(problem, norm, nu=1 / problem.samples)
    assert barely.margin <= hard.upper_bound
    assert hard.margin <= barely.upper_bound


@settings(max_examples=8)
@given(
    seed=some.integers(0, 10_000),
    nu=some.floats(0.05, 0.95),
    norm=some.sampled_from(["frobenius", "spectral", "sum", "schatten-4"]),
)
def test_softer_margins_are_larger_and_bounds_always_hold(seed, nu, norm):
    rng = np.random.default_rng(seed)
    problem = st.Classification(rng.normal(size=(12, 3)) * 10.0 ** rng.uniform(-3, 3, 3), np.arange(12) % 3)
    softer = min(1.0, 1.3 * nu)
    first, second = (st.max_margin(problem, norm, 1e-6, nu=each) for each in (nu, softer))
    assert first.margin <= second.upper_bound
    for solution in (first, second):
        assert 0 <= solution.margin <= solution.upper_bound
        assert solution.status in (Status.SOLVED, Status.NO_SOFT_MARGIN)


def test_free_features_that_others_explain_have_no_weight():
    """A free column of ones beside an intercept, and one that is twice another."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(20, 3)), np.arange(20) % 2
    X[:, 0] += 4.0 * y
    plain = st.max_margin(st.Classification(X, y), "max", intercept=True)
    X = np.c_[X, np.ones(20), np.full(20, 2.0)]
    both = st.max_margin(st.Classification(X, y), "max", intercept=True, free=[3, 4])
    assert both.relative_gap <= 1e-8
    assert both.margin == pytest.approx(plain.margin, rel=1e-7)


def test_samples_without_dual_weight_do_not_lower_an_upper_bound():
    """At ν = 1 all samples are at their caps, and those that have no weight are given some."""
    X = np.array([[1.0], [0.0], [-3.0], [-1.0], [2.0], [1.0], [-2.0]])
    y, caps = np.array([1, 0, 2, 2, 1, 1, 2]), np.full(7, 1 / 7)
    for seed in range(20):
        q = np.random.default_rng(seed).random((7, 3)) * (y[:, None] != np.arange(3))
        q[seed % 7] = 0.0
        found = within_caps(q, y, caps)
        assert not found[np.arange(7), y].any()
        assert found.sum(axis=1) == pytest.approx(caps)
    weights = [1.0, 1.0, 2.0, 2.0, 2.0, 0.0, 2.0, 1.0, 0.0, 3.0, 0.0, 3.0, 0.0, 2.0, 3.0, 2.0]
    X = np.array([[1.0, 0, -3, -1, -2, 2, -2, -2, -1, 2, 2, -2, -1, 1, -1, -1]]).T
    y = np.array([1, 0, 2, 2, 2, 1, 2, 2, 2, 1, 1, 2, 2, 1, 2, 2])
    solution = st.max_margin(st.Classification(X, y), "frobenius", nu=1.0, sample_weight=weights)
    assert solution.margin <= solution.upper_bound
    # By CVXPY and Clarabel.
    assert solution.upper_bound >= 1.4799 >= solution.margin - 1e-6


@pytest.mark.parametrize("norm", ["max", "frobenius"])
def test_a_soft_margin_of_one_sample_at_most_is_decided_as_a_hard_one(norm):
    X, y = np.array([[1.0, 1.0], [2.0, 1.0], [2.0, 1.0], [3.0, 1.0]]), np.array([0, 0, 1, 1])
    for nu in (0.25, 0.1):
        solution = st.max_margin(st.Classification(X, y), norm, nu=nu)
        assert (solution.status, solution.upper_bound, solution.nu) == (Status.NO_SOFT_MARGIN, 0.0, nu)


@pytest.mark.sklearn
def test_soft_frobenius_margins_are_those_of_crammer_and_singer():
    from sklearn.svm import LinearSVC

    problem = apart(3, 15, 4, 1.5, seed=2)
    X, y = np.asarray(problem.features) - 3.0, problem.labels
    problem = st.Classification(X, y)
    C = 0.1
    peer = LinearSVC(
        multi_class="crammer_singer", C=C, fit_intercept=False, tol=1e-10, max_iter=1_000_000, random_state=0
    )
    W = peer.fit(X, y).coef_
    logits = X @ W.T
    margins = logits[np.arange(len(y)), y][:, None] - logits
    margins[np.arange(len(y)), y] = np.inf
    # Its dual weights sum to ‖W‖² + C Σξ, and each sample's to C at most: caps 1/(νn) of the sum.
    total = float(np.sum(W * W)) + C * float(np.maximum(0.0, 1.0 - margins.min(axis=1)).sum())
    nu = total / (C * len(y))
    solution = st.max_margin(problem, "frobenius", nu=nu)
    size = float(np.linalg.norm(W))
    theirs = mean_of_worst(margins.min(axis=1), np.full(len(y), 1 / (nu * len(y)))) / size
    assert theirs == pytest.approx(solution.margin, rel=1e-5)
    np.testing.assert_allclose(W / size, solution.weights / np.linalg.norm(solution.weights), atol=1e-3)


def test_samples_of_integer_weight_count_as_often():
    problem = apart(2, 6, 3, 1.0, seed=5)
    X, y = np.asarray(problem.features), problem.labels
    times = np.array([1, 2, 3, 1, 1, 2, 1, 4, 1, 1, 2, 1])
    weighted = st.max_margin(problem, "frobenius", nu=0.5, sample_weight=times, intercept=True)
    repeated = st.Classification(np.repeat(X, times, axis=0), np.repeat(y, times))
    plain = st.max_margin(repeated, "frobenius", nu=0.5, intercept=True)
    assert weighted.margin == pytest.approx(plain.margin, rel=1e-7)
    balanced = st.max_margin(problem, "max", nu=0.5, class_weight="balanced")
    by_hand = st.max_margin(problem, "max", nu=0.5, class_weight={0: 3, 1: 3.0})
    assert balanced.margin == pytest.approx(by_hand.margin, rel=1e-7)


def test_what_cannot_be_told_apart_is_said_with_its_evidence():
    rng = np.random.default_rng(0)
    problem = st.Classification(rng.normal(size=(40, 3)), np.arange(40) % 2)
    hard = st.max_margin(problem, "frobenius", intercept=True)
    assert (hard.status, hard.separable, hard.margin) == (Status.NOT_SEPARABLE, False, 0.0)
    soft = st.max_margin(problem, "max", nu=0.2)
    assert (soft.status, soft.separable, soft.margin) == (Status.NO_SOFT_MARGIN, None, 0.0)
    for solution in (hard, soft):
        assert float(np.abs(problem.pair_sum(solution.dual)).max()) < 1e-12


def test_sets_of_optima_are_refused_where_they_are_not_known():
    solution = st.max_margin(apart(2, 4, 3, 3.0), "max", intercept=True)
    with pytest.raises(InvalidArgument, match="hard margins without free weights alone"):
        _ = solution.unique


def test_class_weights_near_the_end_of_the_range_of_floats_count_by_their_ratio():
    problem = st.Classification([[1.0], [2.0], [-1.0], [0.5]], [0, 0, 1, 1])
    huge, small = (
        st.max_margin(problem, "max", nu=0.5, class_weight={0: size, 1: 0.5 * size})
        for size in (1.5e308, 1.0)
    )
    assert (huge.margin, huge.upper_bound) == (small.margin, small.upper_bound)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nu": 0.0}, r"nu=0.0: give a share of the samples above 0 and at most 1"),
        ({"nu": 1.5}, r"nu=1.5: give a share"),
        ({"nu": "a"}, r"nu='a': give a share"),
        ({"nu": 0.9, "intercept": True}, r"nu=0.9: .* these classes allow at most 0.666667"),
        ({"intercept": 1}, r"intercept=1: give True or False"),
        ({"free": 0}, r"free=0: give features by their numbers, from 0 to 1"),
        ({"free": [2]}, r"free=2: give features by their numbers"),
        ({"free": [0, 1]}, r"free=\[0, 1\]: leave at least one feature"),
        ({"free": [0]}, r"free=\[0\]: these features have a margin by themselves.*: leave some of them out"),
        ({"sample_weight": [1, 2]}, r"sample_weight=\[1, 2\]: give 6 finite weights"),
        ({"sample_weight": [-1, 1, 1, 1, 1, 1]}, r"sample_weight=.*none negative"),
        ({"sample_weight": [1, 1, 0, 0, 0, 0]}, r"sample_weight=.*at least two classes"),
        (
            {"class_weight": {"a": 0}},
            r"class_weight=\{'a': 0\}: give positive weights to samples of at least two",
        ),
        ({"class_weight": {"c": 1}}, r"class_weight='c': there is no such class"),
        ({"class_weight": {"a": -1}}, r"class_weight=-1: give a number of at least 0"),
        ({"class_weight": "even"}, r"class_weight='even': give a table"),
        ({"nu": 0.5, "canonical": True}, r"canonical=True: leave it out"),
    ],
)
def test_arguments_that_mean_nothing_are_one_line(arguments, message):
    X = [[1.0, 5.0], [2.0, 1.0], [-1.0, 2.0], [-2.0, 0.0], [-1.5, 1.0], [-1.0, 0.0]]
    problem = st.Classification(X, ["a", "a", "b", "b", "b", "b"])
    with pytest.raises(InvalidArgument, match=message) as error:
        st.max_margin(problem, "frobenius", **arguments)
    assert "\n" not in str(error.value)


def test_methods_ask_of_the_norm_what_they_need():
    with pytest.raises(InvalidArgument, match="a barrier of its unit ball"):
        st.max_margin(apart(2, 4, 3, 3.0), "row-2/inf", intercept=True, method="interior-point")
