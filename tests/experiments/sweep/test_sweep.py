import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

from steepest.datasets import gaussian
from steepest.errors import InvalidArgument, SteepestWarning
from steepest.experiments.spec.experiment import validated
from steepest.experiments.store.results import DIMENSIONS, open_results
from steepest.experiments.sweep.sweep import NotSeparable, run_experiment

SMALL = {
    "name": "small",
    "data": [
        {"kind": "gaussian", "classes": 3, "samples_per_class": 4, "features": 15, "scale": 1.0},
        {"kind": "mixture", "samples_per_class": 8},
    ],
    "norm": ["max", "spectral"],
    "batch_size": [5, "full"],
    "momentum": [0, 0.5],
    "variance_reduction": [False, True],
    "schedule": {"initial_times_margin": 0.05},
    "steps": 300,
    "records": 20,
    "seed": [0, 3],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished")
    return directory, run_experiment(validated(SMALL), directory)


def test_results_carry_labels_units_and_every_combination(finished):
    _, outcome = finished
    dataset = outcome.dataset
    assert dict(dataset.sizes) == {
        "data": 2, "loss": 1, "norm": 2, "batch_size": 3, "momentum": 2, "signal": 2, "seed": 2,
        "step": dataset.sizes["step"],
    }  # fmt: skip
    assert dataset["batch_size"].values.tolist() == [5, 12, 40]
    assert all({"units", "long_name"} <= set(dataset[name].attrs) for name in dataset.variables)
    error = dataset["relative_margin_error"]
    assert not error.sel(data="gaussian", batch_size=[5, 12]).isnull().any()
    assert error.sel(data="gaussian", batch_size=40).isnull().all()  # more than the data has
    assert (outcome.computed, outcome.reused, outcome.interrupted) == (16, 0, False)


def test_runs_are_those_that_descend_makes(finished):
    import steepest as st

    dataset = finished[1].dataset
    problem = gaussian(classes=3, samples_per_class=4, features=15, scale=1.0, seed=3)
    solution = st.max_margin(problem, "spectral", canonical=True)
    schedule = st.PolynomialDecay(0.05 / solution.upper_bound, 0.5)
    method = st.Method("spectral", 5, 0.5, True, schedule=schedule, seed=3)
    run = st.descend(problem, method, 300, reference=solution, records=20)
    chosen = dataset.sel(
        data="gaussian", norm="spectral", loss="cross-entropy", batch_size=5, momentum=0.5, seed=3,
        signal="svrg",
    )  # fmt: skip
    for name in ("relative_margin_error", "cosine", "log_loss", "margin", "upper_bound"):
        np.testing.assert_allclose(chosen[name].values, getattr(run, name), rtol=1e-9, atol=1e-9)
    assert float(chosen["initial_step_size"]) == pytest.approx(schedule.initial)


def test_a_second_call_computes_nothing_and_a_lost_file_alone_is_computed_again(finished):
    directory, outcome = finished
    files = sorted(directory.glob("*.nc"), key=lambda path: path.stat().st_size)
    again = run_experiment(validated(SMALL), directory)
    assert (again.computed, again.reused) == (0, 16)
    xr.testing.assert_identical(again.dataset, outcome.dataset)
    cells = [path for path in files if b"relative_margin_error" in path.read_bytes()]
    cells[0].unlink()
    cells[1].write_bytes(cells[1].read_bytes()[:1000])
    with pytest.warns(SteepestWarning, match="truncated"):
        again = run_experiment(validated(SMALL), directory)
    assert (again.computed, again.reused) == (2, 14)
    xr.testing.assert_identical(again.dataset, outcome.dataset)


def test_seeds_and_batch_sizes_that_are_added_reuse_the_others(finished):
    directory, _ = finished
    larger = {**SMALL, "norm": "max", "seed": [0, 3, 4], "batch_size": [2, 5, "full"]}
    more = run_experiment(validated(larger), directory)
    assert (more.computed, more.reused) == (18 - 8, 8)


def test_interrupted_and_started_again_it_ends_bit_for_bit_the_same(finished, tmp_path):
    calls = []

    def interrupt_at_the_third_cell(label, done, total):
        calls.append(done)
        if done > 2.5 * total / 16:
            raise KeyboardInterrupt

    first = run_experiment(validated(SMALL), tmp_path, interrupt_at_the_third_cell)
    assert first.interrupted
    assert 1 <= first.computed < 16
    second = run_experiment(validated(SMALL), tmp_path)
    assert second.reused >= first.computed
    xr.testing.assert_identical(second.dataset, finished[1].dataset)


def test_progress_counts_run_steps_up_to_the_total(tmp_path):
    seen = []
    small = validated({**SMALL, "seed": 0, "norm": "max", "data": [SMALL["data"][0]]})
    run_experiment(small, tmp_path, lambda *told: seen.append(told))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert {total for _, _, total in seen} == {2 * 4 * 300}
    assert seen[-1][1:] == (2400, 2400)
    assert any(label == "0 of 8 runs, max margin: gaussian, seed 0, max" for label, _, _ in seen)
    assert seen[-1][0] == "8 of 8 runs, gaussian, seed 0, max, b = 5"


KILLED = """
import sys
from pathlib import Path
from steepest.experiments.spec.experiment import validated
from steepest.experiments.sweep.sweep import run_experiment
run_experiment(validated({small!r}), Path(sys.argv[1]))
"""


def test_a_killed_process_leaves_only_whole_results(finished, tmp_path):
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", KILLED.format(small=SMALL), str(tmp_path)])
        before = len(list(tmp_path.glob("*.nc")))
        while process.poll() is None and len(list(tmp_path.glob("*.nc"))) < before + 10:
            time.sleep(0.01)
        process.kill()
        process.wait()
    outcome = run_experiment(validated(SMALL), tmp_path)
    assert outcome.reused > 0
    xr.testing.assert_identical(outcome.dataset, finished[1].dataset)


def test_data_without_a_margin_is_said(tmp_path):
    (tmp_path / "same.csv").write_text("a,b,label\n1,0,x\n1,0,y\n", encoding="utf-8")
    data = {"kind": "file", "path": str(tmp_path / "same.csv"), "name": "same"}
    with pytest.raises(NotSeparable, match=r"same .* has no positive margin in the max norm: not separable"):
        run_experiment(validated({"name": "mine", "data": data, "norm": "max", "steps": 10}), tmp_path)


def test_warnings_about_settings_become_notes_that_the_store_keeps(tmp_path):
    hot = validated({**SMALL, "data": "gaussian", "norm": "max", "batch_size": 1, "seed": 0, "steps": 50})
    first = run_experiment(hot, tmp_path)
    assert any("variance reduction cannot hold with batch_size=1" in note for note in first.notes)
    assert run_experiment(hot, tmp_path).notes == first.notes


def test_a_folder_opens_as_one_tidy_dataset(finished):
    directory, outcome = finished
    dataset = open_results(directory)
    places = {name: outcome.dataset[name].values for name in DIMENSIONS if name != "signal"}
    # Which data a claim is about is written in the experiment, and in no cell.
    xr.testing.assert_equal(dataset.sel(places), outcome.dataset.drop_vars("generalises"))
    assert list(dataset["cosine"].dims) == list(DIMENSIONS)
    assert all({"units", "long_name"} <= set(dataset[name].attrs) for name in dataset.variables)
    table = dataset[["cosine", "log_loss"]].to_dataframe().dropna()
    assert list(table.index.names) == list(DIMENSIONS)
    assert len(table) >= 64 * outcome.dataset.sizes["step"]


def test_results_that_cannot_share_a_dataset_are_refused(tmp_path):
    small = {**SMALL, "seed": 0, "norm": "max", "data": [SMALL["data"][0]], "batch_size": 5}
    run_experiment(validated(small), tmp_path)
    run_experiment(validated({**small, "momentum": [0.5, 0.9]}), tmp_path)
    assert open_results(tmp_path)["momentum"].values.tolist() == [0.0, 0.5, 0.9]
    run_experiment(validated({**small, "steps": 100}), tmp_path)
    with pytest.raises(InvalidArgument, match=r"differ in steps; keep experiments"):
        open_results(tmp_path)
    with pytest.raises(InvalidArgument, match="holds no results"):
        open_results(tmp_path / "nowhere")
