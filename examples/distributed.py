"""Train one network on several processes: copies under DDP, or shards under FSDP2, with checkpoints for both.

Every process computes its share of the directions and sends it to the others. Run with

    torchrun --nproc-per-node 2 examples/distributed.py --save checkpoints/first

and go on with any number of processes, in either way; no GPU is needed:

    torchrun --nproc-per-node 3 examples/distributed.py --way ddp --resume checkpoints/first
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from steepest.optim import Muon


def network() -> nn.Module:
    """Return a network of three layers, the same on every process."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))


def batches(rank: int, world: int, steps: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return this process's share of batches: inputs, and classes that a fixed random network gives them."""
    generator = torch.Generator().manual_seed(1)
    teacher = torch.randn(16, 4, generator=generator)
    found = []
    for _ in range(steps):
        X = torch.randn(64, 16, generator=generator)
        found.append((X[rank::world], (X.square() @ teacher).argmax(1)[rank::world]))
    return found


def distributed(way: str) -> tuple[nn.Module, Muon]:
    """Return a distributed network and its optimiser, which is given the network as it was."""
    model = network()
    if way == "ddp":
        # Parameters that every process has do not say so themselves: the optimiser is told.
        optimizer = Muon(model, lr=0.02, distributed=dist.group.WORLD)
        return DistributedDataParallel(model), optimizer
    for layer in model.children():
        if isinstance(layer, nn.Linear):
            fully_shard(layer)
    fully_shard(model)
    return model, Muon(model, lr=0.02)


def train(way: str, steps: int, resume: Path | None = None, save_to: Path | None = None) -> float:
    """Train, from a checkpoint and to one where there are folders for them; return the sum of all weights."""
    rank, world = dist.get_rank(), dist.get_world_size()
    model, optimizer = distributed(way)
    if resume is not None:
        weights, state = get_state_dict(model, optimizer)
        load({"model": weights, "optimizer": state}, checkpoint_id=resume)
        set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=state)
    for step, (X, y) in enumerate(batches(rank, world, steps)):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
        mean = loss.detach() / world
        dist.all_reduce(mean)
        if rank == 0 and (step % 20 == 0 or step == steps - 1):
            print(f"step {step}: loss {float(mean):.4f}")
    if save_to is not None:
        weights, state = get_state_dict(model, optimizer)
        save({"model": weights, "optimizer": state}, checkpoint_id=save_to)
    with torch.no_grad():
        whole = [each.full_tensor() if isinstance(each, DTensor) else each for each in model.parameters()]
        return sum(float(each.double().sum()) for each in whole)


def main() -> None:
    """Train as the command line says."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--way", choices=("ddp", "fsdp"), default="fsdp")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--resume", type=Path, help="folder of a checkpoint to go on from")
    parser.add_argument("--save", type=Path, help="new folder for a checkpoint")
    options = parser.parse_args()
    # What a process waits for one that is gone without a word; one that is killed is noticed at once.
    dist.init_process_group("gloo", timeout=timedelta(minutes=1))
    total = train(options.way, options.steps, options.resume, options.save)
    if dist.get_rank() == 0:
        print(f"sum of all weights: {total:.5f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
