"""Compiled steps: the same as those that PyTorch's operations take, in every case that they take over."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from steepest.errors import InvalidArgument
from steepest.optim import NormalizedSGD, SignSGD, Signum, SteepestDescent
from steepest.optim.fused.steps import Kind, Pieces, fitting, pieces, step

SHAPES = [(37, 21), (5,), (), (4, 3, 2, 2), (1, 64), (129,)]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def parameters(shapes=SHAPES):
    return [nn.Parameter(draw(*shape, seed=index)) for index, shape in enumerate(shapes)]


def fill(params, seed, scale=1.0):
    for index, param in enumerate(params):
        param.grad = (scale * draw(*param.shape, seed=100 * seed + index)).contiguous()


CASES = [
    (SignSGD, {}),
    (SignSGD, {"weight_decay": 0.1, "maximize": True, "scale": "matched-rms"}),
    (Signum, {"weight_decay": 0.1}),
    (Signum, {"nesterov": True, "momentum": 0.3}),
    (Signum, {"nesterov": True, "momentum": 0.9}),
    (Signum, {"momentum_dtype": "bfloat16"}),
    (NormalizedSGD, {"weight_decay": 0.1}),
    (NormalizedSGD, {"momentum": 0.9, "maximize": True}),
    (NormalizedSGD, {"momentum": 0.9, "nesterov": True}),
    (SteepestDescent, {"norm": "frobenius", "layout": "outputs=0", "scale": "unit-rms"}),
]


@pytest.mark.parametrize(("cls", "options"), CASES, ids=str)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_fused_step_is_the_plain_one(cls, options, scale):
    plain, fused = parameters(), parameters()
    optimizers = [cls(plain, 0.1, fused=False, **options), cls(fused, 0.1, fused=True, **options)]
    for seed in range(4):
        for params in (plain, fused):
            fill(params, seed, scale)
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(plain, fused, strict=True):
        torch.testing.assert_close(other, one, rtol=5e-7, atol=5e-7)
    for one, other in zip(optimizers[0].state.values(), optimizers[1].state.values(), strict=True):
        torch.testing.assert_close(other["momentum_buffer"], one["momentum_buffer"])


def test_signs_are_those_of_pytorch_at_zero_subnormals_and_what_is_not_finite():
    values = torch.tensor([0.0, -0.0, 1e-45, -1e-45, 3e38, -math.inf, math.inf, math.nan])
    weight = nn.Parameter(torch.zeros(len(values)))
    weight.grad = values.clone()
    SignSGD([weight], lr=0.5, fused=True).step()
    assert torch.equal(weight.detach(), -0.5 * values.sign())
    assert torch.equal(weight.grad.nan_to_num(7.0), values.nan_to_num(7.0))


@pytest.mark.parametrize(
    ("gradient", "moved"),
    [
        ([0.0, 0.0], [0.0, 0.0]),
        ([3e-45, 4e-45], None),
        ([3e-38, -4e-38], [-0.3, 0.4]),
        ([3e38, 3e38], [-(0.5**0.5) / 2, -(0.5**0.5) / 2]),
        ([1.0, math.inf], [math.nan, math.nan]),
        ([1.0, math.nan], [math.nan, math.nan]),
    ],
    ids=str,
)
def test_lengths_neither_vanish_nor_overflow(gradient, moved):
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor(gradient)
    if moved is None:
        exact = weight.grad.double()
        moved = (-0.5 * exact / exact.norm()).tolist()
    NormalizedSGD([weight], lr=0.5, fused=True).step()
    torch.testing.assert_close(weight.detach(), torch.tensor(moved), equal_nan=True, rtol=1e-6, atol=0)


def test_what_compiled_code_cannot_step_goes_the_plain_way_in_the_same_group():
    shapes = [(6, 4), (6, 4), (2, 3, 4, 4), (6, 4), (8,)]
    plain, mixed = parameters(shapes), parameters(shapes)
    for params in (plain, mixed):
        params[1].data = params[1].data.double()
        params[3].data = params[3].data.bfloat16()
    mixed[2].data = mixed[2].data.contiguous(memory_format=torch.channels_last)
    optimizers = [Signum(plain, 0.25, fused=False), Signum(mixed, 0.25, fused=True)]
    for seed in range(3):
        for params in (plain, mixed):
            for index, param in enumerate(params):
                grad = draw(*reversed(param.shape), seed=10 * seed + index).to(param.dtype)
                param.grad = grad.permute(*reversed(range(param.ndim)))
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(plain, mixed, strict=True))
    taken = fitting([*mixed], [torch.empty_like(each) for each in mixed])
    assert taken == [0, 2, 4]


def test_a_step_of_several_threads_is_that_of_one():
    sizes = [70_001, 3, 300_000, 1, 150_000]
    signals = [draw(size, seed=size) for size in sizes]
    given = [draw(size, seed=size + 1) for size in sizes]
    ways: list[tuple[Kind, bool]] = [("sign", False), ("unit", True)]
    for kind, whole in ways:
        once, parted = [each.clone() for each in given], [each.clone() for each in given]
        step(kind, pieces(once, signals, None, np.full(5, 0.1)), 0.9, 0.0, False)
        parts = list(pieces(parted, signals, None, np.full(5, 0.1)).cut(3, whole))
        assert sum(int(part.counts.sum()) for part in parts) == sum(sizes)
        assert all(part.counts.min() > 0 for part in parts)
        for part in parts:
            step(kind, part, 0.9, 0.0, False)
        assert all(torch.equal(one, other) for one, other in zip(once, parted, strict=True))


def test_parts_are_of_about_one_size_and_leave_tensors_whole_where_they_must():
    counts = [torch.zeros(size) for size in (10, 10, 10, 30)]
    given = pieces(counts, counts, counts, np.ones(4))
    assert [int(part.counts.sum()) for part in given.cut(4, False)] == [15, 15, 15, 15]
    assert [part.counts.tolist() for part in given.cut(2, True)] == [[10, 10, 10], [30]]
    second = list(given.cut(4, False))[1]
    assert isinstance(second, Pieces)
    assert second.params.tolist() == [counts[1].data_ptr() + 20, counts[2].data_ptr()]
    assert second.averages is not None


def test_threads_of_a_forked_process_are_its_own():
    code = """if True:
        import os
        import torch
        from steepest.optim import SignSGD
        torch.set_num_threads(2)
        weight = torch.nn.Parameter(torch.zeros(1 << 20))
        weight.grad = torch.ones(1 << 20)
        optimizer = SignSGD([weight], lr=1.0)
        optimizer.step()
        child = os.fork()
        if child == 0:
            optimizer.step()
            # PyTorch's own threads do not survive a fork: what is asked here takes none.
            os._exit(0 if float(weight[0]) == float(weight[-1]) == -2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert bool((weight == -1).all())
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_autograd_hears_of_a_fused_step():
    weight = nn.Parameter(draw(4))
    loss = weight.square().sum()
    weight.grad = draw(4, seed=1)
    SignSGD([weight], fused=True).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_large_groups_are_fused_by_default_and_small_ones_load_no_compiler():
    code = """if True:
        import sys
        import torch
        from steepest.optim import NormalizedSGD
        for size, loaded in ((1 << 17, False), (1 << 18, True)):
            weight = torch.nn.Parameter(torch.zeros(size))
            weight.grad = torch.ones(size)
            NormalizedSGD([weight]).step()
            assert ("numba" in sys.modules) == loaded, size
            assert abs(float(weight.detach().double().norm()) - 1e-3) < 1e-8
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_option_is_a_switch():
    with pytest.raises(InvalidArgument, match=r"^fused='yes': give True or False"):
        SignSGD(parameters(), fused="yes")


@pytest.mark.parametrize("cls", [SignSGD, NormalizedSGD])
@pytest.mark.parametrize(
    "odd", ["none", "no gradient", "sparse", "double", "strided", "empty", "gradient's strides", "parts"]
)
def test_groups_that_are_stepped_at_once_and_those_that_are_not_move_alike(cls, odd):
    found = []
    for fused in (True, False):
        generator = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(4, 6, generator=generator)) for _ in range(3)]
        grads: list[torch.Tensor | None] = [torch.randn(4, 6, generator=generator) for _ in range(3)]
        if odd == "no gradient":
            grads[1] = None
        elif odd == "sparse":
            grads[1] = torch.eye(4, 6).to_sparse()
        elif odd == "double":
            params[1] = torch.nn.Parameter(params[1].detach().double())
            grads[1] = torch.ones(4, 6, dtype=torch.float64)
        elif odd == "strided":
            params[1] = torch.nn.Parameter(torch.ones(6, 4).T)
        elif odd == "empty":
            params[1], grads[1] = torch.nn.Parameter(torch.zeros(0, 6)), torch.zeros(0, 6)
        elif odd == "gradient's strides":
            grads[1] = torch.arange(24.0).reshape(6, 4).T
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        layout = "parts=1,1" if odd == "parts" else None
        versions = [param._version for param in params]
        cls(params, lr=0.1, weight_decay=0.5, fused=fused, layout=layout).step()
        assert all(
            param._version > version
            for param, version in zip(params, versions, strict=True)
            if param.grad is not None and param.numel()
        )
        found.append([param.detach() for param in params])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
