"""The optimisers as functions: parameters, gradients and averages go in, new ones come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from steepest.errors import InvalidArgument
from steepest.geometry import Norm
from steepest.optim.averages import Averages
from steepest.optim.engines import Polar
from steepest.optim.layouts import Layout
from steepest.optim.optimizer import descend
from steepest.optim.options import check_options, real_shapes, steps_of
from steepest.optim.scales import Scale
from steepest.optim.update import Number

__all__ = ["muon", "normalized_sgd", "sign_sgd", "signum", "spectral_sgd", "steepest_descent"]

Stepped = tuple[list[Tensor], list[Tensor] | None]
"""New parameters and new averages; None without momentum."""


def steepest_descent(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    averages: Sequence[Tensor] | None = None,
    *,
    lr: Number = 1e-3,
    norm: Norm | str = "spectral",
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: Number = 0.0,
    scale: Scale = "unit",
    polar: str | Polar = "auto",
    power: Number = 0.0,
    layout: Layout | str | None = None,
    maximize: bool = False,
) -> Stepped:
    """Return what one step of :class:`SteepestDescent` makes of parameters; nothing given is changed.

    Args:
        params: real parameters of any shapes.
        grads: their gradients, in the same order.
        averages: the exponential moving averages of the steps before; None at the first step.
        lr: learning rate; it and all that follow are as in the class.
        norm: the norm.
        momentum: β.
        nesterov: whether the signal looks ahead.
        weight_decay: λ.
        scale: how long steps are.
        polar: engine of the spectral direction.
        power: of singular values.
        layout: of every parameter.
        maximize: whether to ascend.

    Returns:
        The new parameters and the new averages, which are None without momentum.

    Raises:
        InvalidArgument: an option with a value that cannot be used, or lists of different lengths.

    >>> params, averages = steepest_descent([torch.eye(2)], [torch.eye(2)], lr=0.5, momentum=0.5)
    >>> params[0], averages[0]
    (tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]]), tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]]))
    """
    options: dict[str, Any] = {
        "lr": lr,
        "norm": norm,
        "momentum": momentum,
        "nesterov": nesterov,
        "weight_decay": weight_decay,
        "scale": scale,
        "polar": polar,
        "power": power,
        "layout": layout,
        "maximize": maximize,
        "foreach": None,
        "fused": False,
        "capturable": False,
        "differentiable": False,
        "momentum_dtype": None,
    }
    check_options(options)
    for name, given in (("grads", grads), ("averages", averages)):
        if given is not None and len(given) != len(params):
            raise InvalidArgument(
                name, f"{len(given)} tensors", f"give one for each of the {len(params)} params"
            )
    moved = [param.clone() for param in params]
    kept = None
    if options["momentum"]:
        kept = (
            [torch.zeros_like(param) for param in params]
            if averages is None
            else [a.clone() for a in averages]
        )
    descend(
        moved,
        list(grads),
        None if kept is None else Averages(kept),
        steps_of(options, real_shapes(params)),
        lr,
        options["momentum"],
        options["nesterov"],
        weight_decay,
        options["maximize"],
    )
    return moved, kept


Step = Callable[..., Stepped]

sign_sgd: Step = partial(steepest_descent, norm="max")
"""One step of :class:`SignSGD`, with its defaults; arguments as of :func:`steepest_descent`."""
signum: Step = partial(steepest_descent, norm="max", momentum=0.9)
"""One step of :class:`Signum`."""
normalized_sgd: Step = partial(steepest_descent, norm="frobenius")
"""One step of :class:`NormalizedSGD`."""
spectral_sgd: Step = partial(steepest_descent, norm="spectral")
"""One step of :class:`SpectralSGD`."""
muon: Step = partial(steepest_descent, norm="spectral", momentum=0.95, nesterov=True, scale="aspect")
"""One step of :class:`Muon`."""
