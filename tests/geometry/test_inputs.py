"""What may be passed as a matrix, what comes back, and what is refused with which words."""

from __future__ import annotations

import numpy as np
import pytest
from tests.contracts.loops import through
from tests.contracts.norms import through_all_norms

import steepest as st
from steepest.errors import InvalidArgument
from steepest.geometry import polar_factor, singular_values_below_cutoff

CALLS = [
    (st.Entrywise(3), "A"),
    (st.Entrywise(3).dual, "A"),
    (st.Entrywise(3).direction, "S"),
    (st.Schatten(3), "A"),
    (st.Schatten(3).dual, "A"),
    (st.Schatten(3).direction, "S"),
    (st.Schatten(2).direction, "S"),
    (polar_factor, "S"),
    (singular_values_below_cutoff, "S"),
]


@through_all_norms
@through("given", [[[3, 4], [0, 1]], [[3.0, 4.0], [0.0, 1.0]], np.array([[3, 4], [0, 1]])])
def test_lists_and_integers_become_float64(norm, given):
    exact = np.array([[3.0, 4.0], [0.0, 1.0]])
    assert type(norm(given)) is np.float64
    assert norm(given) == norm(exact)
    assert type(norm.direction(given)) is np.ndarray
    assert norm.direction(given).dtype == np.float64
    np.testing.assert_array_equal(norm.direction(given), norm.direction(exact))


@through_all_norms
def test_booleans_and_small_integers_become_float64(norm):
    for dtype in (bool, np.int8, np.uint8):
        matrix = np.eye(3, dtype=dtype)
        assert norm(matrix).dtype == np.float64
        np.testing.assert_array_equal(norm.direction(matrix), norm.direction(np.eye(3)))


@through_all_norms
def test_float16_is_computed_in_float32_and_rounded_back(norm):
    S = np.random.default_rng(0).standard_normal((2, 3, 5)).astype(np.float16)
    D, value = norm.direction(S), norm(S)
    assert D.dtype == value.dtype == np.float16
    np.testing.assert_array_equal(D, norm.direction(S.astype(np.float32)).astype(np.float16))
    np.testing.assert_array_equal(value, norm(S.astype(np.float32)).astype(np.float16))


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@through_all_norms
def test_half_precision_tensors_are_computed_in_float32_and_rounded_back(norm, dtype):
    import torch

    S = torch.randn((2, 3, 5), generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    D, value = norm.direction(S), norm(S)
    assert D.dtype == value.dtype == S.dtype
    assert torch.equal(D, norm.direction(S.float()).to(S.dtype))
    assert torch.equal(value, norm(S.float()).to(S.dtype))


@pytest.mark.torch
@through_all_norms
def test_integer_and_non_contiguous_tensors(norm):
    import torch

    whole = torch.tensor([[3, 4, -1], [0, 1, 2]])
    assert norm(whole).dtype == torch.float64
    assert norm(whole).ndim == 0
    assert norm.direction(whole).dtype == torch.float64
    S = torch.randn((4, 6, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for view in (S.mT, S.permute(2, 0, 1), S[::2, 1:]):
        torch.testing.assert_close(
            norm.direction(view), norm.direction(view.contiguous()), rtol=0, atol=1e-14
        )
        torch.testing.assert_close(norm(view), norm(view.contiguous()), rtol=1e-15, atol=0)


@pytest.mark.torch
@through_all_norms
def test_tensors_that_require_gradients_are_welcome(norm):
    import torch

    S = torch.randn(
        (3, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True
    )
    value = norm.dual(S)
    value.backward()
    assert S.grad is not None
    # The gradient of the dual norm is the steepest-descent direction.
    np.testing.assert_allclose(S.grad.numpy(), norm.direction(S.detach()).numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.arange(3.0), r"give matrices of shape \[\.\.\., rows, columns\]; this has shape \[3\]$"),
        (2.5, r"give matrices of shape \[\.\.\., rows, columns\]; this has shape \[\]$"),
        ([1.0, 2.0], r"give matrices of shape \[\.\.\., rows, columns\]; this has shape \[2\]$"),
        ([[1.0], [2.0, 3.0]], "give a rectangular array of real numbers$"),
        ([["a", "b"]], "give real numbers; these have dtype <U1$"),
        (None, "give real numbers; these have dtype object$"),
        (np.eye(2) * 1j, "give real numbers; these have dtype complex128$"),
        (
            np.eye(2, dtype=np.longdouble),
            "give float64 or a shorter type, not (float128|float96|longdouble)$",
        ),
    ],
)
@through("call", CALLS)
def test_what_is_not_a_matrix_of_real_numbers_is_refused(call, bad, message):
    call, argument = call
    with pytest.raises(InvalidArgument, match=f"(?s)^{argument}=.*: {message}"):
        call(bad)


@pytest.mark.torch
def test_tensors_that_are_not_matrices_are_refused():
    import torch

    with pytest.raises(InvalidArgument, match=r"^S=tensor.*this has shape \[3\]$"):
        st.norm("spectral").direction(torch.ones(3))
    with pytest.raises(InvalidArgument, match=r"give real numbers; these have dtype torch.complex64$"):
        st.norm("max")(torch.ones((2, 2), dtype=torch.complex64))
