"""Variance reduction: the laboratory's signals on a linear model, and what it needs of a network."""

from __future__ import annotations

import copy
import itertools
from typing import Any, cast

import pytest
import torch
from torch import nn

import steepest as st
from steepest.errors import InvalidArgument
from steepest.optim import SteepestDescent, VarianceReduced
from steepest.schedules import PolynomialDecay
from steepest.signals.reshuffling import coins

cross_entropy = nn.functional.cross_entropy


class Ordered:
    """A loader whose batches are those that the laboratory visits: one order an epoch."""

    def __init__(self, problem, method):
        self.order = method.reshuffling(problem)
        self.features = torch.from_numpy(problem.features.copy())
        self.labels = torch.from_numpy(problem.labels.copy())

    def batch(self, step):
        chosen = torch.from_numpy(self.order.batch(step).copy())
        return self.features[chosen], self.labels[chosen]

    def __len__(self):
        return self.order.batches

    def __iter__(self):
        return (self.batch(step) for step in range(len(self)))


@pytest.mark.parametrize("signal", ["svrg", "loopless-svrg"])
@pytest.mark.parametrize(("batch_size", "partial"), [(4, "weighted"), (5, "weighted"), (5, "mean")])
@pytest.mark.parametrize("momentum", [0.0, 0.75])
def test_a_linear_model_takes_the_laboratory_s_steps(signal, batch_size, partial, momentum):
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(12, 6, dtype=torch.float64, generator=generator)
    problem = st.Classification(features.numpy(), [0, 1, 2, 3] * 3)
    schedule = PolynomialDecay(0.02, 0.0)
    method = st.Method(
        "spectral", batch_size, momentum, signal=signal, schedule=schedule, seed=3, partial_batch=partial
    )
    expected = st.descend(problem, method, steps=10, engine="reference").final_weights
    model = nn.Linear(6, 4, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    loader = Ordered(problem, method)
    fall = coins(3, 0, 10, 1 / len(loader))
    reduced = VarianceReduced(
        SteepestDescent(model.parameters(), lr=0.02, momentum=momentum),
        model,
        cross_entropy,
        loader,
        "epoch" if signal == "svrg" else lambda step: bool(fall[step]),
        partial_batch=partial,
    )
    for step in range(10):
        reduced.step(*loader.batch(step))
    assert torch.allclose(model.weight.detach(), torch.from_numpy(expected), rtol=0, atol=1e-11)


def network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), *layers, nn.Linear(8, 3))


def batches(size=4, count=12):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, 5, generator=generator)
    return list(zip(inputs.split(size), (torch.arange(count) % 3).split(size), strict=True))


def test_signals_average_to_the_full_gradient_with_any_optimiser():
    model, loader = nn.Linear(5, 3), batches(5)
    reduced = VarianceReduced(torch.optim.AdamW(model.parameters(), lr=0.1), model, cross_entropy, loader)
    for inputs, targets in loader:
        reduced.step(inputs, targets)
    weights = copy.deepcopy(model.state_dict())
    reduced.optimizer.param_groups[0]["lr"] = 0.0
    reduced.optimizer.param_groups[0]["weight_decay"] = 0.0
    reduced._snapshots = lambda _step: False
    total = torch.zeros_like(model.weight)
    for inputs, targets in loader:
        reduced.step(inputs, targets)
        assert model.weight.grad is not None
        total += model.weight.grad / len(loader)
        model.load_state_dict(weights)
    model.zero_grad()
    inputs, targets = (torch.cat(each) for each in zip(*loader, strict=True))
    cross_entropy(model(inputs), targets).backward()
    assert model.weight.grad is not None
    assert torch.allclose(total, model.weight.grad, atol=1e-6)


def test_running_means_see_each_batch_once():
    model, plain, loader = network(), network(), batches()
    reduced = VarianceReduced(torch.optim.SGD(model.parameters(), lr=0.0), model, cross_entropy, loader)
    for inputs, targets in loader:
        reduced.step(inputs, targets)
        plain(inputs)
    for name, buffer in plain.named_buffers():
        assert torch.equal(buffer, model.get_buffer(name))


def test_random_layers_are_refused_or_seeded_by_choice():
    loader = batches()
    model = network(nn.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InvalidArgument, match="draws random numbers, so that gradients at two weights"):
        VarianceReduced(optimizer, model, cross_entropy, loader).step(*loader[0])
    reduced = VarianceReduced(optimizer, model, cross_entropy, loader, random_layers="seed")
    torch.manual_seed(5)
    reduced.take_snapshot()
    assert torch.equal(torch.get_rng_state(), torch.Generator().manual_seed(5).get_state())
    # At the snapshot itself both passes drop the same, so that the full gradient alone is left.
    reduced._snapshots = lambda _step: False
    full = {name: value.clone() for name, value in reduced._full.items()}
    reduced.step(*loader[0])
    for name, param in model.named_parameters():
        assert param.grad is not None
        assert torch.allclose(param.grad, full[name], atol=1e-6)


def test_a_run_is_resumed():
    loader = batches()
    ends = []
    for interrupted in (False, True):
        model = network()
        made = [
            VarianceReduced(SteepestDescent(model, lr=0.05, momentum=0.9), model, cross_entropy, loader, 0.5)
            for _ in range(2)
        ]
        for step, (inputs, targets) in enumerate(itertools.islice(itertools.cycle(loader), 8)):
            if interrupted and step == 4:
                made[1].load_state_dict(copy.deepcopy(made[0].state_dict()))
            made[interrupted and step >= 4].step(inputs, targets)
        ends.append([param.detach() for param in model.parameters()])
    assert all(map(torch.equal, *ends))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loader": iter([])}, "loader='list_iterator': give what can be iterated more than once"),
        ({"loader": []}, "loader='list': it has no samples"),
        ({"snapshots": 0.0}, 'snapshots=0.0: give "epoch", a probability'),
        ({"snapshots": "step"}, "snapshots='step'"),
        ({"random_layers": "ignore"}, "random_layers='ignore': give one of refuse, seed"),
        ({"partial_batch": "last"}, "partial_batch='last': give one of weighted, mean"),
        ({"loader": 3}, "loader='int': give what can be iterated more than once"),
        ({"loader": [torch.ones(2, 5)] * 2}, "loader='Tensor': give batches that are pairs"),
        ({"loader": [(3, 4)]}, "inputs='int': give inputs with a length"),
        ({"seed": -1}, "seed=-1: give a whole number from 0"),
        ({"seed": 0.5}, "seed=0.5: give a whole number from 0"),
        ({"optimizer": "sgd"}, "optimizer='sgd': give a torch.optim.Optimizer"),
        ({"optimizer": torch.optim.SGD([torch.ones(2)])}, "optimizer='SGD': it trains none of the model's"),
        ({"optimizer": torch.optim.LBFGS([torch.ones(2)])}, "optimizer='LBFGS': its steps need a closure"),
        ({"model": cross_entropy}, "model=<function cross_entropy"),
        ({"loss": "mse"}, "loss='mse': give a function of outputs and targets"),
    ],
)
def test_arguments_that_cannot_be_used(options, message):
    model = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = {"optimizer": optimizer, "model": model, "loss": cross_entropy, "loader": batches(), **options}
    with pytest.raises(InvalidArgument, match=message):
        cast(Any, VarianceReduced)(**given).step(*batches()[0])
