"""Compiled arithmetic against its array API original, function by function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.contracts.losses import every_compiled_loss
from tests.contracts.norms import ALL_NORMS
from tests.problems import random_problem

import steepest as st
from steepest.descent.engines.compiled import directions, gradient, kernels
from steepest.descent.engines.compiled.losses import loss_code
from steepest.descent.engines.compiled.norms import COMPILED_DIRECTION
from steepest.doubled import head, head_bits
from steepest.losses import Samples, residuals, weighted_gradient
from steepest.scaled import Scaled

compiled_norms = pytest.mark.parametrize(
    "norm", [norm for norm in ALL_NORMS if COMPILED_DIRECTION.of(norm) is not None], ids=str
)


def compiled_direction(norm, S):
    out = np.full_like(S, np.nan)
    code = COMPILED_DIRECTION.of(norm)
    assert code is not None
    work = directions.direction_work(*S.shape)
    truncated = directions.direction(
        code.kind, code.power, code.across, S, out, work, st.geometry.RANK_CUTOFF, 0, 0.0
    )
    return code.factor(S.shape) * out, truncated


@compiled_norms
@given(
    seed=some.integers(0, 10**6),
    shape=some.sampled_from([(1, 1), (1, 6), (5, 1), (4, 9), (9, 4), (7, 7), (10, 60)]),
    rank=some.integers(1, 10),
)
@settings(max_examples=25)
def test_directions_are_those_of_geometry(norm, seed, shape, rank):
    generator = np.random.default_rng(seed)
    S = generator.normal(size=(shape[0], rank)) @ generator.normal(size=(rank, shape[1]))
    np.testing.assert_allclose(compiled_direction(norm, S)[0], norm.direction(S), rtol=0, atol=2e-9)


@compiled_norms
def test_zero_has_no_direction(norm):
    np.testing.assert_array_equal(compiled_direction(norm, np.zeros((3, 5)))[0], np.zeros((3, 5)))


@pytest.mark.parametrize("decades", [4, 8, 11])
def test_graded_signals_keep_their_small_singular_directions(decades):
    """A sum of one sample's outer product after the other, each a thousandth or less of the one before."""
    generator = np.random.default_rng(0)
    k, d = 8, 50
    rows = generator.normal(size=(k, d)) * 10.0 ** -np.linspace(0, decades, k)[:, None]
    spectral = st.norm("spectral")
    ours, _ = compiled_direction(spectral, rows)
    # The polar factor does not change when each row is scaled after being made orthogonal to the others:
    # (S Sᵀ)^(-1/2) S in 60 digits.
    import mpmath

    with mpmath.workdps(60):
        S = mpmath.matrix(rows.tolist())
        values, vectors = mpmath.eigsy(S * S.T)
        inverse_root = vectors * mpmath.diag([1 / mpmath.sqrt(v) for v in values]) * vectors.T
        exact = np.array((inverse_root * S).tolist(), dtype=float)
    assert np.linalg.norm(ours - exact, 2) <= 1e-13


def test_every_singular_value_below_the_cut_off_is_dropped_and_counted():
    S = np.diag([1.0, 1e-3, 5e-14, 1e-17])
    direction, truncated = compiled_direction(st.norm("spectral"), S)
    np.testing.assert_allclose(direction, np.diag([1.0, 1.0, 0.0, 0.0]), atol=1e-15)
    assert truncated == 1
    assert compiled_direction(st.norm("spectral"), np.diag([1.0, 1e-3, 0.0, 1e-17]))[1] == 0
    assert compiled_direction(st.norm("nuclear"), S)[1] == 0


@given(seed=some.integers(0, 10**6), lowest=some.floats(-750, 0))
@settings(max_examples=30)
def test_exponentials_are_those_of_the_library_to_two_ulps(seed, lowest):
    numbers = np.append(np.random.default_rng(seed).uniform(lowest, 0, 40), [0.0, -0.0, -math.inf])
    expected = np.exp(np.maximum(numbers, -700.0))
    bits = np.empty(numbers.size, dtype=np.int64)
    kernels.exponentials(numbers, bits, bits.view(np.float64))
    np.testing.assert_allclose(numbers, expected, rtol=4.5e-16)


@every_compiled_loss
@given(
    seed=some.integers(0, 10**6),
    log_size=some.floats(-2, 6),
    classes=some.integers(2, 11),
    chosen=some.lists(some.integers(0, 12), min_size=1, max_size=13, unique=True),
)
@settings(max_examples=40)
def test_gradients_are_those_of_losses(loss, seed, log_size, classes, chosen):
    problem = random_problem(classes=classes, samples=13, features=17, seed=seed)
    W = 10**log_size * np.random.default_rng(seed).normal(size=(classes, 17))
    batch = Samples.of(problem).take(np.array(chosen))
    expected = weighted_gradient(batch, residuals(loss, batch, W), 0.3)
    out = np.empty_like(W)
    data = (
        problem.features,
        head(problem.features),
        problem.labels,
        head_bits(17),
        problem.largest_length,
        None,
        *loss_code(loss),
    )
    scale = gradient.gradient(
        data, np.array(chosen), W, 0.3, gradient.gradient_work(13, classes, 17), out, True, None
    )
    np.testing.assert_allclose(
        out * np.exp(scale - float(expected.log_scale)), expected.mantissa, rtol=0, atol=2e-12
    )


@given(
    seed=some.integers(0, 10**6),
    apart=some.integers(-900, 900),
    factors=some.tuples(some.floats(0, 1), some.floats(-1, 1)),
)
@settings(max_examples=40)
def test_sums_are_those_of_scaled(seed, apart, factors):
    a, b = np.random.default_rng(seed).normal(size=(2, 3, 4))
    expected = (
        Scaled(a, np.asarray(-1000.0)) * factors[0] + Scaled(b, np.asarray(-1000.0 + apart)) * factors[1]
    )
    scale = kernels.add_scaled(a, -1000.0, factors[0], b, -1000.0 + apart, factors[1])
    if np.isinf(expected.log_scale):
        assert scale == -math.inf
    else:
        # Factors of 1e-300 leave mantissas far below one; sizes are compared on the log scale.
        np.testing.assert_allclose(
            np.log(np.abs(a).max()) + scale,
            np.log(np.abs(expected.mantissa).max()) + expected.log_scale,
            rtol=1e-12,
        )
        np.testing.assert_allclose(
            a / np.abs(a).max(), expected.mantissa / np.abs(expected.mantissa).max(), rtol=0, atol=1e-13
        )


def test_a_zero_target_takes_the_other_term():
    target, other = np.ones((1, 2)), np.array([[2.0, 4.0]])
    assert kernels.add_scaled(target, -math.inf, 1.0, other, -5000.0, 0.5) == -5000.0
    np.testing.assert_array_equal(target, [[1.0, 2.0]])
    assert kernels.add_scaled(target, 0.0, 0.0, other, -math.inf, 1.0) == -math.inf
    np.testing.assert_array_equal(target, [[0.0, 0.0]])
