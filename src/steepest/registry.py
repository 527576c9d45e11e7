"""Parts by name: norms, signals, losses, data sets and whatever else a user may add with one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Generic, TypeVar

from steepest.errors import InvalidArgument
from steepest.plugins import load_installed_plugins

__all__ = ["Registry"]

Part = TypeVar("Part")


class Registry(Mapping[str, Part], Generic[Part]):
    """Parts of one kind, each under the name by which calls, files and the command line know it.

    Args:
        kind: what the parts are, which is also the argument that an unknown name is blamed on.

    >>> shapes = Registry[str]("shape")
    >>> shapes.register("square", "four sides")
    'four sides'
    >>> shapes["sqare"]
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: shape='sqare': did you mean "square"? give one of square
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._parts: dict[str, Part] = {}

    def register(self, name: str, part: Part) -> Part:
        """Add a part under a name, and return it.

        Raises:
            InvalidArgument: the name is taken by another part, or is no text that can be typed as one word.
        """
        if not isinstance(name, str) or not name or name != name.strip() or len(name.split()) != 1:
            raise InvalidArgument("name", name, f"name the {self.kind} by a text without spaces")
        present = self._parts.get(name)
        if present is not None and not _same_source(present, part):
            raise InvalidArgument("name", name, f"there is a {self.kind} of that name; choose another")
        self._parts[name] = part
        return part

    def registered(self, name: str) -> Callable[[Part], Part]:
        """Return a decorator that adds what it decorates under the name."""
        return lambda part: self.register(name, part)

    def __getitem__(self, name: str) -> Part:
        if name not in self:
            raise InvalidArgument(self.kind, name, f"{self.guess(name)}give one of {', '.join(self)}")
        return self._parts[name]

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        if name not in self._parts:
            load_installed_plugins()
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def guess(self, name: object) -> str:
        """Return which part may be meant, as the beginning of a sentence, or an empty text."""
        close = get_close_matches(str(name), self._parts, n=1)
        return f'did you mean "{close[0]}"? ' if close else ""


def _same_source(present: object, part: object) -> bool:
    """Whether both are one definition: a file that is loaded again brings its parts again."""
    if present is part:
        return True
    sources = [
        (getattr(each, "__module__", None), getattr(each, "__qualname__", None)) for each in (present, part)
    ]
    return sources[0] == sources[1] and sources[0][1] is not None
