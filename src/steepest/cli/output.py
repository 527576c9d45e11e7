"""What commands print as JSON, and files that they are asked to write: checked before the work."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from steepest.errors import InvalidArgument, RunError

if TYPE_CHECKING:
    import numpy as np

    from steepest.problem import Classification

__all__ = ["check_writable", "portable_classes", "print_json", "written_before"]


def print_json(found: Mapping[str, Any]) -> None:
    """Print one JSON object; a number that is not finite is null, which every reader of JSON takes."""
    typer.echo(json.dumps(_valid(found), indent=2, ensure_ascii=False, allow_nan=False))


@contextmanager
def written_before(output: Path | None, write: Callable[[Path], None]) -> Iterator[Path | None]:
    """Write a file, and yield its path for the answer that is printed within the block.

    Where it cannot be written, on a full disk say, None is yielded, and the error comes after the answer:
    hours of work are not lost with the file.

    Raises:
        RunError: the file could not be written.
    """
    failure = None
    try:
        if output is not None:
            write(output)
    except RunError as error:
        failure = error
    yield None if failure is not None else output
    if failure is not None:
        raise failure


def check_writable(argument: str, path: Path, endings: Iterable[str]) -> None:
    """Refuse a file that could not be written in the end, or whose ending is another.

    Raises:
        InvalidArgument: with what to do.
    """
    allowed = tuple(endings)
    if path.suffix not in allowed:
        listed = " or ".join(filter(None, (", ".join(allowed[:-1]), allowed[-1])))
        raise InvalidArgument(argument, str(path), f"give a file name that ends in {listed}")
    try:
        if path.is_dir():
            raise InvalidArgument(argument, str(path), "this is a folder: give the name of a file in it")
        if not path.parent.is_dir():
            raise InvalidArgument(argument, str(path), f"make the folder {path.parent} first")
        path.exists()
    except OSError as error:
        raise InvalidArgument(argument, str(path), f"no such file can be: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise InvalidArgument(argument, str(path), f"the folder {path.parent} cannot be written to")


def portable_classes(problem: Classification) -> np.ndarray:
    """Return the classes as .npz files hold them that are read without pickle: objects as text."""
    classes = problem.classes
    return classes if classes.dtype != object else classes.astype(str)


def _valid(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _valid(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_valid(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
