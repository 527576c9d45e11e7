"""SteepestDescent: the optimiser of which every other one in this room is a special case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from steepest.errors import InvalidArgument
from steepest.geometry import Norm
from steepest.optim.averages import Averages, averages_of, fit, for_files, make_averages, require_fit
from steepest.optim.compiled import is_shared, number, prepare, register
from steepest.optim.engines import Polar
from steepest.optim.fused.groups import step_all, step_fused
from steepest.optim.gradients import dense_gradient
from steepest.optim.layouts import Layout
from steepest.optim.lists import neg
from steepest.optim.momentum import averaged
from steepest.optim.options import check_options, real_shapes, steps_of
from steepest.optim.policy import Policy, policy_of
from steepest.optim.routing import Routing, routing, warn_of_embeddings
from steepest.optim.scales import Scale
from steepest.optim.shards import any_sharded, refuse_flattened
from steepest.optim.update import Number, Steps, decay, move

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup
    from torch.distributed.device_mesh import DeviceMesh

__all__ = ["Parameters", "SteepestDescent"]

Parameters = torch.nn.Module | Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
"""A whole model, parameters, parameters with their names, or groups of either with options of their own."""


class SteepestDescent(Optimizer):
    """Steepest descent in any norm, with momentum and decoupled weight decay.

    For each logical matrix W with gradient G, β = momentum, λ = weight_decay, D the norm's direction of
    steepest descent, and M = 0 at the start, a step is

    .. code-block:: python

        M = beta * M + (1 - beta) * G
        S = (1 - beta) * G + beta * M if nesterov else M
        W = (1 - lr * weight_decay) * W - lr * scale * D(S)

    In float64 without momentum that is the step that :func:`steepest.descend` takes on the same gradient.
    PyTorch's sum form of momentum takes the same steps (:mod:`steepest.optim.momentum` has the relation).

    Args:
        params: parameters, named or not, or groups of them; or a whole model, of which ``policy`` says how
            each parameter is to be trained.
        lr: learning rate, at least 0; a number or a tensor of one.
        norm: a norm of :mod:`steepest.geometry` or its name.
        momentum: β, 0 ≤ β < 1.
        nesterov: whether the signal looks ahead.
        weight_decay: λ, at least 0; a number or a tensor of one.
        scale: how long steps are, by the shape of the logical matrix: one of
            :data:`steepest.optim.SCALES`, a number, or a function of rows and columns. By default it is
            "unit"; for the matrices of a whole model in the spectral norm "matched-rms".
        polar: engine of the spectral direction, as in :func:`steepest.optim.spectral_direction`.
        power: p for U (Σ / σ₁)^p Vᵀ in place of the spectral direction, p = 0; may change between steps.
        layout: which axes of a parameter are outputs, inputs and batch, a :class:`Layout` or its text; by
            default the first axis are outputs and all others inputs.
        policy: for a model only: how its parameters are routed. By default all have this norm, each by the
            layout of its module; but if it is the spectral one, the hidden matrices alone have it, and the
            other parameters the routes of :class:`Policy`.
        maximize: whether to ascend.
        foreach: False computes every logical matrix alone, anything else same-shaped ones in batches.
        capturable: accepted as PyTorch's optimisers have it: a step reads nothing back from a device as it
            is, except with an exact engine there.
        differentiable: whether the step itself is recorded for differentiation.
        fused: whether float32 parameters on the host move in one pass over memory, by compiled code: in the
            max and the Frobenius norm, where each is one logical matrix and the numbers are no tensors. None
            is yes for groups of at least 262144 entries; compiling takes a second or two, once a machine.
        distributed: process group or DeviceMesh of ranks that hold copies of the parameters, as under
            DistributedDataParallel: each then computes its share of the directions, and sends it to the
            others. DTensors need none: they know their ranks (docs/distributed.md).
        momentum_dtype: how averages are kept between steps: None in the dtype of the parameters, "bfloat16",
            or "int8", about 1.02 bytes an entry (:mod:`steepest.optim.eight_bits`).

    Raises:
        InvalidArgument: an option with a value that cannot be used, or a layout that a parameter has not.
        RunError: in a step, another rank has ended.

    >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 0.0], [0.0, -4.0]]))
    >>> optimizer = SteepestDescent([weight], lr=1.0, norm="spectral")
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> weight.detach()
    tensor([[ 2.,  0.],
            [ 0., -3.]])
    """

    _own_scale: Scale = "unit"

    def __init__(
        self,
        params: Parameters,
        lr: Number = 1e-3,
        norm: Norm | str = "spectral",
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: Number = 0.0,
        scale: Scale | None = None,
        polar: str | Polar = "auto",
        power: Number = 0.0,
        layout: Layout | str | None = None,
        policy: Policy | None = None,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        distributed: ProcessGroup | DeviceMesh | None = None,
        momentum_dtype: str | torch.dtype | None = None,
    ):
        defaults = {
            "lr": lr,
            "norm": norm,
            "momentum": momentum,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "scale": self._own_scale if scale is None else scale,
            "polar": polar,
            "power": power,
            "layout": layout,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "momentum_dtype": momentum_dtype,
        }
        check_options(defaults)
        self._kept: list[tuple[list[Any], Steps]] = []
        self._distribution: Any = None if distributed is None else _distribution(distributed)
        self._handle = register(self)
        if isinstance(params, torch.nn.Module):
            params = (policy or policy_of(defaults["norm"], scale, self._own_scale)).groups(params, lr)
        elif policy is not None:
            raise InvalidArgument(
                "params", type(params).__name__, "a policy routes a model: give the model itself"
            )
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add ``param_group``, parameters with options of their own; errors as for the class."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            check_options(group)
            steps = steps_of(group, real_shapes(group["params"]))
            _refuse_flattened(group["params"], steps)
        except InvalidArgument:
            self.param_groups.pop()
            raise
        self._kept.append((_described(group), steps))
        self._groups = self.param_groups
        warn_of_embeddings(group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the state of a pickle or a file; options that older files lack get their defaults.

        Raises:
            InvalidArgument: an average has another shape than its parameter.
        """
        # Before anything is taken over, so that a file of another model leaves all as it is.
        for group in state["param_groups"]:
            for param in group["params"]:
                if param in state["state"]:
                    require_fit(state["state"][param], param)
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            for param in group["params"]:
                if param in self.state:
                    fit(self.state[param], param, group["momentum_dtype"])
        # A process group is bound to its process: copies and pickles compute all directions everywhere.
        self.__dict__.setdefault("_distribution", None)
        self._keep()
        self._handle = register(self)

    def state_dict(self) -> dict[str, Any]:
        """Return states and options, those of shards for any number of ranks to load."""
        found = super().state_dict()
        for index, param in enumerate(self._params()):
            if index in found["state"]:
                found["state"][index] = for_files(found["state"][index], param)
        return found

    def routing(self) -> Routing:
        """Return which logical matrices there are, and in which norm each is trained: a table when printed.

        >>> weight = torch.nn.Parameter(torch.zeros(6, 2))
        >>> print(SteepestDescent([("weight", weight)], layout="parts=1,1").routing())
        parameter   shape   matrices     norm       scale
        weight      6×2     2 of 3×2     spectral   unit
        """
        return routing(
            self.param_groups, [self._steps(group, index) for index, group in enumerate(self.param_groups)]
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step, and return what the closure returned, which computes loss and gradients anew."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # PyTorch's compiler guards every number of what is called param_groups, the learning rates too.
        groups = self._groups if torch.compiler.is_compiling() else self.param_groups
        shared = is_shared(self._handle) if torch.compiler.is_compiling() else self.is_shared()
        if shared:
            self._step_shared()
        for index, group in enumerate(groups):
            with torch.set_grad_enabled(group["differentiable"]):
                self._step_group(group, index, shared)
        return loss

    def is_shared(self) -> bool:
        """Return whether other processes hold parameters too, copies or shards of them."""
        if self._distribution is None and any(any_sharded(group["params"]) for group in self.param_groups):
            self._distribution = _distribution(None)
        return self._distribution is not None

    def _params(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def _step_shared(self) -> None:
        steps = [self._steps(group, index) for index, group in enumerate(self.param_groups)]
        self._distribution.step(self.param_groups, steps, self.state)

    def make_averages(self, index: int) -> None:
        """Make the averages of the group ``param_groups[index]`` that are not there yet, all 0."""
        group = self.param_groups[index]
        if not group["momentum"]:
            return
        shared = self.is_shared()
        params = [param for param in _trained(group) if not (shared and self._distribution.shares(param))]
        make_averages(self.state, params, group["momentum_dtype"])

    def _step_group(self, group: dict[str, Any], index: int, shared: bool) -> None:
        if not (shared or group["momentum"] or group["maximize"] or torch.compiler.is_compiling()):
            steps, own = self._steps(group, index), group["params"]
            _refuse_flattened(own, steps)
            if step_all(own, [*map(_GRADIENT, own)], steps, group["lr"], group["weight_decay"]):
                return
        params = _trained(group)
        if shared:
            params = [param for param in params if not self._distribution.shares(param)]
        if not params:
            return
        if torch.compiler.is_compiling():
            prepare(self._handle, index)
        else:
            _refuse_flattened(params, self._steps(group, index))
            self.make_averages(index)
        grads = [dense_gradient(param) for param in params]
        averages = averages_of(self.state, params) if group["momentum"] else None
        if any(map(torch.is_complex, params)):
            params, grads = _real(params), _real(grads)
        descend(
            params,
            grads,
            averages,
            self._steps(group, index),
            number(group, self._handle, index, "lr"),
            group["momentum"],
            group["nesterov"],
            number(group, self._handle, index, "weight_decay"),
            group["maximize"],
        )

    def _steps(self, group: Mapping[str, Any], index: int) -> Steps:
        if index >= len(self._kept) or not _same(self._kept[index][0], group):
            self._keep()
        return self._kept[index][1]

    def _keep(self) -> None:
        # Also where someone has set an option of a group, as a schedule of powers does at every step.
        self._groups = self.param_groups
        self._kept = [
            (_described(group), steps_of(group, real_shapes(group["params"]))) for group in self.param_groups
        ]


def descend(
    params: list[Tensor],
    grads: list[Tensor],
    averages: Averages | None,
    steps: Steps,
    lr: Number,
    momentum: float,
    nesterov: bool,
    weight_decay: Number,
    maximize: bool,
) -> None:
    """Take one step of real tensors, in place: of parameters, and of averages where there is momentum."""
    if maximize:
        grads = neg(grads)
    left = step_fused(params, grads, averages, steps, lr, momentum, nesterov, weight_decay)
    if not left:
        return
    if len(left) < len(params):
        averages = None if averages is None else averages.some(left)
        params, grads = [params[index] for index in left], [grads[index] for index in left]
    signals = averaged(grads, averages, momentum, nesterov)
    decay(params, lr, weight_decay)
    move(params, signals, lr, steps)
    signals.keep()


_GRADIENT = attrgetter("grad")
_OPTIONS = ("norm", "layout", "scale", "polar", "power", "foreach", "fused")


def _distribution(given: object) -> Any:
    # What is distributed is imported where something is.
    return import_module("steepest.optim.distributed").Distribution(given)


def _described(group: Mapping[str, Any]) -> list[Any]:
    return [group[name] for name in _OPTIONS]


def _same(kept: list[Any], group: Mapping[str, Any]) -> bool:
    pairs = zip(kept, _described(group), strict=True)
    return all(one is other or (isinstance(one, (str, float)) and one == other) for one, other in pairs)


def _refuse_flattened(params: list[Tensor], steps: Steps) -> None:
    # Directions over no axis at all are those of single entries, and take no shape as long as scales do not.
    of_entries = steps.direction.over == () and steps.scale in ("unit", "matched-rms", "unit-rms")
    if not of_entries:
        refuse_flattened(params)


def _trained(group: Mapping[str, Any]) -> list[Tensor]:
    return [param for param in group["params"] if param.grad is not None and param.numel()]


def _real(tensors: list[Tensor]) -> list[Tensor]:
    return [torch.view_as_real(each) if each.is_complex() else each for each in tensors]
