"""Policies: which norm, scaling and layout each parameter of a model is trained with.

A parameter is known by the module that owns it, and by its name where that says more; patterns of the user go
before both. One that several modules share, as tied embeddings and heads do, is one parameter: it is trained
once, and routed by the same rules whatever the order of its owners.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from torch import nn

from steepest.arguments import real_number
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm
from steepest.optim.directions import is_spectral
from steepest.optim.fused_parameters import (
    experts_layout,
    fused_layout,
    is_vector_by_name,
    looks_fused,
    warn_of_fused,
)
from steepest.optim.layouts import Layout, layout
from steepest.optim.owners import Owned, is_transposed, owners
from steepest.optim.scales import Scale, check_scale
from steepest.optim.update import Number

__all__ = ["Policy", "Role", "Route", "policy_of"]

Role = Literal["matrix", "embedding", "head", "vector"]

EMBEDDING_NAME = re.compile(
    r"(^|[._])(w[tp]e|\w*emb(ed(ding)?s?)?|tokens?|pos_\w*|position\w*|queries|latents|prototypes|codebook)([._]|$)"
)
# Not what lies in a stack of blocks, which are numbered.
HEAD_NAME = re.compile(
    r"^(?!.*(^|\.)\d+\.)(.*\.)?(\w*head|fc|classifier|unembed\w*|embed_out|score|to_logits)$"
)
ADAPTER_NAME = re.compile(r"(^|\.)lora_")
_NORMALISING = (nn.LayerNorm, nn.RMSNorm)
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Route:
    """How parameters of one role are trained.

    Args:
        norm: a norm or its name.
        scale: a scaling, as of :class:`SteepestDescent`.
        layout: a layout in place of the one that the module says; None keeps that.
        lr_factor: multiple of the optimiser's learning rate, above 0.
        weight_decay: in place of the optimiser's; None keeps that.

    Raises:
        InvalidArgument: a value that cannot be used.

    >>> Route("max", lr_factor=0.5).norm
    'max'
    """

    norm: Norm | str
    scale: Scale = "matched-rms"
    layout: Layout | str | None = None
    lr_factor: float = 1.0
    weight_decay: float | None = None

    def __post_init__(self):
        norm(self.norm)
        check_scale(self.scale)
        object.__setattr__(self, "layout", None if self.layout is None else layout(self.layout))
        real_number("lr_factor", self.lr_factor, "give a number above 0", above=0)
        if self.weight_decay is not None:
            remedy = "give a finite number of at least 0, or None for the optimiser's"
            real_number("weight_decay", self.weight_decay, remedy, at_least=0)


@dataclass(frozen=True)
class Policy:
    """Routes of a whole model.

    By default every step has a root mean square of 0.2 lr, as steps of AdamW do, so that one learning rate,
    about that of AdamW, fits all parameters.

    Args:
        matrices: route of the weights between hidden layers: linear maps, convolutions, projections.
        embeddings: route of tables of vectors: tokens, positions.
        heads: route of the last layer.
        vectors: route of biases, gains and whatever else is no matrix.
        patterns: routes by patterns of names, such as ``{"blocks.*.mlp.*": Route("max")}``; the first that
            fits any name of a parameter is taken, before everything else.
        layouts: layouts by patterns of names, such as ``{"*.query_key_value.weight":
            Layout.fused(interleaved=16)}``; a bias splits as the outputs of its weight do.

    Raises:
        InvalidArgument: a value that is no route or layout.

    >>> model = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 100))
    >>> [group["norm"] for group in Policy().groups(model)]
    ['row-2/inf', 'spectral', 'row-2/inf', 'frobenius']
    """

    matrices: Route = Route("spectral")
    embeddings: Route = Route("row-2/inf")
    heads: Route = Route("row-2/inf")
    vectors: Route = Route("frobenius")
    patterns: Mapping[str, Route] = field(default_factory=dict)
    layouts: Mapping[str, Layout | str] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("matrices", "embeddings", "heads", "vectors"):
            _require_route(name, getattr(self, name))
        _require_texts("patterns", self.patterns, "{'blocks.*.mlp.*': Route('max')}")
        _require_texts("layouts", self.layouts, "{'*.qkv.weight': 'parts=1,1,1'}")
        for pattern, route in self.patterns.items():
            _require_route(f"patterns[{pattern!r}]", route)
        object.__setattr__(self, "layouts", {key: layout(value) for key, value in self.layouts.items()})

    def groups(self, model: nn.Module, lr: Number = 1e-3) -> list[dict[str, Any]]:
        """Return groups of the model's parameters that are to be trained, for an optimiser with that rate.

        Raises:
            InvalidArgument: no model; it has no such parameters, or a pattern fits none of its names.
        """
        if not isinstance(model, nn.Module):
            raise InvalidArgument("model", type(model).__name__, "give a torch.nn.Module")
        weights = owners(model)
        if not weights:
            raise InvalidArgument(
                "params", type(model).__name__, "no parameter of this model is to be trained"
            )
        self._require_patterns_fit([owned.name for each in weights for owned in each])
        last = _last_linear(weights)
        unsaid: list[Owned] = []
        found: dict[tuple[int, str, str], dict[str, Any]] = {}
        for owned in weights:
            role = _role(owned, last)
            route = self._route(owned, role)
            own = self._said_layout(owned, route)
            if own is None:
                own = _layout_of(owned[0], role)
                if role == "matrix" and is_spectral(route.norm) and looks_fused(owned[0]):
                    unsaid.append(owned[0])
            group = found.setdefault(
                (id(route), role, str(own)), {"params": [], **_options(route, role, own, lr)}
            )
            group["params"].append((owned[0].name, owned[0].param))
        warn_of_fused(unsaid)
        return list(found.values())

    def _route(self, owned: list[Owned], role: Role) -> Route:
        for pattern, route in self.patterns.items():
            if any(fnmatchcase(each.name, pattern) for each in owned):
                return route
        by_role = {"matrix": self.matrices, "embedding": self.embeddings, "head": self.heads}
        return by_role.get(role, self.vectors)

    def _said_layout(self, owned: list[Owned], route: Route) -> Layout | None:
        found = self._layout_by_name([each.name for each in owned])
        if found is None and route.layout is not None:
            found = layout(route.layout)
        if found is None and owned[0].own_name == "bias" and owned[0].param.ndim == 1:
            # What the outputs of a map split into, its bias does.
            of_map = self._layout_by_name([f"{each.path}.weight".removeprefix(".") for each in owned])
            if of_map is not None and of_map.axis in of_map.outputs:
                found = Layout(parts=of_map.parts, interleaved=of_map.interleaved, pieces=of_map.pieces)
        return found

    def _layout_by_name(self, names: list[str]) -> Layout | None:
        for pattern, own in self.layouts.items():
            if any(fnmatchcase(name, pattern) for name in names):
                return layout(own)
        return None

    def _require_patterns_fit(self, names: list[str]) -> None:
        for argument, patterns in (("patterns", self.patterns), ("layouts", self.layouts)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in names):
                    remedy = f"no parameter has such a name; there are {', '.join(names[:3])}, ..."
                    raise InvalidArgument(argument, pattern, remedy)


def policy_of(own: Norm | str, scale: Scale | None, own_scale: Scale) -> Policy:
    """Return the policy of an optimiser that has none: all parameters in its norm, or as that norm is meant.

    The spectral norm is meant for maps between hidden layers: every other parameter has the default route.
    """
    if is_spectral(own):
        return Policy(matrices=Route(own, "matched-rms" if scale is None else scale))
    route = Route(own, own_scale if scale is None else scale)
    return Policy(route, route, route, route)


def _options(route: Route, role: Role, own: Layout, lr: Number) -> dict[str, Any]:
    options: dict[str, Any] = {"norm": route.norm, "scale": route.scale, "layout": str(own), "role": role}
    if route.lr_factor != 1:
        options["lr"] = lr * route.lr_factor
    if route.weight_decay is not None:
        options["weight_decay"] = route.weight_decay
    return options


def _last_linear(weights: list[list[Owned]]) -> int | None:
    """Return the parameter of a head that no name tells of: the last linear layer that is no adapter.

    It is none if it is the only matrix, or one of several alike in a stack of blocks; nor where there is a
    head by name, or a linear layer that shares its weight with an embedding.
    """
    matrices = [each for each in weights if each[0].param.ndim > 1 and not each[0].is_gain]
    linear = [each for each in matrices if _is_linear(each[:1]) and not ADAPTER_NAME.search(each[0].name)]
    has_head = any(_is_head_by_name(each) or (_is_table(each) and _is_linear(each)) for each in matrices)
    if has_head or len(matrices) < 2 or not linear:
        return None
    kinds = Counter((_NUMBER.sub("#", each[0].name), each[0].param.shape) for each in linear)
    last = linear[-1][0]
    return id(last.param) if kinds[_NUMBER.sub("#", last.name), last.param.shape] == 1 else None


def _is_linear(owned: list[Owned]) -> bool:
    return any(isinstance(each.module, nn.Linear) for each in owned)


def _role(owned: list[Owned], last: int | None) -> Role:
    param, module = owned[0].param, owned[0].module
    if param.ndim < 2 or owned[0].is_gain or is_vector_by_name(owned[0]) or isinstance(module, _NORMALISING):
        return "vector"
    if _is_table(owned):
        return "embedding"
    if id(param) == last or _is_head_by_name(owned):
        return "head"
    is_map = isinstance(module, (nn.Linear, nn.modules.conv._ConvNd))
    return "vector" if not is_map and sum(side != 1 for side in param.shape) <= 1 else "matrix"


def _is_table(owned: list[Owned]) -> bool:
    if any(isinstance(each.module, (nn.Embedding, nn.EmbeddingBag)) for each in owned):
        return True
    return any(each.is_raw and EMBEDDING_NAME.search(each.name) is not None for each in owned)


def _is_head_by_name(owned: list[Owned]) -> bool:
    linear = (each for each in owned if isinstance(each.module, nn.Linear))
    return any(HEAD_NAME.search(each.path) is not None for each in linear)


def _layout_of(owned: Owned, role: Role) -> Layout:
    module, param = owned.module, owned.param
    if role == "embedding":
        return Layout.rows(param.ndim)
    if role == "vector":
        if param.ndim == 1:
            return fused_layout(owned)
        return Layout((1,), batch=(0,)) if is_vector_by_name(owned) else Layout(tuple(range(param.ndim)))
    if isinstance(module, nn.modules.conv._ConvNd):
        return Layout.convolution(module.groups, module.transposed)
    if owned.is_raw and param.ndim == 3:
        return experts_layout(owned)
    return fused_layout(owned, transposed=is_transposed(module))


def _require_route(argument: str, value: object) -> None:
    if not isinstance(value, Route):
        raise InvalidArgument(argument, value, "give a Route, such as Route('spectral')")


def _require_texts(argument: str, value: object, example: str) -> None:
    remedy = f"give a mapping from patterns of names, such as {example}"
    if not isinstance(value, Mapping):
        raise InvalidArgument(argument, value, remedy)
    for pattern in value:
        if not isinstance(pattern, str):
            raise InvalidArgument(argument, pattern, remedy)
