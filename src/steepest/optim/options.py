"""Options of a group of parameters: checked once, kept in forms that a file of states can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from torch import Tensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from steepest.arguments import real_number, switch
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm, norm_label
from steepest.optim.averages import dtype_name
from steepest.optim.directions import direction_of
from steepest.optim.engines import Iterative, Polar, engine
from steepest.optim.layouts import layout
from steepest.optim.scales import scale_name, scale_of
from steepest.optim.update import Steps

__all__ = ["check_options", "real_shape", "real_shapes", "steps_of"]


def check_options(group: MutableMapping[str, Any]) -> None:
    """Check the options of a group, and turn norms, layouts and scalings into text where there is one.

    Raises:
        InvalidArgument: an option with a value that cannot be used.
    """
    _check_number("lr", group["lr"])
    _check_number("weight_decay", group["weight_decay"])
    momentum = group["momentum"]
    group["momentum"] = real_number(
        "momentum", momentum, "give a number β with 0 ≤ β < 1", at_least=0, below=1
    )
    for name in ("nesterov", "maximize", "capturable", "differentiable"):
        group[name] = switch(name, group[name])
    for name in ("foreach", "fused"):
        if group[name] is not None:
            group[name] = switch(name, group[name])
    group["momentum_dtype"] = dtype_name(group["momentum_dtype"])
    if group["differentiable"] and group["momentum_dtype"] is not None:
        remedy = "give None: rounding has no derivative, and the step is to be differentiable"
        raise InvalidArgument("momentum_dtype", group["momentum_dtype"], remedy)
    group["norm"] = _as_text(norm(group["norm"]))
    group["scale"] = scale_name(group["scale"])
    group["polar"] = _engine_text(group["polar"])
    if not isinstance(group["power"], Tensor):
        group["power"] = real_number("power", group["power"], "give a number of at least 0", at_least=0)
    if group["layout"] is not None:
        group["layout"] = str(layout(group["layout"]))


def steps_of(group: Mapping[str, Any], shapes: Iterable[tuple[int, ...]]) -> Steps:
    """Return how the tensors of a group turn into steps.

    Raises:
        InvalidArgument: one of their shapes has not the layout of the group, or no scaling.
    """
    direction = direction_of(group["norm"], group["polar"], group["power"])
    shapes = list(shapes)
    steps = Steps(
        direction,
        layout(group["layout"]),
        group["scale"],
        group["foreach"] is not False,
        group["fused"],
        sum(map(math.prod, shapes)),
    )
    scale_of(group["scale"], 1, 1, 1.0)
    for shape in shapes:
        steps.prepare(shape)
    return steps


def real_shapes(params: Iterable[Tensor]) -> list[tuple[int, ...]]:
    """Return the shapes of parameters, of complex ones those of their real views.

    Raises:
        InvalidArgument: a parameter of a lazy module, which has no shape yet.
    """
    return [real_shape(param) for param in params]


def real_shape(param: Tensor) -> tuple[int, ...]:
    """Return the shape of a parameter, of a complex one that of its real view: one axis of 2 more."""
    if isinstance(param, (UninitializedBuffer, UninitializedParameter)):
        remedy = "its shape is not known yet: run the model once before the optimiser is made"
        raise InvalidArgument("params", type(param).__name__, remedy)
    return (*param.shape, 2) if param.is_complex() else tuple(param.shape)


def _check_number(name: str, value: object) -> None:
    if isinstance(value, Tensor):
        if value.numel() != 1 or value.is_complex():
            raise InvalidArgument(
                name, f"tensor of shape {list(value.shape)}", f"Tensor {name} must be 1-element"
            )
        return
    real_number(name, value, "give a finite number of at least 0, or a tensor of one", at_least=0)


def _engine_text(value: object) -> str | Polar:
    """Return the text of an engine where that is read as the same engine."""
    found = engine(value)
    text = str(found)
    return text if isinstance(found, Iterative) and isinstance(found.coefficients, str) else found


def _as_text(given: Norm) -> Norm | str:
    """Return the name of a norm where that is read as the same norm, so that states load as weights only."""
    label = norm_label(given)
    try:
        return label if norm(label) == given else given
    except InvalidArgument:
        return given
