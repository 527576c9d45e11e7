"""The quadratic program of the Frobenius norm against the interior point of its ball, and where it ends."""

from __future__ import annotations

import numpy as np
import pytest

import steepest as st
from steepest.errors import MissingCapability
from steepest.maxmargin import certificate
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.interior.central_path import solve_interior_point
from steepest.maxmargin.interior.quadratic import solve_quadratic


@pytest.mark.parametrize("size", [(3, 12, 5), (4, 30, 60), (2, 7, 7)])
def test_agrees_with_the_path_inside_the_ball_in_fewer_iterations(size):
    k, n, d = size
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    X = rng.normal(size=(n, d)) + 4.0 * rng.normal(size=(k, d))[y]
    problem = st.Classification(X, y)
    reduced = reduce(problem, st.norm("frobenius"))
    program, path = (solve(reduced, 1e-10, Deadline()) for solve in (solve_quadratic, solve_interior_point))
    bounds = [
        certificate(problem, "frobenius", reduced.weights(each.weights), each.dual)
        for each in (program, path)
    ]
    assert bounds[0].relative_gap <= 1.1e-10
    assert bounds[0].margin == pytest.approx(bounds[1].margin, rel=3e-10)
    assert program.iterations < path.iterations


def test_data_that_no_weights_separate_ends_with_a_small_bound():
    problem = st.Classification([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0, 1, 1])
    reduced = reduce(problem, st.norm("frobenius"))
    found = solve_quadratic(reduced, 1e-8, Deadline())
    W = reduced.weights(found.weights)
    assert certificate(problem, "frobenius", W, found.dual).upper_bound < 1e-6


def test_other_norms_are_refused():
    problem = st.Classification(np.eye(2), [0, 1])
    with pytest.raises(MissingCapability, match="a quadratic program"):
        solve_quadratic(reduce(problem, st.norm("max")), 1e-8, Deadline())
