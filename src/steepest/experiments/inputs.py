"""What the functions of this room are given, checked where it comes in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from steepest.errors import InvalidArgument

__all__ = ["Announce", "as_function", "as_instance", "as_path", "as_progress", "as_table", "as_texts"]

Announce = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


def as_instance(argument: str, value: Any, kind: type, remedy: str) -> Any:
    """Return an object of a class as it is."""
    if not isinstance(value, kind):
        raise InvalidArgument(argument, value, remedy)
    return value


def as_function(argument: str, value: Any) -> Any:
    """Return what can be called, and is no class, as it is."""
    if isinstance(value, type) or not callable(value):
        raise InvalidArgument(argument, value, "give a function")
    return value


def as_path(argument: str, value: Any, remedy: str) -> Path:
    """Return the path that a text or a path object names."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or "\0" in str(value):
        raise InvalidArgument(argument, value, remedy)
    return Path(value)


def as_progress(progress: Any, argument: str = "progress") -> Any:
    """Return a function that is told of progress, or None."""
    if progress is not None and (isinstance(progress, type) or not callable(progress)):
        raise InvalidArgument(argument, progress, "give a function of a text and two whole numbers, or None")
    return progress


def as_texts(argument: str, value: Any, remedy: str) -> tuple[str, ...]:
    """Return several texts; a single one is none, since its characters would be taken for them."""
    if isinstance(value, (str, bytes, Mapping, type)) or not isinstance(value, Iterable):
        raise InvalidArgument(argument, value, remedy)
    texts = tuple(value)
    for each in texts:
        if not isinstance(each, str):
            raise InvalidArgument(argument, each, remedy)
    return texts


def as_table(argument: str, value: Any) -> dict[str, Any]:
    """Return keys with their values; None has none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidArgument(argument, value, 'give keys with values, such as {"momentum": [0, 0.9]}')
    return dict(value)
