"""docs/theory.md names functions and tests that exist, and numbers that the code still gives."""

from importlib import import_module
from pathlib import Path

import pytest
from tests.theory.lemmas import NAMES
from tests.theory.tightness import METHODS, STATEMENTS, built, random_instances, random_runs

from steepest import theory

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")


def rows(heading):
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_function_and_test_of_the_table_exists():
    named = set()
    for _, _, functions, tests, *_ in rows("The table"):
        for name in functions.replace("`", "").split(", "):
            if "." in name:
                module, function = name.split(".")
                assert callable(getattr(import_module(f"steepest.theory.{module}"), function))
                named.add(function)
        for test in tests.replace("`", "").split(", "):
            assert test.startswith("all") or (ROOT / "tests" / "theory" / test).is_file()
    classes = {name for name in theory.__all__ if name[0].isupper()}
    assert set(theory.__all__) - classes - named <= {"batches_per_epoch", "fit_exponent"}


@pytest.mark.parametrize("name", [*NAMES, *METHODS])
def test_the_tightness_table_is_what_the_code_gives(name):
    (row,) = [row for row in rows("How tight every inequality gets") if row[0] == name]
    if name in NAMES:
        assert row[1] == STATEMENTS[name]
        assert float(row[2]) == pytest.approx(built(name), abs=2e-4)
        measured = random_instances(name, count=60)
    else:
        assert row[1] == METHODS[name][0]
        measured = random_runs(METHODS[name][1], count=30)
    assert measured <= float(row[3]) + 1e-4  # of fewer instances than the table's
