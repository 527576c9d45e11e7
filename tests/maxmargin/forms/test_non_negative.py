"""Non-negative least squares against SciPy's and by the conditions of the optimum."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as some

from steepest.maxmargin.forms.non_negative import non_negative


@given(
    seed=some.integers(0, 10**6), m=some.integers(1, 12), n=some.integers(1, 15), scale=some.integers(0, 9)
)
def test_it_meets_the_conditions_of_the_optimum(seed, m, n, scale):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-scale, scale, n)
    b = rng.standard_normal(m)
    x = non_negative(A, b)
    assert x is not None
    assert (x >= 0).all()
    gradient = (A.T @ (A @ x - b)) / np.linalg.norm(A, axis=0)
    assert (gradient >= -1e-11 * np.linalg.norm(b)).all()
    assert np.abs(gradient[x > 0]).max(initial=0.0) <= 1e-11 * np.linalg.norm(b)


@pytest.mark.parametrize("shape", [(5, 3), (3, 9), (20, 20), (30, 120)])
def test_it_finds_the_residual_that_scipy_finds(shape):
    rng = np.random.default_rng(shape[1])
    A, b = rng.standard_normal(shape), rng.standard_normal(shape[0])
    x = non_negative(A, b)
    assert x is not None
    assert np.linalg.norm(A @ x - b) == pytest.approx(scipy.optimize.nnls(A, b)[1], rel=1e-10, abs=1e-12)


def test_columns_that_agree_or_vanish_do_not_matter():
    A = np.array([[1.0, 1.0, 0.0, 1.0], [2.0, 2.0, 0.0, 2.0 + 1e-15]])
    x = non_negative(A, np.array([3.0, 6.0]))
    assert x is not None
    np.testing.assert_allclose(A @ x, [3.0, 6.0], rtol=1e-14)
    assert x[2] == 0.0
