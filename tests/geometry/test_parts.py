"""Norms of rows, columns, blocks and shapes against their definitions, and directions against a search."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as some
from tests.contracts.loops import through
from tests.contracts.norms import ALL_NORMS, FOREIGN, UNEVEN, Foreign, Uneven, through_all_norms

import steepest as st
from steepest.errors import InvalidArgument
from steepest.geometry import BlockNorm, Entrywise, Schatten, norm_name
from steepest.geometry.facts import (
    CANONICAL,
    CUT_DIRECTION,
    MULTIPLE,
    POLYHEDRAL,
    STRICTLY_CONVEX,
    SYMMETRIC_PRODUCTS,
    dual_of_error,
    dual_of_products,
    is_true,
    norm_key,
    rounding,
    same_norm,
)

seeds = some.integers(0, 2**32 - 1)


def random_matrix(seed, shape=(4, 6)):
    return np.random.default_rng(seed).standard_normal(shape)


@given(seeds)
def test_values_are_those_of_the_definitions(seed):
    A = random_matrix(seed)
    rows, columns = np.linalg.norm(A, axis=1), np.linalg.norm(A, axis=0)
    largest = np.linalg.norm(A, 2)
    expected = {
        "row-2/inf": rows.max(),
        "row-2/1": rows.sum(),
        "row-1/inf": np.linalg.norm(A, np.inf),
        "column-1/inf": np.linalg.norm(A, 1),
        "column-2/inf": columns.max(),
        "row-3/1.5": ((np.abs(A) ** 3).sum(axis=1) ** 0.5).sum() ** (2 / 3),
        "row-3/3": (np.abs(A) ** 3).sum() ** (1 / 3),
        "mean-square-spectral": math.sqrt(6 / 4) * largest,
        "mean-square-row": math.sqrt(6) * rows.max(),
        "mean-square-column": columns.max() / 2,
        "row-blocks-2/inf:spectral": max(np.linalg.norm(part, 2) for part in (A[:2], A[2:])),
        "column-blocks-3/2:nuclear": math.hypot(*(np.linalg.norm(A[:, j : j + 2], "nuc") for j in (0, 2, 4))),
    }
    for name, value in expected.items():
        assert float(st.norm(name)(A)) == pytest.approx(value, rel=1e-13)


def test_mean_square_norms_are_operator_norms():
    """No input of root mean square 1 has an output above the norm, and some come near it."""
    A, generator = random_matrix(0), np.random.default_rng(1)
    X = generator.standard_normal((20_000, 6))
    X /= np.sqrt(np.mean(X * X, axis=1, keepdims=True))
    outputs = X @ A.T
    means, tops = np.sqrt(np.mean(outputs**2, axis=1)), np.abs(outputs).max(axis=1)
    assert 0.97 * st.norm("mean-square-spectral")(A) < means.max() <= st.norm("mean-square-spectral")(A)
    assert 0.9 * st.norm("mean-square-row")(A) < tops.max() <= st.norm("mean-square-row")(A)
    one_hot = np.sqrt(np.mean(A * A, axis=0)).max()
    assert float(st.norm("mean-square-column")(A)) == pytest.approx(one_hot, rel=1e-14)


@through("norm", [*ALL_NORMS, UNEVEN])
def test_no_search_finds_more_than_the_dual_norm(norm):
    """max ⟨S, V⟩ / ‖V‖ by Nelder and Mead from the direction and from random starts, on 2 x 2 matrices."""
    S = random_matrix(2, (2, 2))
    dual = float(norm.dual(S))

    def lost(entries):
        V = entries.reshape(2, 2)
        return -float(np.sum(S * V)) / max(float(norm(V)), 1e-9)

    starts = [norm.direction(S).ravel(), *np.random.default_rng(3).standard_normal((3, 4))]
    found = [-scipy.optimize.minimize(lost, start, method="Nelder-Mead").fun for start in starts]
    assert max(found) <= dual * (1 + 1e-9)
    assert found[0] == pytest.approx(dual, rel=1e-6)


@given(seeds)
def test_a_norm_of_columns_is_that_of_the_rows_of_the_transposed(seed):
    S = random_matrix(seed)
    for inner, outer in ((2, math.inf), (1.5, 3), (1, 2), (math.inf, 1)):
        rows, columns = st.RowNorm(inner, outer), st.ColumnNorm(inner, outer)
        assert columns(S) == rows(S.T)
        assert columns.dual(S) == rows.dual(S.T)
        np.testing.assert_array_equal(columns.direction(S), rows.direction(S.T).T)


def test_norms_of_equal_values_are_the_same_norm():
    assert same_norm(st.RowNorm(2, 2), st.Schatten(2))
    assert same_norm(st.ColumnNorm(3, 3), st.Entrywise(3))
    assert not same_norm(st.RowNorm(2, 1), st.ColumnNorm(2, 1))
    assert same_norm(st.ScaledNorm(st.Schatten(2), 0.5), st.ScaledNorm(st.Entrywise(2), 0.5))
    assert same_norm(st.ScaledNorm(st.Schatten(3)), st.BlockNorm(st.Schatten(3), 1))
    assert same_norm(st.BlockNorm(st.RowNorm(2, 2), 2), st.BlockNorm(st.Entrywise(2), 2))
    assert not same_norm(FOREIGN, st.Entrywise(3))
    assert same_norm(FOREIGN, Foreign(st.Entrywise(3)))
    assert same_norm(UNEVEN, UNEVEN)
    assert same_norm(UNEVEN, replace(UNEVEN))
    assert not same_norm(UNEVEN, Uneven(st.Schatten(3)))


@dataclass
class Titled:
    """A norm with a text of its choice, that holds an array."""

    base: st.geometry.Norm
    text: str
    weights: np.ndarray

    def __call__(self, A):
        return self.base(A)

    def dual(self, A):
        return self.base.dual(A)

    def direction(self, S):
        return self.base.direction(S)

    def __str__(self):
        return self.text


def test_a_norm_that_calls_itself_by_the_name_of_another_is_not_that_other():
    own = Titled(st.Entrywise(3), "frobenius", np.ones(2))
    assert not same_norm(own, st.Entrywise(2))
    with pytest.raises(InvalidArgument, match="a __str__ that names it alone"):
        norm_name(own)  # a checkpoint of the Frobenius norm would be taken for its own
    problem = st.Classification([[1.0], [-1.0]], [0, 1])
    with pytest.raises(
        InvalidArgument, match=r"a solution in the frobenius norm.*give one in the Titled norm"
    ):
        st.descend(problem, st.Method(own), 3, reference=st.max_margin(problem, "frobenius"))


def test_norms_that_hold_arrays_are_told_apart():
    """Their dataclass compares arrays, entry by entry, and cannot be hashed."""
    first, second = (Titled(st.Entrywise(2), " at 0x0", weights) for weights in (np.ones(2), 2 * np.ones(2)))
    assert same_norm(first, first)
    assert not same_norm(first, second)
    assert norm_key(first) == norm_key(first) != norm_key(second)
    assert norm_key(st.norm("schatten-3")) == norm_key(st.norm("schatten-3"))


def test_other_names_of_norms_have_their_values_and_directions():
    for norm in (*ALL_NORMS, st.ScaledNorm(st.Schatten(2), 0.5), st.BlockNorm(st.RowNorm(2, 2), 2)):
        other = CANONICAL.of(norm)
        if other is not None:
            A = random_matrix(4)
            assert float(norm(A)) == pytest.approx(float(other(A)), rel=1e-14)
            np.testing.assert_allclose(norm.direction(A), other.direction(A), atol=1e-14)


def test_a_scaled_norm_says_what_it_is_a_multiple_of():
    multiple = MULTIPLE.of(st.norm("mean-square-row"))
    assert multiple is not None
    base, factor = multiple
    assert str(base) == "row-2/inf"
    assert factor((3, 16)) == 4.0


@given(seed=seeds)
@through("norm", [*ALL_NORMS, UNEVEN])
def test_bounds_of_errors_hold_for_every_sign(norm, seed):
    """‖E‖_* ≤ the bound for every E of these absolute values."""
    error = np.abs(random_matrix(seed))
    bound = dual_of_error(norm, error)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(20, *error.shape))
    assert np.max(norm.dual(signs * error)) <= bound * (1 + rounding(norm, error.shape))


@given(seed=seeds)
@through("norm", [*ALL_NORMS, *map(st.norm, ("row-blocks-2/2:max", "column-blocks-3/inf:nuclear")), UNEVEN])
def test_duals_of_products_are_those_of_the_matrices(norm, seed):
    """Whether computed as products of two numbers or not; and no order of entries changes products."""
    generator = np.random.default_rng(seed)
    columns, rows = generator.standard_normal((5, 4)), generator.standard_normal((5, 6))
    expected = norm.dual(columns[:, :, None] * rows[:, None, :])
    np.testing.assert_allclose(dual_of_products(norm, columns, rows), expected, rtol=1e-13)
    if is_true(SYMMETRIC_PRODUCTS, norm):
        others = dual_of_products(norm, generator.permuted(columns, axis=1), generator.permuted(rows, axis=1))
        np.testing.assert_allclose(others, expected, rtol=1e-13)


@through_all_norms
def test_balls_have_flat_parts_unless_they_are_said_to_be_strictly_convex(norm):
    """Between the directions of two single entries, or across that of one, in one row, column or neither."""
    if STRICTLY_CONVEX.of(norm) is None:
        return
    units = np.zeros((4, 4, 4))
    units[range(4), [0, 0, 1, 1], [0, 1, 0, 1]] = 1.0
    first, *others = norm.direction(units)
    flat = [norm(first + 0.1 * u) <= 1 + 1e-12 or norm(0.9 * first + 0.1 * u) >= 1 - 1e-12 for u in others]
    assert any(flat) != is_true(STRICTLY_CONVEX, norm)


def test_matrices_that_do_not_split_are_refused():
    with pytest.raises(InvalidArgument, match="give matrices whose rows are a multiple of 3"):
        st.BlockNorm(st.Entrywise(2), 3)(np.ones((4, 3)))
    with pytest.raises(InvalidArgument, match="blocks=0: give a whole number of at least 1"):
        st.BlockNorm(st.Entrywise(2), 0)
    with pytest.raises(InvalidArgument, match="axis='diagonal': give rows or columns"):
        st.BlockNorm(st.Entrywise(2), 2, axis="diagonal")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"base=3\.0: a norm needs __call__, dual, direction too"):
        st.ScaledNorm(3.0)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="rows=nan: give a power from -16 to 16"):
        st.ScaledNorm(st.Entrywise(2), rows=math.nan)
    with pytest.raises(InvalidArgument, match=r"inner=0\.5: give an int, float or Fraction p"):
        st.RowNorm(0.5, 2)


def test_bounds_on_rounding_by_hand():
    """In units of rounding, of a matrix 3 x 5, whose 15 entries are a number of 4 bits."""
    expected = {
        Entrywise(3): 204,
        st.RowNorm(2, math.inf): 2.1 * 204,
        Schatten(1): 30,
        st.ScaledNorm(Schatten(1)): 38,
        BlockNorm(Schatten(1), 3): 30 + 1.1 * 204,
        FOREIGN: 240,
    }
    for norm, units in expected.items():
        assert rounding(norm, (3, 5)) == pytest.approx(units * 2.0**-53, rel=1e-14, abs=0.0), norm


def test_bounds_of_errors_by_hand():
    error = np.array([[1.0, 2.0], [0.0, 2.0]])
    expected = {
        Entrywise(math.inf): 5.0,
        Entrywise(1): 2.0,
        Entrywise(2): 3.0,
        Schatten(math.inf): 3 * 2**0.5,
        Schatten(4): 3 * 2**0.25,
        Schatten(1): 3.0,
        st.RowNorm(2, math.inf): 5**0.5 + 2,
        st.ScaledNorm(Schatten(1), 1, 1): 0.75,
        BlockNorm(Entrywise(1), 2): 4.0,
        Foreign(Entrywise(math.inf)): 5.0,
    }
    for norm, bound in expected.items():
        assert dual_of_error(norm, error) == pytest.approx(bound, rel=1e-13), norm


def test_norms_of_rows_and_of_blocks_are_strictly_convex_or_polyhedral_as_their_parts_are():
    for inner, outer, polyhedral in ((1, math.inf, True), (1, 1, True), (2, 1, False), (2, 2, False)):
        assert is_true(POLYHEDRAL, st.RowNorm(inner, outer)) == polyhedral
        assert is_true(STRICTLY_CONVEX, st.RowNorm(inner, outer)) == (inner == outer == 2)
    for blocks, outer, strictly in ((1, math.inf, True), (2, math.inf, False), (2, 1, False), (2, 2, True)):
        assert is_true(STRICTLY_CONVEX, BlockNorm(Entrywise(2), blocks, outer)) == strictly
        assert not is_true(STRICTLY_CONVEX, BlockNorm(Entrywise(1), blocks, outer))


def test_balls_of_blocks_are_polyhedral_where_all_their_parts_are():
    for outer, polyhedral in ((1, True), (math.inf, True), (2, False)):
        assert is_true(POLYHEDRAL, BlockNorm(Entrywise(1), 2, outer)) == polyhedral
        assert not is_true(POLYHEDRAL, BlockNorm(Entrywise(2), 2, outer))
    assert is_true(POLYHEDRAL, BlockNorm(Entrywise(1), 1, 2))


def test_only_directions_that_read_single_singular_values_are_cut():
    assert CUT_DIRECTION.of(Schatten(2)) is None
    for p in (1, 1.5, 3, math.inf):
        assert CUT_DIRECTION.of(Schatten(p)) is not None, p


@pytest.mark.parametrize("p", [1, 1.5, 3, math.inf])
def test_singular_values_are_granted_roundings_for_both_sides_of_a_matrix(p):
    stated = [rounding(Schatten(p), shape) for shape in ((2, 2), (2, 50), (50, 2), (50, 50))]
    assert stated[0] < stated[1] == stated[2] < stated[3]
