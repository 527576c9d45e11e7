"""What pages of reference list is what there is: errors, public names, symbols, pictures."""

import re
from importlib import import_module
from inspect import getmembers, isclass
from pathlib import Path

import pytest

import steepest as st
from steepest import errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ROOMS_WITH_EXTRAS = ("estimators", "experiments", "monitor", "optim")
"""Importing what they offer needs an extra; their modules say by themselves what there is."""


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


def public_names(room):
    return import_module(f"steepest.{room}").__all__


def test_every_error_has_its_place_in_the_index():
    classes = [name for name, each in getmembers(errors, isclass) if each.__module__ == errors.__name__]
    page = text_of("errors.md")
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert len(classes) >= 8
    assert [name for name in classes if name not in headings] == []
    for name in ("InvalidArgument", "InvalidData", "MissingCapability", "DataFileError", "MissingExtra"):
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert "**Cause.**" in section
        assert "**Remedy.**" in section


def test_errors_outside_the_tree_are_in_the_index_too():
    defined = re.compile(
        r"^class (\w+)\((?:\w+, )*(?:SteepestError|RunError|InvalidArgument|SteepestWarning)\b", re.M
    )
    found = {
        name for path in (ROOT / "src").rglob("*.py") for name in defined.findall(path.read_text("utf-8"))
    }
    assert "MarginWarning" in found
    assert [name for name in found if name not in text_of("errors.md")] == []


def test_every_public_name_is_in_the_reference():
    page = text_of("api/index.md")
    assert [name for name in st.__all__ if f"st.{name}`" not in page] == []
    for room in (room for room in st.__all__ if (DOCS / "api" / f"{room}.md").exists()):
        assert f"::: steepest.{room}\n" in text_of(f"api/{room}.md")


@pytest.mark.parametrize("page", [page.relative_to(DOCS).as_posix() for page in PAGES])
def test_names_in_the_prose_exist(page):
    for path in set(re.findall(r"`st\.([\w.]+)[`(]", text_of(page))):
        room, *rest = path.split(".")
        if room in ROOMS_WITH_EXTRAS:
            assert not rest or rest[0] in public_names(room), path
            continue
        found = st
        for name in path.split("."):
            found = getattr(found, name)
    for room, name in set(re.findall(r"`steepest\.(\w+)\.(\w+)[`(]", text_of(page))):
        if room in st.__all__:
            assert name in public_names(room) or (ROOT / "src" / "steepest" / room / f"{name}.py").exists(), (
                name
            )


def test_symbols_have_attributes_that_exist():
    problem = st.datasets.gaussian(classes=2, samples_per_class=2, features=5)
    solution = st.max_margin(problem, "frobenius")
    trajectory = st.descend(problem, st.Method("frobenius"), steps=3, reference=solution)
    made = {"problem": problem, "solution": solution, "trajectory": trajectory, "norm": st.norm("max")}
    page = text_of("glossary.md")
    named = {(thing, name) for thing in made for name in re.findall(rf"`{thing}\.(\w+)", page)}
    assert len(named) > 15
    assert [(thing, name) for thing, name in named if not hasattr(made[thing], name)] == []


def test_pictures_are_there_small_and_described():
    shown = re.findall(
        r"!\[([^\]]*)\]\((?:\.\./|docs/)*(images/[\w.-]+)\)", "\n".join(map(Path.read_text, PAGES))
    )
    assert {path for _, path in shown} >= {f"images/{path.name}" for path in (DOCS / "images").iterdir()}
    for description, path in shown:
        assert len(description) >= 8
        assert (DOCS / path).stat().st_size < 400_000


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {st.__version__}\n" in citation
