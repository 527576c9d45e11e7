"""The command line as a whole: help, version, quick start, and what every error looks like."""

from __future__ import annotations

import subprocess
import sys

import pytest

from steepest import __version__
from steepest.cli import main


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
        ("margin", ["--norm", "--gap", "--label", "--time-limit", "--output", "--json", "digits --norm"]),
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
        assert main(["--help"]) == main(["margin", "--help"]) == main(["reproduce", "--help"]) == 0
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
        (["reproduce", "figure1", "extra"], "Got unexpected extra argument(s) (extra) (see "),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: {message}")
    assert shown.err.count("\n") == 1
