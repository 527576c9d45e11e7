"""Every public function and method refuses wrong kinds of arguments by an error of ours, or takes them.

Functions are found by inspection, so that a new one joins by itself: what it has to be given besides the
wrong argument stands in RIGHT, by the parameter's name.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import steepest as st
from steepest.errors import SteepestError, SteepestWarning
from steepest.geometry.names import FAMILIES, NORMS
from steepest.losses import LOSSES
from steepest.signals.names import MOMENTUM_KINDS, SIGNALS

ROOMS = (
    "",
    ".datasets",
    ".descent",
    ".geometry",
    ".losses",
    ".maxmargin",
    ".schedules",
    ".signals",
    ".theory",
)
INNER = {
    "losses.log_mean_exp": "engines and losses call it in every step, on what they made",
    "losses.normalized_residuals": "engines and losses call it in every step, on what they made",
    "losses.residuals": "engines and losses call it in every step, on what they made",
    "losses.weighted_gradient": "engines and losses call it in every step, on what they made",
    "schedules.step_sizes": "engines and theory call it, with a schedule that was checked",
    "signals.coins": "an engine calls it in every step",
    "signals.minibatch_gradient": "a signal calls it in every step, with what the engine made",
    "signals.variance_reduced_gradient": "a signal calls it in every step, with what the engine made",
    "signals.with_momentum": "a signal calls it in every step, with what the engine made",
}
"""Functions that trust their callers, and why."""

PROBLEM = st.datasets.gaussian(classes=3, samples_per_class=2, features=8, seed=1)
SOLUTION = st.max_margin(PROBLEM, "frobenius", 1e-4)
METHOD = st.Method("frobenius", batch_size=2, momentum=0.5)
RUN = st.descend(PROBLEM, METHOD, 60, reference=SOLUTION)
WEIGHTS = np.arange(24.0).reshape(3, 8)
INSTANCES = (PROBLEM, SOLUTION, RUN, METHOD, st.norm("spectral"), st.norm("max"), st.PolynomialDecay())
"""Objects whose public methods are tried too."""

WRONG: dict[str, Any] = {
    "None": None,
    "text": "some text",
    "empty text": "",
    "nan": float("nan"),
    "inf": float("inf"),
    "-1": -1,
    "0": 0,
    "2.5": 2.5,
    "True": True,
    "large": 10**400,
    "complex": 1j,
    "object": object(),
    "class": st.Classification,
    "function": lambda *_: None,
    "empty list": [],
    "list of texts": ["a", "b"],
    "dict": {"a": 1},
    "wrong shape": np.ones((2, 2, 5)),
    "vector": np.ones(3),
    "nan array": np.full((3, 8), np.nan),
    "empty array": np.ones((0, 8)),
    "complex array": np.ones((3, 8)) * 1j,
    "object array": np.array([[None] * 8] * 3, dtype=object),
    "text array": np.array([["a"] * 8] * 3),
    "dates": np.zeros((3, 8), dtype="M8[s]"),
    "masked array": np.ma.masked_all((3, 8)),
    "sparse matrix": csr_array(np.eye(8)),
    "attributes of nothing": SimpleNamespace(),
    "arrays": (WEIGHTS, [0, 1, 2]),
}
"""Values that are wrong for nearly everything; what can do with one of them may do so."""

RIGHT: dict[str, Any] = {
    "problem": PROBLEM,
    "X": PROBLEM.features,
    "y": PROBLEM.labels,
    "norm": "frobenius",
    "norm_": "frobenius",
    "loss_": "cross-entropy",
    "method": METHOD,
    "methods": METHOD,
    "schedule": st.PolynomialDecay(),
    "steps": 20,
    "margin": SOLUTION,
    "reference": SOLUTION,
    "solution": SOLUTION,
    "initial_step_size": 0.1,
    "trajectory": RUN,
    "W": WEIGHTS,
    "A": WEIGHTS,
    "S": WEIGHTS,
    "q": np.full((6, 3), 0.1),
    "sample_weight": np.ones(6),
    "t": 3,
    "step": 3,
    "momentum": 0.5,
    "batches": 3,
    "batch_size": 2,
    "samples": 6,
    "classes": 3,
    "radius": 1.5,
    "exponent": 0.5,
    "gaps": np.geomspace(1, 0.1, 20),
    "p": 3,
    "inner": 2,
    "outer": 3,
    "base": "spectral",
    "blocks": 1,
    "first": st.norm("max"),
    "second": st.norm("sum"),
    "seed": 1,
    "make": lambda seed=0: PROBLEM,
    "path": "no-such-file.csv",
    "name_or_path": "digits",
    "kind": st.signals.momentum_kind("ema"),
    "signal_": st.signals.signal("saga"),
}
TINY = """
name = "tiny"
norm = "frobenius"
steps = 10
records = 3
gap = 1e-3
data = { kind = "gaussian", classes = 2, samples_per_class = 2, features = 5 }
"""
RIGHT_FOR: dict[tuple[str, str], Any] = {
    ("datasets.data_set", "name"): "of-a-test",
    ("datasets.generate", "name"): "gaussian",
    ("datasets.register_data_set", "name"): "of-a-test",
    ("geometry.norm", "name"): "max",
    ("geometry.register_norm", "name"): "of-a-test",
    ("geometry.register_norm_family", "name"): "of-a-test",
    ("geometry.register_norm_family", "parse"): lambda text: st.norm("max"),
    ("Method.named", "name"): "muon",
    ("losses.loss", "name"): "exponential",
    ("losses.register_loss", "part"): st.losses.loss("exponential"),
    ("geometry.norm_name", "norm"): st.norm("max"),
    ("signals.momentum_kind", "name"): "ema",
    ("signals.signal", "name"): "saga",
    ("theory.fit_exponent", "steps"): np.arange(1, 21),
    ("theory.predicted_margin_bound", "steps"): np.arange(1, 21),
}
"""Where a parameter's name alone does not say what is right."""


def public_parts(rooms: Iterable[str]) -> Iterator[tuple[str, Callable[..., Any]]]:
    seen = set()
    for room in rooms:
        module = importlib.import_module(f"steepest{room}")
        for name in getattr(module, "__all__", []):
            part = getattr(module, name)
            if id(part) not in seen and (inspect.isfunction(part) or _is_made_by_users(part)):
                seen.add(id(part))
                yield f"{part.__module__.split('.')[1] if room == '' else room[1:]}.{name}", part


def public_methods() -> Iterator[tuple[str, Callable[..., Any]]]:
    for instance in INSTANCES:
        for name, method in inspect.getmembers(instance, inspect.ismethod):
            if not name.startswith("_") or name == "__call__":
                yield f"{type(instance).__name__}.{name}", method


def _is_made_by_users(kind: object) -> bool:
    """Whether it is a class with a constructor of its own: results, protocols and enumerations have none."""
    if (
        not inspect.isclass(kind)
        or issubclass(kind, (Exception, dict))
        or getattr(kind, "_is_protocol", False)
    ):
        return False
    constructor = getattr(vars(kind).get("__init__"), "__code__", None)
    by_hand = constructor is not None and constructor.co_filename != "<string>"
    return by_hand or "__post_init__" in vars(kind)


def parameters(name: str, part: Callable[..., Any]) -> dict[str, Any]:
    """Return each parameter with a right value; those that may be left out have none."""
    found = {}
    for each in inspect.signature(part).parameters.values():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            continue
        value = RIGHT_FOR.get((name, each.name), RIGHT.get(each.name, each.default))
        assert each.default is not each.empty or value is not each.empty, f"{name}: add {each.name} to RIGHT"
        found[each.name] = value if each.default is each.empty else each.default
    return found


def called(part: Callable[..., Any], arguments: dict[str, Any]) -> object:
    """Call by name, and by position where a parameter takes nothing else."""
    kinds = inspect.signature(part).parameters
    only = [name for name in arguments if kinds[name].kind is inspect.Parameter.POSITIONAL_ONLY]
    return part(*(arguments[name] for name in only), **{k: v for k, v in arguments.items() if k not in only})


PARTS = [each for each in (*public_parts(ROOMS), *public_methods()) if each[0] not in INNER]


def complaint(part: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """Return what is wrong with how a call ends: nothing, if it works or an error of ours comes."""
    try:
        called(part, arguments)
    except SteepestError as error:
        return f"more than one line: {error}" if "\n" in str(error) else ""
    except Exception as error:  # noqa: BLE001 - any other error is what is looked for
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.fixture
def aside(monkeypatch, tmp_path):
    """Whatever a call registers or writes goes where no other test sees it."""
    monkeypatch.chdir(tmp_path)
    for parts in (st.datasets.DATA_SETS, LOSSES, SIGNALS, MOMENTUM_KINDS, NORMS, FAMILIES):
        monkeypatch.setattr(parts, "_parts", dict(parts._parts))


def complaints(name: str, part: Callable[..., Any], wrong: dict[str, Any]) -> list[str]:
    arguments = parameters(name, part)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", SteepestWarning)
        found = [
            (parameter, kind, complaint(part, {**arguments, parameter: value}))
            for parameter in arguments
            for kind, value in wrong.items()
        ]
    return [f"{parameter} = {kind}: {text}" for parameter, kind, text in found if text]


@pytest.mark.usefixtures("aside")
@pytest.mark.parametrize(("name", "part"), PARTS, ids=[name for name, _ in PARTS])
def test_only_errors_of_ours_come_of_wrong_arguments(name, part):
    found = complaints(name, part, WRONG)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.torch
@pytest.mark.usefixtures("aside")
def test_only_errors_of_ours_come_of_wrong_tensors():
    import torch

    wrong = {
        "meta tensor": torch.zeros(3, 8, device="meta"),
        "sparse tensor": torch.eye(8).to_sparse(),
        "complex tensor": torch.zeros(3, 8, dtype=torch.complex64),
        "tensor of another shape": torch.zeros(5),
        "tensor with a gradient": torch.zeros(3, 8, requires_grad=True),
        "half precision": torch.zeros(3, 8, dtype=torch.float16),
    }
    found = {name: complaints(name, part, wrong) for name, part in PARTS}
    assert not any(found.values()), "\n" + "\n".join(
        f"{name}: {each}" for name in found for each in found[name]
    )


@pytest.mark.lab
@pytest.mark.usefixtures("aside")
def test_only_errors_of_ours_come_of_wrong_arguments_of_experiments(monkeypatch):
    from tests.experiments.synthetic import results

    from steepest.experiments import CLAIMS, FIGURES, Executor, Runs, load_experiment

    Path("tiny.toml").write_text(TINY, encoding="utf-8")
    tiny = load_experiment("tiny.toml")
    monkeypatch.setattr("steepest.experiments.reproduction.paper_experiment", lambda _: tiny)
    right = {
        "experiment": tiny,
        "directory": "results",
        "path": "tiny.toml",
        "name_or_path": "tiny.toml",
        "figure": "figure1",
        "settings": ["seed=1"],
        "dataset": None,
        "names": ["margins-are-certified"],
        "executor": Executor("threads", 1),
        "output": "page.html",
        "name": "of-a-test",
        "statement": "The loss goes to 0.",
        "threshold": "log-loss <= -10",
        "runs": next(iter(Runs.of(results()))),
        "quantity": "log-loss",
        "where": "full batch",
        "values": [-12.0, -15.0],
    }
    monkeypatch.setattr(f"{__name__}.RIGHT", RIGHT | right)
    for parts in (CLAIMS, FIGURES):
        monkeypatch.setattr(parts, "_parts", dict(parts._parts))
    found = {name: complaints(name, part, WRONG) for name, part in public_parts([".experiments"])}
    assert not any(found.values()), "\n" + "\n".join(
        f"{name}: {each}" for name in found for each in found[name]
    )
