"""The monitor against the library's own margins, by hand, and beside training that must not notice it."""

from __future__ import annotations

import math
import random
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import steepest as st
from steepest.errors import InvalidArgument, InvalidData

pytestmark = pytest.mark.torch

NORMS = ["max", "frobenius", "spectral", "row-2/inf"]


def features(samples=18, dimension=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    return rng.normal(size=(samples, dimension)) + 3 * rng.normal(size=(classes, dimension))[y], y


def linear(weights, bias=None):
    import torch

    layer = torch.nn.Linear(weights.shape[1], weights.shape[0], bias=bias is not None, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.asarray(weights))
        if bias is not None:
            layer.bias.copy_(torch.asarray(bias))
    return layer


def batches(X, y, size=5) -> list[Any]:
    import torch

    return list(zip(torch.asarray(X).split(size), torch.asarray(y).split(size), strict=True))


def monitor(model, loader, **options):
    from steepest.monitor import MarginMonitor

    return MarginMonitor(model, loader, **options)


@pytest.mark.parametrize("bias", [None, np.array([0.5, -0.25, 0.0])])
def test_margins_are_those_of_the_head_s_features(bias):
    import torch

    X, y = features()
    body = torch.nn.Sequential(linear(np.random.default_rng(1).normal(size=(7, 6))), torch.nn.ReLU())
    W = np.random.default_rng(2).normal(size=(3, 7))
    record = monitor(
        torch.nn.Sequential(body, linear(W, bias)), batches(X, y), norms=NORMS, gap=1e-6
    ).measure()
    problem = st.Classification(body(torch.asarray(X)).detach().numpy(), y)
    shift = 0.0 if bias is None else bias
    logits = problem.features @ W.T + shift
    others = np.where(problem.one_hot, -np.inf, logits).max(axis=1)
    smallest = np.min(logits[np.arange(len(y)), y] - others)
    for name in NORMS:
        found = record.margins[name]
        expected = st.max_margin(problem, name, 1e-6, intercept=bias is not None)
        assert found.margin == pytest.approx(smallest / float(st.norm(name)(W)), rel=1e-12)
        assert found.solution.margin <= expected.upper_bound
        assert expected.margin <= found.solution.upper_bound
    assert record.accuracy == np.mean(logits.argmax(axis=1) == y)
    assert record.log_loss == pytest.approx(
        math.log(float(torch.nn.functional.cross_entropy(torch.asarray(logits), torch.asarray(y))))
    )


@pytest.mark.parametrize("name", NORMS)
def test_a_step_of_steepest_descent_is_aligned_in_its_own_norm_and_less_in_others(name):
    import torch

    X, y = features()
    model = linear(np.zeros((3, 6)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    problem = st.Classification(X, y)
    slope = st.losses.gradient(problem, "cross-entropy", np.zeros((3, 6)))
    watching = monitor(model, batches(X, y), norms=NORMS, every=[0], gap=0.1).attach(optimizer)
    # SGD takes any step that stands where a gradient is looked for.
    model.weight.grad = torch.asarray(st.norm(name).direction(slope.mantissa))
    optimizer.step()
    (record,) = watching.records
    assert record.alignments[name].share == pytest.approx(1.0, abs=1e-12)
    for other in NORMS:
        assert record.alignments[other].share <= 1.0 + 1e-12
    # At W = 0 every residual is 1/3, so that G = 2/3; ‖∇L‖_* / G bounds the max margin (Lemma C.2).
    realised = record.alignments[name].realised
    assert realised == pytest.approx(float(st.norm(name).dual(slope.rounded())) / (2 / 3), rel=1e-12)
    assert realised >= record.margins[name].solution.margin * (1 - 1e-12)


def trained(watched: bool):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(3)
    random.seed(3)
    X, y = features()
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3)
    ).double()
    model[1].eval()
    generator = torch.Generator().manual_seed(1)
    data = TensorDataset(torch.asarray(X), torch.asarray(y))
    loader = DataLoader(data, batch_size=6, shuffle=True, generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    watching = monitor(model, loader, norms=["max"], every=3, gap=0.5)
    if watched:
        watching.attach(optimizer)
    for _ in range(3):
        for inputs, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    return model, len(watching.records), float(torch.rand(())), random.random()


def test_training_goes_on_to_the_last_bit_as_if_nobody_had_looked():
    import torch

    (alone, none, *drawn), (seen, three, *drawn_too) = trained(False), trained(True)
    assert (none, three) == (0, 3)
    assert drawn == drawn_too
    assert [module.training for module in alone.modules()] == [module.training for module in seen.modules()]
    for name, value in alone.state_dict().items():
        assert torch.equal(value, seen.state_dict()[name])


def test_a_max_margin_solution_is_a_kkt_point_and_another_is_not():
    import torch

    X, y = features(classes=2)
    solution = st.max_margin(st.Classification(X, y), "frobenius", 1e-10)
    # At this size the loss is about e^-5000, and its gradient that of the support vectors alone.
    model = torch.nn.Sequential(linear(solution.weights * 5000 / solution.margin))
    record = monitor(model, batches(X, y), norms=["frobenius"], network_norm="frobenius").measure()
    network = record.network
    assert network is not None
    assert network.degree == 1
    assert network.margin == pytest.approx(solution.margin, rel=1e-9)
    assert record.log_loss == pytest.approx(-5000, abs=5)
    # Support vectors share the gradient evenly here, not as the dual weights would have it.
    assert 0 <= network.residual < 0.2
    turned = torch.nn.Sequential(linear(solution.weights[::-1].copy() * 5000))
    other = monitor(turned, batches(X, y), norms=["max"], network_norm="max").measure().network
    assert other is not None
    assert other.residual > 1


def test_the_margin_of_a_deep_network_is_that_of_its_largest_layer_by_hand():
    import torch

    # f(x) = relu(2x, -3x) through [[1, 0], [0, 1]]: margins 2 at x = 1 and 3 at x = -1; ‖θ‖ = 3, L = 2.
    layers = linear(np.array([[2.0], [-3.0]])), torch.nn.ReLU(), linear(np.eye(2))
    model = torch.nn.Sequential(*layers)
    loader = batches(np.array([[1.0], [-1.0]]), np.array([0, 1]))
    network = monitor(model, loader, norms=["max"], network_norm="max").measure().network
    assert network is not None
    assert (network.degree, network.size, network.margin) == (2, 3.0, pytest.approx(2 / 9))
    # Residuals r = 1/(1 + e^2), 1/(1 + e^3); -∇ by the second layer is r₁·2 and r₂·3 towards the true class
    # and away from the other, by the first r₁, r₂: its other row has a ReLU that is off.
    one, two = 1 / (1 + math.exp(2)), 1 / (1 + math.exp(3))
    along = 2 * one + 3 * two + (2 * one + 3 * two)
    dual = 2 * (2 * one + 3 * two) + (one + two)
    assert network.residual == pytest.approx(1 - along / (dual * 3.0), rel=1e-12)


def test_positions_of_a_sequence_are_samples_and_those_left_out_are_none():
    import torch

    class PerPosition(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = linear(np.eye(2))

        def forward(self, tokens):
            return self.head(tokens)

    tokens = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [9.0, 0.0]]], dtype=torch.float64)
    batch = {"tokens": tokens, "labels": torch.tensor([[0, 1, -100]])}
    record = monitor(PerPosition(), [batch], layer="head", norms=["max"]).measure()
    assert record.margins["max"].margin == 2.0


def test_records_go_where_they_are_to_be_written():
    written = []
    X, y = features()
    watching = monitor(linear(np.eye(3, 6)), batches(X, y), norms=["max"], report=written.append)
    assert written == [watching.measure()] == watching.records
    scalars = written[0].scalars()
    assert scalars["margin/max"] == written[0].margins["max"].margin
    assert not any(math.isnan(value) for value in scalars.values())


def test_tensorboard_reads_what_was_written(tmp_path):
    import torch
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    X, y = features()
    model = linear(np.eye(3, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with SummaryWriter(str(tmp_path)) as writer:
        watching = monitor(
            model, batches(X, y), norms=["max", "spectral"], every=2, report=writer, prefix="head"
        )
        watching.attach(optimizer)
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.asarray(X)).square().sum().backward()
            optimizer.step()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    expected = [record.scalars() for record in watching.records]
    assert set(found.Tags()["scalars"]) == {f"head/{name}" for scalars in expected for name in scalars}
    for name in ("margin/max", "max_margin/spectral", "alignment/max", "log_loss"):
        events = found.Scalars(f"head/{name}")
        assert [event.step for event in events] == [0, 2, 4]
        # Event files keep single precision.
        assert [event.value for event in events] == pytest.approx([each[name] for each in expected], rel=1e-6)


@pytest.mark.parametrize("cost", [0.01, 3.0, 40.0])
def test_measurements_keep_to_their_share_of_the_time(cost):
    """Whatever they cost; one that has a part of the seconds it needs is followed by one of twice as many.

    The first waits for two seconds. Of 50 they have 2 + 3 · 16, or 2 + 4 + 8 + 16.
    """
    from steepest.monitor.schedule import schedule_of

    within, spent, trained, measured, needed = schedule_of(None, 0.05), 0.0, 0.0, 0, 2.0
    for step in range(10_000):
        seconds = within(step, spent=spent, elapsed=trained + spent, needed=needed)
        if seconds:
            taken = min(seconds, cost)
            needed = cost if taken == cost else 2 * taken
            spent, measured = spent + taken, measured + 1
        trained += 0.1
        assert spent <= 0.05 * trained + 1e-9
    assert measured == {0.01: 4999, 3.0: 16, 40.0: 4}[cost]


@pytest.mark.parametrize(("steps", "measured"), [(100, []), (123, [120])])
def test_by_default_the_first_measurement_waits_until_it_fits_too(steps, measured, monkeypatch):
    """With a clock that training alone moves, a second a step: four batches are taken for four steps."""
    import torch

    from steepest.monitor import margin_monitor

    now = [0.0]
    monkeypatch.setattr(margin_monitor, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    X, y = features()
    model = linear(np.zeros((3, 6)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watching = monitor(model, batches(X, y), norms=["frobenius"]).attach(optimizer)
    for _ in range(steps):
        now[0] += 1.0
        torch.nn.functional.cross_entropy(model(torch.asarray(X)), torch.asarray(y)).backward()
        optimizer.step()
    # They and two seconds are a twentieth of 120.
    assert [record.step for record in watching.records] == measured
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        watching.detach()
        watching.detach()
    messages = [str(each.message) for each in said]
    expected = (
        "MarginMonitor: no measurement fitted a share of 0.05 of 100 steps; give a larger share=, or every= "
        "for the steps to measure at"
    )
    assert messages == ([] if measured else [expected])


def test_a_network_in_distributed_data_parallel_is_measured_as_its_module(tmp_path):
    """Its own forward pass waits for every rank, and ranks measure when each has time."""
    import torch
    import torch.distributed as dist

    X, y = features()
    model = linear(np.eye(3, 6))
    dist.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    wrapped = torch.nn.parallel.DistributedDataParallel(model)
    found = monitor(wrapped, batches(X, y), norms=["max"]).measure()
    dist.destroy_process_group()
    assert (
        found.margins["max"].margin
        == monitor(model, batches(X, y), norms=["max"]).measure().margins["max"].margin
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "2"}, "layer='2': give a torch.nn.Linear of the model, or its name in the model"),
        ({"norms": "max"}, "norms='max': give a list of norms or of their names"),
        ({"every": 0}, "every=0: give a number of steps"),
        ({"every": "ten"}, "every='ten': give a number of steps"),
        ({"share": 0}, "share=0: give the share of the time that measuring may take, above 0 and at most 1"),
        ({"gap": 2}, "gap=2: give a number between 0 and 1"),
        ({"time_limit": "1"}, "time_limit='1': give seconds above 0, or None for no limit"),
        ({"time_limit": 0}, "time_limit=0: give seconds above 0, or None for no limit"),
        ({"report": 3}, "report=3: give a function of a record, a SummaryWriter, or None"),
        ({"network_norm": {"bias": "max"}}, "network_norm=['bias']: give a norm for weight too"),
        (
            {"network_norm": {"weight": "max", "bias": "max", "head": "max"}},
            "network_norm='head': no parameter of the model has that name; there are weight, bias",
        ),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    X, y = features()
    with pytest.raises(InvalidArgument) as caught:
        monitor(linear(np.eye(3, 6), np.zeros(3)), batches(X, y), **options)
    assert str(caught.value).startswith(message)


def test_a_network_whose_logits_change_their_signs_is_not_homogeneous():
    """With doubled parameters x - 3 goes from (-1, 1) to (2, 10) at x = (2, 4), and to 0 at x = 1.5."""
    import torch

    y = torch.tensor([0])
    for inputs in (torch.tensor([[2.0, 4.0]]).double(), torch.tensor([[1.5, 1.5]]).double()):
        layers = linear(np.eye(2)), linear(np.eye(2), np.full(2, -3.0))
        model = torch.nn.Sequential(*layers)
        with pytest.raises(InvalidArgument, match="doubled parameters do not multiply its outputs"):
            monitor(model, [(inputs, y)], network_norm="max", norms=[]).measure()


def test_labels_left_out_do_not_count_in_a_networks_margin():
    import torch

    X, y = features()
    model = linear(np.eye(3, 6))
    alone = monitor(model, batches(X, y), network_norm="max", norms=[]).measure()
    left_out = (torch.asarray(10 * X[:4]), torch.full((4,), -100))
    found = monitor(model, [*batches(X, y), left_out], network_norm="max", norms=[]).measure()
    assert found.network == alone.network


def test_a_monitor_that_is_attached_anew_leaves_the_optimiser_before_alone():
    import torch

    X, y = features()
    model = linear(np.eye(3, 6))
    before, after = (torch.optim.SGD(model.parameters(), lr=0.1) for _ in range(2))
    with monitor(model, batches(X, y), norms=[], every=1).attach(before).attach(after) as watching:
        before.step()
        assert not watching.records
        after.step()
    before.step()
    assert [record.step for record in watching.records] == [0]


def test_wrong_batches_are_named():
    import torch

    X, y = features()
    model = linear(np.eye(3, 6))
    for loader, message in (
        ([], "loader='no batch': give batches"),
        ([torch.asarray(X)], "loader='Tensor': give an iterable of batches"),
        (batches(X, y + 1), "labels=3: give classes from 0 to 2: the layer has 3 outputs"),
        (batches(X, y.astype(float)), "labels='torch.float64': give the class of each sample"),
        ([(torch.asarray(X), torch.asarray(y[:5]))], "labels=(5,): give 18 labels a batch"),
    ):
        with pytest.raises(InvalidData) as caught:
            monitor(model, loader).measure()
        assert str(caught.value).startswith(message)
    biased = torch.nn.Sequential(linear(np.eye(6)), linear(np.eye(3, 6), np.ones(3)))
    with pytest.raises(
        InvalidArgument, match="doubled parameters do not multiply its outputs by a power of 2"
    ):
        monitor(biased, batches(X, y), network_norm="max", norms=["max"], gap=0.5).measure()


def test_the_degree_is_measured_again_only_where_the_network_may_have_another():
    import torch

    X, y = features()
    layer, calls = linear(np.eye(3, 6), np.zeros(3)), []
    layer.register_forward_hook(lambda *_: calls.append(0))
    model = torch.nn.Sequential(linear(np.eye(6)), layer)
    watching = monitor(model, batches(X, y), network_norm="max", norms=[], every=1)
    counts = []
    for _ in range(2):
        before = len(calls)
        watching.measure()
        counts.append(len(calls) - before)
    # A batch as it is, and with doubled parameters.
    assert counts[0] - counts[1] == 2
    # With biases of zero it was homogeneous.
    with torch.no_grad():
        layer.bias.fill_(1.0)
    with pytest.raises(InvalidArgument, match="without biases after its first trained layer"):
        watching.measure()


def frozen_first_layer():
    import torch

    # f(x) = W relu(2x, -3x): margins 2 at x = 1 and 3 at x = -1 for W the identity, of which ‖W‖ = 1.
    model = torch.nn.Sequential(linear(np.array([[2.0], [-3.0]])), torch.nn.ReLU(), linear(np.eye(2)))
    model[0].requires_grad_(False)
    return model, batches(np.array([[1.0], [-1.0]]), np.array([0, 1]))


@pytest.mark.parametrize("given", ["max", {"2.weight": "max"}, {"2.weight": "max", "0.weight": "frobenius"}])
def test_frozen_layers_count_neither_in_the_degree_nor_in_the_norm(given):
    model, loader = frozen_first_layer()
    model[2].load_state_dict({"weight": 5.0 * model[2].get_parameter("weight")})
    network = monitor(model, loader, norms=[], network_norm=given).measure().network
    assert network is not None
    assert (network.degree, network.size, network.margin) == (1, 5.0, pytest.approx(2.0))


def test_a_frozen_bias_of_a_trained_layer_makes_a_network_inhomogeneous_and_one_below_does_not():
    import torch

    for place, homogeneous in ((0, True), (1, False)):
        layers = [linear(np.eye(2), np.ones(2)), linear(np.eye(2), np.ones(2))]
        layers[0].requires_grad_(False)
        layers[1].bias.requires_grad_(False)
        layers[1 - place].bias.data.zero_()
        model = torch.nn.Sequential(*layers)
        watching = monitor(model, batches(np.eye(2), np.arange(2)), norms=[], network_norm="max")
        if homogeneous:
            network = watching.measure().network
            assert network is not None
            assert network.degree == 1
        else:
            with pytest.raises(InvalidArgument, match="biases after its first trained layer"):
                watching.measure()


def test_layers_that_are_thawed_count_from_then_on():
    model, loader = frozen_first_layer()
    watching = monitor(model, loader, norms=[], network_norm="max")
    alone = watching.measure().network
    model[0].requires_grad_(True)
    network = watching.measure().network
    assert alone is not None
    assert network is not None
    assert alone.degree == 1
    assert (network.degree, network.size, network.margin) == (2, 3.0, pytest.approx(2 / 9))
    model[0].requires_grad_(False)
    partly = monitor(model, loader, norms=[], network_norm={"2.weight": "max"})
    model[0].requires_grad_(True)
    with pytest.raises(InvalidArgument, match=r"network_norm=\['2.weight'\]: give a norm for 0.weight too"):
        partly.measure()


def test_a_network_of_which_all_is_frozen_is_named():
    model, loader = frozen_first_layer()
    watching = monitor(model, loader, norms=[], network_norm="max")
    for layer in (model[0], model[2]):
        layer.requires_grad_(False)
    message = "model='Sequential': all its parameters are frozen"
    with pytest.raises(InvalidArgument, match=message):
        watching.measure()
    with pytest.raises(InvalidArgument, match=message):
        monitor(model, loader, norms=[], network_norm={"2.weight": "max"})
    # Without that norm a frozen head is measured as any.
    assert monitor(model, loader, norms=["max"]).measure().margins["max"].margin == 2.0
