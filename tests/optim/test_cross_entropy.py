"""Cross-entropy for training: PyTorch's where that is exact, the laboratory's where it is not."""

from __future__ import annotations

import numpy as np
import pytest

import steepest as st
from steepest.errors import InvalidArgument

pytestmark = pytest.mark.torch


def test_it_is_pytorch_s_at_ordinary_losses_with_samples_left_out():
    import torch

    from steepest.optim import cross_entropy

    torch.manual_seed(0)
    logits = torch.randn(5, 7, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 4, (5, 7))
    labels[0, :3] = -100
    ours, theirs = cross_entropy(logits, labels), torch.nn.functional.cross_entropy(logits.mT, labels)
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)
    grads = [torch.autograd.grad(each, logits)[0] for each in (ours, theirs)]
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize(("dtype", "margin"), [("float32", 60.0), ("float64", 600.0)])
def test_far_below_rounding_the_gradient_has_the_laboratory_s_direction(dtype, margin):
    import torch

    from steepest.optim import cross_entropy

    rng = np.random.default_rng(0)
    X = np.eye(3)[[0, 1, 2, 0]] + 0.01 * rng.normal(size=(4, 3))
    problem = st.Classification(X, [0, 1, 2, 0])
    W = np.eye(3) * margin
    weights = torch.tensor(W, dtype=getattr(torch, dtype), requires_grad=True)
    features = torch.tensor(X, dtype=weights.dtype)
    cross_entropy(features @ weights.T, torch.tensor([0, 1, 2, 0])).backward()
    assert weights.grad is not None
    found = weights.grad.double().numpy()
    found = found / np.abs(found).max()  # squares of the entries would be 0
    expected = st.losses.gradient(problem, "cross-entropy", W).mantissa
    assert cosine(found, expected) == pytest.approx(1.0, abs=1e-8)
    # The entries of the true classes cancel to 0 there.
    plain = torch.nn.functional.cross_entropy(features @ weights.T, torch.tensor([0, 1, 2, 0]))
    lost = torch.autograd.grad(plain, weights)[0].double().numpy()
    assert cosine(lost / np.abs(lost).max(), expected) < 0.9


def cosine(A, B):
    return np.sum(A * B) / (np.linalg.norm(A) * np.linalg.norm(B))


def test_shapes_that_do_not_fit_are_named():
    import torch

    from steepest.optim import cross_entropy

    with pytest.raises(InvalidArgument, match=r"logits='\(2, 3\) and \(3,\)': give logits"):
        cross_entropy(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long))
    with pytest.raises(InvalidArgument, match="with k ≥ 2"):
        cross_entropy(torch.zeros(2, 1), torch.zeros(2, dtype=torch.long))
