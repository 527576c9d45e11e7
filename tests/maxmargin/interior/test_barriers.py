"""Barriers of the norm balls: derivatives against differences, inverse against a dense solve."""

from __future__ import annotations

import numpy as np
import pytest
from tests.contracts.norms import every_norm

import steepest as st
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.interior.balls import BALL_BARRIER, BallPoint
from steepest.maxmargin.interior.barriers import BallBarrier
from steepest.maxmargin.interior.barriers import evaluate as evaluate_or_none

EXPONENTS = [1.0, 1.2, 1.5, 2.0, 3.0, 7.0, np.inf]


def evaluate(v, p) -> BallBarrier:
    barrier = evaluate_or_none(v, p)
    assert barrier is not None
    return barrier


def ball_point_or_none(norm, V) -> BallPoint | None:
    ball = BALL_BARRIER.of(norm)
    assert ball is not None
    return ball.at(V)


def ball_point(norm, V) -> BallPoint:
    point = ball_point_or_none(norm, V)
    assert point is not None
    return point


def vector(p, size, seed=0):
    v = np.random.default_rng(seed).normal(size=9)
    return v * size / np.linalg.norm(v, p)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("size", [0.0, 0.3, 0.9, 1 - 1e-6])
def test_hessian_is_the_derivative_of_the_gradient(p, size):
    v, d = vector(p, size), vector(2.0, 1.0, seed=1)
    barrier = evaluate(v, p)
    product = barrier.curvature * d + barrier.weight * (barrier.u @ d) * barrier.u
    h = 1e-4 / np.sqrt(d @ product)
    difference = (evaluate(v + h * d, p).gradient - evaluate(v - h * d, p).gradient) / (2 * h)
    np.testing.assert_allclose(difference, product, atol=1e-4 * np.abs(product).max())


@pytest.mark.parametrize("p", EXPONENTS)
def test_gradient_is_even_better_than_outside(p):
    v = vector(p, 0.5)
    np.testing.assert_array_equal(evaluate(-v, p).gradient, -evaluate(v, p).gradient)
    assert evaluate_or_none(vector(p, 1.0 + 1e-12), p) is None


@pytest.mark.parametrize("p", EXPONENTS)
def test_barrier_is_self_concordant_along_random_lines(p):
    # |d³F| ≤ 2 (d²F)^(3/2), from central differences of the gradient at distance 0.05 in the local norm.
    for seed in range(20):
        v, d = vector(p, 1 - 10.0 ** -(seed % 7), seed), vector(2.0, 1.0, seed + 100)
        barrier = evaluate(v, p)
        length = np.sqrt(d @ (barrier.curvature * d) + barrier.weight * (barrier.u @ d) ** 2)
        h = 0.05 / length
        third = (
            d
            @ (evaluate(v + h * d, p).gradient + evaluate(v - h * d, p).gradient - 2 * barrier.gradient)
            / h**2
        )
        assert abs(third) <= 2.02 * length**3 + 1e-4 * length**3


def test_largest_point_of_a_box_by_hand():
    barrier = evaluate(np.array([0.5]), np.inf)
    assert barrier.gradient[0] == pytest.approx(1.0 / 0.75)
    assert barrier.curvature[0] == pytest.approx(2 * 1.25 / 0.75**2)


@every_norm
@pytest.mark.parametrize("size", [0.2, 0.999])
def test_ball_hessian_inverse_and_dense_form_agree(norm, size):
    generator = np.random.default_rng(3)
    problem = st.Classification(generator.normal(size=(12, 7)), np.arange(12) % 4)
    reduced = reduce(problem, norm)
    V = generator.normal(size=reduced.shape)
    V *= size / float(norm(V))
    point = ball_point(norm, V)
    d, g = generator.normal(size=(2, *reduced.shape))
    h = 1e-4 / np.sqrt(np.sum(d * point.hessian(d)))
    ahead, behind = ball_point(norm, V + h * d), ball_point(norm, V - h * d)
    difference = (ahead.gradient - behind.gradient) / (2 * h)
    product = point.hessian(d)
    np.testing.assert_allclose(difference, product, atol=1e-5 * np.abs(product).max())
    # The Newton matrix that is completed by the ball alone is its Hessian, in other coordinates; a small
    # multiple of the identity stands for the margins' part, which sees differences of classes only.
    scale, (rows, columns) = 2.0, (3, 7)
    T = None if reduced.mixing is None else reduced.mixing[:-1].T
    M = np.zeros((rows, columns, rows, columns))
    M[np.arange(rows)[:, None], np.arange(columns), np.arange(rows)[:, None], np.arange(columns)] = 0.5
    point.add_to(M, scale, T)
    matrix = M.reshape(21, 21)

    def back(right):
        return np.linalg.solve(matrix, right.ravel()).reshape(right.shape)

    pull = np.random.default_rng(9).normal(size=V.shape)
    pull -= pull.mean(axis=0)
    x = point.solve(g, pull, back, scale, T)
    Y = x[:-1] - x[-1] if T is None else np.linalg.solve(T, x)
    margins_part = np.concatenate([0.5 * Y, -0.5 * Y.sum(axis=0, keepdims=True)])
    if T is not None:
        margins_part = np.linalg.solve(T.T, 0.5 * Y)
    np.testing.assert_allclose(scale * point.hessian(x) + margins_part, g + pull, atol=1e-8 * np.abs(g).max())
    identity = np.eye(V.size).reshape(V.size, *V.shape)
    dense = np.stack([point.hessian(e).ravel() for e in identity])
    np.testing.assert_allclose(dense, dense.T, atol=1e-9 * np.abs(dense).max())
    assert point.inverse_norm(g) == pytest.approx(
        np.sqrt(g.ravel() @ np.linalg.solve(dense, g.ravel())), rel=1e-6
    )


@every_norm
def test_ball_has_no_point_outside(norm):
    problem = st.Classification(np.random.default_rng(0).normal(size=(12, 7)), np.arange(12) % 4)
    reduced = reduce(problem, norm)
    V = np.random.default_rng(1).normal(size=reduced.shape)
    assert ball_point_or_none(norm, 1.0001 * V / float(norm(V))) is None
