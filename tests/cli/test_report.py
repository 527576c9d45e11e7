"""``steepest report``: what it writes and prints, and what bad folders get."""

from __future__ import annotations

import json
import shutil

import pytest
from tests.experiments.small import files_of_runs, run_into

from steepest.cli import main

ONE_METHOD = {"momentum": 0.0, "variance_reduction": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run_into(tmp_path_factory.mktemp("small"), **ONE_METHOD)


def test_the_page_goes_into_the_folder_or_where_it_is_wanted(folder, tmp_path, capsys):
    assert main(["report", str(folder)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"small: 8 runs; 2 undecided\nwrote {folder / 'report.html'}\n"
    assert shown.err == ""
    assert (folder / "report.html").stat().st_size > 100_000
    target = tmp_path / "elsewhere.html"
    assert main(["report", str(folder), "--output", str(target), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["output"] == str(target)
    (small,) = found["experiments"]
    assert (small["name"], small["runs"], small["cells"], small["cells_missing"]) == ("small", 8, 8, 0)
    assert {claim["verdict"] for claim in small["claims"]} == {"undecided"}


@pytest.mark.filterwarnings("always::steepest.errors.SteepestWarning")
def test_a_damaged_cell_is_said_and_the_rest_is_shown(folder, tmp_path, capsys):
    copied = shutil.copytree(folder, tmp_path / "copied")
    path = files_of_runs(copied, "max", **ONE_METHOD)[0]
    path.write_bytes(path.read_bytes()[:100])
    assert main(["report", str(copied)]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith(f"warning: {path} is truncated or no NetCDF file")
    assert shown.err.count("\n") == 1
    assert "small: 7 runs; 2 undecided; unfinished, 1 cell is missing\n" in shown.out


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (lambda path: None, [], "there is no such folder; give the folder of a run"),
        (lambda path: path.write_text("text"), [], "it is a file; give the folder of a run"),
        (lambda path: path.mkdir(), [], "it holds no results; give the folder of a run"),
        (lambda path: path.mkdir(), ["--output", "page.txt"], "give a file name that ends in .html or .htm"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_exit_code_2(tmp_path, capsys, make, arguments, message):
    make(tmp_path / "results")
    assert main(["report", str(tmp_path / "results"), *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.endswith(f"{message}\n")
    assert shown.err.count("\n") == 1


@pytest.mark.filterwarnings("always::steepest.errors.SteepestWarning")
def test_a_folder_of_foreign_files_is_refused_after_naming_them(tmp_path, capsys):
    (tmp_path / "foreign.nc").write_text("not ours", encoding="utf-8")
    assert main(["report", str(tmp_path)]) == 2
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {tmp_path / 'foreign.nc'} is truncated or no NetCDF file")
    assert error.endswith("it holds no results; give the folder of a run")
