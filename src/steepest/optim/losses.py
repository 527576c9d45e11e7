"""Cross-entropy whose gradient keeps its direction when the loss is far below the rounding of 1."""

from __future__ import annotations

import torch
from torch import Tensor

from steepest.errors import InvalidArgument

__all__ = ["LEFT_OUT", "cross_entropy"]

LEFT_OUT = -100
"""The label that PyTorch's cross-entropy leaves out."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy, with a gradient that does not cancel.

    PyTorch's gradient is softmax minus one-hot. At a margin of 17 in float32, and of 37 in float64, that
    difference is 0 or rounding for the true class: normalised steps lose their direction. Here the loss of a
    sample is log(1 + e^u) with u = log Σ_{c≠y} e^{z_c - z_y}, as in :class:`steepest.losses.CrossEntropy`:
    its gradient is made of the residuals of the wrong classes, down to e^-87 in float32 and e^-708 in
    float64.

    Args:
        logits: z, shape [..., k], of any floating dtype, k ≥ 2.
        labels: classes, whole numbers of shape [...]; -100 leaves a sample out, as in PyTorch.

    Raises:
        InvalidArgument: the shapes do not fit, or there are fewer than two classes.

    >>> logits = torch.tensor([[100.0, 0.0]], dtype=torch.float64, requires_grad=True)
    >>> cross_entropy(logits, torch.tensor([0])).backward()
    >>> logits.grad
    tensor([[-3.7201e-44,  3.7201e-44]], dtype=torch.float64)
    """
    if logits.shape[:-1] != labels.shape or logits.shape[-1:] < (2,):
        shapes = f"{tuple(logits.shape)} and {tuple(labels.shape)}"
        raise InvalidArgument("logits", shapes, "give logits [..., k] with k ≥ 2, and labels [...]")
    kept = labels != LEFT_OUT
    true = torch.where(kept, labels, 0)[..., None].long()
    odds = (logits - logits.gather(-1, true)).scatter(-1, true, -torch.inf)
    losses = torch.nn.functional.softplus(odds.logsumexp(-1))
    return torch.where(kept, losses, 0.0).sum() / kept.sum()
