"""An extension of Markdown: in formulas ``_`` marks an index, and ``‖S‖_*`` and ``W*`` are symbols.

Markdown takes them for emphasis, drops them, and reads the braces that follow as attributes. Emphasis is
written with asterisks here.
"""

from __future__ import annotations

import re

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.util import ETX, STX

AFTER_CODE_AND_LINKS, BEFORE_EMPHASIS = 80, 60
"""Markdown's own priorities."""


class Symbols(InlineProcessor):
    """Underscores, and asterisks that belong to the symbol before them."""

    def handleMatch(self, m: re.Match[str], _: str) -> tuple[str, int, int]:  # noqa: N802 (Markdown's name)
        """Return them as Markdown keeps what a backslash precedes."""
        kept = re.sub(r"[_*]", lambda mark: f"{STX}{ord(mark[0])}{ETX}", m[0])
        return kept, m.start(0), m.end(0)


class Formulas(Extension):
    """Formulas in plain text stay as they are."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (Markdown's name)
        """Look for symbols once code and links are out of the way."""
        priority = (AFTER_CODE_AND_LINKS + BEFORE_EMPHASIS) / 2
        md.inlinePatterns.register(Symbols(r"_+\*?|\bW\*", md), "symbols", priority)
