"""Names in the code of prose become links to their place in the reference.

`st.max_margin`, `steepest.optim.Muon` and, on the page from theorem to function, `bound.margin_bound` lead
there wherever the reference has them; what it has not stays as it is.
"""

from __future__ import annotations

import re
from pathlib import Path

BLOCK = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#.*$", re.MULTILINE)
NAME = re.compile(r"(?<![\[`])`((?:st|steepest)((?:\.\w+)+)[^`\n]*)`(?![\]`])")
OF_THEORY = re.compile(r"(?<![\[`])`([a-z_]+\.([a-z_]+))`(?![\]`])")
CODE = re.compile(r"<code>(\w+)</code>(?!</a(?:utoref)?>)")
AT_THE_ROOT = re.compile(r"\[`st\.(\w+)`\]\[([\w.]+)\]")


class Names:
    """Where names are: those at the root as the page of all names has it, and the errors."""

    def __init__(self, root: Path):
        self.at_the_root = dict(AT_THE_ROOT.findall(root.joinpath("docs/api/index.md").read_text("utf-8")))
        self.source = root / "src"
        errors = root.joinpath("src/steepest/errors.py").read_text("utf-8")
        self.errors = re.findall(r"^class (\w+)", errors, re.MULTILINE)

    def with_errors(self, html: str) -> str:
        """Return a page's content with links around the names of errors that are no links yet."""
        return CODE.sub(lambda found: _error(found) if found[1] in self.errors else found[0], html)

    def linked(self, markdown: str, page: str) -> str:
        """Return a page with links around its names: not in blocks of code, headings and other links."""
        text, kept = "", 0
        for block in sorted(
            [*BLOCK.finditer(markdown), *HEADING.finditer(markdown)], key=lambda each: each.start()
        ):
            if block.start() >= kept:
                text += self._in_prose(markdown[kept : block.start()], page) + block[0]
                kept = block.end()
        return text + self._in_prose(markdown[kept:], page)

    def _in_prose(self, text: str, page: str) -> str:
        text = NAME.sub(lambda found: _link(found[1], self._path(found[2][1:])), text)
        if page == "theory.md":
            text = OF_THEORY.sub(lambda found: _link(found[1], self._path(f"theory.{found[2]}")), text)
        return text

    def _path(self, name: str) -> str:
        first, *rest = name.split(".")
        path = ".".join([self.at_the_root.get(first, f"steepest.{first}"), *rest])
        # The reference knows a function that is called as its module by both names.
        is_module = rest and self.source.joinpath(*path.split(".")).with_suffix(".py").exists()
        return f"{path}.{rest[-1]}" if is_module else path


def _error(found: re.Match[str]) -> str:
    return _link(found[1], f"steepest.errors.{found[1]}")


def _link(shown: str, path: str) -> str:
    shown = shown.replace("&", "&amp;").replace("<", "&lt;")
    return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>'
