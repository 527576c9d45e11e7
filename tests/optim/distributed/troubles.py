"""What goes wrong among ranks: gradients that some lack, placements that cannot be used, a rank that ends."""

from __future__ import annotations

import os
import signal
from typing import Any

import torch
import torch.distributed as dist
from tests.optim.distributed.cases import Case, whole
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode

from steepest.errors import InvalidArgument
from steepest.optim import Layout, Muon, SteepestDescent

GRADIENTS = 4
"""Steps, after which parameter 0 has had gradients on all ranks, 1 and 2 on one at a time, 3 on none."""
LACKING = [
    Case(SteepestDescent, ((6, 4), (6, 4), (3, 5), (6, 4)), {"norm": norm, **options}, shards)
    for norm in ("spectral", "frobenius", "max")
    for options in ({"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "momentum_dtype": "bfloat16"}, {})
    for shards in (None, (0,))
]


def has(number: int, step: int, rank: int, world: int) -> bool:
    return number == 0 or (number < 3 and (step + number) % world == rank)


def lacking(case: Case) -> list[Tensor]:
    """Return parameters after steps for which some ranks have no gradient."""
    mesh, rank, world = case.mesh(), dist.get_rank(), dist.get_world_size()
    params = [nn.Parameter(case.distributed(each, mesh)) for each in case.tensors(-1)]
    optimizer = case.made(params, **({"distributed": dist.group.WORLD} if case.shards is None else {}))
    for step in range(GRADIENTS):
        for number, (param, grad) in enumerate(zip(params, case.tensors(step), strict=True)):
            own = case.distributed(grad, mesh)
            param.grad = own if has(number, step, rank, world) else None
        optimizer.step()
    return [whole(param) for param in params]


def all_lacking() -> list[list[Tensor]]:
    return [lacking(case) for case in LACKING]


def lacking_alone(case: Case, world: int) -> list[Tensor]:
    """Return what one process makes of them: shards without gradient are 0, copies have that of others."""
    params = [nn.Parameter(each) for each in case.tensors(-1)]
    optimizer = case.made(params)
    for step in range(GRADIENTS):
        for number, (param, grad) in enumerate(zip(params, case.tensors(step), strict=True)):
            present = [has(number, step, rank, world) for rank in range(world)]
            if case.shards is not None:
                for chunk, own in zip(grad.chunk(world), present, strict=False):
                    chunk.mul_(own)
            param.grad = grad if any(present) else None
        optimizer.step()
    return [param.detach() for param in params]


COUNTED = {
    "copies": (None, {"norm": "spectral"}, 2),
    "rows": ((0,), {"norm": "spectral"}, 2),
    "columns": ((1,), {"norm": "spectral", "momentum": 0.9}, 2),
    "lengths": ((0,), {"norm": "frobenius"}, 2),
    "rows that are whole": ((0,), {"norm": "largest-row-length"}, 1),
    "signs": ((0,), {"norm": "max"}, 1),
    "experts that are whole": ((0,), {"norm": "spectral", "layout": Layout.experts()}, 1),
}
"""Shards, options, and the collectives that a step of one shape of matrices may take."""


def counted(name: str) -> int:
    """Return how many collectives a step takes."""
    shards, options, _ = COUNTED[name]
    shape = (4, 6, 5) if "experts" in name else (6, 4)
    case = Case(SteepestDescent, (shape,) * 3, options, shards)
    mesh = case.mesh()
    params = [nn.Parameter(case.distributed(each, mesh)) for each in case.tensors(-1)]
    for param, grad in zip(params, case.tensors(0), strict=True):
        param.grad = case.distributed(grad, mesh)
    optimizer = case.made(params, **({"distributed": mesh} if shards is None else {}))
    with CommDebugMode() as mode:
        optimizer.step()
    return mode.get_total_counts()


def computed_here() -> list[int]:
    """Return how many matrices [6, 4], [12, 8] and [3, 3] this rank computes the direction of."""
    seen: list[Tensor] = []

    def polar(S: Tensor) -> Tensor:
        seen.append(S)
        return S

    params = [nn.Parameter(torch.ones(shape)) for shape in [(6, 4)] * 8 + [(12, 8)] * 4 + [(3, 3)]]
    for param in params:
        param.grad = torch.ones_like(param)
    Muon(params, polar=polar, distributed=dist.group.WORLD).step()
    return [sum(len(S) for S in seen if S.shape[1:] == shape) for shape in ((6, 4), (12, 8), (3, 3))]


def counts() -> dict[str, Any]:
    return {"collectives": {name: counted(name) for name in COUNTED}, "matrices": computed_here()}


def refusals() -> dict[str, str]:
    """Return the messages of what is refused."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    found: dict[str, str] = {}

    def attempt(name: str, params: list[Any], **options: Any) -> None:
        try:
            Muon(params, **options).step()
        except InvalidArgument as error:
            found[name] = str(error)

    summed = nn.Parameter(DTensor.from_local(torch.ones(2, 2), mesh, [Partial()]))
    attempt("partial", [summed])
    plain = nn.Parameter(torch.ones(2, 2))
    plain.grad = torch.ones(2, 2)
    attempt("group", [plain], distributed="world")
    attempt("differentiable", [plain], distributed=mesh, differentiable=True)
    two = init_device_mesh("cpu", (2, 2))
    mixed = nn.Parameter(DTensor.from_local(torch.ones(2, 2), two, [Replicate(), Shard(0)]))
    mixed.grad = torch.ones_like(mixed) if dist.get_rank() == 0 else None
    attempt("mixed", [mixed])
    for name, keeps in (("flat", False), ("views", True)):
        network = FullyShardedDataParallel(
            nn.Linear(4, 4), device_id=torch.device("cpu"), use_orig_params=keeps
        )
        attempt(name, list(network.parameters()))
        attempt(f"{name} max", list(network.parameters()), norm="max", scale="unit")
    return found


def on_other_meshes() -> list[Tensor]:
    """Return a parameter after a step on meshes of some ranks, and from a gradient yet to be summed."""
    whole_mesh = init_device_mesh("cpu", (2, 2, 1), mesh_dim_names=("a", "b", "c"))
    flat = init_device_mesh("cpu", (4,))
    start, gradient = Case(Muon, ((5, 4),)).tensors(-1)[0], Case(Muon, ((5, 4),)).tensors(0)[0]
    found = []
    for mesh, placements, summed in (
        (whole_mesh["b", "c"], (Shard(0), Shard(1)), False),
        (whole_mesh["a", "c"], (Shard(1), Shard(1)), False),
        (flat, (Replicate(),), True),
    ):
        # What is replicated shares the memory of what it was made from.
        param = nn.Parameter(distribute_tensor(start.clone(), mesh, placements))
        own = DTensor.from_local(gradient / 4, mesh, [Partial()]) if summed else None
        param.grad = distribute_tensor(gradient, mesh, placements) if own is None else own
        elsewhere = nn.Parameter(distribute_tensor(start.clone(), DeviceMesh("cpu", [0, 1]), [Shard(0)]))
        elsewhere.grad = torch.ones_like(elsewhere)
        Case(Muon).made([param, elsewhere]).step()
        found.append(whole(param))
    return found


def bereft() -> None:
    """Step until the last rank ends."""
    weight = nn.Parameter(torch.eye(4))
    optimizer = Muon([weight], distributed=dist.group.WORLD)
    for step in range(100):
        if step == 2 and dist.get_rank() == dist.get_world_size() - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        weight.grad = torch.eye(4)
        optimizer.step()
