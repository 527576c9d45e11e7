"""Gradients as steps take them: dense, in the dtype of their parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from steepest.errors import InvalidArgument

__all__ = ["dense_gradient"]


def dense_gradient(param: Tensor) -> Tensor:
    """Return the gradient of a parameter in its dtype.

    Raises:
        InvalidArgument: there is none, or it is sparse.
    """
    grad = param.grad
    if grad is None or grad.layout != torch.strided:
        layout = "none" if grad is None else str(grad.layout)
        raise InvalidArgument(
            "grad", layout, "directions need dense gradients: set sparse=False in the layer"
        )
    return grad if grad.dtype == param.dtype else grad.to(param.dtype)
