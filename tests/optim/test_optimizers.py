"""The optimisers: their pseudocode, the laboratory's steps, momentum, decay, and functions beside them."""

from __future__ import annotations

import re
import textwrap

import numpy as np
import pytest
import torch

import steepest as st
from steepest.errors import InvalidArgument
from steepest.geometry import norm
from steepest.losses import gradient
from steepest.optim import (
    Muon,
    NormalizedSGD,
    SignSGD,
    Signum,
    SpectralSGD,
    SteepestDescent,
    muon,
    normalized_sgd,
    sign_sgd,
    signum,
    spectral_sgd,
    steepest_descent,
)
from steepest.schedules import PolynomialDecay

PAIRS = [
    (SteepestDescent, steepest_descent),
    (SignSGD, sign_sgd),
    (Signum, signum),
    (NormalizedSGD, normalized_sgd),
    (SpectralSGD, spectral_sgd),
    (Muon, muon),
]
NORMS = [
    "max",
    "sum",
    "frobenius",
    "spectral",
    "nuclear",
    "schatten-3",
    "row-2/inf",
    "column-2/inf",
    "row-1/inf",
    "mean-square-spectral",
    "mean-square-row",
    "entrywise-3",
    "row-blocks-2/inf:spectral",
]


def matrices(seed, *shapes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=dtype, generator=generator) for shape in shapes]


def stepped(cls, params, gradients, **options):
    """Return what steps along gradients, a list for each, make of parameters; and the optimiser."""
    params = [torch.nn.Parameter(param.clone()) for param in params]
    optimizer = cls(params, **options)
    for grads in gradients:
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()
        optimizer.step()
    return [param.detach() for param in params], optimizer


@pytest.mark.parametrize("cls", [cls for cls, _ in PAIRS])
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_pseudocode_of_each_class_is_what_it_does(cls, nesterov):
    code = re.search(r"\.\. code-block:: python\n\n((?:        .+\n)+)", cls.__doc__)
    assert code is not None
    has_momentum = "beta" in code[1]
    options = {"lr": 0.1, "weight_decay": 0.5, "scale": 3.0}
    if has_momentum:
        options |= {"momentum": 0.75, "nesterov": nesterov}
    gradients = [matrices(seed, (4, 3)) for seed in range(3)]
    (found,), optimizer = stepped(cls, matrices(9, (4, 3)), gradients, **options)
    own = norm(optimizer.param_groups[0]["norm"])
    names = {
        "W": matrices(9, (4, 3))[0],
        "M": torch.zeros(4, 3, dtype=torch.float64),
        "beta": 0.75,
        "nesterov": nesterov,
        "lr": 0.1,
        "weight_decay": 0.5,
        "scale": 3.0,
        "D": own.direction,
        "sign": torch.sign,
        "length": torch.linalg.matrix_norm,
        "polar": st.geometry.polar_factor,
    }
    for (G,) in gradients:
        scope = {**names, "G": G}
        exec(textwrap.dedent(code[1]), scope)
        names |= {"W": scope["W"], "M": scope["M"]}
    assert torch.allclose(found, names["W"], rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NORMS)
def test_a_step_without_momentum_is_the_laboratory_s(name):
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(12, 6, dtype=torch.float64, generator=generator)
    problem = st.Classification(features.numpy(), [0, 1, 2, 3] * 3)
    method = st.Method(name, schedule=PolynomialDecay(0.25, 0.0))
    trajectory = st.descend(problem, method, steps=3, engine="reference")
    weight = torch.nn.Parameter(torch.zeros(4, 6, dtype=torch.float64))
    optimizer = SteepestDescent([weight], lr=0.25, norm=name)
    for _ in range(3):
        scaled = gradient(problem, method.loss, weight.detach().numpy())
        weight.grad = torch.from_numpy(scaled.mantissa * np.exp(scaled.log_scale))
        optimizer.step()
    assert torch.allclose(weight.detach(), torch.from_numpy(trajectory.final_weights), rtol=0, atol=1e-12)


@pytest.mark.parametrize("lr", [0.5, torch.tensor(0.5)])
@pytest.mark.parametrize("fused", [None, False])
def test_a_gradient_whose_inverse_length_float32_does_not_have_gives_a_whole_step(lr, fused):
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([3e-40, 4e-40])
    NormalizedSGD([weight], lr=lr, fused=fused).step()
    torch.testing.assert_close(weight.detach(), torch.tensor([0.7, 0.6]), rtol=0.0, atol=1e-4)


def test_moving_averages_and_sums_take_the_same_steps():
    gradients = [matrices(seed, (5, 3)) for seed in range(4)]
    for nesterov in (False, True):
        (found,), optimizer = stepped(
            SpectralSGD, matrices(9, (5, 3)), gradients, lr=0.1, momentum=0.9, nesterov=nesterov
        )
        weight = torch.nn.Parameter(matrices(9, (5, 3))[0])
        total = torch.zeros_like(weight)
        with torch.no_grad():
            for (grad,) in gradients:
                total = 0.9 * total + grad
                signal = grad + 0.9 * total if nesterov else total
                weight -= 0.1 * st.geometry.polar_factor(signal)
        assert torch.allclose(found, weight, rtol=0, atol=1e-12)
        (state,) = optimizer.state.values()
        assert torch.allclose(state["momentum_buffer"] / (1 - 0.9), total, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("cls", [Signum, Muon, NormalizedSGD])
def test_the_buffer_is_the_average_and_no_step_touches_it_or_the_gradient(cls, dtype):
    grads = [matrices(seed, (6, 4), (3,), dtype=dtype) for seed in range(3)]
    options = {"momentum": 0.75, "nesterov": False, "lr": 0.5}
    _, optimizer = stepped(cls, matrices(9, (6, 4), (3,), dtype=dtype), grads, **options)
    averages = [torch.zeros(6, 4, dtype=dtype), torch.zeros(3, dtype=dtype)]
    for step in grads:
        averages = [average.lerp(grad, 0.25) for average, grad in zip(averages, step, strict=True)]
    for state, average in zip(optimizer.state.values(), averages, strict=True):
        assert torch.equal(state["momentum_buffer"], average)
    for param, grad in zip(optimizer.param_groups[0]["params"], grads[-1], strict=True):
        assert torch.equal(param.grad, grad)


@pytest.mark.parametrize(("cls", "function"), PAIRS)
def test_functions_take_the_steps_of_the_classes_and_change_nothing_given(cls, function):
    params = matrices(9, (4, 3), (5,), (2, 2, 2))
    gradients = [matrices(seed, (4, 3), (5,), (2, 2, 2)) for seed in range(3)]
    expected, _ = stepped(cls, params, gradients, lr=0.1, weight_decay=0.3)
    found, averages = params, None
    before = [param.clone() for param in params]
    for grads in gradients:
        found, averages = function(found, grads, averages, lr=0.1, weight_decay=0.3)
    assert all(map(torch.equal, found, expected))
    assert all(map(torch.equal, params, before))


def test_functions_refuse_lists_of_different_lengths():
    with pytest.raises(InvalidArgument, match="grads='2 tensors': give one for each of the 1 params"):
        sign_sgd([torch.ones(1)], [torch.ones(1)] * 2)


def test_scales_by_hand():
    gradient_ = matrices(1, (8, 2))
    for scale, factor in {
        "unit": 1.0,
        "aspect": 2.0,
        "original": 2.0,
        "matched-rms": 0.2 * 8**0.5,
        "unit-rms": 8**0.5,
        "spectral-width": 2.0,
        0.5: 0.5,
        (lambda rows, columns: rows + columns): 10.0,
    }.items():
        (found,), _ = stepped(SpectralSGD, [torch.zeros(8, 2)], [[gradient_[0].float()]], lr=1.0, scale=scale)
        assert torch.allclose(torch.linalg.svdvals(found), torch.full((2,), factor), rtol=1e-5)
    # The root mean square of what a step moves is the same in every norm.
    for name in ("max", "frobenius", "row-2/inf", "column-2/inf", "spectral", "mean-square-spectral"):
        (found,), _ = stepped(
            SteepestDescent,
            [torch.zeros(8, 2)],
            [[gradient_[0].float()]],
            lr=1.0,
            norm=name,
            scale="matched-rms",
        )
        assert float(found.square().mean().sqrt()) == pytest.approx(0.2, rel=1e-5)


def test_a_schedule_of_powers_changes_the_direction_at_every_step():
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer = SteepestDescent([weight], lr=1.0)
    total = torch.zeros(2, 2)
    for power in (0.0, 0.5, 1.0):
        optimizer.param_groups[0]["power"] = power
        weight.grad = torch.diag(torch.tensor([4.0, 1.0]))
        optimizer.step()
        total -= torch.diag(torch.tensor([1.0, 0.25**power]))
        assert torch.allclose(weight.detach(), total, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr=-1.0: give a finite number of at least 0"),
        ({"lr": torch.ones(2)}, "Tensor lr must be 1-element"),
        ({"weight_decay": float("nan")}, "weight_decay=nan"),
        ({"momentum": 1.0}, "momentum=1.0: give a number β with 0 ≤ β < 1"),
        ({"nesterov": 1}, "nesterov=1: give True or False"),
        ({"norm": "spectrl"}, 'did you mean "spectral"'),
        ({"scale": "aspct"}, "scale='aspct': give one of unit, aspect"),
        ({"scale": 0.0}, "scale=0.0: give one of unit"),
        ({"norm": "schatten-3", "scale": "matched-rms"}, "it is not known how long"),
        ({"polar": "sdv"}, "polar='sdv'"),
        ({"power": -1.0}, "power=-1.0: give a number of at least 0"),
        ({"layout": "outputs=0 inputs=1,2"}, "give each axis a place; the parameter has 2"),
        ({"layout": "outputs=x"}, "layout='outputs=x': give a Layout, or its text"),
        ({"policy": st.optim.Policy()}, "params='list': a policy routes a model"),
    ],
)
def test_options_that_cannot_be_used(options, message):
    with pytest.raises(InvalidArgument, match=message):
        SteepestDescent([torch.nn.Parameter(torch.ones(4, 3))], **options)


def test_a_group_that_is_refused_leaves_the_optimiser_as_it_was():
    optimizer = SteepestDescent([torch.nn.Parameter(torch.ones(4, 3))])
    with pytest.raises(InvalidArgument, match="norm='l2'"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "norm": "l2"})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "norm": "max"})
    assert [row.norm for row in optimizer.routing()] == ["spectral", "max"]


def test_a_lazy_parameter_is_refused():
    with pytest.raises(InvalidArgument, match="run the model once before"):
        SignSGD(torch.nn.LazyLinear(2).parameters())


def test_a_sparse_gradient_is_the_dense_one_that_it_stands_for():
    dense, sparse = (torch.nn.Embedding(4, 2, sparse=sparse) for sparse in (False, True))
    sparse.load_state_dict(dense.state_dict())
    optimizers = [Muon(each.parameters(), lr=0.5, weight_decay=0.1) for each in (dense, sparse)]
    for rows in ([1, 1, 3], [0, 3], [3]):
        for embedding, optimizer in zip((dense, sparse), optimizers, strict=True):
            optimizer.zero_grad()
            embedding(torch.tensor(rows)).square().sum().backward()
            optimizer.step()
        assert torch.allclose(dense.weight, sparse.weight, atol=1e-6)
