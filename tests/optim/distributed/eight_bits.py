"""Averages in 8 bits of parameters that lie in shards on several ranks."""

from __future__ import annotations

import torch
import torch.distributed as dist
from tests.optim.distributed.cases import whole
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from steepest.optim import NormalizedSGD, SteepestDescent
from steepest.optim.shards import local

SHAPES = ((40, 70), (3, 500), (1, 300))
"""Among them 3 rows for 4 ranks, and one row, so that some shards are empty; the first has short rows."""
RATE = 0.02


def tensors(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def optimizer_of(params: list[nn.Parameter], name: str | None) -> SteepestDescent:
    return NormalizedSGD(params, lr=RATE, norm="row-2/inf", momentum=0.9, momentum_dtype=name)


def alone(ranks: int, steps: int) -> list[Tensor]:
    """Return what one process makes of all shards, as parameters of their own; rows move alone."""
    pieces = [[nn.Parameter(piece) for piece in each.chunk(ranks)] for each in tensors(0)]
    optimizer = optimizer_of([piece for each in pieces for piece in each], "int8")
    for seed in range(1, steps + 1):
        for each, grad in zip(pieces, tensors(seed), strict=True):
            for piece, own in zip(each, grad.chunk(ranks), strict=True):
                piece.grad = own
        optimizer.step()
    return [torch.cat([piece.detach() for piece in each]) for each in pieces]


def _trained(params: list[nn.Parameter], optimizer: SteepestDescent, seeds: range) -> list[Tensor]:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for seed in seeds:
        for param, grad in zip(params, tensors(seed), strict=True):
            param.grad = distribute_tensor(grad, mesh, [Shard(0)])
        optimizer.step()
    return [whole(param) for param in params]


def resumed_by_copies(folder: str, before: int, after: int) -> list[Tensor]:
    """Load what shards have saved into plain parameters, of which every rank has a copy, and train on."""
    params = [nn.Parameter(each) for each in tensors(0)]
    optimizer = NormalizedSGD(
        params, lr=RATE, norm="row-2/inf", momentum=0.9, momentum_dtype="int8", distributed=dist.group.WORLD
    )
    for param in params:
        param.grad = torch.zeros_like(param)
    optimizer.step()
    found = _state(params, optimizer)
    load(found, checkpoint_id=folder)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": found["state"]})
    for seed in range(before + 1, before + after + 1):
        for param, grad in zip(params, tensors(seed), strict=True):
            param.grad = grad
        optimizer.step()
    return [param.detach() for param in params]


def _made(name: str | None) -> tuple[list[nn.Parameter], SteepestDescent]:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    params = [nn.Parameter(distribute_tensor(each, mesh, [Shard(0)])) for each in tensors(0)]
    return params, optimizer_of(params, name)


def _state(params: list[nn.Parameter], optimizer: SteepestDescent) -> dict[str, object]:
    return {"params": dict(enumerate(params)), "state": optimizer.state_dict()["state"]}


def saved(folder: str, before: int, after: int) -> tuple[list[Tensor], float]:
    """Train, save, and train on; return the parameters, and the bytes an entry of the averages here."""
    params, optimizer = _made("int8")
    _trained(params, optimizer, range(1, before + 1))
    save(_state(params, optimizer), checkpoint_id=folder)
    found = _trained(params, optimizer, range(before + 1, before + after + 1))
    held = sum(each.nbytes for state in optimizer.state.values() for each in state.values())
    return found, held / sum(local(param).numel() for param in params)


def resumed(folder: str, name: str | None, before: int, after: int) -> list[Tensor]:
    """Load into parameters and an optimiser that have averages of 0, and train on."""
    params, optimizer = _made(name)
    for param in params:
        param.grad = torch.zeros_like(param)
    optimizer.step()
    found = _state(params, optimizer)
    load(found, checkpoint_id=folder)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": found["state"]})
    return _trained(params, optimizer, range(before + 1, before + after + 1))
