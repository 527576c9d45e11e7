"""Compiled steps of parameters that several processes hold: they run as they are, and are the same."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from tests.optim.distributed.cases import whole
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from steepest.optim import Muon


@pytest.fixture
def group(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


@pytest.mark.parametrize("sharded", [False, True])
def test_a_compiled_step_of_copies_or_shards_is_the_plain_one(sharded, group):
    mesh = init_device_mesh("cpu", (1,))

    def tensors(seed):
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.randn(shape, generator=generator) for shape in ((6, 4), (5,))]
        return [distribute_tensor(each, mesh, [Shard(0)]) for each in drawn] if sharded else drawn

    torch._dynamo.reset()
    counter = CompileCounter()
    found = []
    for compiled in (False, True):
        params = [nn.Parameter(each) for each in tensors(0)]
        optimizer = Muon(params, lr=0.1, distributed=None if sharded else group)
        step = torch.compile(optimizer.step, backend=counter) if compiled else optimizer.step
        for seed in range(1, 4):
            for param, grad in zip(params, tensors(seed), strict=True):
                param.grad = grad
            step()
            optimizer.param_groups[0]["lr"] *= 0.5
        found.append([whole(param) for param in params])
    assert counter.frame_count <= 1
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
