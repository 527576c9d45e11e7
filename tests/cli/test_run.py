"""``steepest run`` and ``steepest plan``: a user's own experiment, its overrides, and what bad ones get."""

from __future__ import annotations

import json

import pytest
import xarray as xr

from steepest.cli import main
from steepest.experiments import extensions

SPEC = """
norm = "frobenius"
momentum = [0, 0.5]
batch_size = [5, "full"]
steps = 200
records = 10
schedule = { initial_times_margin = 0.05 }
figure = "margin-panels"
claims = ["full-batch-converges"]

[[data]]
kind = "gaussian"
classes = 3
samples_per_class = 4
features = 15
scale = 1.0

[quick]
momentum = 0
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text(SPEC, encoding="utf-8")
    return file


def test_an_experiment_of_ones_own_is_planned_run_and_reused(spec, capsys):
    assert main(["plan", str(spec)]) == 0
    shown = capsys.readouterr().out
    assert "mine: 4 runs of 200 steps in 2 cells to compute (0 are there already)" in shown
    assert "1 max margins to certify" in shown
    assert not (spec.parent / "results").exists()

    # 200 steps are too few for the claim to be decided, which contradicts nothing.
    assert main(["run", str(spec), "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "undecided     full-batch-converges: gaussian, frobenius" in shown
    assert "too few steps: 200 were run" in shown
    assert "one page      steepest report results/mine\n" in shown
    table = [line.split() for line in shown.split("\n\n")[0].splitlines()]
    assert " ".join(table[0]) == "relative margin error at the last step"
    assert " ".join(table[1]).startswith("all with data gaussian, loss cross-entropy, norm frobenius")
    assert table[2] == ["batch", "size", "momentum", "error"]
    assert [row[:2] for row in table[3:]] == [["5", "0.0"], ["5", "0.5"], ["12", "0.0"], ["12", "0.5"]]
    folder = spec.parent / "results" / "mine"
    assert {path.name for path in folder.glob("mine*")} >= {"mine-gaussian.png", "mine.nc", "mine-claims.md"}

    assert main(["run", str(spec), "--quiet", "--json", "--set", "seed=[0,7]"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["seeds"] for each in found["final_errors"]] == [2, 2, 2, 2]
    assert all(each["least"] <= each["median"] <= each["largest"] < 1 for each in found["final_errors"])
    assert (found["cells_computed"], found["cells_reused"]) == (2, 2)

    assert main(["plan", str(spec), "--json", "--set", "seed=[0,7]"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["runs"], found["stored"], found["batches"]) == (0, 4, [])


def test_settings_and_the_reduced_form_change_what_is_run(spec, capsys):
    arguments = ["--set", "norm=['max','spectral']", "--set", "claims=[]", "--set", "data.0.features=20"]
    assert main(["run", str(spec), "--quick", "--quiet", "--output", "out", *arguments]) == 0
    assert capsys.readouterr().out.endswith("mine: no claims to check\n")
    with xr.open_dataset(spec.parent / "out" / "mine.nc", engine="netcdf4") as data:
        assert data["norm"].values.tolist() == ["max", "spectral"]
        assert data["momentum"].values.tolist() == [0.0]
        assert float(data["features"][0]) == 20
    assert (spec.parent / "out" / "mine-gaussian-spectral.png").exists()


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "momenta=0.5"], "momenta=0.5: no such key; did you mean momentum? accepted: name"),
        (["--set", "data.0.kind=mnist"], "data[0].kind="),
        (["--set", "batch_size=13"], "batch_size=13: data set gaussian has 12 samples"),
        (["--set", "momentum"], "set='momentum': write key=value"),
        (["--set", "momentum=[0,0.9"], "momentum='[0,0.9': '[0,0.9' is no momentum"),
        (["--set", "seed=-1"], "seed=-1: -1 is no seed"),
        (["--set", "data.3.scale=1"], "data.3.scale=1: 3 is not a position; give a number from 0 to 0"),
        (["--set", "data.².scale=1"], "data.².scale=1: ² is not a position; give a number from 0 to 0"),
        (["--set", "data={kind='file', path='nowhere.csv'}"], "SPEC/nowhere.csv: there is no such file"),
    ],
)
def test_a_bad_experiment_is_one_line_and_exit_code_2(spec, capsys, command, arguments, message):
    assert main([command, str(spec), *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"error: {message}".replace("SPEC", str(spec.parent)))
    assert shown.err.count("\n") == 1
    assert not (spec.parent / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "slurm"], "backend='slurm': give one of auto, threads, loky, dask, ray"),
        (["--workers", "0"], "workers=0: give an integer of at least 1"),
        (["--scheduler", "tcp://host:1"], "scheduler='tcp://host:1': only the backends dask and ray"),
    ],
)
def test_a_place_that_there_is_not_is_one_line_and_exit_code_2(spec, capsys, arguments, message):
    for command in (["run", str(spec)], ["reproduce", "figure1"]):
        assert main([*command, *arguments]) == 2
        shown = capsys.readouterr()
        assert shown.err.startswith(f"error: {message}")
        assert shown.err.count("\n") == 1
    assert not (spec.parent / "results").exists()


def test_a_file_that_is_not_there_is_one_line_and_exit_code_2(capsys):
    assert main(["run", "nowhere.toml"]) == 2
    assert capsys.readouterr().err.startswith("error: nowhere.toml: cannot be read: No such file")


def test_experiments_that_come_with_steepest_go_by_their_names(capsys):
    assert main(["plan", "other-norms", "--quick", "--set", "norm=entrywise-3", "--set", "steps=100"]) == 0
    assert capsys.readouterr().out.count("entrywise-3") >= 1
    assert main(["run", "figure-1"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(
        "error: experiment='figure-1': give the path of a .toml file, or one of batch-one, "
    )
    assert main(["run", "--help"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert [name for name in extensions() if name not in listed] == []


def test_data_that_is_not_separable_is_said_with_exit_code_1(spec, capsys):
    (spec.parent / "same.csv").write_text("a,b,label\n1,0,x\n1,0,y\n", encoding="utf-8")
    arguments = ["--set", "data={kind='file', path='same.csv', name='same'}", "--set", "batch_size=1"]
    assert main(["run", str(spec), "--quiet", *arguments]) == 1
    assert capsys.readouterr().err.startswith("error: same (seed 0) has no positive margin")
