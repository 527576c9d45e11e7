"""The seams are open: nothing outside a norm's own files asks what kind of norm it was given."""

from __future__ import annotations

import ast
from pathlib import Path

import steepest

SOURCE = Path(steepest.__file__).parent
FAMILIES = {"Entrywise", "Schatten", "RowNorm", "ColumnNorm", "ScaledNorm", "BlockNorm"}


def is_own_file(path: Path) -> bool:
    """A family's file in geometry, or what a higher room registers for a family."""
    place = path.relative_to(SOURCE)
    return place.parts[0] == "geometry" or place.stem == "norms" or "norms" in place.parts[:-1]


def offences(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            named = {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
            if named & FAMILIES:
                yield f"{path}:{node.lineno}: asks for the type of a norm"
        if isinstance(node, ast.Attribute) and node.attr in ("p", "inner", "outer", "dual_norm"):
            owner = ast.unparse(node.value).rsplit(".", 1)[-1]
            if owner.strip("_") in ("norm", "other", "dual", "base"):
                yield f"{path}:{node.lineno}: reads {ast.unparse(node)}"


def test_no_room_asks_what_kind_of_norm_it_was_given():
    found = [each for path in SOURCE.rglob("*.py") if not is_own_file(path) for each in offences(path)]
    assert not found, "\n".join(found)


def test_the_search_finds_what_it_looks_for(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("isinstance(x.norm, Schatten)\nif self.norm.p == 2: pass\n")
    assert len(list(offences(file))) == 2
