import numpy as np
import pytest
from tests.experiments.report.charts import charts_of
from tests.experiments.small import run_into

from steepest.experiments import write_page
from steepest.experiments.report.folder import read_folder
from steepest.experiments.report.predictions import predictions_of
from steepest.experiments.store.store import Store


def test_predictions_are_drawn_over_what_was_measured(tmp_path):
    schedule = {"initial_times_margin": 0.1, "exponent": 0.5}
    norms = ["frobenius", "max", "spectral"]
    run_into(tmp_path, steps=1000, norm=norms, momentum=[0.0, 0.5], seed=1, schedule=schedule)
    (experiment,) = read_folder(tmp_path)
    found = predictions_of(experiment)
    # Nothing of the full batch, and nothing where the limit is not available.
    assert set(found) == {("points", norm, "cross-entropy", 3) for norm in ("frobenius", "max")}

    groups = charts_of(write_page(tmp_path, predicted=True).path)["experiments"][0]["groups"]
    drawn = 0
    for group in groups:
        for line in group["lines"]:
            asked = line["batch_size"], line["momentum"], line["signal"]
            predicted = line["theory"].get("predicted_error")
            assert (predicted is not None) == (asked == (3, 0.0, "minibatch") and group["norm"] != "spectral")
            if predicted is not None:
                assert line["theory"]["predicted_seed"] == 1
                key = group["data"], group["norm"], group["loss"], 3
                known = np.array(found[key].at(np.array(group["steps"])), float)
                np.testing.assert_allclose(np.array(predicted, float), known, rtol=1e-6)
                chosen = experiment.dataset["relative_margin_error"].sel(
                    data="points", norm=group["norm"], batch_size=3, momentum=0.0, signal="minibatch", seed=1
                )
                measured = float(chosen.squeeze().values[-1])
                assert abs(predicted[-1] - measured) < 0.1 * measured + 0.02
                drawn += 1
    assert drawn == 2
    # Unless they are asked for they cost nothing.
    groups = charts_of(write_page(tmp_path).path)["experiments"][0]["groups"]
    assert not any("predicted_error" in line["theory"] for group in groups for line in group["lines"])


@pytest.mark.parametrize(
    ("lacking", "norms", "seed"),
    [
        (lambda text: text["norm"] == "max", ("frobenius",), 1),
        (lambda text: text["seed"] == 1, ("frobenius", "max"), 2),
        (lambda text: text["norm"] == "max" and text["seed"] == 1, ("frobenius", "max"), None),
        (lambda text: text["batch_size"] == 3, (), None),
    ],
)
def test_an_unfinished_sweep_has_predictions_of_what_was_run(tmp_path, lacking, norms, seed):
    run_into(tmp_path, steps=100, momentum=0.0, variance_reduction=False)
    (whole,) = read_folder(tmp_path)
    store = Store(tmp_path / "cells")
    for cell in whole.cells:
        if lacking(cell.description):
            store.path(cell.description).unlink()
    (experiment,) = read_folder(tmp_path)
    found = predictions_of(experiment)
    assert set(found) == {("points", norm, "cross-entropy", 3) for norm in norms}
    first = {norm: seed or {"frobenius": 1, "max": 2}[norm] for norm in norms}
    assert {norm: found["points", norm, "cross-entropy", 3].seed for norm in norms} == first
    assert write_page(tmp_path, predicted=True).runs == experiment.runs
