"""An extension of Griffe: ``:func:`name``` and its kin in docstrings become links to what they name."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([\w.]+)`")


class References(griffe.Extension):
    """Links where the site has a page of what is named, code where it has none."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(lambda found: _link(obj, found[1]), obj.docstring.value)


def _link(obj: griffe.Object, name: str) -> str:
    try:
        path = name if name.startswith("steepest.") else obj.resolve(name)
    except griffe.NameResolutionError:
        return f"`{name}`"
    return f'<autoref optional identifier="{path}"><code>{name}</code></autoref>'
