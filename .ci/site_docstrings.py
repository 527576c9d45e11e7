"""An extension of Griffe: in docstrings ``:func:`name``` becomes a link, and an example a block of code.

Examples begin with a prompt, or are indented after ``::``, which goes or leaves a colon, or after
``.. code-block:: python``, which goes.
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*?(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^(?:\.\. code-block:: python|(.*)::)\n\n((?:(?: {4}.*)?(?:\n|\Z))+)", re.MULTILINE)
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([\w.]+)`")


class Docstrings(griffe.Extension):
    """Links lead to what has a page in the site; what has none is code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            text = ROLE.sub(lambda found: _link(obj, found[1]), obj.docstring.value)
            text = INDENTED.sub(_block, text)
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


def _block(found: re.Match[str]) -> str:
    said = f"{found[1]}:\n\n" if found[1] else ""
    return f"{said}```python\n{dedent(found[2]).strip()}\n```\n\n"


def _link(obj: griffe.Object, name: str) -> str:
    try:
        path = name if name.startswith("steepest.") else obj.resolve(name)
    except griffe.NameResolutionError:
        return f"`{name}`"
    return f'<autoref optional identifier="{path}"><code>{name}</code></autoref>'
