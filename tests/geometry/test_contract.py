"""What makes a norm a norm, and a direction that of steepest descent, for every norm of the registry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.contracts.arrays import NUMPY, NUMPY_SINGLE, TORCH, every_double, every_kind
from tests.contracts.loops import through
from tests.contracts.norms import (
    ALL_NORMS,
    FOREIGN,
    NAMES,
    NORMS,
    through_all_norms,
    through_norms,
)
from tests.geometry.instances import SHAPES, matrices, orthogonal, well_conditioned

import steepest as st
from steepest.geometry import RANK_CUTOFF, Norm, norm_name
from steepest.geometry.facts import UNITARILY_INVARIANT, is_true


def inner(A, B):
    return np.sum(np.asarray(A, dtype=np.float64) * B, axis=(-2, -1))


@through_all_norms
def test_a_norm_has_value_dual_and_direction_and_a_name(norm):
    assert isinstance(norm, Norm)
    assert st.norm(norm) is norm
    assert norm_name(norm) == str(norm)
    if norm is not FOREIGN:
        assert st.norm(str(norm)) == norm


@through("norm", NORMS)
def test_a_norm_is_the_dual_of_its_dual(norm: st.Entrywise | st.Schatten):
    assert norm.dual_norm.dual_norm == norm
    assert hash(norm.dual_norm.dual_norm) == hash(norm)


def test_the_registry_names_every_norm_once():
    assert len(set(ALL_NORMS)) == len(NAMES) + 1


@every_kind
@given(drawn=matrices())
@through_norms
def test_the_direction_is_a_unit_that_attains_the_dual_value(norm, kind, drawn):
    S = kind(drawn)
    D = kind.back(norm.direction(S))
    value = kind.back(norm.dual(S))
    S = kind.back(S)
    assert float(norm(D)) <= 1 + 20 * kind.eps
    # What the rank cut-off may take from the inner product: the small singular values themselves.
    sigma = np.linalg.svd(S, compute_uv=False)
    dropped = sigma[sigma <= 2 * RANK_CUTOFF * kind.eps / NUMPY.eps * sigma[0]].sum()
    assert abs(inner(S, D) - value) <= 40 * kind.eps * value + dropped
    assert (D == 0).all() == (S == 0).all()


@every_kind
@given(drawn=matrices(count=2))
@through_norms
def test_hoelder(norm, kind, drawn):
    A, B = map(kind, drawn)
    bound = kind.back(norm(A)) * kind.back(norm.dual(B))
    assert abs(inner(kind.back(A), kind.back(B))) <= bound * (1 + 40 * kind.eps)


@every_kind
@given(drawn=matrices(count=2), factor=some.floats(-8, 8, width=32))
@through_norms
def test_a_norm_is_homogeneous_and_obeys_the_triangle_inequality(norm, kind, drawn, factor):
    A, B = map(kind, drawn)
    size, other = kind.back(norm(A)), kind.back(norm(B))
    assert kind.back(norm(A + B)) <= (size + other) * (1 + 40 * kind.eps)
    assert kind.back(norm(factor * A)) == pytest.approx(abs(factor) * size, rel=40 * kind.eps, abs=kind.tiny)
    assert (size == 0) == (drawn[0] == 0).all()


@every_kind
@given(drawn=matrices())
@through("norm", [*NORMS, *map(st.norm, ("row-2/inf", "column-3/1.5", "column-blocks-1/2:row-1/inf"))])
def test_lemma_c1_every_norm_lies_between_max_and_sum(norm, kind, drawn):
    A = kind(drawn)
    largest, value, total = (kind.back(n(A)) for n in (st.norm("max"), norm, st.norm("sum")))
    assert largest <= value * (1 + 40 * kind.eps)
    assert value <= total * (1 + 40 * kind.eps)


@every_double
@through_norms
@through("shape", SHAPES)
def test_directions_do_not_change_under_scaling(norm, kind, shape):
    S = well_conditioned(shape, np.random.default_rng(0))
    D = kind.back(norm.direction(kind(S)))
    for factor in (1e200, 1e-200, 2.0**664, 2.0**-664):
        scaled = kind.back(norm.direction(kind(factor * S)))
        np.testing.assert_allclose(scaled, D, rtol=0, atol=50 * kind.eps)
        if np.log2(factor).is_integer():
            np.testing.assert_array_equal(scaled, D)
        assert kind.back(norm(kind(factor * S))) == pytest.approx(
            factor * kind.back(norm(kind(S))), rel=1e-14
        )


@every_double
@through_norms
@through("shape", SHAPES)
def test_minus_the_matrix_has_minus_the_direction(norm, kind, shape):
    S = kind(well_conditioned(shape, np.random.default_rng(1)))
    np.testing.assert_allclose(
        kind.back(norm.direction(-S)), -kind.back(norm.direction(S)), atol=50 * kind.eps
    )


@every_double
@through_norms
@through("shape", SHAPES)
def test_unitarily_invariant_norms_do_not_see_rotations(norm, kind, shape):
    generator = np.random.default_rng(2)
    S = well_conditioned(shape, generator)
    Q, P = orthogonal(shape[0], shape[0], generator), orthogonal(shape[1], shape[1], generator)
    rotated = kind(Q @ S @ P)
    same = kind.back(norm(rotated)) == pytest.approx(kind.back(norm(kind(S))), rel=1e-14)
    if is_true(UNITARILY_INVARIANT, norm):
        assert same
        np.testing.assert_allclose(
            kind.back(norm.direction(rotated)),
            Q @ kind.back(norm.direction(kind(S))) @ P,
            atol=1e-13,
        )
    elif min(shape) > 1 and UNITARILY_INVARIANT.of(norm) is False:
        assert not same


@every_double
@through("norm", NORMS)
@through("shape", SHAPES)
def test_transposing_commutes(norm, kind, shape):
    S = kind(well_conditioned(shape, np.random.default_rng(3)))
    D = kind.back(norm.direction(S))
    np.testing.assert_allclose(kind.back(norm.direction(S.T)).T, D, atol=100 * kind.eps)


@every_kind
@given(drawn=matrices(count=4))
@through_norms
def test_a_batch_gives_what_its_matrices_give_one_by_one(norm, kind, drawn):
    rows, columns = drawn[0].shape
    neighbours = [
        well_conditioned((rows, columns), np.random.default_rng(4)),
        np.full((rows, columns), np.nan),
    ]
    batch = np.stack([*drawn, *neighbours]).reshape(3, 2, rows, columns)
    values, directions = kind.back(norm(kind(batch))), kind.back(norm.direction(kind(batch)))
    duals = kind.back(norm.dual(kind(batch)))
    assert values.shape == duals.shape == (3, 2)
    for place in np.ndindex(3, 2):
        alone = kind(batch[place])
        np.testing.assert_allclose(values[place], kind.back(norm(alone)), rtol=8 * kind.eps)
        np.testing.assert_allclose(duals[place], kind.back(norm.dual(alone)), rtol=8 * kind.eps)
        if place == (2, 0):
            direction = kind.back(norm.direction(alone))
            np.testing.assert_allclose(directions[place], direction, atol=8 * kind.eps)


@given(drawn=matrices())
@through_all_norms
def test_float32_agrees_with_float64(norm, drawn):
    eps = NUMPY_SINGLE.eps
    S = NUMPY_SINGLE(drawn)
    exact = S.astype(np.float64)
    assert float(norm(S)) == pytest.approx(float(norm(exact)), rel=20 * eps, abs=0)
    S = NUMPY_SINGLE(well_conditioned(drawn.shape, np.random.default_rng(5)))
    exact = S.astype(np.float64)
    np.testing.assert_allclose(norm.direction(S), norm.direction(exact), atol=50 * eps)


@pytest.mark.torch
@given(drawn=matrices())
@through_all_norms
def test_torch_agrees_with_numpy(norm, drawn):
    assert TORCH.back(norm(TORCH(drawn))) == pytest.approx(float(norm(drawn)), rel=1e-14, abs=0)
    S = well_conditioned(drawn.shape, np.random.default_rng(6))
    np.testing.assert_allclose(TORCH.back(norm.direction(TORCH(S))), norm.direction(S), atol=1e-14)


@every_kind
@through_norms
def test_arguments_are_not_written_to(norm, kind):
    values = np.random.default_rng(7).standard_normal((3, 4, 9))
    S = kind(values)
    D = norm.direction(S)
    assert norm(S).shape == norm.dual(S).shape == (3,)
    D *= 0
    np.testing.assert_array_equal(kind.back(S), kind.back(kind(values)))
