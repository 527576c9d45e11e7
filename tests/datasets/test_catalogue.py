"""Data by name or path: which function answers, and what is refused."""

from __future__ import annotations

import pytest

from steepest.datasets import NAMES, gaussian, load, mixture, orthogonal_scale_skewed
from steepest.errors import DataFileError, InvalidArgument


@pytest.mark.parametrize(
    ("name", "make"),
    [("gaussian", gaussian), ("mixture", mixture), ("orthogonal", orthogonal_scale_skewed)],
)
def test_a_name_calls_its_function_with_the_options(name, make):
    assert NAMES[name] is make
    assert load(name, seed=5).fingerprint == make(seed=5).fingerprint
    assert load(name, seed=None).fingerprint == make().fingerprint


@pytest.mark.tables
@pytest.mark.parametrize("as_given", [str, lambda path: path])
def test_a_path_is_read_with_its_label(tmp_path, as_given):
    table = tmp_path / "table.csv"
    table.write_text("kind,a\nu,1\nv,2\n")
    problem = load(as_given(table), label="kind")
    assert problem.classes.tolist() == ["u", "v"]
    assert problem.name == "table.csv"


def test_a_path_object_is_never_taken_for_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataFileError, match=r"no-data: its name has no ending: give a \.npz, \.csv or"):
        load(tmp_path / "no-data")


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("gauss", {}, r"data='gauss': give gaussian, mixture, orthogonal, digits, or the path of a \.npz,"),
        ("gaussian", {"label": "y"}, r"label='y': this data takes classes, samples_per_class, .*, seed$"),
        ("digits", {"seed": 1}, r"seed=1: this data takes no options$"),
        ("table.csv", {"seed": 1}, r"seed=1: this data takes label$"),
        ("gaussian", {"classes": 1}, r"classes=1: give an integer of at least 2$"),
    ],
)
def test_refusals_name_argument_value_and_remedy(data, options, message):
    with pytest.raises(InvalidArgument, match=f"^{message}"):
        load(data, **options)
