"""Master problems against SciPy's linear programs and CVXPY's quadratic ones."""

from __future__ import annotations

from typing import Any

import cvxpy
import numpy as np
import pytest
from scipy.optimize import linprog

from steepest.maxmargin.cutting_planes.master import Curvature, solve_master

TOLERANCE = 1e-10


def value_of_the_game(M: np.ndarray) -> float:
    """min over q in the simplex of max_j ⟨M_j, q⟩, by HiGHS."""
    cuts, pairs = M.shape
    found = linprog(
        np.append(np.zeros(pairs), 1.0),
        A_ub=np.hstack([M, -np.ones((cuts, 1))]),
        b_ub=np.zeros(cuts),
        A_eq=np.append(np.ones(pairs), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * pairs + [(None, None)],
    )
    assert found.success
    return found.fun


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (9, 1), (4, 30), (60, 12), (25, 25)])
def test_both_sides_of_the_plain_problem_meet_at_the_value_of_the_game(shape):
    for seed in range(5):
        M = np.random.default_rng(seed).standard_normal(shape)
        master = solve_master(M, None, TOLERANCE)
        assert master.q.sum() == pytest.approx(1)
        assert master.shares.sum() == pytest.approx(1)
        assert min(master.q.min(), master.shares.min()) >= 0
        upper, lower = (M @ master.q).max(), (master.shares @ M).min()
        assert upper - lower <= 1e-8
        assert lower - 1e-9 <= value_of_the_game(M) <= upper + 1e-9


@pytest.mark.parametrize("shape", [(3, 8), (30, 10)])
def test_with_a_quadratic_it_is_the_optimum_that_another_solver_finds(shape):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        M, root = rng.standard_normal(shape), rng.standard_normal((shape[1], shape[1]))
        B, centre = root @ root.T + 0.1 * np.eye(shape[1]), rng.dirichlet(np.ones(shape[1]))
        master = solve_master(M, Curvature(B, centre), TOLERANCE)
        q: Any = cvxpy.Variable(shape[1], nonneg=True)
        cost = cvxpy.max(M @ q) + 0.5 * cvxpy.quad_form(q - centre, cvxpy.psd_wrap(B))
        in_simplex: Any = cvxpy.sum(q) == 1
        least = cvxpy.Problem(cvxpy.Minimize(cost), [in_simplex]).solve(solver=cvxpy.CLARABEL)
        step = master.q - centre
        assert (M @ master.q).max() + 0.5 * step @ B @ step == pytest.approx(least, abs=1e-7)
        np.testing.assert_allclose(master.q, q.value, atol=1e-4)


def test_cuts_without_margins_give_equal_weights():
    master = solve_master(np.zeros((2, 4)), None, TOLERANCE)
    np.testing.assert_array_equal(master.q, np.full(4, 0.25))
    np.testing.assert_array_equal(master.shares, np.full(2, 0.5))
