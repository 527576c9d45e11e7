"""A norm, a signal and data of a user's own, each in one file outside the package, in an experiment."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

import steepest as st
from steepest.errors import InvalidArgument
from steepest.experiments import Executor, open_results
from steepest.experiments.spec.cells import cells_of, described_signals, signals_described
from steepest.experiments.spec.data import StoredSamples
from steepest.experiments.spec.experiment import load_experiment, validated
from steepest.experiments.store.store import key_of
from steepest.experiments.sweep.sweep import run_experiment

NORM = """
import numpy as np
from steepest.geometry.names import register_norm

class DoubledMax:
    def __call__(self, A): return 2 * np.max(np.abs(A), axis=(-2, -1))
    def dual(self, A): return 0.5 * np.sum(np.abs(A), axis=(-2, -1))
    def direction(self, S): return 0.5 * np.sign(S)
    def __str__(self): return "plugin-doubled-max"

register_norm("plugin-doubled-max", DoubledMax())
"""
SIGNAL = '''
from dataclasses import dataclass
from steepest.signals import minibatch_gradient, register_signal

@dataclass(frozen=True)
class Opposed:
    """The gradient of the batch, as one more file."""
    def start(self, problem, loss, weights): return {}
    def step(self, draw, weights, fields):
        return minibatch_gradient(draw.loss, draw.batch, weights, draw.factor), {}
    def __str__(self): return "plugin-signal"

register_signal(Opposed())
'''
DATA = '''
import numpy as np
from steepest.datasets.catalogue import data_set

@data_set("plugin-ring")
def ring(classes: int = 3, radius: float = 2.0, seed: int = 0):
    """Points on a ring, a class for each arc."""
    angles = np.linspace(0, 2 * np.pi, 4 * classes, endpoint=False)
    points = radius * np.column_stack([np.cos(angles), np.sin(angles)])
    noise = 0.01 * np.random.default_rng(seed).normal(size=points.shape)
    return np.column_stack([points + noise, np.eye(4 * classes)]), np.arange(4 * classes) // 4
'''
SPEC = """
plugins = ["sized.py", "followed.py", "ring.py"]
data = { kind = "plugin-ring", radius = 3.0 }
norm = ["plugin-doubled-max", "max"]
signal = ["minibatch", "plugin-signal", "saga"]
momentum = [0.0, 0.5]
momentum_kind = "nesterov"
batch_size = 4
steps = 60
records = 5
seed = [0, 1]
gap = 1e-6
"""


@pytest.fixture
def spec(tmp_path):
    for name, text in {"sized.py": NORM, "followed.py": SIGNAL, "ring.py": DATA, "mine.toml": SPEC}.items():
        (tmp_path / name).write_text(text)
    return tmp_path / "mine.toml"


def test_an_experiment_of_ones_own_parts_runs_in_processes_that_know_none_of_them(spec, tmp_path):
    experiment = load_experiment(spec)
    assert experiment.data[0].options == {"classes": 3, "radius": 3.0}
    outcome = run_experiment(experiment, tmp_path / "out", executor=Executor(backend="loky", workers=2))
    results = open_results(tmp_path / "out")
    assert results["signal"].values.tolist() == ["minibatch", "plugin-signal", "saga"]
    error = results["relative_margin_error"].squeeze(("data", "loss", "batch_size"))
    # A signal that is the mini-batch gradient by another name, and a norm that is twice another.
    same = error.sel(signal="plugin-signal").values
    np.testing.assert_allclose(same, error.sel(signal="minibatch").values, rtol=0, atol=1e-12)
    assert np.isfinite(error.values).all()
    assert outcome.dataset is not None
    assert float(outcome.dataset["max_margin"].sel(norm="plugin-doubled-max")[0, 0]) == pytest.approx(
        0.5 * float(outcome.dataset["max_margin"].sel(norm="max")[0, 0]), rel=1e-5
    )
    # The theory is not about SAGA or Nesterov's momentum, and says nothing of them.
    assert np.isnan(results["effective_margin"].sel(signal="saga").values).all()


def test_the_command_line_knows_the_parts_of_a_plugin(spec, tmp_path):
    def steepest(*arguments):
        command = [sys.executable, "-m", "steepest", *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)

    plain = steepest("--plugin", "ring.py", "--plugin", "sized.py", "margin", "plugin-ring", "--radius", "3",
                     "--norm", "plugin-doubled-max", "--json")  # fmt: skip
    assert plain.returncode == 0, plain.stderr
    assert '"norm": "plugin-doubled-max"' in plain.stdout
    missing = steepest("margin", "plugin-ring", "--norm", "max")
    assert missing.returncode == 2
    assert "plugin-ring" in missing.stderr
    broken = steepest("--plugin", "nowhere.py", "margin", "gaussian", "--norm", "max")
    assert broken.returncode == 2
    assert ": no such file" in broken.stderr


def test_what_a_plugin_lacks_is_said_in_one_line(tmp_path):
    table = {"name": "x", "data": "gaussian", "norm": "max"}
    (tmp_path / "wrong.py").write_text("1 / 0\n")
    with pytest.raises(InvalidArgument, match=r"plugin=.*: its code fails in line 1: ZeroDivisionError"):
        validated({**table, "plugins": [str(tmp_path / "wrong.py")]})
    with pytest.raises(InvalidArgument, match=r"plugin='no_such_module': no such module"):
        validated({**table, "plugins": "no_such_module"})


def test_names_of_stored_results_are_those_of_before():
    """Keys that an older version gave: results that it stored are found, for all its kinds of data."""
    table = {
        "name": "old",
        "data": [
            "gaussian",
            "mixture",
            {"kind": "orthogonal", "hard_classes": "frequent", "contrast": True},
            {"kind": "digits"},
            {"kind": "file", "path": "/x/y.npz", "name": "mine"},
        ],
        "norm": ["frobenius", "schatten-4/3"],
        "batch_size": [5, "full"],
        "momentum": [0, 0.9],
        "variance_reduction": [False, True],
        "loss": ["cross-entropy", "exponential"],
        "schedule": {"initial_times_margin": 0.2, "exponent": 0.4},
        "reference": ["spectral"],
        "seed": [3],
    }
    experiment = validated(table)
    known = {(d.name, 3): StoredSamples(d.name, 3, "f" * 64, 100, 20, 4, 1.5) for d in experiment.data}
    cells = cells_of(experiment, known)
    keys = "".join(key_of(cell.description()) for cell in cells)
    margins = "".join(key_of(margin.description()) for cell in cells for margin in cell.margins)
    assert len(cells) == 40
    assert hashlib.sha256(keys.encode()).hexdigest()[:32] == "b46bec9579684564b72698ccecace3d6"
    assert hashlib.sha256(margins.encode()).hexdigest()[:32] == "6dc9ce42e0635861300fcf531f75210e"


def test_signals_are_described_as_before_where_they_can_be():
    for signals in (("minibatch",), ("minibatch", "svrg"), ("saga", "minibatch")):
        assert signals_described(described_signals(signals)) == list(signals)
    both = {"name": "x", "data": "gaussian", "norm": "max", "signal": "saga", "variance_reduction": True}
    with pytest.raises(InvalidArgument, match="variance_reduction=True: leave it out, signal says it"):
        validated(both)
    older = validated({"name": "x", "data": "gaussian", "norm": "max", "variance_reduction": [True, False]})
    assert older.signal == ("svrg", "minibatch")
    assert st.Method("max", signal="svrg").variance_reduction
