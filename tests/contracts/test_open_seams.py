"""The seams are open: nothing outside a norm's own files asks what kind of norm it was given."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import steepest

SOURCE = Path(steepest.__file__).parent
FAMILIES = {"Entrywise", "Schatten", "RowNorm", "ColumnNorm", "ScaledNorm", "BlockNorm"}
PARTS = {"p", "inner", "outer", "blocks", "base", "dual_norm"}
NORMS = {"norm", "other", "dual", "base"}
"""What a norm is called where it is used, trailing underscores aside."""


def is_own_file(path: Path) -> bool:
    """A family's file in geometry, or what a higher room registers for a family."""
    place = path.relative_to(SOURCE)
    return place.parts[0] == "geometry" or place.stem == "norms" or "norms" in place.parts[:-1]


def names_a_family(node: ast.AST) -> bool:
    return any(
        getattr(each, "id", getattr(each, "attr", None)) in FAMILIES
        for each in ast.walk(node)
        if isinstance(each, ast.Name | ast.Attribute)
    )


def is_a_norm(node: ast.AST) -> bool:
    return ast.unparse(node).rsplit(".", 1)[-1].strip("_") in NORMS


def offence_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", "")
        if called in ("isinstance", "issubclass") and names_a_family(node.args[1]):
            return "asks for the type of a norm"
        if called in ("getattr", "hasattr") and is_a_norm(node.args[0]):
            asked = getattr(node.args[1], "value", None)
            return f"asks a norm for {asked}" if asked in PARTS else None
    if isinstance(node, ast.Compare) and "type(" in ast.unparse(node.left):
        return "compares the type of a norm" if any(map(names_a_family, node.comparators)) else None
    if isinstance(node, ast.MatchClass):
        return "matches the type of a norm" if names_a_family(node.cls) else None
    if isinstance(node, ast.Attribute) and node.attr in PARTS and is_a_norm(node.value):
        return f"reads {ast.unparse(node)}"
    return None


def offences(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found = offence_of(node)
        if found is not None:
            yield f"{path}:{node.lineno}: {found}"  # type: ignore[attr-defined]


def test_no_room_asks_what_kind_of_norm_it_was_given():
    found = [each for path in SOURCE.rglob("*.py") if not is_own_file(path) for each in offences(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(x.norm, Schatten)",
        "isinstance(each, (geometry.Entrywise, str))",
        "type(norm_) is Entrywise",
        "self.norm.p == 2",
        "dual_ = norm.dual_norm",
        "getattr(norm, 'p', None)",
        "match norm:\n    case Schatten(): pass",
    ],
)
def test_the_search_finds_what_it_looks_for(tmp_path, line):
    file = tmp_path / "bad.py"
    file.write_text(f"{line}\n", encoding="utf-8")
    assert len(list(offences(file))) == 1


def test_the_search_lets_through_what_every_norm_has(tmp_path):
    file = tmp_path / "good.py"
    file.write_text("norm.dual(A) + norm(A)\nnorm.direction(S)\nbase_ = Schatten(2)\n", encoding="utf-8")
    assert not list(offences(file))
