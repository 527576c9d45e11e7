"""Hooks of MkDocs: formulas, names, pages made of the files at the root, and pages that the navigation lacks.

A new guide joins the end of "Guides", so that adding one is adding a file.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# MkDocs loads this file alone.
sys.path.append(str(Path(__file__).parent))
from site_formulas import Formulas
from site_names import Names

ROOT = Path(__file__).parents[1]
AT_THE_ROOT = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PICTURE = re.compile(r'<img alt="[^"]*" src="([^"]*)" />')
NAMES = Names(ROOT)
SECTION = {"distributed.md": "Tutorials"}
"""Of pages that join another section than "Guides"."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Keep formulas as they are, and add every page of docs/ that the navigation lacks to its section."""
    config.markdown_extensions.append(Formulas())
    here = Path(config.docs_dir)
    named = set(_paths(config.nav))
    sections = {title: pages for entry in config.nav or [] for title, pages in entry.items()}
    for page in sorted(path.name for path in here.glob("*.md")):
        if page not in named:
            sections[SECTION.get(page, "Guides")].append(page)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changelog and its neighbours, whose links into docs/ become links within the site."""
    for name in AT_THE_ROOT:
        text = ROOT.joinpath(name).read_text("utf-8")
        text = re.sub(r"\]\(docs/", "](", text)
        for other in AT_THE_ROOT:
            text = text.replace(f"]({other}", f"]({other.lower()}")
        files.append(File.generated(config, name.lower(), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead from names to the reference."""
    return NAMES.linked(markdown, page.file.src_uri)


def on_page_content(html: str, **_: Any) -> str:
    """Lead from errors to their classes and from pictures to their files: on a telephone panels are small."""
    return PICTURE.sub(r'<a href="\1">\g<0></a>', NAMES.with_errors(html))


def _paths(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry or []
    return [path for each in inner for path in _paths(each)]
