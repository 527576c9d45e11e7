"""A claim about a method fails once the method is another: real runs, one part of the method exchanged."""

from dataclasses import replace

import pytest

from steepest.experiments.claims.check import check_claims
from steepest.experiments.claims.claim import Verdict
from steepest.experiments.spec.cells import Cell
from steepest.experiments.spec.experiment import validated
from steepest.experiments.sweep.sweep import run_experiment
from steepest.signals import signal


def mixture(**grids):
    data = {"kind": "mixture", "samples_per_class": 20, "schedule": {"initial_times_margin": 0.15}}
    table = {"name": "small", "data": data, "norm": "frobenius", "seed": 5, "gap": 1e-6}
    return validated({**table, "batch_size": [10, "full"], **grids})


def single_samples(**settings):
    data = [
        {"kind": "orthogonal", "samples": 40},
        {
            "kind": "orthogonal",
            "samples": 40,
            "name": "frequent",
            "hard_classes": "frequent",
            "contrast": True,
        },
    ]
    table = {"name": "singles", "data": data, "norm": "max", "seed": 23, "gap": 1e-6, "batch_size": 1}
    table |= {"reference": "frobenius", "bias": True, "weights": True, "schedule": {"initial": 0.1}}
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
    return replace(method, batch_size=10)


BOTH = [False, True]
# For each claim: runs on which it holds, the change of method, and the quantity by which the claim notices.
CASES = {
    "full-batch-converges": (mixture(batch_size="full"), small_batch, "error of the full batch"),
    "mini-batch-without-momentum-lags": (
        mixture(batch_size=[5, 10, "full"]),
        full_batch,
        "error / full batch",
    ),
    "moderate-momentum-helps-partly": (
        mixture(momentum=[0, 0.5]),
        momentum(0.5, 0.0),
        "error / error without momentum",
    ),
    "moderate-momentum-helps-partly, not fully": (
        mixture(momentum=[0, 0.5]),
        momentum(0.5, 0.99),
        "error / full batch",
    ),
    "large-momentum-recovers": (mixture(momentum=0.99), momentum(0.99, 0.0), "error / full batch"),
    "variance-reduction-recovers": (mixture(variance_reduction=BOTH), off, "error / full batch"),
    "batch-one-needs-longer": (
        mixture(batch_size=[1, "full"], variance_reduction=BOTH),
        off,
        "fitted exponent of b = 1",
    ),
    "worst-case-condition-is-vacuous": (mixture(), reduced, "effective margin ρ"),
    "batch-one-bias": (
        single_samples(batch_size=[1, "full"]),
        full_batch,
        "1 - cosine to the bias direction",
    ),
    "batch-one-ignores-scales": (single_samples(), full_batch, "1 - cosine of the final weights"),
    "batch-one-spectral-is-frobenius": (
        single_samples(norm=["frobenius", "spectral"]),
        momentum(0.0, 0.5),
        "largest relative difference of the weights",
    ),
}


def check(experiment, folder, claim):
    dataset = run_experiment(experiment, folder).dataset
    assert dataset is not None
    return check_claims(dataset, [claim])


@pytest.mark.parametrize("name", CASES)
def test_a_claim_holds_for_its_method_and_fails_for_another_under_the_same_label(name, tmp_path, monkeypatch):
    experiment, change, quantity = CASES[name]
    claim = name.split(",")[0]
    rows = check(experiment, tmp_path / "as named", claim)
    assert {row.verdict for row in rows} == {Verdict.HOLDS}, [row.reason for row in rows]
    methods = Cell.methods
    monkeypatch.setattr(Cell, "methods", lambda *given: [change(each) for each in methods(*given)])
    rows = check(experiment, tmp_path / "changed", claim)
    assert rows
    for row in rows:
        assert row.verdict is Verdict.FAILS
        broken = {m.quantity for m in row.measurements if m.bounded and min(m.slack) < 0}
        assert quantity in broken
