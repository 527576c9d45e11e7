"""``steepest margin``: what it prints, writes and returns, on data whose max margin is known by hand."""

from __future__ import annotations

import errno
import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest

import steepest as st
from steepest.cli import main


@pytest.fixture
def axes(tmp_path):
    """Two samples on axes: γ = 2 in the max norm, 2 · √(2² · 1² / (2² + 1²)) / √2 in the Frobenius norm."""
    path = tmp_path / "axes.csv"
    path.write_text("a,b,kind\n2,0,u\n0,1,v\n")
    return str(path)


@pytest.fixture
def contradiction(tmp_path):
    path = tmp_path / "xor.csv"
    path.write_text("a,b,y\n0,0,0\n1,1,0\n1,0,1\n0,1,1\n")
    return str(path)


@pytest.mark.parametrize(("norm", "margin"), [("max", 2.0), ("frobenius", math.sqrt(1.6)), ("sum", 2 / 3)])
def test_json_has_both_bounds_around_the_margin_known_by_hand(capsys, axes, norm, margin):
    assert main(["margin", axes, "--norm", norm, "--gap", "1e-6", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["margin"] <= margin * (1 + 1e-15)
    assert found["upper_bound"] >= margin * (1 - 1e-15)
    assert found["relative_gap"] == pytest.approx(1 - found["margin"] / found["upper_bound"], abs=1e-12)
    assert found["relative_gap"] <= 1e-6
    assert found["separable"] is True
    assert found["status"] == "solved"
    assert (found["samples"], found["features"], found["classes"]) == (2, 2, 2)
    assert found["data"] == "axes.csv"
    assert found["norm"] == norm
    assert found["support_size"] in (1, 2)


def test_text_names_data_bounds_gap_support_method_and_status(capsys, axes):
    assert main(["margin", axes, "--norm", "frobenius"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "axes.csv: 2 samples, 2 features, 2 classes; frobenius norm"
    rows = {line[2:16].strip(): line[16:] for line in lines[1:]}
    assert float(rows["margin"]) == pytest.approx(math.sqrt(1.6), rel=1e-8)
    assert float(rows["upper bound"]) == pytest.approx(math.sqrt(1.6), rel=1e-8)
    assert float(rows["relative gap"]) <= 1e-8
    assert rows["support"] == "2 pairs of a sample and a class, 2 of the samples"
    assert rows["solved by"].endswith(" s")
    assert rows["status"].startswith("solved: ")


def test_whether_the_optimum_is_unique_is_said_with_the_reason(capsys, axes):
    assert main(["margin", axes, "--norm", "max", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unique"] is False
    assert found["uniqueness"].startswith("not unique: 2 of 2 unknowns are left free by the support pairs")
    assert found["canonical"] is None
    assert main(["margin", axes, "--norm", "spectral"]) == 0
    assert "  optimum       unique: A(q) exposes a single point of the unit ball" in capsys.readouterr().out


def test_the_optimum_of_least_frobenius_norm_is_given_where_it_is_asked_for(capsys, axes, tmp_path):
    # [[1/2, -1], [-1/2, 1]] has Frobenius norm √2.5.
    file = tmp_path / "weights.npz"
    assert main(["margin", axes, "--norm", "max", "--canonical", "--output", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "  weights       the optimum of least Frobenius norm, 1.58113883" in shown
    with np.load(file, allow_pickle=False) as written:
        np.testing.assert_allclose(written["weights"], [[0.5, -1.0], [-0.5, 1.0]], atol=1e-9)


def test_the_label_column_is_chosen(capsys, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("kind,a,b\nu,2,0\nv,0,1\n")
    for label in ("kind", "0", "-3"):
        assert main(["margin", str(table), "--norm", "max", "--label", label, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["margin"] == pytest.approx(2.0)


def test_output_holds_weights_and_dual_weights_that_prove_the_bounds(capsys, axes, tmp_path):
    file = tmp_path / "weights.npz"
    assert main(["margin", axes, "--norm", "spectral", "--output", str(file), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["output"] == str(file)
    problem = st.datasets.from_file(axes, "kind")
    with np.load(file, allow_pickle=False) as written:
        norm = st.norm(str(written["norm"]))
        assert norm == st.norm("spectral")
        assert written["classes"].tolist() == ["u", "v"]
        attained = float(problem.normalized_margin(written["weights"], norm))
        assert attained == pytest.approx(printed["margin"], rel=1e-12)
        assert float(norm.dual(problem.pair_sum(written["dual"]))) == pytest.approx(
            printed["upper_bound"], rel=1e-12
        )
        assert len(written["support"]) == printed["support_size"]


def test_data_that_is_not_separable_exits_with_1_and_its_certificate(capsys, contradiction):
    assert main(["margin", contradiction, "--norm", "spectral"]) == 1
    shown = capsys.readouterr().out
    assert (
        "  status        not separable: the max margin is 0, certified by dual weights q with A(q) = 0"
        in shown
    )
    bound = next(line for line in shown.splitlines() if line.startswith("  upper bound"))
    assert float(bound.split()[-1]) == 0


def test_data_that_is_not_separable_says_so_in_json(capsys, contradiction):
    assert main(["margin", contradiction, "--norm", "max", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["separable"] is False
    assert found["margin"] == 0
    assert found["upper_bound"] == 0
    assert found["status"] == "not_separable"


def test_a_gap_that_is_not_reached_exits_with_3_and_the_best_bounds(capsys):
    assert main(["margin", "gaussian", "--norm", "spectral", "--time-limit", "1e-9", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "gap_not_reached"
    assert found["margin"] <= 0.222692 <= found["upper_bound"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--norm", "l2"], "norm='l2': several norms of a matrix go by this"),
        (["--norm", "schatten-0.5"], "norm='schatten-0.5': "),
        (["--norm", "max", "--gap", "0"], "gap=0.0: give a relative gap between 0 and 1, such as 1e-8"),
        (["--norm", "max", "--gap", "small"], "Invalid value for '--gap': "),
        (["--norm", "max", "--time-limit", "-1"], "time_limit=-1.0: give a positive number of seconds"),
        (["--norm", "max", "--output", "w.txt"], "output='w.txt': give a file name that ends in .npz"),
        (["--norm", "max", "--output", "no/w.npz"], "output='no/w.npz': make the folder no first"),
        (["--norm", "max", "--label", "colour"], "no column 'colour': name one of a, b, kind"),
    ],
)
def test_a_bad_option_is_one_line_and_exit_code_2(capsys, axes, options, message):
    assert main(["margin", axes, *options]) == 2
    shown = capsys.readouterr()
    *told, error = shown.err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert [line for line in told if not line.startswith("axes.csv: labels in column 'kind'")] == []
    assert shown.out == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "gauss",
            "error: data='gauss': did you mean \"gaussian\"? give digits, digits-pair, gaussian,",
        ),
        ("none.parquet", "error: none.parquet: there is no such file\n"),
        ("data.xls", "error: data.xls: its name ends in .xls: give a .npz, .npy,"),
    ],
)
def test_bad_data_is_one_line_and_exit_code_2(capsys, data, message):
    assert main(["margin", data, "--norm", "max"]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_name_that_no_file_can_have_is_refused_before_the_work(capsys, axes, tmp_path):
    folder = tmp_path / "taken.npz"
    folder.mkdir()
    for output, message in (
        (folder, "this is a folder"),
        (tmp_path / f"{'x' * 300}.npz", "File name too long"),
    ):
        assert main(["margin", axes, "--norm", "max", "--output", str(output)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: output=")
        assert message in error
        assert error.count("\n") == 1


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "weights.npz"
    command = [
        sys.executable,
        "-m",
        "steepest",
        "margin",
        "gaussian",
        "--norm",
        "frobenius",
        "--output",
        str(path),
    ]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    before = path.read_bytes()
    full = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
    code = (
        f"{full} sys.argv = {['steepest', *command[3:]]}; runpy.run_module('steepest', run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 3
    assert run.stderr == f"error: {path}: cannot be written (File too large)\n"
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["weights.npz"]


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (["gaussian"], (100, 100, 10)),
        (["gaussian", "--classes", "3", "--samples-per-class", "4", "--features", "20"], (12, 20, 3)),
        (["--samples", "12", "--classes=3", "orthogonal", "--hard-classes", "frequent"], (12, 3, 3)),
    ],
)
def test_sizes_and_seed_of_generated_data_are_options(capsys, options, shape):
    found = []
    for seed in ([], ["--seed", "0"], ["--seed", "1"]):
        assert main(["margin", *options, *seed, "--norm", "frobenius", "--gap", "1e-4", "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert (found[0]["samples"], found[0]["features"], found[0]["classes"]) == shape
    assert found[0]["fingerprint"] == found[1]["fingerprint"] != found[2]["fingerprint"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["gaussian", "--classes", "many"], "classes='many': give a whole number"),
        (["gaussian", "--classes", "1"], "classes=1: give a whole number of at least 2"),
        (
            ["gaussian", "--samples", "5"],
            "samples='5': this data takes classes, samples_per_class, features, scale",
        ),
        (["gaussian", "--label", "y"], "label='y': this data takes classes,"),
        (["digits", "--seed", "1"], "seed='1': this data takes no options"),
        (["axes.csv", "--seed", "1"], "seed='1': a file takes label, separator, encoding"),
        (["gaussian", "--clases", "3"], "No such option: --clases (Possible options: --classes"),
    ],
)
def test_an_option_that_the_data_does_not_have_is_refused(capsys, options, message):
    assert main(["margin", *options, "--norm", "max"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


def test_the_labels_of_a_file_are_told_on_standard_error(capsys, axes):
    assert main(["margin", axes, "--norm", "max"]) == 0
    shown = capsys.readouterr()
    assert shown.err == (
        "axes.csv: labels in column 'kind' (a guess: the only column of text; label, --label, names "
        "another); 2 classes: u 1, v 1\n"
    )
    assert "labels in" not in shown.out


def test_standard_input_with_a_separator_and_an_encoding(capsys, monkeypatch):
    text = "a;b;größe\n2;0;süß\n0;1;herb\n".encode("latin-1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    options = ["--separator", ";", "--encoding", "latin-1", "--label", "größe"]
    assert main(["margin", "-", "--norm", "max", *options]) == 0
    shown = capsys.readouterr()
    assert shown.err == "standard input: labels in column 'größe'; 2 classes: herb 1, süß 1\n"
    assert shown.out.startswith("standard input: 2 samples, 2 features, 2 classes; max norm")


def test_features_at_the_end_of_float64_are_one_line(capsys, tmp_path):
    path = tmp_path / "huge.csv"
    path.write_text("a,b,y\n1e308,0,u\n0,1e308,v\n-1e308,1e307,u\n")
    for command in ("margin", "theory"):
        assert main([command, str(path), "--norm", "frobenius", "--json"]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {path}: X[0, 0]=1e+308: sums of such features leave float64: divide")
        assert error.count("\n") == 1


def test_digits_without_scikit_learn_name_the_extra():
    code = (
        "import sys; sys.modules['sklearn'] = None; from steepest.cli import main; "
        "sys.exit(main(['margin', 'digits', '--norm', 'max']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 3
    assert run.stderr == ("error: the digits data needs scikit-learn: run pip install 'steepest[sklearn]'\n")


def test_the_answer_is_printed_though_the_file_cannot_be_written(capsys, monkeypatch, axes, tmp_path):
    def no_space(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "weights.npz"
    file.write_bytes(b"the old one")
    monkeypatch.setattr("os.fsync", no_space)
    for command in (
        ["margin", axes, "--norm", "max"],
        ["separability", axes],
        ["limits", axes, "--norm", "max"],
    ):
        assert main([*command, "--output", str(file), "--json"]) == 3
        printed = capsys.readouterr()
        assert json.loads(printed.out).get("output") is None
        assert printed.err.endswith("weights.npz: cannot be written (No space left on device)\n")
        assert file.read_bytes() == b"the old one"


def test_a_reader_that_goes_away_is_no_answer_of_no(capsys, monkeypatch, axes):
    def gone(_):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))  # Typer replaces them
    monkeypatch.setattr("steepest.cli.margin.typer.echo", gone)
    assert main(["margin", axes, "--norm", "max"]) == 3


def test_streams_that_are_closed(capsys, monkeypatch, axes):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["margin", "-", "--norm", "max"]) == 2
    assert "standard input is closed: give it data" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["margin", axes, "--norm", "max"]) == 0
