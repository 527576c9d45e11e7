"""Command lines in documentation can be typed: each names a command, its arguments and its options."""

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from steepest.cli.application import app
from steepest.experiments.claims.check import CLAIMS
from steepest.experiments.spec.data import DataSet
from steepest.experiments.spec.experiment import Experiment

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def command_lines():
    """Return every line that is a call of steepest: after a prompt, in a block of shell, or alone in code."""
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.M | re.S))
        lines = re.findall(r"^(?:\$ )?(?:.*(?:\||&&) )?(steepest [^#|&\n]*)", blocks, re.M)
        lines += re.findall(r"`(steepest [a-z]+ [^`]*)`", text)
        found.update({line.strip(): page.name for line in lines if " " in line.strip()})
    return sorted(found)


def wrong_options(line):
    """Return the options of a call that its command does not have."""
    commands: Any = typer.main.get_command(app)
    words = shlex.split(line.replace("DATA", "gaussian"))[1:]
    if words[0] in ("--help", "--version", "--install-completion", "COMMAND"):
        return set()
    plugin = words[0] == "--plugin"
    name, *rest = words[2:] if plugin else words
    command = commands.commands[name]
    parameters = command.get_params(typer.Context(command))
    known = {option for each in parameters for option in (*each.opts, *each.secondary_opts)}
    given = {word.split("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)}
    return (
        given - known - {"--help"} - ({"--distance"} if plugin else set())
    )  # an option of the plug-in's data


def test_every_command_line_names_a_command_and_its_options():
    lines = command_lines()
    assert len(lines) > 30
    assert {line: wrong for line in lines if (wrong := wrong_options(line))} == {}


def test_every_command_is_on_the_page_of_commands():
    commands: Any = typer.main.get_command(app)
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert [name for name in commands.commands if f"| `{name}` |" not in page] == []


def test_every_key_and_claim_of_an_experiment_is_on_its_page():
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    keys = {key for row in re.findall(r"^\| (`.*?) \|", page, re.M) for key in re.findall(r"`([\w-]+)`", row)}
    own = {name for name in DataSet.model_fields if name != "kind"}
    assert keys == {*Experiment.model_fields, *own, *CLAIMS}
