"""Values and directions against hand-computed cases, 50 digits, NumPy, SciPy and CVXPY."""

from __future__ import annotations

import math
from fractions import Fraction

import cvxpy as cp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.contracts.arrays import every_kind
from tests.contracts.loops import through
from tests.contracts.norms import through_all_norms
from tests.geometry import exact
from tests.geometry.instances import matrices, well_conditioned

import steepest as st

A = [[3.0, 0.0], [0.0, -4.0]]
B = [[1.0, -2.0, 2.0], [0.0, 2.0, 0.0]]


@every_kind
@through(
    "case",
    [
        ("max", A, 4, 7, [[1, 0], [0, -1]]),
        ("sum", A, 7, 4, [[0, 0], [0, -1]]),
        ("frobenius", A, 5, 5, [[0.6, 0], [0, -0.8]]),
        ("schatten-2", A, 5, 5, [[0.6, 0], [0, -0.8]]),
        ("nuclear", A, 7, 4, [[0, 0], [0, -1]]),
        ("spectral", A, 4, 7, [[1, 0], [0, -1]]),
        ("entrywise-3", A, 91 ** (1 / 3), (27**0.5 + 8) ** (2 / 3), None),
        ("schatten-3", A, 91 ** (1 / 3), (27**0.5 + 8) ** (2 / 3), None),
        ("entrywise-4/3", A, None, 337**0.25, np.array([[27, 0], [0, -64]]) / 337**0.75),
        ("schatten-4/3", A, None, 337**0.25, np.array([[27, 0], [0, -64]]) / 337**0.75),
        ("max", B, 2, 7, [[1, -1, 1], [0, 1, 0]]),
        ("sum", B, 7, 2, [[0, -1, 0], [0, 0, 0]]),
        ("frobenius", B, 13**0.5, 13**0.5, np.array(B) / 13**0.5),
        ("entrywise-1.5", B, None, 25 ** (1 / 3), np.array([[1, -4, 4], [0, 4, 0]]) / 25 ** (2 / 3)),
    ],
)
def test_small_cases_by_hand(kind, case):
    name, matrix, value, dual, direction = case
    norm = st.norm(name)
    if value is not None:
        assert float(norm(kind(matrix))) == pytest.approx(value, rel=4 * kind.eps)
    assert float(norm.dual(kind(matrix))) == pytest.approx(dual, rel=4 * kind.eps)
    if direction is not None:
        np.testing.assert_allclose(kind.back(norm.direction(kind(matrix))), direction, rtol=8 * kind.eps)


@every_kind
def test_the_sum_norm_goes_to_the_first_of_the_largest_entries_in_row_major_order(kind):
    S = kind([[[1, 2], [-2, 2]], [[0, 0], [-1, 1]]])
    for T in (
        S,
        kind([[[1, -2], [2, 2]], [[0, -1], [0, 1]]]).transpose(-2, -1) if kind.library == "torch" else S,
    ):
        D = kind.back(st.norm("sum").direction(T))
        np.testing.assert_array_equal(D, [[[0, 1], [0, 0]], [[0, 0], [-1, 0]]])


@given(
    S=matrices(),
    p=some.fractions(Fraction(21, 20), 20, max_denominator=60),
    decades=some.integers(0, 300),
)
def test_entrywise_values_and_directions_against_50_digits(S, p, decades):
    S = S * 10.0 ** np.linspace(0, -decades, S.size).reshape(S.shape)
    norm = st.Entrywise(p)
    with mpmath.workdps(50):
        value, dual = exact.length(S.ravel(), p), exact.length(S.ravel(), p / (p - 1))
        assert abs(float(norm(S)) - value) <= 2e-15 * value
        assert abs(float(norm.dual(S)) - dual) <= 2e-15 * dual
        if dual:
            D = norm.direction(S).ravel()
            for got, expected in zip(D, exact.direction(S.ravel(), p), strict=True):
                # The power q - 1 multiplies the rounding of the quotient; its own rounding, the logarithm.
                roundings = 4 + float(1 / (p - 1)) + abs(float(mpmath.log(abs(expected) or 1)))
                assert abs(got - expected) <= 2.3e-16 * roundings * abs(expected) + 1e-307


@pytest.mark.parametrize("p", [1, Fraction(3, 2), 3, 4, Fraction(21, 20), 20, math.inf], ids=str)
@through("shape", [(4, 4), (3, 7), (3, 20), (9, 4)])
def test_schatten_values_and_directions_against_50_digits(p, shape):
    S = well_conditioned(shape, np.random.default_rng(8))
    norm = st.Schatten(p)
    triples = exact.SingularTriples.of(exact.as_matrix(S))
    with mpmath.workdps(50):
        assert abs(float(norm(S)) - exact.length(triples.values, norm.p)) <= 4e-15 * float(norm(S))
        if 1 < p < math.inf:
            weights = exact.direction(triples.values, Fraction(p))
        else:
            weights = [mpmath.mpf(p == math.inf or i == 0) for i in range(len(triples.values))]
        expected = np.array((triples.left.T * mpmath.diag(weights) * triples.right).tolist(), dtype=float)
    np.testing.assert_allclose(norm.direction(S), expected, atol=1e-14)


@given(S=matrices())
def test_named_norms_agree_with_numpy(S):
    assert st.norm("frobenius")(S) == pytest.approx(np.linalg.norm(S, "fro"), rel=1e-14)
    assert st.norm("nuclear")(S) == pytest.approx(np.linalg.norm(S, "nuc"), rel=1e-14)
    assert st.norm("spectral")(S) == pytest.approx(np.linalg.norm(S, 2), rel=1e-14)
    assert st.norm("max")(S) == np.abs(S).max()
    assert st.norm("sum")(S) == pytest.approx(np.abs(S).sum(), rel=1e-14)


def _p_norm(vector, p: float):
    return cp.pnorm(vector, p)  # pyright: ignore[reportArgumentType]


BALLS = {
    "max": lambda V: cp.max(cp.abs(V)),
    "sum": lambda V: cp.sum(cp.abs(V)),
    "frobenius": lambda V: cp.norm(V, "fro"),
    "nuclear": cp.normNuc,
    "spectral": cp.sigma_max,
    "entrywise-3": lambda V: _p_norm(cp.vec(V, order="F"), 3),
    "entrywise-1.5": lambda V: _p_norm(cp.vec(V, order="F"), 1.5),
    "row-2/inf": lambda V: cp.max(cp.norm(V, 2, axis=1)),
    "row-2/1": lambda V: cp.sum(cp.norm(V, 2, axis=1)),
    "row-1/inf": lambda V: cp.max(cp.norm(V, 1, axis=1)),
    "row-inf/2": lambda V: cp.norm(cp.norm(V, "inf", axis=1), 2),
    "row-3/1.5": lambda V: _p_norm(cp.hstack([_p_norm(V[i, :], 3) for i in range(4)]), 1.5),
    "column-2/inf": lambda V: cp.max(cp.norm(V, 2, axis=0)),
    "column-1.5/3": lambda V: _p_norm(cp.hstack([_p_norm(V[:, j], 1.5) for j in range(6)]), 3),
    "mean-square-spectral": lambda V: math.sqrt(6 / 4) * cp.sigma_max(V),
    "mean-square-row": lambda V: math.sqrt(6) * cp.max(cp.norm(V, 2, axis=1)),
    "mean-square-column": lambda V: cp.max(cp.norm(V, 2, axis=0)) / math.sqrt(4),
    "row-blocks-2/inf:spectral": lambda V: cp.maximum(cp.sigma_max(V[:2]), cp.sigma_max(V[2:])),
    "column-blocks-3/2:nuclear": lambda V: cp.norm(
        cp.hstack([cp.normNuc(V[:, :2]), cp.normNuc(V[:, 2:4]), cp.normNuc(V[:, 4:])]), 2
    ),
}


@pytest.mark.parametrize("name", BALLS)
def test_no_feasible_direction_beats_ours_by_an_independent_solver(name):
    S = np.random.default_rng(9).standard_normal((4, 6))
    V = cp.Variable((4, 6))
    problem = cp.Problem(cp.Maximize(cp.sum(cp.multiply(S, V))), [BALLS[name](V) <= 1])
    problem.solve(solver=cp.CLARABEL)
    norm = st.norm(name)
    assert norm.dual(S) == pytest.approx(problem.value, rel=1e-6)
    D = norm.direction(S)
    assert np.sum(S * D) == pytest.approx(problem.value, rel=1e-6)
    assert BALLS[name](cp.Constant(D)).value == pytest.approx(1, rel=1e-12)


@settings(max_examples=5)
@given(seed=some.integers(0, 2**32 - 1))
@through_all_norms
def test_no_random_feasible_matrix_beats_the_direction(norm, seed):
    generator = np.random.default_rng(seed)
    S = generator.standard_normal((3, 5))
    V = generator.standard_normal((200, 3, 5))
    V /= norm(V)[:, None, None]
    best = norm.direction(S)
    assert (np.sum(S * V, axis=(-2, -1)) <= np.sum(S * best) * (1 + 1e-14)).all()
    # Nor does any small step away from it that is scaled back into the ball.
    near = best + 1e-3 * generator.standard_normal((200, 3, 5))
    near /= norm(near)[:, None, None]
    assert (np.sum(S * near, axis=(-2, -1)) <= np.sum(S * best) * (1 + 1e-14)).all()
