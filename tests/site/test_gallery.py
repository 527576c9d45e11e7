"""Scripts of the gallery are short, and the light ones draw."""

import runpy
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[2] / "examples" / "gallery"
SCRIPTS = sorted(GALLERY.glob("*.py"))
PAGE = (GALLERY.parents[1] / "docs" / "gallery.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_is_short_and_shown(script):
    assert len(script.read_text("utf-8").splitlines()) <= 60
    assert f"python examples/gallery/{script.name} " in PAGE


@pytest.mark.parametrize(
    ("name", "options"), [("unit_balls", {}), ("margins", {}), ("floors", {"steps": 400})]
)
def test_it_draws(name, options, tmp_path):
    draw = runpy.run_path(str(GALLERY / f"{name}.py"))["draw"]
    assert draw(tmp_path / "picture.png", **options).read_bytes().startswith(b"\x89PNG")


@pytest.mark.torch
@pytest.mark.sklearn
def test_training_curves_draw(tmp_path):
    draw = runpy.run_path(str(GALLERY / "optimisers.py"))["draw"]
    assert draw(tmp_path / "picture.png", steps=20, rates=(0.01,)).read_bytes().startswith(b"\x89PNG")
