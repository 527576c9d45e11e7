"""``steepest reproduce``: a reduced figure 1, interrupted and continued, and what bad arguments get."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from steepest.cli import main
from steepest.experiments.figures import draw

COMMAND = [sys.executable, "-c", "import sys; from steepest.cli import main; sys.exit(main())", "reproduce"]


def test_an_interrupted_figure_goes_on_where_it_stopped(capsys, monkeypatch, tmp_path):
    folder = tmp_path / "out"
    arguments = [*COMMAND, "figure1", "--quick", "--output", str(folder)]

    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        assert first.stdout is not None
        while percent(first.stderr.readline()) < 20:
            assert first.poll() is None
        first.send_signal(signal.SIGINT)
        shown = first.stdout.read()
        assert "Traceback" not in first.stderr.read()
    assert first.returncode == 130
    assert shown.endswith("figure1: interrupted; the same command goes on where it stopped\n")
    assert not list(folder.glob("*.png"))

    second = subprocess.run([*arguments, "--json", "--quiet"], capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert second.stderr == ""
    found = json.loads(second.stdout)
    assert found["cells_reused"] >= 1
    assert found["cells_computed"] >= 1
    assert found["holds"] is True
    assert found["interrupted"] is False
    assert {claim["verdict"] for claim in found["claims"]} == {"supported", "undecided"}
    assert {claim["name"] for claim in found["claims"]} >= {"full-batch-converges", "large-momentum-recovers"}
    assert {file.rsplit(".")[-1] for file in found["files"]} == {"png", "pdf", "nc", "json", "md"}

    # What is said is the same where nothing is drawn again.
    monkeypatch.setattr(
        draw, "save_figure", lambda _, stem: [Path(f"{stem}{ending}") for ending in (".png", ".pdf")]
    )
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["reproduce", "figure1", "--quick", "--output", str(folder)]) == 0
    third = capsys.readouterr()
    assert third.err.splitlines()[-1].startswith("100 %")
    assert "full-batch-converges: gaussian, frobenius\n" in third.out
    assert " undecided; on other data " in third.out.splitlines()[-1]
    told = third.out.splitlines()
    assert [file for file in found["files"] if not any(line.endswith(file) for line in told)] == []
    assert max(len(line) for line in told if str(folder) not in line) <= 80


def percent(line):
    """Return the percentage at the start of a line of progress."""
    return int(line.split("%")[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["figure9"], "figure='figure9': give one of figure1"),
        (["figure1", "--seeds", "0,x"], "seeds='0,x': give integers with commas between them, such as 0,1,2"),
        (["figure1", "--seeds", ""], "seeds='': give integers with commas between them, such as 0,1,2"),
    ],
)
def test_a_bad_argument_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"error: {message}")
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_3(capsys, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert main(["reproduce", "figure1", "--quick", "--output", str(taken)]) == 3
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1].startswith("error: ")
    assert str(taken) in shown.err.splitlines()[-1]
    assert "Traceback" not in shown.err
