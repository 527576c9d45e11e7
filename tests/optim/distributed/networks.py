"""A transformer trained by DDP, FSDP2, tensor parallelism and both: what every rank ends with."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from tests.optim.distributed.cases import STEPS, whole
from tests.optim.models import Transformer
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from steepest.optim import Muon, SteepestDescent


def model() -> Transformer:
    """Return a transformer in double precision, one of whose parameters is never used."""
    torch.manual_seed(0)
    made = Transformer().double()
    for block in made.blocks:
        # Scores do not depend on the bias of keys: its gradient is rounding, and so would its direction be.
        block.get_submodule("attn.qkv").register_parameter("bias", None)
    made.unused = nn.Linear(8, 8, dtype=torch.float64)
    return made


def made(network: nn.Module, **more: Any) -> SteepestDescent:
    return Muon(network, lr=0.01, weight_decay=0.1, **more)


def trained(
    network: nn.Module, optimizer: torch.optim.Optimizer, steps: int, rank: int = 0, ranks: int = 1
) -> dict[str, Tensor]:
    """Train on this rank's share of a batch of four; return the parameters by their names."""
    inputs, targets = Transformer.batch()
    inputs, targets = inputs.chunk(ranks)[rank], targets.view(4, -1).chunk(ranks)[rank].flatten()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs).flatten(0, 1), targets).backward()
        optimizer.step()
    return {name.removeprefix("module."): whole(param) for name, param in network.named_parameters()}


def alone(steps: int = STEPS) -> dict[str, Tensor]:
    network = model()
    return trained(network, made(network), steps)


def spread(way: str) -> tuple[nn.Module, SteepestDescent, tuple[int, int]]:
    """Return a distributed network, its optimiser, and which share of a batch is this rank's."""
    rank, world = dist.get_rank(), dist.get_world_size()
    network = model()
    if way == "ddp":
        optimizer = made(network, distributed=dist.group.WORLD)
        return DistributedDataParallel(network, find_unused_parameters=True), optimizer, (rank, world)
    share = (rank, world)
    mesh = init_device_mesh("cpu", (world,))
    if way == "tensor" or way == "both":
        shape = (world // 2, 2) if way == "both" else (1, world)
        both = init_device_mesh("cpu", shape, mesh_dim_names=("data", "tensor"))
        mesh, share = both["data"], (both.get_local_rank("data"), shape[0])
        plan = {"mlp.0": ColwiseParallel(), "mlp.2": RowwiseParallel()}
        for block in network.blocks:
            parallelize_module(block, both["tensor"], plan)
    if way != "tensor":
        for block in network.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(network, mesh=mesh)
    return network, made(network), share


def together(way: str) -> dict[str, Tensor]:
    network, optimizer, share = spread(way)
    return trained(network, optimizer, STEPS, *share)


def all_together() -> dict[str, dict[str, Tensor]]:
    ways = ("ddp", "fsdp", "tensor", *(["both"] if dist.get_world_size() == 4 else []))
    return {way: together(way) for way in ways}


def saved(folder: str, way: str, steps: int) -> None:
    """Train and save a checkpoint."""
    network, optimizer, share = spread(way)
    trained(network, optimizer, steps, *share)
    save(states(network, optimizer), checkpoint_id=folder)


def resumed(folder: str, way: str, steps: int) -> dict[str, Tensor]:
    """Load a checkpoint into a network and an optimiser that have not been trained, and train on."""
    network, optimizer, share = spread(way)
    return resume(network, optimizer, folder, steps, *share)


def states(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return {
        "network": get_model_state_dict(network),
        "optimizer": get_optimizer_state_dict(network, optimizer),
    }


def resume(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    folder: str,
    steps: int,
    rank: int = 0,
    ranks: int = 1,
) -> dict[str, Tensor]:
    with torch.no_grad():
        for param in network.parameters():
            param.mul_(0)
    loaded = states(network, optimizer)
    load(loaded, checkpoint_id=folder, no_dist=not dist.is_initialized())
    set_model_state_dict(network, loaded["network"])
    set_optimizer_state_dict(network, optimizer, loaded["optimizer"])
    return trained(network, optimizer, steps, rank, ranks)
