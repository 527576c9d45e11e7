"""The site in a folder, built as continuous integration builds it."""

from __future__ import annotations

from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]


def built_into(folder: Path) -> Path:
    """Build the site into a folder, and return it."""
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))
    return folder


def pages_of(site: Path) -> list[Path]:
    """Return all pages but the one that a server shows for addresses that do not exist."""
    return [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]
