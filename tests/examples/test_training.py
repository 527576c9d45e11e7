"""The examples that train networks, on a few steps: they run, tune on one grid, and write what they say."""

from __future__ import annotations

import csv
import random
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.sklearn]

EXAMPLES = Path(__file__).parents[2] / "examples"
CURVES = ["Muon", "Signum", "NormalizedSGD", "rows", "AdamW"]


@pytest.fixture
def ran(monkeypatch, tmp_path, capsys):
    """Return a function that runs an example and returns what it printed and the rows that it wrote."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def run(name):
        output = tmp_path / f"{name}.png"
        monkeypatch.setattr(sys, "argv", [name, "--quick", "--output", str(output)])
        import_module(name).main()
        assert output.read_bytes().startswith(b"\x89PNG")
        table = output.with_suffix(".csv")
        rows = list(csv.DictReader(table.read_text().splitlines())) if table.exists() else []
        return capsys.readouterr().out, rows

    return run


@pytest.mark.parametrize("name", ["character_transformer", "digits_network"])
def test_curves_of_five_optimisers_from_one_grid(ran, name):
    printed, rows = ran(name)
    assert list(dict.fromkeys(row["optimiser"] for row in rows)) == CURVES
    for optimiser in CURVES:
        own = [row for row in rows if row["optimiser"] == optimiser]
        assert {row["seed"] for row in own} == {"0", "1"}
        assert {row["lr"] for row in own} <= {"0.003", "0.01"}
        ends = [[float(row["loss"]) for row in own if row["step"] == step] for step in ("0", "3")]
        assert max(ends[1]) < max(ends[0])
        assert sum(line.split()[0] == optimiser for line in printed.splitlines() if line.strip()) == 2


def test_widths_start_alike_and_their_best_rates_are_compared(ran):
    printed, _ = ran("width_transfer")
    for name in ("spectral-width", "matched-rms", "AdamW"):
        assert f"{name}: best rates of all widths within" in printed


def test_stories_are_grammatical_and_drawn_again_from_a_seed(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = import_module("character_transformer")
    assert example.text(500, 1) == example.text(500, 1) != example.text(500, 2)
    for seed in range(50):
        first, *sentences, total = example.story(random.Random(seed)).removesuffix(".\n").split(". ")
        assert first.endswith("meet")
        left, right = total.split(" = ")
        assert sum(map(int, left.split(" + "))) == int(right)
        for words in map(str.split, sentences):
            # A plural subject has two or three words, and its verb no s.
            noun = words[1 + (words[1] in example._ADJECTIVES)] if words[0] == "the" else words[0]
            verb = words[words.index(noun) + 1]
            plural = words[0] == "the" and noun.endswith("s")
            assert (
                verb in example._VERBS
                if plural
                else verb.removesuffix("s") in example._VERBS and verb.endswith("s")
            )


def test_averages_in_few_bits_are_compared_from_the_same_seeds(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(sys, "argv", ["momentum_dtypes", "--quick", "--seeds", "1"])
    import_module("momentum_dtypes").main()
    lines = capsys.readouterr().out.splitlines()
    assert [float(line.split(": ")[1].split()[0]) for line in lines] == 3 * [
        4.0,
        2.0,
        pytest.approx(1.016, abs=0.01),
    ]
    assert all(abs(float(line.split("mean ")[1].split()[0])) < 1 for line in lines)
