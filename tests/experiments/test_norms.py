"""An experiment over norms whose names hold / and :, and over one from a file that has no text of its own."""

from __future__ import annotations

import numpy as np
import pytest
from tests.experiments.small import small_experiment

from steepest.experiments import carry_out
from steepest.experiments.store.results import open_results
from steepest.geometry import names
from steepest.plugins import VARIABLE, load_plugin

PLUGIN = """
import numpy as np
from steepest.geometry import register_norm

class WeightedMax:
    def weights(self, A): return 1.0 + np.arange(A.shape[-1]) / A.shape[-1]
    def __call__(self, A): return np.max(np.abs(A) / self.weights(A), axis=(-2, -1))
    def dual(self, A): return np.sum(np.abs(A) * self.weights(A), axis=(-2, -1))
    def direction(self, S): return np.sign(S) * self.weights(S)

register_norm("weighted-max-of-this-test", WeightedMax())
"""
NAMES = ("weighted-max-of-this-test", "row-(4/3)/2", "column-blocks-2/inf:spectral")


@pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")
def test_every_norm_has_its_results_and_its_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(names.NORMS, "_parts", dict(names.NORMS._parts))
    (tmp_path / "weighted.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "weighted.py"))  # for worker processes
    load_plugin(tmp_path / "weighted.py")
    changes = {"norm": NAMES, "batch_size": [3, "full"], "momentum": 0.9, "seed": 1, "claims": []}
    folder = tmp_path / "results"
    carry_out(small_experiment(**changes, figure="margin-panels", gap=1e-6), folder)

    figures = {path.name for path in folder.glob("*.png")}
    parts = ("weighted-max-of-this-test", "row-(4_3)_2", "column-blocks-2_inf_spectral")
    assert figures == {f"small-points-{part}.png" for part in parts}
    results = open_results(folder)
    assert {str(norm) for norm in results["norm"].values} == set(NAMES)
    assert np.all(results["margin_floor"] <= results["normalized_margin"] + 1e-12)
    assert np.all(results["normalized_margin"].isel(step=-1) > 0)
