"""Groups with options of their own, states that move between them, parameters of odd shapes and strides."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from steepest.errors import InvalidArgument
from steepest.geometry import norm
from steepest.optim import (
    Layout,
    Muon,
    NormalizedSGD,
    SignSGD,
    Signum,
    SpectralSGD,
    SteepestDescent,
)

CLASSES = [SteepestDescent, SignSGD, Signum, NormalizedSGD, SpectralSGD, Muon]
GROUPS = [
    {"norm": "max", "momentum": 0.9, "lr": 0.1},
    {"norm": "spectral", "momentum": 0.5, "nesterov": True, "weight_decay": 0.3, "scale": "aspect"},
    {"norm": "frobenius", "maximize": True, "lr": torch.tensor(0.2)},
    {"norm": "schatten-4", "foreach": False},
    {"norm": "row-2/inf", "momentum": 0.9, "momentum_dtype": "int8", "layout": "outputs=1"},
    {"norm": "spectral", "power": 0.5, "polar": "svd"},
]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def parameters():
    return [nn.Parameter(draw(6, 10, seed=index)) for index in range(2 * len(GROUPS))]


def stepped(optimizers, params, seeds):
    for seed in seeds:
        for index, param in enumerate(params):
            param.grad = draw(*param.shape, seed=100 * seed + index)
        for optimizer in optimizers:
            optimizer.step()


def grouped(params, order, options):
    return [
        {**own, "params": params[2 * index : 2 * index + 2]}
        for index, own in zip(order, options, strict=True)
    ]


def test_groups_with_options_of_their_own_are_optimisers_of_their_own():
    params, alone = parameters(), parameters()
    stepped([SteepestDescent(grouped(params, range(6), GROUPS), lr=0.05)], params, range(4))
    single = [
        SteepestDescent(alone[2 * index : 2 * index + 2], **{"lr": 0.05, **own})
        for index, own in enumerate(GROUPS)
    ]
    stepped(single, alone, range(4))
    assert all(map(torch.equal, params, alone))


@pytest.mark.parametrize("order", [range(6), range(5, -1, -1)], ids=["in order", "reversed"])
def test_a_state_goes_on_in_groups_that_were_made_otherwise(order):
    """Options come with the groups of a state, whichever place these have in it."""
    params = parameters()
    optimizer = SteepestDescent(grouped(params, range(6), GROUPS), lr=0.05)
    stepped([optimizer], params, range(3))
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"] = [state["param_groups"][index] for index in order]
    resumed = [nn.Parameter(param.detach().clone()) for param in params]
    other = SteepestDescent(grouped(resumed, order, [{"norm": "max"}] * 6), lr=0.7, maximize=True)
    other.load_state_dict(state)
    stepped([optimizer], params, range(3, 6))
    stepped([other], resumed, range(3, 6))
    assert all(map(torch.equal, params, resumed))


@pytest.mark.parametrize("dtype", [None, "int8", "bfloat16"])
def test_a_state_of_other_parameters_is_refused_and_leaves_all_as_it_was(dtype):
    of_others, own = nn.Parameter(draw(3, 4)), nn.Parameter(draw(5, 2))
    optimizers = [Signum([each], momentum_dtype=dtype) for each in (of_others, own)]
    for optimizer, param in zip(optimizers, (of_others, own), strict=True):
        stepped([optimizer], [param], [0])
    before = copy.deepcopy(optimizers[1].state_dict())
    message = r"state_dict='average of shape \[3, 4\]': the parameter in its place has shape \[5, 2\]"
    with pytest.raises(InvalidArgument, match=message):
        optimizers[1].load_state_dict(optimizers[0].state_dict())
    after = optimizers[1].state_dict()
    assert str(before) == str(after)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.complex64], ids=str)
@pytest.mark.parametrize(
    "options", [{}, {"maximize": True, "weight_decay": 0.1}, {"foreach": False}], ids=str
)
def test_parameters_of_every_shape_move_by_finite_steps(cls, dtype, options):
    shapes = [
        (),
        (1,),
        (0,),
        (5,),
        (1, 7),
        (7, 1),
        (0, 3),
        (3, 0),
        (3, 4, 2),
        (6, 1, 3, 3),
        (2, 3, 2, 2, 2),
        (2, 0, 3),
    ]
    params = [nn.Parameter(draw(*shape, seed=index).to(dtype)) for index, shape in enumerate(shapes)]
    optimizer = cls(params, lr=0.1, **options)
    for seed in (1, 2):
        before = [param.detach().clone() for param in params]
        for index, param in enumerate(params):
            param.grad = draw(*param.shape, seed=100 * seed + index).to(dtype)
        optimizer.step()
        for param, start in zip(params, before, strict=True):
            assert bool(param.isfinite().all())
            assert not param.numel() or not torch.equal(param, start)


@pytest.mark.parametrize(
    ("own", "shape"),
    [
        (Layout.fused((4, 1, 1)), (48, 16)),
        (Layout.fused((4, 1, 1), interleaved=2, heads=(8, 2, 2)), (48, 16)),
        (Layout.convolution(groups=6), (6, 1, 3, 3)),
        (Layout.convolution(3, transposed=True), (6, 2, 3, 3)),
        (Layout.experts((1, 1)), (3, 8, 5)),
        (Layout.heads(4, axis=1), (16, 8)),
        (Layout(outputs=()), (7,)),
        (Layout.fused((2, 1, 1)), (4, 1)),
        (Layout.fused((2, 1, 1)), (0, 5)),
        (Layout.fused((2, 1, 1)), (4, 0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["spectral", "max", "frobenius", "row-2/inf", "schatten-4"])
@pytest.mark.parametrize("options", [{}, {"foreach": False}, {"fused": True}, {"momentum": 0.9}], ids=str)
def test_each_logical_matrix_takes_its_own_step(own, shape, name, options):
    weight, gradient = nn.Parameter(torch.zeros(shape)), draw(*shape)
    weight.grad = gradient.clone()
    SteepestDescent([weight], lr=1.0, norm=name, layout=own, **options).step()
    for moved, slope in zip(own.views(weight.detach()), own.views(gradient), strict=True):
        if slope.numel():
            expected = -norm(name).direction(slope.double())
            assert (moved.double() - expected).norm() < 1e-4 * math.sqrt(expected.numel())


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("kind", ["strided", "transposed", "columns", "channels last"])
def test_strides_change_nothing(cls, kind):
    make = {
        "strided": lambda: draw(8, 12)[::2, ::3],
        "transposed": lambda: draw(8, 12).T,
        "columns": lambda: draw(8, 12)[:, 3:5],
        "channels last": lambda: draw(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    }[kind]
    plain = nn.Parameter(make().clone(memory_format=torch.contiguous_format))
    params = [nn.Parameter(make()), plain]
    for fused, param in zip((True, False), params, strict=True):
        optimizer = cls([param], lr=0.1, fused=fused)
        stepped([optimizer], [param], range(2))
    torch.testing.assert_close(params[0], params[1])
