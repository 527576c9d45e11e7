"""Inverse square roots without eigenvalues: right wherever one is returned, whatever the spectrum hides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steepest.optim import spectral_direction
from steepest.optim.engines import measured, products, rational
from steepest.optim.engines.exact import by_gram, ones
from steepest.optim.engines.rational import inverse_roots


def with_eigenvalues(values):
    """Return a symmetric float32 matrix with these eigenvalues, and its inverse square root."""
    side = len(values)
    basis = torch.randn(side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    Q = torch.linalg.qr(basis)[0]
    G = (Q * values) @ Q.mT
    return ((G + G.mT) / 2).float(), (Q * values**-0.5) @ Q.mT


def error(found, expected):
    return float(
        torch.linalg.matrix_norm(found.double() - expected, 2) / torch.linalg.matrix_norm(expected, 2)
    )


@pytest.mark.parametrize("side", [1, 2, 7, 200, 400])
@pytest.mark.parametrize(("ratio", "scale"), [(1.0, 1.0), (0.3, 1e-8), (0.1, 1e8), (0.05, 1.0), (0.03, 1.0)])
def test_well_conditioned_matrices_have_roots_to_rounding(side, ratio, scale):
    values = scale * torch.linspace(ratio, 1.0, side, dtype=torch.float64)
    G, expected = with_eigenvalues(values)
    before = G.clone()
    for batch in (G, G[None]):
        roots, sure = inverse_roots(batch)
        assert torch.equal(G, before)
        assert sure or ratio < 0.05
        assert not sure or error(roots.reshape(side, side), expected) < 1e-5


@pytest.mark.parametrize("side", [30, 400])
@pytest.mark.parametrize("lowest", [0.24, 0.2, 0.1, 0.03, 1e-3, 0.0, -0.1])
def test_an_eigenvalue_that_the_estimate_has_not_seen_is_found_out(side, lowest, monkeypatch):
    seen = np.array(0.25), np.array(1.0)
    monkeypatch.setattr(rational, "_extremes", lambda _G: seen)
    values = torch.linspace(0.25, 1.0, side, dtype=torch.float64)
    values[0] = lowest
    G, expected = with_eigenvalues(values)
    roots, sure = inverse_roots(G)
    if lowest > 0.15:
        assert sure
    if lowest <= 0.0:
        assert not sure
    assert not sure or error(roots, expected) < 1e-5


def test_of_matrices_that_are_not_positive_none_is_certified():
    for side in (1, 20, 60):
        zero, indefinite = torch.zeros(side, side), torch.eye(side)
        indefinite[-1, -1] = -1.0
        G = torch.stack([zero, indefinite, torch.eye(side), torch.full_like(zero, 1e-30)])
        assert inverse_roots(G)[1].tolist() == [False, False, True, side == 1]
        assert [bool(inverse_roots(each)[1]) for each in G] == [False, False, True, side == 1]


@pytest.mark.parametrize("side", [5, 64, 130])
def test_a_root_does_not_depend_on_those_beside_it(side):
    """Among them are all lengths of the series, multiples of the identity, and one that has no root."""
    spectra = [torch.linspace(ratio, 1.0, side, dtype=torch.float64) for ratio in (0.9, 0.3, 0.06, 1e-6)]
    made = [
        with_eigenvalues(scale * values) for values, scale in zip(spectra, (1.0, 1e6, 1e-6, 1.0), strict=True)
    ]
    G = torch.stack([*(each for each, _ in made), 3.0 * torch.eye(side)])
    roots, sure = inverse_roots(G)
    assert sure.tolist() == [True, True, True, False, True]
    for index in (0, 1, 2, 4):
        alone, certain = inverse_roots(G[index])
        assert certain
        torch.testing.assert_close(alone, roots[index], rtol=0, atol=1e-6 * float(roots[index].abs().max()))
    for (_, expected), found in zip(made[:3], roots, strict=False):
        assert error(found, expected) < 1e-5


@pytest.mark.parametrize("rows", [3, 64, 400])
@pytest.mark.parametrize("faster", [True, False])
def test_products_do_not_depend_on_strides(rows, faster, monkeypatch):
    monkeypatch.setattr(products, "linear_layers_multiply_faster", lambda _threads: faster)
    X = torch.randn(rows, 450, generator=torch.Generator().manual_seed(4))
    for A, B in ((X, X.mT), (X.mT, X), (X[:, ::3], X.mT[::3]), (X.mT[:, : rows // 2], X[: rows // 2])):
        exact = A.double() @ B.double()
        # Of a sum of n products, n roundings of what is summed.
        bound = A.shape[1] * torch.finfo(torch.float32).eps * (A.abs().double() @ B.abs().double())
        assert ((products.product(A, B) - exact).abs() <= bound).all()
        assert ((products.symmetric_product(A, B) - exact).abs() <= bound).all()
        assert ((products.product(A[None], B[None])[0] - exact).abs() <= bound).all()
        found = products.plus_product(exact.float(), 0.5, A, B, -2.0, symmetric=True)
        assert ((found + 1.5 * exact).abs() <= 4 * bound).all()


def test_an_operation_of_other_arguments_is_left_alone(monkeypatch):
    monkeypatch.setattr(measured, "_LINEAR_ARGUMENTS", ["Tensor", "Tensor"])
    monkeypatch.setattr(measured, "_seconds", lambda _work: pytest.fail("nothing is to be measured"))
    assert not measured.linear_layers_multiply_faster.__wrapped__(1)


@pytest.mark.parametrize(
    ("shape", "atol"),
    [
        ((3, 200, 700), 0.0),
        ((3, 700, 200), 0.0),
        ((3, 60, 300), 0.0),
        # So many are not computed as each alone is.
        ((20, 60, 300), 1e-6),
        ((20, 300, 60), 1e-6),
        ((90, 8, 40), 2e-6),
    ],
)
def test_a_batch_of_good_and_bad_matrices_is_exact_throughout(shape, atol):
    S = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    half = min(shape[1:]) // 2
    S[1] = S[1][:, :half] @ S[1][:half]
    S[2] *= 1e-6
    S[3:5] *= 0.0
    S[4:5, 0, 0] = float("inf")
    mapped = by_gram(S, ones)
    assert not mapped[3:4].any()
    assert mapped[4:5].isnan().all()
    for one, found in zip(S.double(), mapped.double(), strict=True):
        if not one.any() or not one.isfinite().all():
            continue
        U, values, Vt = torch.linalg.svd(one, full_matrices=False)
        kept = values > 5e-5 * values[0]
        expected = (U * kept) @ Vt
        assert (found - expected).norm() / expected.norm() < 1e-5
    alone = torch.stack([by_gram(each, ones) for each in S])
    torch.testing.assert_close(alone, mapped, rtol=0, atol=atol, equal_nan=True)


def test_steps_that_are_differentiated_take_eigenvalues():
    S = torch.randn(170, 600, generator=torch.Generator().manual_seed(3), requires_grad=True)
    spectral_direction(S, "gram").square().sum().backward()
    assert S.grad is not None
    # The length of a polar factor is constant.
    assert S.grad.abs().max() < 1e-4
