"""Every method that serves a norm at all serves intercepts, free features, soft margins and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.maxmargin.relaxed.test_relaxed import ACCURACY, BALLS, apart, flows, optimum

import steepest as st
from steepest.errors import InvalidArgument, MissingCapability
from steepest.maxmargin import Status
from steepest.maxmargin.methods import METHODS

NAMES = {
    "column-generation": "column generation",
    "conic-program": "Clarabel",
    "cutting-planes": "cutting planes",
    "first-order": "first-order",
    "interior-point": "interior point",
    "linear-program": "linear program",
    "row-generation": "row generation",
    "scans": "ascent",
}
"""What the solution says of who found it, so that none hands over to another one."""


def methods_of(norm: str) -> list[str]:
    """The methods that serve a norm."""
    return [name for name, method in METHODS.items() if method.serves(st.norm(norm))]


@settings(max_examples=6)
@given(
    seed=some.integers(0, 1000),
    norm=some.sampled_from(["frobenius", "spectral", "nuclear", "max", "sum", "entrywise-3", "row-1/inf"]),
    nu=some.one_of(some.none(), some.floats(0.1, 0.5)),
    intercept=some.booleans(),
    free=some.sampled_from([(), (3,)]),
)
def test_all_methods_find_the_same_margin(seed, norm, nu, intercept, free):
    problem = apart(3, 6, 4, 5.0, seed)
    weights = np.random.default_rng(seed).uniform(0.5, 2.0, problem.samples)
    weights[3] = 0.0
    terms: dict[str, Any] = {"nu": nu, "intercept": intercept, "free": free, "sample_weight": weights}
    found = {name: st.max_margin(problem, norm, 1e-6, method=name, **terms) for name in methods_of(norm)}
    for name, solution in found.items():
        if solution.margin > 0.0:
            assert solution.status is Status.SOLVED, (name, solution)
            assert NAMES[name] in solution.method
    highest = max(solution.margin for solution in found.values())
    assert highest <= min(solution.upper_bound for solution in found.values())
    if norm in BALLS and highest > 0.0:
        expected = optimum(problem, BALLS[norm], nu, intercept, free, weights)
        for solution in found.values():
            assert solution.margin <= expected * (1 + ACCURACY)
            assert solution.upper_bound >= expected * (1 - ACCURACY)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "scans"])
@pytest.mark.parametrize(
    ("first", "step"), [(20240101.0, 1.0), (1.7e9, 86400.0), (2460000.5, 1.0), (90001.0, 1.0)]
)
def test_large_offsets_cost_no_digits_in_any_method(first, step, method):
    problem = st.Classification((first + step * np.arange(20))[:, None], np.arange(20) >= 9)
    for norm, margin in (("max", 1.0), ("sum", 0.5), ("frobenius", 0.5**0.5)):
        if method in methods_of(norm):
            solution = st.max_margin(problem, norm, 1e-8, intercept=True, method=method)
            assert solution.status is Status.SOLVED
            assert solution.margin <= margin * step <= solution.upper_bound
            assert not any(flows(problem, solution.dual))


@pytest.mark.parametrize("method", ["linear-program", "column-generation", "row-generation", "conic-program"])
def test_a_soft_margin_by_hand(method):
    """Samples 4, 2 and -2, -4 with the sign as label: the mean of the worst three of four is 8 / 3."""
    problem = st.Classification([[4.0], [2.0], [-2.0], [-4.0]], [0, 0, 1, 1])
    solution = st.max_margin(problem, "sum", nu=0.75, method=method)
    assert solution.status is Status.SOLVED
    assert solution.margin == pytest.approx(8 / 3, rel=1e-7)
    assert solution.dual.sum(axis=1).max() <= 1 / 3 + 1e-12


@pytest.mark.parametrize("norm", ["frobenius", "max"])
def test_rows_of_many_samples_with_an_intercept(norm):
    rng = np.random.default_rng(0)
    y = np.arange(3000) % 3
    X = 3.0 * np.eye(3, 4)[y] + 0.8 * rng.normal(size=(3000, 4)) + 50.0
    problem = st.Classification(X, y)
    rows = st.max_margin(problem, norm, 1e-6, nu=0.1, intercept=True, method="row-generation")
    whole = st.max_margin(problem, norm, 1e-6, nu=0.1, intercept=True)
    assert rows.status is whole.status is Status.SOLVED
    assert max(rows.margin, whole.margin) <= min(rows.upper_bound, whole.upper_bound)
    assert "row generation" in rows.method


@pytest.mark.parametrize("method", ["linear-program", "column-generation", "row-generation", "conic-program"])
@pytest.mark.parametrize("terms", [{"free": [1]}, {"intercept": True}, {"free": [1], "nu": 0.2}])
def test_free_weights_of_classes_that_overlap(method, terms):
    """(-1, 1) and (1, -1) are of the one class and 0 of the other: no weights have a margin."""
    problem = st.Classification([[-1.0, 1.0], [1.0, -1.0], [0.0, 0.0], [0.0, 0.0]], [0, 0, 1, 1])
    solution = st.max_margin(problem, "sum", method=method, **terms)
    assert solution.status is (Status.NO_SOFT_MARGIN if "nu" in terms else Status.NOT_SEPARABLE)
    assert solution.margin <= 0.0 <= solution.upper_bound


@pytest.mark.parametrize("method", ["auto", *methods_of("sum")])
def test_a_free_feature_of_zeros_changes_nothing(method):
    problem = st.Classification([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [0, 1])
    cases: list[dict[str, Any]] = [{}, {"nu": 0.9}]
    for terms in cases:
        expected = st.max_margin(problem, "sum", **terms)
        found = st.max_margin(problem, "sum", method=method, free=[1], **terms)
        assert found.status is Status.SOLVED
        assert max(found.margin, expected.margin) <= min(found.upper_bound, expected.upper_bound)


@pytest.mark.parametrize("method", ["interior-point", "row-generation", "conic-program"])
@pytest.mark.parametrize("norm", ["frobenius", "nuclear", "sum"])
def test_what_solvers_leave_of_zeros_does_not_keep_dual_weights_from_balance(norm, method):
    """A class without active pairs has but what a solver leaves of zeros to balance with."""
    X = [[2.0, 0.0, 1.0], [-1.0, 0.5, 2.0], [0.0, 900.0, 3.0], [7.0, -800.0, -1.0]]
    problem = st.Classification(X, range(4))
    found = st.max_margin(problem, norm, 1e-6, free=[2], method=method)
    assert found.status is Status.SOLVED
    assert NAMES[method] in found.method
    for seed in range(4):
        rng = np.random.default_rng(seed)
        problem = st.Classification(rng.normal(size=(4, 3)), range(4))
        assert st.max_margin(problem, norm, 1e-6, free=[2], method=method).status is Status.SOLVED


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_wide_data_in_which_dual_weights_do_not_balance_at_first(seed):
    rng = np.random.default_rng(seed)
    y = np.arange(9) % 4
    problem = st.Classification(3.0 * rng.normal(size=(4, 36))[y] + rng.normal(size=(9, 36)), y)
    weights = rng.uniform(0.2, 2.0, 9)
    terms: list[dict[str, Any]] = [
        {"free": [26]},
        {"nu": 0.1, "intercept": True, "free": [26], "sample_weight": weights},
    ]
    for each in terms:
        found = st.max_margin(problem, "frobenius", 1e-7, method="row-generation", **each)
        assert found.status is Status.SOLVED
        assert "row generation" in found.method


def test_columns_of_wide_data_with_an_intercept():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 800)) + 10.0
    X[:, 0] = 20240101.0 + np.arange(20)
    problem = st.Classification(X, np.arange(20) % 3)
    terms: dict[str, Any] = {"nu": 0.2, "intercept": True, "free": [0]}
    columns = st.max_margin(problem, "sum", method="column-generation", **terms)
    whole = st.max_margin(problem, "sum", method="linear-program", **terms)
    assert columns.status is whole.status is Status.SOLVED
    assert max(columns.margin, whole.margin) <= min(columns.upper_bound, whole.upper_bound)
    assert np.count_nonzero(columns.weights.any(axis=0)) <= 80


@pytest.mark.parametrize("method", ["linear-program", "column-generation", "row-generation", "conic-program"])
def test_small_sparse_and_mapped_features_are_taken(method, tmp_path):
    problem = apart(3, 6, 4, 5.0)
    X, y = np.asarray(problem.features), problem.labels
    np.save(tmp_path / "X.npy", X)
    terms: dict[str, Any] = {"nu": 0.4, "intercept": True, "free": [3]}
    expected = st.max_margin(problem, "sum", 1e-6, **terms)
    for features in (sparse.csr_array(X), np.load(tmp_path / "X.npy", mmap_mode="r")):
        found = st.max_margin(st.Classification(features, y), "sum", 1e-6, method=method, **terms)
        assert found.status is Status.SOLVED
        assert max(found.margin, expected.margin) <= min(found.upper_bound, expected.upper_bound)


def test_scans_of_a_norm_that_offers_the_projection_on_its_dual_ball_alone():
    problem = apart(3, 6, 4, 5.0)
    cases: list[dict[str, Any]] = [
        {"intercept": True},
        {"nu": 0.4},
        {"nu": 0.4, "intercept": True, "free": [3]},
    ]
    for terms in cases:
        found = st.max_margin(problem, "row-inf/1", 1e-6, method="scans", **terms)
        other = st.max_margin(problem, "row-inf/1", 1e-6, method="linear-program", **terms)
        assert found.status is other.status is Status.SOLVED
        assert max(found.margin, other.margin) <= min(found.upper_bound, other.upper_bound)


def test_what_cannot_be_served_is_said():
    problem = apart(2, 4, 3, 3.0)
    with pytest.raises(MissingCapability, match="a dual norm of single features"):
        st.max_margin(problem, "spectral", intercept=True, method="column-generation")
    with pytest.raises(MissingCapability, match="a unit ball of few linear inequalities"):
        st.max_margin(problem, "frobenius", nu=0.5, method="linear-program")
    large = st.Classification(sparse.csr_array(np.eye(400)), np.arange(400) % 2)
    with pytest.raises(InvalidArgument, match="features that are sparse or in a large file are scanned"):
        st.max_margin(large, "sum", nu=0.5, method="column-generation")
