"""Variance reduction for optimisers: the laboratory's steps on linear models, and training as it would be."""

from __future__ import annotations

import numpy as np
import pytest

import steepest as st
from steepest.errors import InvalidArgument, SteepestWarning
from steepest.signals.reshuffling import Reshuffling

pytestmark = pytest.mark.torch

SCHEDULE = st.PolynomialDecay(0.02, 0.5)


def problem():
    rng = np.random.default_rng(0)
    y = np.arange(12) % 3
    return st.Classification(rng.normal(size=(12, 5)) + 2 * rng.normal(size=(3, 5))[y], y)


def reduced(model, loader, optimizer=None, **options):
    import torch

    from steepest.optim import VarianceReduced

    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    return VarianceReduced(optimizer, model, torch.nn.functional.cross_entropy, loader, **options)


def layer():
    import torch

    linear = torch.nn.Linear(5, 3, bias=False, dtype=torch.float64)
    torch.nn.init.zeros_(linear.weight)
    return linear


def batches(size=4):
    import torch

    data = problem()
    X, y = torch.tensor(data.features), torch.tensor(data.labels)
    return [(X[start : start + size], y[start : start + size]) for start in range(0, len(y), size)]


@pytest.mark.parametrize(("norm", "momentum"), [("max", 0.0), ("frobenius", 0.0), ("spectral", 0.9)])
def test_steps_on_a_linear_model_are_those_of_the_laboratory(norm, momentum):
    import torch

    from steepest.optim import SteepestDescent

    data, epochs = problem(), 4
    method = st.Method(norm, 3, momentum, variance_reduction=True, schedule=SCHEDULE, seed=5)
    expected = st.descend(data, method, 4 * epochs).final_weights
    model, order = layer(), Reshuffling(data.samples, 3, 5)
    optimizer = SteepestDescent(model.parameters(), lr=0.1, norm=norm, momentum=momentum, polar="svd")
    X, y = torch.tensor(data.features), torch.tensor(data.labels)
    vr = reduced(model, [(X, y)], optimizer)
    for step in range(4 * epochs):
        if step % order.batches == 0:
            vr.take_snapshot()
        optimizer.param_groups[0]["lr"] = float(SCHEDULE(step))
        chosen = torch.asarray(order.batch(step).copy())
        vr.step((X[chosen], y[chosen]))
    np.testing.assert_allclose(model.weight.detach().numpy(), expected, rtol=0, atol=1e-12)


def test_without_epochs_a_certain_coin_gives_the_full_gradient():
    import torch

    model, loader = layer(), batches()
    torch.nn.init.normal_(model.weight)
    vr = reduced(model, loader, snapshot=1.0)
    for batch in loader:
        vr.backward(batch)
        full = torch.autograd.grad(
            torch.nn.functional.cross_entropy(model(torch.cat([X for X, _ in loader])), torch.arange(12) % 3),
            model.weight,
        )[0]
        assert model.weight.grad is not None
        torch.testing.assert_close(model.weight.grad, full, rtol=1e-12, atol=1e-14)
        vr.optimizer.step()


def test_batches_of_different_sizes_count_by_their_samples():
    import torch

    model = layer()
    torch.nn.init.normal_(model.weight)
    vr = reduced(model, batches(5))
    vr.take_snapshot()
    vr.backward(batches(12)[0])
    uneven = model.weight.grad
    model.zero_grad()
    assert uneven is not None
    ((X, y),) = batches(12)
    full = torch.autograd.grad(torch.nn.functional.cross_entropy(model(X), y), model.weight)[0]
    torch.testing.assert_close(uneven, full, rtol=1e-12, atol=1e-14)


def with_dropout(as_a_function):
    import torch

    class Dropping(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(5, 3, dtype=torch.float64)

        def forward(self, X):
            return self.head(torch.nn.functional.dropout(X, 0.5, self.training))

    torch.manual_seed(0)
    linear = torch.nn.Linear(5, 3, dtype=torch.float64)
    return Dropping() if as_a_function else torch.nn.Sequential(torch.nn.Dropout(), linear)


@pytest.mark.parametrize(("as_a_function", "named"), [(False, "'0'"), (True, "'Dropping'")])
def test_random_layers_are_refused_or_see_the_same_draws(as_a_function, named):
    import torch

    model = with_dropout(as_a_function)
    with pytest.raises(InvalidArgument) as caught:
        reduced(model, batches()).step(batches()[0])
    assert str(caught.value).startswith(f"model={named}: the model draws random numbers")
    vr = reduced(model, batches(), random_layers="seed")
    vr.take_snapshot()
    kept = vr.state_dict()["gradient"]
    torch.manual_seed(1)
    # At the snapshot itself the batch's two gradients are equal if they see the same draws.
    vr.backward(batches()[0])
    drawn = torch.rand(())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, kept[name], rtol=0, atol=1e-15)
    torch.manual_seed(1)
    model(batches()[0][0])
    assert torch.equal(drawn, torch.rand(()))
    model.eval()
    reduced(model, batches()).step(batches()[0])


def test_batch_normalisation_is_warned_of_and_counts_each_batch_once():
    import torch

    def made():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.BatchNorm1d(5, dtype=torch.float64), torch.nn.Linear(5, 3, dtype=torch.float64)
        )

    model, plain = made(), made()
    with pytest.warns(SteepestWarning, match="a sample's gradient depends on its batch"):
        vr = reduced(model, batches())
    for batch in vr.epoch():
        vr.step(batch)
        plain(batch[0])
    found, expected = model.state_dict(), plain.state_dict()
    torch.testing.assert_close(found["0.running_mean"], expected["0.running_mean"])
    assert int(found["0.num_batches_tracked"]) == 3


def test_a_run_goes_on_from_its_state_to_the_last_bit():
    import copy

    import torch

    def steps(vr, first, last):
        for step in range(first, last):
            vr.step(batches()[step % 3])

    whole = reduced(layer(), batches(), snapshot=0.3)
    steps(whole, 0, 9)
    first = reduced(layer(), batches(), snapshot=0.3)
    steps(first, 0, 4)
    state, model = copy.deepcopy(first.state_dict()), first.model
    second = reduced(model, batches(), first.optimizer, snapshot=0.3, seed=99)
    second.load_state_dict(state)
    steps(second, 4, 9)
    assert torch.equal(second.model.state_dict()["weight"], whole.model.state_dict()["weight"])
    with pytest.raises(InvalidArgument, match="give the state of a run of the same model"):
        reduced(torch.nn.Linear(5, 3), batches()).load_state_dict(state)


def test_any_optimiser_of_torch_takes_the_steps():
    import torch

    model = layer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    vr = reduced(model, batches(), optimizer)
    losses = [float(vr.step(batch)) for _ in range(20) for batch in vr.epoch()]
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snapshot": "step"}, "snapshot='step': give \"epoch\" for a snapshot at the start of each"),
        ({"snapshot": 0.0}, 'snapshot=0.0: give "epoch"'),
        ({"random_layers": "allow"}, "random_layers='allow': give one of refuse, seed"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(InvalidArgument) as caught:
        reduced(layer(), batches(), **options)
    assert str(caught.value).startswith(message)


def test_an_optimiser_of_other_parameters_is_refused():
    import torch

    model = torch.nn.Sequential(layer(), torch.nn.Linear(3, 3))
    with pytest.raises(InvalidArgument, match="give the optimiser exactly those parameters"):
        reduced(model, batches(), torch.optim.SGD(model[0].parameters(), lr=0.1))
