"""A supported claim is contradicted once the method is another: real runs, one part of the method
exchanged."""

from dataclasses import replace

import pytest

from steepest.experiments.claims.check import CLAIMS, check_claims
from steepest.experiments.claims.verdict import Outcome, Verdict
from steepest.experiments.spec.cells import Cell
from steepest.experiments.spec.experiment import validated
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.sweep.sweep import run_experiment
from steepest.signals import signal

STEPS = 4_000
"""Fewer than the claims are about, on data that is small enough for them to show."""

SEEDS = list(range(10))


def mixture(**grids):
    data = {"kind": "mixture", "classes": 3, "samples_per_class": 10, "features": 15, "separation": 2.0}
    data["schedule"] = {"initial_times_margin": 0.15}
    table = {"name": "small", "data": data, "norm": "frobenius", "seed": SEEDS, "gap": 1e-6, "records": 60}
    return validated({**table, "steps": STEPS, "batch_size": [3, "full"], **grids})


def gaussian(**grids):
    data = {"kind": "gaussian", "classes": 3, "samples_per_class": 5, "features": 20}
    data["schedule"] = {"initial_times_margin": 0.15}
    return mixture(**{"data": data, **grids})


def single_samples(**settings):
    data = [
        {"kind": "orthogonal", "samples": 40},
        {"kind": "orthogonal", "samples": 40, "name": "other", "hard_classes": "frequent", "contrast": True},
    ]
    table = {"name": "singles", "data": data, "norm": "max", "seed": SEEDS, "gap": 1e-6, "batch_size": 1}
    table |= {"bias": True, "weights": True, "schedule": {"initial": 0.1}, "steps": STEPS, "records": 60}
    return validated({**table, **settings})


def off(method):
    return replace(method, signal=signal("minibatch"))


def reduced(method):
    return replace(method, signal=signal("svrg"))


def momentum(labelled, used):
    return lambda method: replace(method, momentum=used) if method.momentum == labelled else method


def full_batch(method):
    return replace(method, batch_size=None)


def small_batch(method):
    return replace(method, batch_size=2)


BOTH = [False, True]
# For each claim: runs on which it is supported, the change of method, and the quantity that refutes it.
CASES = {
    "full-batch-converges": (gaussian(batch_size="full"), small_batch, "fitted exponent"),
    "mini-batch-without-momentum-lags": (mixture(), full_batch, "error / full batch"),
    "moderate-momentum-helps-partly": (
        mixture(momentum=[0, 0.5]),
        momentum(0.5, 0.0),
        "error / that without momentum",
    ),
    "moderate-momentum-helps-partly, not fully": (
        mixture(momentum=[0, 0.5]),
        momentum(0.5, 0.99),
        "error / full batch",
    ),
    "large-momentum-recovers": (
        mixture(momentum=0.99, steps=20_000, batch_size=[1, "full"]),
        momentum(0.99, 0.0),
        "error / full batch",
    ),
    "variance-reduction-recovers": (
        mixture(variance_reduction=BOTH, steps=20_000, batch_size=[1, "full"]),
        off,
        "error / full batch",
    ),
    "batch-one-needs-longer": (
        mixture(batch_size=[1, "full"], variance_reduction=BOTH),
        off,
        "fitted exponent of b = 1",
    ),
    "worst-case-condition-is-vacuous": (mixture(), reduced, "effective margin ρ"),
    "batch-one-bias": (
        single_samples(data={"kind": "orthogonal", "samples": 40}),
        full_batch,
        "largest ‖W_t - R_t B‖ / its bound",
    ),
    "batch-one-ignores-scales": (
        single_samples(reference="frobenius"),
        full_batch,
        "change of the cosine to the Frobenius max-margin solution",
    ),
    "batch-one-spectral-is-frobenius": (
        single_samples(
            data={"kind": "orthogonal", "samples": 20}, norm=["frobenius", "spectral"], records=20
        ),
        momentum(0.0, 0.5),
        "largest relative difference of the weights",
    ),
}


def check(experiment, folder, claim):
    dataset = run_experiment(experiment, folder, executor=Executor("threads")).dataset
    assert dataset is not None
    return check_claims(dataset, [claim])


@pytest.mark.parametrize("name", CASES)
def test_a_claim_is_supported_by_its_method_and_contradicted_by_another_under_its_label(
    name, tmp_path, monkeypatch
):
    experiment, change, quantity = CASES[name]
    claim = name.split(",")[0]
    monkeypatch.setitem(CLAIMS._parts, claim, replace(CLAIMS[claim], steps=STEPS))
    rows = check(experiment, tmp_path / "as named", claim)
    assert {row.verdict for row in rows} == {Verdict.SUPPORTED}, [row.reason for row in rows]
    methods = Cell.methods
    monkeypatch.setattr(Cell, "methods", lambda *given: [change(each) for each in methods(*given)])
    rows = check(experiment, tmp_path / "changed", claim)
    assert rows
    for row in rows:
        assert row.verdict is Verdict.CONTRADICTED, row.reason
        assert quantity in {e.quantity for e in row.effects if e.outcome in (Outcome.REFUTED, Outcome.FLOOR)}
