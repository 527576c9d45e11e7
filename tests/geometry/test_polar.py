"""The polar factor: accuracy on graded matrices against 50 digits, the rank cut-off, what it drops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.contracts.arrays import NUMPY, every_double, every_kind
from tests.contracts.loops import through
from tests.geometry.exact import SingularTriples, as_matrix, harm_of_rounding
from tests.geometry.instances import matrices, orthogonal, with_singular_values

import steepest as st
from steepest.errors import InvalidArgument
from steepest.geometry import RANK_CUTOFF, polar_factor, singular_values_below_cutoff
from steepest.geometry.polar import rank_cutoff, singular_values

LENGTH_OF_ERROR = 100  # c of the error bound c eps σ₁/σᵢ that the module states


def graded(shape, span, pattern, seed):
    """Return B with rows, columns or both scaled over ``span`` decades, in random order."""
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal(shape)
    decades = span / 2 if pattern == "both" else span
    if pattern in ("rows", "both"):
        matrix *= generator.permutation(np.logspace(0, -decades, shape[0]))[:, None]
    if pattern in ("columns", "both"):
        matrix *= generator.permutation(np.logspace(0, -decades, shape[1]))
    return matrix


@every_kind
@through("shape", [(2, 2), (10, 10), (6, 9), (8, 40), (12, 5), (40, 7)])
def test_error_of_each_kept_direction_on_graded_matrices(kind, shape):
    decades = 10 if kind.dtype == "float64" else 4
    for seed in range(2):
        generator = np.random.default_rng(seed)
        values = np.logspace(0, -decades, min(shape))
        S = kind.back(kind(with_singular_values(values, shape, generator)))
        exact = SingularTriples.of(as_matrix(S))
        errors = exact.errors_of_polar(as_matrix(kind.back(polar_factor(kind(S)))))
        assert (errors <= LENGTH_OF_ERROR * kind.eps / exact.relative()).all()


@every_double
@pytest.mark.parametrize("pattern", ["rows", "columns", "both"])
@through("shape", [(6, 6), (10, 12), (8, 40), (14, 6)])
def test_scaled_rows_and_columns_keep_the_accuracy_that_rounding_leaves_them(kind, shape, pattern):
    for seed in range(2):
        S = graded(shape, 11, pattern, seed)
        exact = SingularTriples.of(as_matrix(S))
        kept = exact.relative() > 2 * RANK_CUTOFF
        errors = exact.errors_of_polar(as_matrix(kind.back(polar_factor(kind(S)))))
        harm = harm_of_rounding(S, exact, kind.eps, np.random.default_rng(0))
        assert (errors <= 200 * np.maximum(harm, kind.eps))[kept].all()
        # Without the order the smallest kept direction would be lost to eps σ₁/σᵢ.
        assert errors[kept].max() <= 1e-13


def test_more_than_25_graded_rows_lose_some_digits_as_stated():
    S = graded((26, 30), 10, "rows", 0)
    exact = SingularTriples.of(as_matrix(S))
    errors = exact.errors_of_polar(as_matrix(polar_factor(S)))
    assert errors.max() <= 1e-9
    assert (errors <= LENGTH_OF_ERROR * NUMPY.eps / exact.relative()).all()


@every_kind
@given(S=matrices())
def test_the_polar_factor_is_a_partial_isometry(kind, S):
    D = kind.back(polar_factor(kind(S)))
    np.testing.assert_allclose(D @ D.T @ D, D, atol=40 * kind.eps)
    np.testing.assert_allclose(D @ D.T, (D @ D.T).T, atol=40 * kind.eps)
    symmetric = kind.back(kind(S)) @ D.T
    scale = np.abs(symmetric).max() + kind.tiny
    np.testing.assert_allclose(symmetric / scale, symmetric.T / scale, atol=2 * 450 * kind.eps)


@every_kind
def test_small_cases_by_hand(kind):
    def check(S, expected):
        np.testing.assert_allclose(kind.back(polar_factor(kind(S))), expected, atol=2 * kind.eps)

    check([[0, -3], [2, 0]], [[0, -1], [1, 0]])
    check([[1, 1], [1, 1]], [[0.5, 0.5], [0.5, 0.5]])
    check([[3, 4]], [[0.6, 0.8]])
    check([[3], [4]], [[0.6], [0.8]])
    check([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    check([[1, 0, 0], [0, 2, 0]], [[1, 0, 0], [0, 1, 0]])
    check([[-7]], [[-1]])
    check([[0, 0], [5, 0]], [[0, 0], [1, 0]])
    rotation = [[0.6, -0.8], [0.8, 0.6]]
    check(rotation, rotation)


@every_kind
def test_it_is_the_direction_of_the_spectral_norm(kind):
    S = kind(np.random.default_rng(0).standard_normal((3, 4, 20)))
    np.testing.assert_array_equal(
        kind.back(polar_factor(S)), kind.back(st.Schatten(float("inf")).direction(S))
    )


@every_kind
@pytest.mark.parametrize("aspect", [1, 8], ids=["square", "wide"])
def test_singular_values_at_or_below_the_cutoff_count_as_zero(kind, aspect):
    cutoff = 450 * kind.eps
    generator = np.random.default_rng(1)
    values = [1, 1e-2, 2 * cutoff, cutoff / 2]
    left, right = orthogonal(4, 4, generator), orthogonal(4 * aspect, 4, generator)
    D = kind.back(polar_factor(kind(left * values @ right.T)))
    weights = np.diag(left.T @ D @ right)
    np.testing.assert_allclose(weights, [1, 1, 1, 0], atol=1e-1)
    assert abs(weights[3]) < 1e-2
    assert np.linalg.matrix_rank(D, tol=0.5) == 3


@every_kind
def test_a_value_equal_to_the_cutoff_is_dropped(kind):
    S = kind(np.diag([1.0, 0.25, 0.5]))
    np.testing.assert_array_equal(kind.back(polar_factor(S, cutoff=0.25)), np.diag([1, 0, 1]))
    np.testing.assert_array_equal(kind.back(polar_factor(S, cutoff=0.24)), np.eye(3))
    np.testing.assert_array_equal(kind.back(polar_factor(S, cutoff=0)), np.eye(3))


def test_the_cutoff_is_450_eps():
    assert rank_cutoff(np.float64, np) == RANK_CUTOFF == pytest.approx(1e-13, rel=2e-3)
    assert rank_cutoff(np.float32, np) == pytest.approx(5.4e-5, rel=1e-2)


@pytest.mark.parametrize("cutoff", [-1e-3, 1, 1.5, float("nan"), True, "small"])
def test_a_bad_cutoff_is_refused(cutoff):
    with pytest.raises(
        InvalidArgument, match=r"^cutoff=.*: give a number in \[0, 1\), relative to the largest"
    ):
        polar_factor(np.eye(2), cutoff=cutoff)


@every_kind
@given(seed=some.integers(0, 2**32 - 1), rank=some.integers(1, 4))
def test_rank_deficiency_is_no_dropped_singular_value(kind, seed, rank):
    generator = np.random.default_rng(seed)
    S = kind(generator.standard_normal((5, 8, rank)) @ generator.standard_normal((5, rank, 30)))
    D = kind.back(polar_factor(S))
    np.testing.assert_allclose(np.sum(D * D, axis=(-2, -1)), rank, rtol=100 * kind.eps)
    assert not np.asarray(singular_values_below_cutoff(S)).any()


@every_kind
def test_dropped_singular_values_that_are_not_zero_are_counted(kind):
    cutoff, generator = 450 * kind.eps, np.random.default_rng(3)
    spectra = (
        [1, 0.5, 0.5 * cutoff, 0.2 * cutoff],
        [1, 1, 1, 2 * cutoff],
        [1, 0, 0, 0],
        [1, 1, 1, 0.5 * cutoff],
    )
    S = np.stack([with_singular_values(values, (4, 6), generator) for values in spectra])
    np.testing.assert_array_equal(np.asarray(singular_values_below_cutoff(kind(S))), [2, 0, 0, 1])
    np.testing.assert_array_equal(
        np.asarray(singular_values_below_cutoff(kind(S), cutoff=0.75)), [3, 1, 0, 1]
    )
    assert int(singular_values_below_cutoff(kind(S[0]))) == 2
    for shape in ((3, 4), (1, 4), (4, 1), (0, 4), (4, 0), (0, 3, 4)):
        assert not np.asarray(singular_values_below_cutoff(kind(np.zeros(shape)))).any()
    assert int(singular_values_below_cutoff(kind(np.full((3, 3), np.nan)))) == 0


@every_kind
@given(S=matrices())
def test_singular_values_agree_with_scipy(kind, S):
    import scipy.linalg

    values, largest = singular_values(kind(S))
    expected = scipy.linalg.svdvals(S)
    np.testing.assert_allclose(
        kind.back(values) * float(largest), expected, rtol=0, atol=20 * kind.eps * expected[0]
    )


@every_double
def test_a_graded_neighbour_in_the_batch_changes_nothing(kind):
    generator = np.random.default_rng(4)
    plain = with_singular_values(np.logspace(0, -10, 6), (6, 8), generator)
    batch = np.stack([plain, graded((6, 8), 11, "both", 5), np.zeros((6, 8)), np.full((6, 8), np.inf)])
    together = kind.back(polar_factor(kind(batch)))
    np.testing.assert_array_equal(together[0], kind.back(polar_factor(kind(batch[:1])))[0])
    np.testing.assert_array_equal(together[2], 0)
    assert np.isnan(together[3]).all()


def test_singular_values_within_rounding_are_not_counted_as_left_out():
    """4 √2 eps of the largest is 1.256e-15 in two rows."""
    counts = [int(singular_values_below_cutoff(np.diag([1.0, small]))) for small in (1.2e-15, 1.3e-15)]
    assert counts == [0, 1]
