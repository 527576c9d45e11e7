"""What commands print as JSON, and files that they are asked to write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from steepest.errors import RunError

if TYPE_CHECKING:
    import numpy as np

    from steepest.problem import Classification

__all__ = ["portable_classes", "print_json", "written_before"]


def print_json(found: Mapping[str, Any]) -> None:
    """Print one JSON object; a number that is not finite is null, which every reader of JSON takes."""
    from steepest.experiments.plain import as_json

    typer.echo(as_json(found))


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


def portable_classes(problem: Classification) -> np.ndarray:
    """Return the classes as .npz files hold them that are read without pickle: objects as text."""
    classes = problem.classes
    return classes if classes.dtype != object else classes.astype(str)
