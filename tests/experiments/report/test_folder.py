"""What is read from a folder of results, whole, unfinished, damaged, or without its settings."""

import json
import shutil

import numpy as np
import pytest
from tests.experiments.small import CELLS, files_of_runs, run_into, small_experiment

from steepest.errors import InvalidArgument, SteepestWarning
from steepest.experiments import Verdict, carry_out, open_results
from steepest.experiments.report.folder import read_folder
from steepest.experiments.store.settings import read_settings


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_into(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copied")


def test_a_finished_experiment_is_found_with_its_settings_and_claims(whole):
    (stored,) = read_folder(whole)
    assert (stored.name, stored.title) == ("small", "A small sweep")
    assert (len(stored.cells), stored.runs, stored.missing) == (CELLS, 32, 0)
    assert stored.settings is not None
    assert stored.settings.experiment == small_experiment()
    assert {each.seed for each in stored.settings.data} == {1, 2}
    assert {claim.norm for claim in stored.claims} == {"frobenius", "max"}
    np.testing.assert_array_equal(
        stored.dataset["relative_margin_error"].sortby("norm"),
        open_results(whole)["relative_margin_error"].sortby("norm"),
    )


def test_settings_are_there_before_the_first_run_ends(tmp_path):
    def interrupt(what, done, total):
        raise KeyboardInterrupt

    assert carry_out(small_experiment(), tmp_path, progress=interrupt).interrupted
    settings = read_settings(tmp_path / "small-experiment.json")
    assert settings.experiment == small_experiment()
    assert settings.provenance["versions"].startswith("steepest ")
    assert "netCDF4" in settings.provenance["versions"]
    assert "cores" in settings.provenance["machine"]
    (first, _) = settings.data
    assert (first.name, first.samples, first.features, first.classes) == ("points", 12, 20, 3)
    with pytest.raises(InvalidArgument, match="it holds no results"):
        read_folder(tmp_path)


def test_an_unfinished_sweep_judges_what_is_whole_and_lists_the_rest(copied):
    files_of_runs(copied, "max")[0].unlink()
    (stored,) = read_folder(copied)
    assert (len(stored.cells), stored.missing) == (CELLS - 1, 1)
    by_norm = {claim.norm: claim for claim in stored.claims}
    assert by_norm["max"].verdict is Verdict.UNDECIDED
    assert by_norm["max"].reason == "unfinished: 3 of 4 cells of these runs are computed"
    assert by_norm["max"].measurements == ()
    assert by_norm["frobenius"].measurements != ()


def test_a_norm_that_was_not_begun_is_no_claim_and_no_error(copied):
    for path in files_of_runs(copied, "max"):
        path.unlink()
    (stored,) = read_folder(copied)
    assert stored.missing == 4
    assert {claim.norm for claim in stored.claims} == {"frobenius"}


def test_a_damaged_file_is_said_and_left_out(copied):
    path = files_of_runs(copied, "max")[0]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(SteepestWarning, match=rf"{path.name} is truncated .*; it is left out") as said:
        (stored,) = read_folder(copied)
    assert len(said) == 1
    assert stored.missing == 1


@pytest.mark.parametrize(
    "content",
    [
        *("{", "{}", '{"experiment": {"name": "a"}}', "[1]", "\0", '{"experiment": [1]}'),
        *("[" * 100_000, "9" * 5000),
    ],
)
def test_damaged_settings_are_refused(tmp_path, content):
    path = tmp_path / "small-experiment.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidArgument, match="it is no record of an experiment; run the experiment again"):
        read_settings(path)


def test_damaged_settings_are_said_and_the_runs_stay(copied):
    (copied / "small-experiment.json").write_text("{", encoding="utf-8")
    with pytest.warns(
        SteepestWarning, match="small-experiment.json is left out: it is no record of an exper"
    ):
        (stored,) = read_folder(copied)
    assert (stored.name, stored.settings, stored.missing, stored.claims) == ("other runs", None, 0, ())
    assert stored.runs == 32


def test_settings_of_other_data_do_not_claim_the_runs(copied):
    path = copied / "small-experiment.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    for each in table["data"]:
        each["fingerprint"] = "0" * 64
    path.write_text(json.dumps(table), encoding="utf-8")
    (stored,) = read_folder(copied)
    assert stored.settings is None


def test_runs_of_earlier_settings_stay_beside_those_of_the_later(copied):
    run_into(copied, steps=300, norm="max", batch_size=3, seed=1)
    later, *earlier = read_folder(copied)
    assert later.settings is not None
    assert later.settings.experiment.steps == 300
    assert later.missing == 0
    assert [len(each.cells) for each in earlier] == [CELLS]


def test_cells_alone_and_folders_of_folders_are_read(whole, copied, tmp_path):
    (from_cells,) = read_folder(whole / "cells")
    assert from_cells.name == "small"
    run_into(tmp_path / "another", name="another", seed=3, norm="max", batch_size=3)
    assert [stored.name for stored in read_folder(tmp_path)] == ["another", "small"]


def test_the_settings_are_an_experiment_that_runs_again(whole):
    table = json.loads((whole / "small-experiment.json").read_text(encoding="utf-8"))
    assert small_experiment().replaced(table["experiment"]) == small_experiment()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no such folder; give the folder of a run"),
        (lambda path: path.write_text("text"), "it is a file; give the folder of a run"),
        (lambda path: path.mkdir(), "it holds no results; give the folder of a run"),
    ],
)
def test_what_is_no_folder_of_results_is_refused(tmp_path, make, message):
    make(tmp_path / "results")
    with pytest.raises(InvalidArgument, match=message):
        read_folder(tmp_path / "results")
