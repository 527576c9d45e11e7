import json

import numpy as np
import pytest

from steepest.cli import main

SMALL = ["gaussian", "--classes", "3", "--samples-per-class", "3", "--features", "20"]


@pytest.fixture
def run(capsys):
    def command(*arguments):
        code = main(["limits", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_table_says_from_which_batch_size_on_the_max_margin_is_found(run):
    code, out, _ = run(*SMALL, "--norm", "max", "--batch-size", "1,4", "--batch-size", "full")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("gaussian: signsgd in the limit, max margin ")
    table = {line.split()[0]: line for line in lines[3:6]}
    assert list(table) == ["1", "4", "9"]
    assert table["1"].endswith("not found   exact")
    assert table["4"].endswith("predicted")
    assert table["9"].endswith("found       exact")
    assert "only the full batch of 9 finds the max margin to 0.002, of those tried (1, 4, 9)" in out


def test_json_and_file_hold_the_same(tmp_path, run):
    file = tmp_path / "limits.npz"
    asked = ["--norm", "frobenius", "--batch-size", "2,full", "--json", "--output", str(file)]
    code, out, _ = run(*SMALL, *asked)
    assert code == 0
    found = json.loads(out)
    assert found["output"] == str(file)
    with np.load(file) as kept:
        assert kept["batch_sizes"].tolist() == [each["batch_size"] for each in found["limits"]] == [2, 9]
        assert kept["directions"].shape == (2, 3, 20)
        np.testing.assert_allclose(kept["margins"], [each["margin"] for each in found["limits"]])


def test_what_is_not_available_is_null_with_its_reason(run):
    _, out, _ = run(*SMALL, "--norm", "spectral", "--batch-size", "2", "--json")
    (only,) = json.loads(out)["limits"]
    assert (only["kind"], only["margin"], only["finds_max_margin"]) == ("not available", None, None)
    assert "spectral" in only["status"]


def test_errors_are_one_line(run):
    for arguments, message in [
        (["--batch-size", "0"], "error: batch_size=0: give an integer of at least 1"),
        (["--batch-size", "two"], "error: batch_size='two': give whole numbers with commas between them"),
        (["--batch-size", "99"], "error: batch_size=99: give an integer from 1 to 9"),
        (["--at", "-1"], "error: at=-1.0: give a positive sum of step sizes"),
        (["--tolerance", "2"], "error: tolerance=2.0: give a positive relative error below 1"),
        (["--output", "limits.txt"], "error: output='limits.txt': give a file name that ends in .npz"),
    ]:
        code, _, err = run(*SMALL, "--norm", "max", *arguments)
        assert code == 2
        assert err.startswith(message)
        assert len(err.splitlines()) == 1


def test_data_that_is_not_separable_exits_with_1(run):
    code, _, err = run("gaussian", "--features", "2", "--norm", "max", "--batch-size", "1")
    assert code == 1
    assert err == "gaussian is not linearly separable, so there is no max margin to find\n"


def test_ctrl_c_prints_what_is_done_and_exits_with_130(run, monkeypatch):
    from steepest.theory.limits import smallest

    whole, calls = smallest.limit_direction, []

    def until_stopped(*arguments, **settings):
        calls.append(settings)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*arguments, **settings)

    monkeypatch.setattr(smallest, "limit_direction", until_stopped)
    code, out, err = run(*SMALL, "--norm", "frobenius", "--batch-size", "1,2,4")
    assert (code, err) == (130, "interrupted\n")
    assert [line.split()[0] for line in out.splitlines()[3:5]] == ["1", "2"]
    assert "interrupted; tried until then: 1, 2" in out
    calls[:] = [{}, {}]
    code, out, err = run(*SMALL, "--norm", "frobenius", "--batch-size", "1")
    assert (code, out, err) == (130, "", "error: interrupted\n")
