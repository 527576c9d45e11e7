"""``steepest separability``: what it prints, writes and returns, on data whose answer is known by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from steepest.cli import main


@pytest.fixture
def file(tmp_path):
    def write(text, name="trial.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


TRIAL = "exposed,outcome\n" + "0,well\n" * 5 + "0,ill\n" * 3 + "1,ill\n" * 4
"""No exposed person stayed well: classes in order are ill, well."""


def rows_of(shown):
    return {line[2:16].strip(): line[16:] for line in shown.splitlines()[1:]}


def test_quasi_complete_separation_exits_with_1_and_names_the_feature(capsys, file):
    assert main(["separability", file(TRIAL), "--label", "outcome", "--intercept"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "trial.csv: 12 samples, 2 features, 2 classes"
    rows = rows_of(out)
    assert rows["verdict"].startswith("weakly separable (quasi-complete separation): ")
    assert rows["verdict"].endswith("certified in exact arithmetic")
    assert rows["overlap"] == "8 of 12 pairs of a sample and another class"
    assert rows["infinite"] == "class 'well' against 'ill': exposed to -inf"
    assert rows["shown by"].startswith("2 samples, counted from 0: ")


def test_json_has_the_fate_of_every_coefficient(capsys, file):
    assert main(["separability", file(TRIAL), "--label", "outcome", "--intercept", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["separable"], found["exact"]) == ("weakly_separable", False, True)
    assert found["overlapped_pairs"] == 8
    assert found["residual"] == 0
    assert found["coefficients"] == [
        {"class": "well", "against": "ill", "feature": "exposed", "value": "-inf"},
        {"class": "well", "against": "ill", "feature": "(intercept)", "value": "finite"},
    ]


def test_separable_data_exits_with_0(capsys, file):
    path = file("seconds,y\n1700000000,a\n1700000001,a\n1700000002,b\n")
    assert main(["separability", path, "--label", "y", "--intercept"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows["verdict"].startswith("separable: ")
    assert rows["infinite"] == "class 'b' against 'a': seconds to +inf, (intercept) to -inf"
    assert rows[""] == "as these weights have it; others that separate may have other signs"


def test_overlapping_data_exits_with_1_and_no_infinite_coefficient(capsys, file):
    path = file("x,y\n1,a\n2,b\n3,a\n4,b\n")
    assert main(["separability", path, "--label", "y", "--intercept"]) == 1
    rows = rows_of(capsys.readouterr().out)
    assert rows["verdict"].startswith("not separable: ")
    assert rows["infinite"] == "no coefficient of a logistic regression"
    assert rows["overlap"] == "4 of 4 pairs of a sample and another class"


def test_what_is_undecided_exits_with_3_and_its_numbers(capsys, tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "noise.npz"
    np.savez(path, X=generator.normal(size=(2000, 60)), y=generator.integers(0, 30, 2000))
    assert main(["separability", str(path), "--time-limit", "1e-9"]) == 3
    rows = rows_of(capsys.readouterr().out)
    assert rows["verdict"].startswith("undecided: ")
    assert "smallest margin reached is -" in rows["verdict"]


def test_features_without_names_are_numbered(capsys, tmp_path):
    path = tmp_path / "flags.npz"
    np.savez(path, X=[[1.0, -1.0], [1.0, 1.0]], y=[0, 1])
    assert main(["separability", str(path), "--intercept", "--json"]) == 0
    features = [each["feature"] for each in json.loads(capsys.readouterr().out)["coefficients"]]
    assert features == ["feature 0", "feature 1", "(intercept)"]
    assert main(["separability", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["coefficients"]
    assert [each["feature"] for each in found] == [0, 1]


def test_output_holds_the_evidence(capsys, file, tmp_path):
    output = tmp_path / "evidence.npz"
    path = file(TRIAL)
    assert main(["separability", path, "--label", "outcome", "--intercept", "--output", str(output)]) == 1
    assert rows_of(capsys.readouterr().out)["written to"] == str(output)
    with np.load(output, allow_pickle=False) as written:
        assert written["kind"] == "weakly_separable"
        assert written["exact"]
        assert written["classes"].tolist() == ["ill", "well"]
        assert written["overlapped"].shape == (8, 2)
        assert written["coefficients"].tolist() == [[0, 0], [-np.inf, 0]]
        margins = (written["weights"][0] - written["weights"][1]) @ [1.0, 1.0]
        assert margins > 0


def test_wrong_arguments_are_one_line(capsys, file, tmp_path):
    assert main(["separability", file(TRIAL), "--time-limit", "-1"]) == 2
    assert "time_limit=-1.0: give a positive number of seconds" in capsys.readouterr().err
    assert main(["separability", file(TRIAL), "--output", str(tmp_path / "x.csv")]) == 2
    assert "give a file name that ends in .npz" in capsys.readouterr().err
