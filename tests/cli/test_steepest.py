"""The command line as a whole: help, version, quick start, and what every error looks like."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import numba
import pytest

from steepest import __version__
from steepest.cli import main, terminal
from steepest.cli.output import print_json
from steepest.datasets import DATA_SETS


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"steepest {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_every_command_and_the_exit_codes(capsys, monkeypatch, arguments):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "margin " in shown
    assert "reproduce " in shown
    assert "Exit codes: 0 done, 1 a claim failed" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "margin",
            [
                "--norm",
                "--gap",
                "--label",
                "--time-limit",
                "--output",
                "--json",
                "--classes",
                "digits --norm",
            ],
        ),
        (
            "reproduce",
            ["--output", "--quick", "--seeds", "--workers", "--backend", "--scheduler", "--quiet", "figure1"],
        ),
    ],
)
def test_help_of_a_command_names_its_options_and_gives_an_example(capsys, monkeypatch, command, words):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert [word for word in words if word not in shown] == []
    assert max(map(len, shown.splitlines())) <= 80


def test_help_and_import_load_nothing_heavy():
    code = """if True:
        import sys
        import steepest
        assert "numpy" not in sys.modules
        from steepest.cli import main
        assert main(["--help"]) == main(["reproduce", "--help"]) == main(["run", "--help"]) == 0
        heavy = {"numpy", "scipy", "numba", "pandas", "xarray", "matplotlib", "clarabel", "highspy"}
        loaded = heavy & sys.modules.keys()
        assert not loaded, loaded
    """
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_it_is_installed_as_a_command(tmp_path):
    script = f"{sys.exec_prefix}/bin/steepest"
    command = [script, "margin", "no-such.csv", "--norm", "max"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr == "error: no-such.csv: there is no such file\n"
    assert run.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "No such command 'fly' (see steepest --help)"),
        (["--fast"], "No such option: --fast (see steepest --help)"),
        (["margin"], "Missing argument 'DATA' (see steepest margin --help)"),
        (["margin", "gaussian"], "Missing option '--norm' (see steepest margin --help)"),
        (
            ["margin", "gaussian", "--plugin", "mine.py"],
            "No such option: --plugin: give it before the command, as steepest --plugin FILE COMMAND",
        ),
        (["reproduce", "figure1", "extra"], "Got unexpected extra argument(s) (extra) (see "),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: {message}")
    assert shown.err.count("\n") == 1


def test_a_help_page_fits_every_width(capsys, monkeypatch):
    for width in (80, 100):
        monkeypatch.setenv("COLUMNS", str(width))
        for command in ("margin", "parts", "plan", "report", "reproduce", "run", "theory"):
            assert main([command, "--help"]) == 0
            shown = capsys.readouterr().out
            assert max(map(len, shown.splitlines())) <= width
            assert "…" not in shown


PLUGIN = """
import numpy as np
from steepest.datasets import data_set

@data_set("corners")
def corners(classes: int, norm: float = 1.0, noisy: bool = False):
    \'\'\'Corners of the positive orthant.

    Args:
        classes: how many corners.
        norm: how far they are from the origin.
    \'\'\'
    return norm * np.eye(classes) + noisy, [f"c{i}" for i in range(classes)]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A plug-in with a data set, of which the next test knows nothing."""
    monkeypatch.setattr(DATA_SETS, "_parts", dict(DATA_SETS._parts))
    monkeypatch.setenv("STEEPEST_PLUGINS", "")
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return str(path)


def test_a_plug_in_brings_data_with_its_options_and_its_help(capsys, monkeypatch, plugin):
    assert (
        main(["--plugin", plugin, "margin", "corners", "--classes", "3", "--data-norm", "2", "--norm", "max"])
        == 0
    )
    assert capsys.readouterr().out.startswith(
        "corners: 3 samples, 3 features, 3 classes; max norm\n  margin        "
    )
    assert os.environ["STEEPEST_PLUGINS"] == plugin
    assert main(["--plugin", plugin, "margin", "corners", "--norm", "max"]) == 2
    assert capsys.readouterr().err == "error: classes=None: corners needs it: give a whole number\n"
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["--plugin", plugin, "theory", "--help"]) == 0
    shown = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    assert "--data-norm X How far they are from the origin (corners 1.0)." in shown
    assert "How many corners (corners needed)." in shown
    assert main(["parts"]) == 0
    assert "corners --classes … --norm 1.0 --noisy False" in capsys.readouterr().out


def test_a_plug_in_that_is_not_there_is_one_line(capsys, tmp_path):
    assert main(["--plugin", str(tmp_path / "no.py"), "parts"]) == 2
    assert capsys.readouterr().err == f"error: plugin='{tmp_path}/no.py': no such file\n"


@pytest.mark.parametrize("code", ["raise SystemExit(0)", "exit()", "import sys; sys.exit('enough')"])
def test_a_plug_in_that_ends_the_process_is_one_line(capsys, tmp_path, code):
    place = tmp_path / "ends.py"
    place.write_text(code)
    assert main(["--plugin", str(place), "parts"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: plugin='")
    assert ": its code fails in line 1: SystemExit: " in shown.err
    assert shown.err.count("\n") == 1


def test_parts_are_listed_by_kind(capsys):
    assert main(["parts", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"spectral", "max", "schatten-…", "largest-row-length"} <= set(found["norms"])
    assert {key: value for key, value in found["data"]["gaussian"][-1].items() if key != "help"} == {
        "name": "seed",
        "type": "int",
        "choices": [],
        "required": False,
        "default": 0,
    }


def test_numbers_that_are_not_finite_are_null_in_json(capsys):
    print_json({"bound": float("inf"), "rows": [(float("nan"), 1.5), {"b": None}], "text": "nan"})
    assert json.loads(capsys.readouterr().out) == {
        "bound": None,
        "rows": [[None, 1.5], {"b": None}],
        "text": "nan",
    }


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("margin g", ["gaussian"]),
        ("margin gaussian --norm sp", ["spectral"]),
        ("theory gaussian --loss ex", ["exponential"]),
        ("reproduce fig", ["figure1", "figure2", "figure3", "figure4"]),
        ("run other", ["other-norms"]),
        ("run here/", ["here/data.csv", "here/inner/"]),
        ("run ~no-such-user/", []),
        ("run missing/", []),
        ("margin gaussian --cl", ["--classes"]),
        ("th", ["theory"]),
    ],
)
def test_the_shell_completes(tmp_path, words, found):
    (tmp_path / "here" / "inner").mkdir(parents=True)
    (tmp_path / "here" / "data.csv").touch()
    asked = {"_STEEPEST_COMPLETE": "complete_bash", "COMP_WORDS": f"steepest {words}"}
    environment = {**os.environ, **asked, "COMP_CWORD": str(len(words.split()))}
    command = [sys.executable, "-m", "steepest"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.split() == found


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".csv", "x" * 300 + ".toml", "folder/" + "x" * 300])
def test_a_name_of_300_characters_is_one_line_and_exit_code_2(capsys, name):
    for arguments in (["margin", name, "--norm", "max"], ["run", name], ["plan", name], ["report", name],
                      ["reproduce", name], ["margin", "gaussian", "--norm", name],
                      ["margin", "gaussian", "--norm", "max", "--label", name],
                      ["theory", "gaussian", "--norm", "max", "--figure", f"{name}.png"]):  # fmt: skip
        assert main(arguments) == 2, arguments
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_sigterm_ends_a_command_like_ctrl_c(tmp_path, number, code):
    data = "import time, sys; from steepest.datasets import data_set\n"
    data += "@data_set('slow')\ndef slow():\n    print('started', flush=True)\n    time.sleep(60)\n"
    (tmp_path / "slow.py").write_text(data)
    command = [sys.executable, "-m", "steepest", "--plugin", "slow.py", "margin", "slow", "--norm", "max"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.1)
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert error == "error: interrupted\n"


def test_a_first_run_says_that_it_compiles(capsys, monkeypatch):
    class AtTheEnd:
        def __init__(self, seconds, told):
            self.cancel = told

        def start(self):
            pass

    monkeypatch.setattr(terminal.threading, "Timer", AtTheEnd)
    with terminal.saying("limits"):
        pass
    assert capsys.readouterr().err == ""
    with terminal.saying("limits"):
        assert numba.njit(lambda n: n + 1)(1) == 2
    assert capsys.readouterr().err.startswith("compiling for this machine, once: ")
