"""Gradients as steps take them: dense, in the dtype of their parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from steepest.errors import InvalidArgument

__all__ = ["dense_gradient"]


def dense_gradient(param: Tensor) -> Tensor:
    """Return the gradient of a parameter in its dtype, a sparse one as the dense one that it stands for.

    The rows that a sparse gradient of an embedding leaves out are 0: their averages shrink, and what looks
    at whole columns or matrices sees them.

    Raises:
        InvalidArgument: there is none.

    >>> embedding = torch.nn.Embedding(2, 2, sparse=True)
    >>> embedding(torch.tensor([1, 1])).sum().backward()
    >>> dense_gradient(embedding.weight)
    tensor([[0., 0.],
            [2., 2.]])
    """
    grad = param.grad
    if grad is None:
        raise InvalidArgument("grad", "none", "run backward first, or leave the parameter out")
    if grad.layout != torch.strided:
        grad = grad.to_dense()
    return grad if grad.dtype == param.dtype else grad.to(param.dtype)
