"""Engines of the spectral direction: exactness, rank, scale, and what published coefficients promise."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest
import torch

from steepest.errors import InvalidArgument
from steepest.geometry import Schatten, norm
from steepest.optim import COEFFICIENTS, Iterative, spectral_direction
from steepest.optim.engines.coefficients import mapped_value
from steepest.optim.engines.measured import multiplies_bfloat16_fast
from steepest.optim.engines.spectral import exact

EXACT = ("auto", "svd", "gram")


def of_rank(rank, rows, columns, seed=0, condition=10.0, dtype=torch.float32, count=1):
    """Return matrices with singular values between 1 and 1 / condition, and the product of their bases."""
    generator = torch.Generator().manual_seed(seed)
    U = torch.linalg.qr(torch.randn(count, rows, rank, dtype=torch.float64, generator=generator))[0]
    V = torch.linalg.qr(torch.randn(count, columns, rank, dtype=torch.float64, generator=generator))[0]
    values = torch.logspace(0, -math.log10(condition), rank, dtype=torch.float64)
    return ((U * values) @ V.mT).to(dtype), U @ V.mT


@pytest.mark.parametrize("polar", EXACT)
@pytest.mark.parametrize(
    ("rank", "rows", "columns"),
    [
        (4, 64, 128),
        (64, 64, 64),
        (20, 96, 24),
        (24, 96, 24),
        (1, 1, 7),
        (1, 7, 1),
        (3, 16, 16),
        (16, 16, 144),
    ],
)
def test_rank_r_gives_r_singular_values_of_one(polar, rank, rows, columns):
    for condition in (1.0, 3.0, 1000.0):
        S, expected = of_rank(rank, rows, columns, condition=condition, count=3)
        found = spectral_direction(S, polar)
        values = torch.linalg.svdvals(found.double())
        assert (values[:, :rank] - 1).abs().max() < 1e-3
        assert rank == min(rows, columns) or values[:, rank:].max() < 1e-3
        assert ((found - expected).norm() / expected.norm()) < 2e-6 * max(10, condition)


@pytest.mark.parametrize("polar", [*EXACT, "polar-express", "newton-schulz-5-bfloat16", "cesista-5-gram"])
def test_the_scale_of_a_gradient_changes_nothing(polar):
    S, _ = of_rank(12, 12, 20, condition=2.0)
    found = spectral_direction(S, polar)
    for scale in (1e-30, 1e-12, 1e12, 1e30):
        assert torch.allclose(
            spectral_direction(S * scale, polar), found, atol=2e-2 if "bf" in polar else 1e-5
        )


@pytest.mark.parametrize("polar", [*EXACT, "polar-express", "quintic-8-gram-bfloat16"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_zero_stays_zero_and_what_is_not_finite_spoils_its_own_matrix_only(polar, dtype):
    S = torch.zeros(4, 3, 5, dtype=dtype)
    S[1] = torch.eye(3, 5)
    S[2, 0, 0] = math.nan
    S[3, 1, 1] = math.inf
    before = S.clone()
    found = spectral_direction(S, polar)
    assert found.dtype == dtype
    assert torch.equal(found[0], torch.zeros(3, 5, dtype=dtype))
    assert (found[1] - torch.eye(3, 5)).abs().max() < 0.1
    assert bool(found[2:].isnan().all())
    assert torch.equal(S.nan_to_num(7.0), before.nan_to_num(7.0))
    for shape in ((0, 3), (3, 0), (0, 3, 2)):
        assert spectral_direction(torch.zeros(shape, dtype=dtype), polar).shape == shape


def test_a_float64_direction_is_the_laboratory_s():
    S, _ = of_rank(9, 9, 40, condition=1e6, dtype=torch.float64)
    assert torch.equal(spectral_direction(S), norm("spectral").direction(S))
    # By another LAPACK, and by eigenvalues: to the rounding that the condition allows.
    by_numpy = norm("spectral").direction(S.numpy())
    for polar in ("auto", "gram"):
        assert np.abs(spectral_direction(S, polar).numpy() - by_numpy).max() < 1e6 * 100 * 2.0**-52


def test_a_gram_matrix_is_corrected_where_it_loses_digits():
    # At this condition the eigenvalues of a float32 Gram matrix are rounding alone.
    S, expected = of_rank(30, 30, 90, condition=5e3)
    easy, easy_expected = of_rank(30, 30, 90, condition=2.0, seed=1)
    found = spectral_direction(torch.cat([S, easy, S]), "gram")
    assert (found - torch.cat([expected, easy_expected, expected])).abs().max() < 1e-3
    G = S[0] @ S[0].T
    naive = torch.linalg.eigh(G)
    crude = naive.eigenvectors / naive.eigenvalues.abs().sqrt() @ naive.eigenvectors.T @ S[0]
    assert (crude - expected[0]).norm() > 10 * (found[0] - expected[0]).norm()


def test_well_and_badly_conditioned_matrices_go_together():
    S = torch.randn(3, 4, 24, generator=torch.Generator().manual_seed(0))
    S[1, 0] = S[1, 1]
    found = spectral_direction(S, "gram")
    alone = torch.stack([spectral_direction(each, "svd") for each in S])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)
    assert (torch.linalg.svdvals(found) > 0.999).sum(-1).tolist() == [4, 3, 4]


def test_spectral_functions_agree_with_the_laboratory_s_and_with_powers_by_hand():
    S, _ = of_rank(6, 6, 15, condition=30.0)
    U, values, Vt = torch.linalg.svd(S.double(), full_matrices=False)
    for polar in EXACT:
        for power in (0.5, 1.0, torch.tensor(2.0)):
            by_hand = (U * (values / values[:, :1])[:, None, :] ** power) @ Vt
            assert torch.allclose(spectral_direction(S, polar, power).double(), by_hand, atol=2e-5)
    # A Schatten direction is U diag(σ^(q-1)) Vᵀ over a length: the laboratory's, by another engine.
    own = exact(S, lambda values: values ** (1 / 3), "gram")
    expected = Schatten(4).direction(S)
    assert torch.allclose(own / own.norm(), expected / expected.norm(), atol=2e-5)


def test_a_power_needs_an_exact_engine():
    with pytest.raises(InvalidArgument, match="need an exact engine: auto, svd, gram"):
        spectral_direction(torch.eye(2), "polar-express", 0.5)


@pytest.mark.parametrize(
    ("name", "steps", "lowest", "highest"),
    [
        ("polar-express", 5, 0.84, 1.13),
        ("polar-express", 8, 1 - 1e-12, 1 + 1e-12),
        ("newton-schulz", 5, 0.47, 1.21),
        ("cesista", 5, 0.47, 1.15),
        ("cubic", 30, 1 - 1e-12, 1 + 1e-12),
        ("quintic", 20, 1 - 1e-12, 1 + 1e-12),
    ],
)
def test_published_coefficients_take_singular_values_from_a_thousandth_on_to_near_one(
    name, steps, lowest, highest
):
    triples = COEFFICIENTS[name].of_steps(steps)
    ends = [mapped_value(value, triples) for value in np.logspace(-3, 0, 500)]
    assert lowest <= min(ends)
    assert max(ends) <= highest
    # Matrices follow their singular values, in the direct form and in that of Gram.
    values = torch.logspace(-2, 0, 8, dtype=torch.float64)
    S = torch.diag(values) @ torch.linalg.qr(torch.randn(20, 8, dtype=torch.float64))[0].T
    expected = [mapped_value(float(value / values.norm()), triples) for value in values]
    for form in ("direct", "gram"):
        found = torch.linalg.vector_norm(Iterative(name, steps, form)(S), dim=-1)
        assert np.allclose(found, expected, rtol=1e-4 if name == "cesista" else 1e-7)


def test_a_callable_is_given_a_copy_that_it_may_work_on():
    S = torch.full((2, 3), 2.0)
    assert torch.equal(spectral_direction(S, lambda given: given.div_(2.0)), torch.ones(2, 3))
    assert torch.equal(S, torch.full((2, 3), 2.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: spectral_direction(torch.eye(2), "sdv"), "polar='sdv': give auto, svd, gram, a callable"),
        (lambda: spectral_direction(torch.eye(2), "cubic-x"), "polar='cubic-x': give auto"),
        (lambda: spectral_direction(torch.eye(2), "cubic-²"), "polar='cubic-²': give auto"),
        (lambda: Iterative("cubic", 0), "steps=0: give a whole number from 1 to 100"),
        (lambda: Iterative("cubic", 101), "steps=101"),
        (lambda: Iterative("hexic"), "give one of polar-express, newton-schulz"),
        (lambda: Iterative(cast(Any, [(1.0, 2.0)])), r"coefficients=\(1.0, 2.0\): give three numbers"),
        (lambda: Iterative(form=cast(Any, "gramm")), "form='gramm': give one of auto, direct, gram"),
        (lambda: Iterative(precision=cast(Any, "half")), "precision='half'"),
    ],
)
def test_engines_that_there_are_not(make, message):
    with pytest.raises(InvalidArgument, match=message):
        make()


def test_the_processor_is_measured_once_and_without_the_caller_s_random_numbers():
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    spectral_direction(torch.eye(5))
    assert multiplies_bfloat16_fast("cpu") in (True, False)
    assert torch.equal(torch.randn(2), expected)


@pytest.mark.parametrize("shape", [(2, 2, 390, 400), (3, 2, 256, 512)])
def test_batches_that_are_computed_apart_are_as_each_alone(shape):
    S = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    S[1, 1] = 0
    polar = Iterative("polar-express", 2, precision="float32")
    found = polar(S)
    for index in ((0, 0), (1, 0), (1, 1)):
        torch.testing.assert_close(found[index], polar(S[index]), rtol=1e-4, atol=1e-5)
