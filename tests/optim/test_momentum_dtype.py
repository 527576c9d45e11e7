"""Averages in 8 bits an entry and in bfloat16: their codes, their bytes, states, compilation, and losses."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn
from torch._dynamo.testing import CompileCounter

from steepest.errors import InvalidArgument
from steepest.optim import Layout, Muon, NormalizedSGD, Signum, SteepestDescent
from steepest.optim.eight_bits import decoded, encode_, scales_of

CLASSES = [Signum, NormalizedSGD, Muon]
SHAPES = [(40, 30), (257,), (8, 4, 3, 3), (3,), (40, 30)]


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def parameters(dtype=torch.float32, shapes=SHAPES):
    return [nn.Parameter(draw(*shape, seed=seed, dtype=dtype)) for seed, shape in enumerate(shapes)]


def advance(optimizer, params, seeds):
    for seed in seeds:
        for index, param in enumerate(params):
            param.grad = draw(*param.shape, seed=100 * seed + index, dtype=param.dtype)
        optimizer.step()


def kept(optimizer):
    return [value for state in optimizer.state.values() for value in state.values()]


@settings(max_examples=40, deadline=None)
@given(some.integers(1, 600), some.integers(0, 99), some.floats(-30, 30), some.floats(0.1, 8))
def test_an_entry_is_read_within_half_a_code(size, seed, exponent, tail):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(size) * rng.random(size) ** tail * 10.0**exponent
    tensor = torch.from_numpy(x)
    codes, scales = torch.zeros(size, dtype=torch.int8), scales_of(tensor)
    encode_([codes], [scales], [tensor])
    (found,) = decoded([codes], [scales])
    largest = np.repeat([np.abs(part).max() for part in np.split(x, range(256, size, 256))], 256)[:size]
    # A code off by half moves √(|x| / s) by 1/254.
    bound = largest * (2 * np.sqrt(np.abs(x) / largest) / 254 + 1 / 254**2)
    assert np.all(np.abs(found.numpy() - x) <= bound * (1 + 1e-9))
    assert np.all(
        np.sign(found.numpy())[np.abs(x) > largest / 64515] == np.sign(x)[np.abs(x) > largest / 64515]
    )


def test_blocks_stand_for_themselves():
    x = torch.zeros(1024)
    x[:256], x[300], x[600] = 1e-30 * draw(256), float("nan"), -float("inf")
    codes, scales = torch.zeros(1024, dtype=torch.int8), scales_of(x)
    encode_([codes], [scales], [x])
    (found,) = decoded([codes], [scales])
    assert torch.allclose(found[:256], x[:256], rtol=0, atol=2e-32)
    assert found[256:768].isnan().all()
    assert torch.equal(found[768:], torch.zeros(256))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_byte_an_entry_and_a_scale_a_block(dtype):
    params = parameters(dtype, [(300, 200), (64, 32, 3, 3), (257,)])
    for name, most in (("int8", 1.05), ("bfloat16", 2.0)):
        optimizer = Signum(params, momentum_dtype=name)
        advance(optimizer, params, [0])
        taken = sum(value.numel() * value.element_size() for value in kept(optimizer))
        assert taken <= most * sum(param.numel() for param in params)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("name", ["int8", "bfloat16"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_run_is_resumed_to_the_last_bit(cls, name, dtype):
    params = parameters(dtype)
    optimizer = cls(params, lr=0.1, momentum=0.9, momentum_dtype=name)
    advance(optimizer, params, range(3))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    fresh = [nn.Parameter(param.detach().clone()) for param in params]
    resumed = cls(fresh, lr=0.5)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert resumed.param_groups[0]["momentum_dtype"] == name
    assert all(map(torch.equal, kept(resumed), kept(optimizer)))
    assert [value.dtype for value in kept(resumed)] == [value.dtype for value in kept(optimizer)]
    twin = copy.deepcopy(optimizer)
    for each in (optimizer, resumed, twin):
        advance(each, each.param_groups[0]["params"], range(3, 5))
        assert all(map(torch.equal, each.param_groups[0]["params"], params))


def test_a_signal_has_the_gradient_as_it_is_and_only_what_is_kept_is_rounded():
    (param,) = parameters(shapes=[(20, 20)])
    optimizer = Signum([param], lr=1.0, momentum=0.75, momentum_dtype="int8")
    average = torch.zeros(20, 20)
    codes, scales = torch.zeros(20, 20, dtype=torch.int8), torch.zeros(2)
    for seed in range(4):
        before = param.detach().clone()
        advance(optimizer, [param], [seed])
        assert param.grad is not None
        average = torch.lerp(average, param.grad, 0.25)
        assert torch.equal(param.detach(), before - average.sign())
        encode_([codes], [scales], [average])
        (average,) = decoded([codes], [scales])
    assert torch.equal(optimizer.state[param]["momentum_codes"], codes)
    assert torch.equal(optimizer.state[param]["momentum_scales"], scales)


def test_averages_that_were_kept_otherwise_are_taken_over():
    params = parameters()
    full = Muon(params, lr=0.1)
    advance(full, params, range(2))
    state = copy.deepcopy(full.state_dict())
    exact = [value.clone() for value in kept(full)]
    # An option of a group may change at any time.
    for name in ("int8", None, "bfloat16", "int8", "bfloat16"):
        full.param_groups[0]["momentum_dtype"] = name
        full.__setstate__(full.__getstate__())
        for param, expected in zip(params, exact, strict=True):
            own = full.state[param]
            assert ("momentum_scales" in own) == (name == "int8")
            read = decoded([own["momentum_codes"]], [own["momentum_scales"]])[0] if name == "int8" else None
            found = own["momentum_buffer"].float() if read is None else read
            assert (found - expected).norm() < 0.03 * expected.norm()
    theirs = torch.optim.Muon([nn.Parameter(draw(6, 5))], lr=0.1)
    advance(theirs, theirs.param_groups[0]["params"], range(2))
    ours = Muon([nn.Parameter(draw(6, 5))], momentum_dtype="int8")
    ours.load_state_dict(theirs.state_dict())
    assert [value.dtype for value in kept(ours)] == [torch.int8, torch.float32]
    older = Signum(parameters(), momentum_dtype="int8")
    del state["param_groups"][0]["momentum_dtype"]
    older.load_state_dict(state)
    assert {value.dtype for value in kept(older)} == {torch.int8, torch.float32}


@pytest.mark.parametrize("name", ["int8", "bfloat16"])
def test_a_compiled_step_is_the_plain_one(name):
    torch._dynamo.reset()
    plain, compiled = parameters(), parameters()
    optimizers = [Muon(each, lr=0.1, momentum_dtype=name) for each in (plain, compiled)]
    counter = CompileCounter()
    step = torch.compile(optimizers[1].step, backend=counter, fullgraph=True)
    for seed in range(4):
        advance(optimizers[0], plain, [seed])
        for index, param in enumerate(compiled):
            param.grad = draw(*param.shape, seed=100 * seed + index)
        step()
        optimizers[1].param_groups[0]["lr"] *= 0.5
        optimizers[0].param_groups[0]["lr"] *= 0.5
    assert counter.frame_count == 1
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(plain, compiled, strict=True))
    assert {value.dtype for value in kept(optimizers[1])} == {value.dtype for value in kept(optimizers[0])}


@pytest.mark.parametrize("cls", CLASSES)
def test_batches_fused_parts_and_other_memory_formats_are_the_loop(cls):
    layout = Layout.fused((1, 1))
    ends = []
    for foreach, memory_format in ((None, torch.contiguous_format), (False, torch.channels_last)):
        params = parameters(shapes=[(8, 4, 3, 3), (8, 4, 3, 3), (6, 5, 1, 1)])
        params = [nn.Parameter(param.detach().to(memory_format=memory_format)) for param in params]
        optimizer = cls(params, lr=0.1, momentum=0.9, momentum_dtype="int8", foreach=foreach, layout=layout)
        advance(optimizer, params, range(3))
        ends.append([*params, *(state["momentum_codes"] for state in optimizer.state.values())])
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*ends, strict=True))


@pytest.mark.parametrize("name", ["int8", "bfloat16"])
def test_complex_parameters_are_kept_as_their_real_views(name):
    param = nn.Parameter(torch.complex(draw(4, 3), draw(4, 3, seed=1)))
    optimizer = Signum([param], lr=0.1, momentum_dtype=name)
    param.grad = torch.complex(draw(4, 3, seed=2), draw(4, 3, seed=3))
    before = torch.view_as_real(param.detach()).clone()
    optimizer.step()
    entry = "momentum_codes" if name == "int8" else "momentum_buffer"
    assert optimizer.state[param][entry].shape == (4, 3, 2)
    moved = torch.view_as_real(param.detach()) - before
    assert torch.allclose(moved, -0.1 * torch.view_as_real(param.grad).sign(), atol=1e-6)
    resumed = Signum([nn.Parameter(param.detach().clone())])
    resumed.load_state_dict(optimizer.state_dict())
    assert all(map(torch.equal, kept(resumed), kept(optimizer)))
    optimizer.param_groups[0]["momentum_dtype"] = None
    optimizer.step()
    assert optimizer.state[param]["momentum_buffer"].dtype == torch.complex64


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_gradients_changes_no_step(scale):
    ends = []
    for factor in (1.0, scale):
        params = parameters(shapes=[(20, 30)])
        optimizer = Muon(params, lr=0.1, momentum_dtype="int8")
        for seed in range(3):
            params[0].grad = factor * draw(20, 30, seed=seed)
            optimizer.step()
        ends.append(params[0])
    assert torch.allclose(*ends, atol=1e-5)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_small_network_reaches_the_same_loss(cls):
    """Three seeds on noisy labels; docs/training.md has the same of a transformer."""
    X, wrong = draw(1000, 20), torch.rand(1000, generator=torch.Generator().manual_seed(1)) < 0.2
    y = torch.where(wrong, draw(1000, seed=2).mul(9).long() % 5, (X @ draw(20, 5, seed=3)).argmax(1))
    losses = {}
    for name in (None, "bfloat16", "int8"):
        losses[name] = []
        for seed in range(3):
            torch.manual_seed(seed)
            model = nn.Sequential(
                nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 5)
            )
            optimizer = cls(model, 0.02, momentum=0.9, scale="matched-rms", momentum_dtype=name)
            schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=60)
            for step in range(60):
                batch = torch.arange(50 * step, 50 * step + 50) % 1000
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(X[batch]), y[batch]).backward()
                optimizer.step()
                schedule.step()
            losses[name].append(nn.functional.cross_entropy(model(X), y).item())
    assert np.mean(losses[None]) < 1.2
    for name in ("bfloat16", "int8"):
        assert np.mean(losses[name]) == pytest.approx(np.mean(losses[None]), rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"momentum_dtype": "int4"},
            "momentum_dtype='int4': give None for that of the parameters",
        ),
        ({"momentum_dtype": torch.float16}, "momentum_dtype=torch.float16: give None"),
        (
            {"momentum_dtype": "int8", "differentiable": True},
            "momentum_dtype='int8': give None: rounding",
        ),
    ],
)
def test_dtypes_that_cannot_be_used(options, message):
    with pytest.raises(InvalidArgument, match=message):
        SteepestDescent(parameters(), **options)
