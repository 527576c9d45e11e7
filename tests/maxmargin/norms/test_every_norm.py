"""Max margins in the norms beside the two families: against CVXPY, known relations, and refusals by name."""

from __future__ import annotations

import warnings

import cvxpy
import numpy as np
import pytest
from tests.contracts.norms import FOREIGN, any_norm
from tests.problems import random_problem

import steepest as st
from steepest.capabilities import offered_capabilities
from steepest.errors import MissingCapability
from steepest.maxmargin import METHODS, Status, certificate


def rows_of(W):
    return [W[i, :] for i in range(W.shape[0])]


def columns_of(W):
    return [W[:, j] for j in range(W.shape[1])]


CVXPY_NORMS = {
    "row-2/inf": lambda W: cvxpy.max(cvxpy.norm(W, 2, axis=1)),
    "row-1/inf": lambda W: cvxpy.max(cvxpy.norm(W, 1, axis=1)),
    "row-inf/1": lambda W: cvxpy.sum(cvxpy.norm(W, "inf", axis=1)),
    "row-2/1": lambda W: cvxpy.sum(cvxpy.norm(W, 2, axis=1)),
    "row-3/inf": lambda W: cvxpy.max(cvxpy.hstack([cvxpy.pnorm(row, 3) for row in rows_of(W)])),
    "column-2/inf": lambda W: cvxpy.max(cvxpy.norm(W, 2, axis=0)),
    "column-1/inf": lambda W: cvxpy.max(cvxpy.norm(W, 1, axis=0)),
    "column-inf/1": lambda W: cvxpy.sum(cvxpy.norm(W, "inf", axis=0)),
    "column-2/3": lambda W: cvxpy.pnorm(cvxpy.hstack([cvxpy.norm(c, 2) for c in columns_of(W)]), 3),
    "mean-square-spectral": lambda W: np.sqrt(W.shape[1] / W.shape[0]) * cvxpy.sigma_max(W),
    "mean-square-row": lambda W: np.sqrt(W.shape[1]) * cvxpy.max(cvxpy.norm(W, 2, axis=1)),
}


def margin_by_cvxpy(problem, norm):
    W, margin = cvxpy.Variable((problem.n_classes, problem.dimension)), cvxpy.Variable()
    pairs = [(i, c) for i, y in enumerate(problem.labels) for c in range(problem.n_classes) if c != y]
    limits = [(W[problem.labels[i]] - W[c]) @ problem.features[i] >= margin for i, c in pairs]
    program = cvxpy.Problem(cvxpy.Maximize(margin), [*limits, CVXPY_NORMS[norm](W) <= 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver=cvxpy.CLARABEL)
    return float(np.asarray(margin.value))


@pytest.mark.parametrize("norm", CVXPY_NORMS)
def test_agrees_with_cvxpy(norm):
    problem = random_problem(classes=3, samples=8, features=6, seed=2)
    solution = st.max_margin(problem, norm)
    assert solution.status is Status.SOLVED
    assert certificate(problem, norm, solution.weights, solution.dual).relative_gap <= 1.001e-8
    assert solution.margin == pytest.approx(margin_by_cvxpy(problem, norm), rel=1e-6)


def solved(problem, norm, method):
    """The solution; None where the method is refused by a line that names the norm."""
    try:
        return st.max_margin(problem, norm, 1e-2, method=method)
    except MissingCapability as refusal:
        if str(norm) in str(refusal) and "\n" not in str(refusal):
            return None
        raise


@any_norm
def test_every_norm_is_solved_by_every_method_or_refused_by_one_line(norm):
    problem = random_problem(classes=3, samples=6, features=7, seed=1)
    found = [each for method in METHODS if (each := solved(problem, norm, method)) is not None]
    for solution in found:
        assert solution.status is Status.SOLVED, solution
        bounds = certificate(problem, norm, solution.weights, solution.dual)
        assert bounds.margin == pytest.approx(solution.margin, rel=1e-11)
        assert float(norm(solution.weights)) == pytest.approx(1, rel=1e-12)
        # The max margin of one norm, whatever found it.
        assert all(other.margin <= solution.upper_bound * (1 + 1e-12) for other in found)


@pytest.mark.parametrize("name", ["row-3/3", "column-2/2", "row-inf/inf", "column-1/1"])
def test_equal_exponents_are_the_entry_wise_norm_with_all_that_it_offers(name):
    p = name.split("/")[1]
    entries = st.norm(f"entrywise-{p}")
    problem = random_problem(classes=3, samples=6, features=7)
    offered = {each for each, has in offered_capabilities(entries).items() if has}
    lacking = {each for each in offered if not offered_capabilities(st.norm(name))[each]}
    assert not {each for each in lacking if "ball" in each or "dual" in each}
    ours, theirs = st.max_margin(problem, name), st.max_margin(problem, entries)
    assert ours.margin == pytest.approx(theirs.margin, rel=1e-12)
    assert ours.unique == theirs.unique


def test_a_multiple_of_a_norm_has_its_optima():
    problem = random_problem(classes=4, samples=8, features=9)
    scaled = st.max_margin(problem, "mean-square-spectral", method="interior-point")
    plain = st.max_margin(problem, "spectral", method="interior-point")
    # ‖W‖ = sqrt(d / k) ‖W‖_op.
    assert scaled.margin == pytest.approx(plain.margin / np.sqrt(9 / 4), rel=2e-8)
    with pytest.raises(MissingCapability, match="norm='mean-square-spectral'"):
        st.max_margin(problem, "mean-square-spectral", method="linear-program")


def test_without_known_faces_uniqueness_is_undecided_and_says_why():
    problem = random_problem(classes=3, samples=6, features=7)
    solution = st.max_margin(problem, "row-2/inf", canonical=True)
    assert solution.unique is None
    assert (
        str(solution.uniqueness)
        == "undecided: the faces of the unit ball of the row-2/inf norm are not known"
    )
    assert "the solver's optimum" in str(solution.canonical)
    assert solution.distance_to_optima(solution.weights) == pytest.approx(0, abs=1e-9)


def test_certificates_of_a_foreign_norm_hold():
    problem = random_problem(classes=3, samples=6, features=7)
    known = st.max_margin(problem, "entrywise-3")
    bounds = certificate(problem, FOREIGN, known.weights, known.dual)
    assert bounds.margin <= known.upper_bound
    assert bounds.upper_bound >= known.margin
    assert bounds.relative_gap <= 2e-8
