"""`steepest theory`: the table, the JSON, the momentum table, and every error as one line."""

import errno
import json

import numpy as np
import pytest

import steepest as st
from steepest.cli import main


@pytest.fixture
def small(tmp_path):
    problem = st.datasets.gaussian(classes=3, samples_per_class=4, features=20, seed=1)
    path = tmp_path / "small.npz"
    np.savez(path, X=problem.features, y=problem.labels)
    return path


def output(capsys, *arguments):
    code = main(["theory", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_table(small, capsys):
    code, out, err = output(capsys, small, "--norm", "spectral", "--batch-size", 4, "--momentum", 0.99)
    assert (code, err) == (0, "small.npz: labels in array 'y'; 3 classes: 0 4, 1 4, 2 4\n")
    for text in ("Separable (3.1) holds", "Drift (3.4) holds", "effective margin", "t₁", "sharp", "paper"):
        assert text in out
    assert "promises nothing" not in out


def test_the_full_batch_is_asked_for_by_name(small, capsys):
    named = output(capsys, small, "--norm", "max", "--batch-size", "full")
    assert named == output(capsys, small, "--norm", "max")
    assert "signsgd, full batch" in named[1]


def test_vacuous_condition_is_said_aloud(small, capsys):
    code, out, _ = output(capsys, small, "--norm", "max", "--batch-size", 4)
    assert code == 0
    assert "Effective margin (4.1) FAILS" in out
    assert "the theory promises nothing" in out
    assert "never" in out


def test_json_has_the_numbers_of_the_library(small, capsys):
    code, out, _ = output(
        capsys, small, "--norm", "frobenius", "--batch-size", 4, "--momentum", 0.9, "--variance-reduction",
        "--loss", "exponential", "--schedule", "0.2,0.4", "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    problem = st.datasets.from_file(small)
    solution = st.max_margin(problem, "frobenius", 1e-6)
    method = st.Method("frobenius", 4, 0.9, True, "exponential", st.PolynomialDecay(0.2, 0.4))
    summary = st.theory.summarize(problem, method, solution)
    assert found["quantities"]["feature_radius"]["sharp"] == summary["feature_radius"].sharp
    assert found["quantities"]["separation_start"]["sharp"] == pytest.approx(
        summary["separation_start"].sharp, rel=1e-3
    )
    assert found["quantities"]["rate_exponent"]["sharp"] == 0.4
    assert found["schedule"] == {"initial": 0.2, "exponent": 0.4}
    assert found["method"] == "vr-n-msgd"
    assert found["separable"] is True


def test_default_step_sizes_follow_the_margin(small, capsys):
    _, out, _ = output(capsys, small, "--norm", "max", "--json")
    found = json.loads(out)
    assert found["schedule"]["initial"] * found["quantities"]["max_margin"]["sharp"] == pytest.approx(0.15)


@pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")
def test_momentum_table(small, capsys):
    arguments = (small, "--norm", "frobenius", "--schedule", "1,0.5", "--momentum-table", "--steps", 300)
    code, out, err = output(capsys, *arguments)
    assert code == 0
    assert out.count("| frobenius |") == 3
    assert "1 - β, worked" in out
    assert "run-steps" in err
    code, out, _ = output(capsys, *arguments, "--json")
    rows = json.loads(out)["required_momentum"]
    assert [row["batches"] for row in rows] == [12, 3, 2]
    assert all(row["sharp"] < row["paper"] for row in rows)
    assert len(rows[0]["errors"]) == 10


def test_figure(small, tmp_path, capsys):
    target = tmp_path / "bound.svg"
    code, out, _ = output(capsys, small, "--norm", "spectral", "--figure", target, "--steps", 200)
    assert code == 0
    assert f"wrote {target}" in out
    assert "<svg" in target.read_text(encoding="utf-8")


def test_a_figure_of_what_features_cost(small, tmp_path, capsys):
    target = tmp_path / "dimensions.svg"
    arguments = (small, "--norm", "spectral", "--momentum", "0.9", "--dimension-figure", target)
    code, out, _ = output(capsys, *arguments)
    assert code == 0
    assert out.endswith(f"wrote {target}\n")
    assert "| 10000 |" in out
    assert "<svg" in target.read_text(encoding="utf-8")
    code, _, err = output(capsys, small, "--norm", "max", "--dimension-figure", "dimensions.txt")
    assert code == 2
    assert "dimension-figure='dimensions.txt': give a file name that ends in .png" in err


def test_a_figure_that_a_full_disk_cuts_short_leaves_the_one_that_was_there(
    small, tmp_path, capsys, monkeypatch
):
    def no_space(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "bound.png"
    target.write_bytes(b"the old one")
    monkeypatch.setattr("os.fsync", no_space)
    code, out, err = output(capsys, small, "--norm", "max", "--figure", target, "--steps", 50)
    assert code == 3
    # What was found is printed all the same, without a word of the figure.
    assert "effective margin" in out
    assert "wrote" not in out
    assert err.splitlines()[-1] == f"error: {target}: cannot be written (No space left on device)"
    assert target.read_bytes() == b"the old one"
    assert {each.name for each in tmp_path.iterdir()} == {"bound.png", "small.npz"}


def test_data_that_is_not_separable_exits_with_one(tmp_path, capsys):
    path = tmp_path / "mixed.csv"
    path.write_text("x,label\n1,a\n1,b\n2,a\n", encoding="utf-8")
    code, out, _ = output(capsys, path, "--norm", "max")
    assert code == 1
    assert "Separable (3.1) FAILS" in out
    code, _, err = output(capsys, path, "--norm", "max", "--momentum-table")
    assert code == 3
    assert "not known to be separable" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--norm", "maxx"], "norm='maxx'"),
        (["--norm", "max", "--schedule", "0.1"], "schedule='0.1': give the first step size and the exponent"),
        (["--norm", "max", "--schedule", "0,1"], "initial=0"),
        (["--norm", "max", "--momentum", "1"], "momentum=1"),
        (["--norm", "max", "--batch-size", "0"], "batch_size=0"),
        (["--norm", "max", "--batch-size", "13"], "batch_size=13: give an integer between 1 and 12"),
        (["--norm", "max", "--loss", "hinge"], "loss='hinge'"),
        (["--norm", "max", "--momentum-table", "--steps", "-1"], "steps=-1"),
        (
            ["--norm", "max", "--figure", "bound.txt"],
            "figure='bound.txt': give a file name that ends in .png",
        ),
        (
            ["--norm", "max", "--figure", "bound.png", "--steps", "0"],
            "steps=0: give at least 1 step to compare",
        ),
        (["--norm", "max", "--figure", "missing/bound.png"], "make the folder missing first"),
        ([], "Missing option '--norm'"),
    ],
)
def test_errors_are_one_line(small, capsys, arguments, message):
    code, out, err = output(capsys, small, *arguments)
    assert code == 2
    assert out == ""
    *told, error = err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert [line for line in told if not line.startswith("small.npz: labels in array 'y'")] == []
