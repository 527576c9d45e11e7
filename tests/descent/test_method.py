"""Methods: names of the literature, validation, equality."""

from __future__ import annotations

import pickle

import pytest
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument
from steepest.signals import MOMENTUM_KINDS, SIGNALS


@pytest.mark.parametrize(
    ("name", "norm", "momentum"),
    [
        ("signsgd", "max", 0.0),
        ("signum", "max", 0.9),
        ("normalized-sgd", "frobenius", 0.0),
        ("n-msgd", "frobenius", 0.9),
        ("spectral-sgd", "spectral", 0.0),
        ("muon", "spectral", 0.9),
    ],
)
@pytest.mark.parametrize("reduced", [False, True])
def test_names_of_the_literature(name, norm, momentum, reduced):
    full = f"vr-{name}" if reduced else name
    method = st.Method.named(full, batch_size=5)
    assert (str(method.norm), method.momentum, method.variance_reduction) == (norm, momentum, reduced)
    assert method.name == full


def test_named_methods_take_settings_and_refuse_contradictions():
    assert st.Method.named("muon", momentum=0.99, seed=3).momentum == 0.99
    with pytest.raises(InvalidArgument, match=r"momentum=0.5: signsgd has none"):
        st.Method.named("signsgd", momentum=0.5)
    with pytest.raises(InvalidArgument, match=r"norm='max': leave it out"):
        st.Method.named("muon", norm="max")
    with pytest.raises(InvalidArgument, match=r"name='adam': give one of signsgd, signum"):
        st.Method.named("adam")


def test_other_norms_are_described():
    assert st.Method("nuclear").name == "nuclear descent"
    assert st.Method("schatten-4", momentum=0.5, variance_reduction=True).name == (
        "vr-schatten-4 descent with momentum"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "l2"}, "norm"),
        ({"batch_size": 0}, "batch_size=0: give an integer of at least 1"),
        ({"batch_size": 2.0}, "batch_size=2.0"),
        ({"batch_size": True}, "batch_size=True"),
        ({"momentum": 1.0}, "momentum=1.0: give a number β with 0 ≤ β < 1"),
        ({"momentum": -0.1}, "momentum=-0.1"),
        ({"momentum": float("nan")}, "momentum=nan"),
        ({"variance_reduction": "yes"}, "variance_reduction='yes': give True or False"),
        ({"loss": "hinge"}, "loss='hinge': give one of cross-entropy, exponential"),
        ({"schedule": 0.1}, "schedule=0.1: give a schedule"),
        ({"seed": -1}, "seed=-1: give a whole number"),
    ],
)
def test_bad_settings_name_the_argument_its_value_and_the_remedy(settings, message):
    with pytest.raises(InvalidArgument, match=message):
        st.Method(**settings)


def test_equal_settings_are_equal_hashable_and_picklable():
    method = st.Method("spectral", batch_size=3, momentum=0.5)
    assert method == st.Method(st.norm("spectral"), batch_size=3, momentum=0.5)
    assert len({method, st.Method("spectral", batch_size=3, momentum=0.5)}) == 1
    assert pickle.loads(pickle.dumps(method)) == method  # our own bytes
    assert method.fingerprint() != st.Method("spectral", batch_size=3, momentum=0.5, seed=1).fingerprint()


def test_batch_size_must_fit_the_problem():
    assert st.Method().batch_size_for(random_problem()) == 12
    with pytest.raises(InvalidArgument, match="batch_size=13: give an integer from 1 to 12, or None"):
        st.Method(batch_size=13).batch_size_for(random_problem())


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("plain", ["signum", "normalized-sgd", "n-msgd", "muon"])
def test_names_of_every_signal_are_read_back(signal, plain):
    method = st.Method.named(f"{signal}-{plain}", batch_size=5)
    assert str(method.signal) == signal
    assert st.Method.named(method.name, batch_size=5) == method


def test_fingerprints_of_the_first_version_are_those_that_its_files_hold():
    steps = "PolynomialDecay(initial=0.1, exponent=0.5)"
    for method, fingerprint in [
        (st.Method(), f"frobenius b=None beta=0.0 vr=False cross-entropy {steps} seed=0"),
        (
            st.Method("spectral", 5, 0.99, True, "exponential", seed=7),
            f"spectral b=5 beta=0.99 vr=True exponential {steps} seed=7",
        ),
        (
            st.Method("schatten-2.5", 1, signal="svrg", momentum_kind="ema"),
            f"schatten-2.5 b=1 beta=0.0 vr=True cross-entropy {steps} seed=0",
        ),
        (
            st.Method("entrywise-1.1", 2, 0.5, seed=1),
            f"entrywise-1.1 b=2 beta=0.5 vr=False cross-entropy {steps} seed=1",
        ),
    ]:
        assert method.fingerprint() == fingerprint


def test_every_signal_and_momentum_has_a_fingerprint_of_its_own():
    methods = [
        st.Method(batch_size=2, momentum=0.5, signal=signal, momentum_kind=kind)
        for signal in SIGNALS
        for kind in MOMENTUM_KINDS
    ]
    assert len({each.fingerprint() for each in methods}) == len(methods)
    assert len(set(methods)) == len(methods)
