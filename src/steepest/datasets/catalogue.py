"""Data sets by name, for the command line and for specs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any

from steepest.datasets.files import SUFFIXES, from_file
from steepest.datasets.real import digits
from steepest.datasets.synthetic import gaussian, mixture, orthogonal_scale_skewed
from steepest.errors import InvalidArgument
from steepest.problem import Classification

NAMES: Mapping[str, Callable[..., Classification]] = MappingProxyType(
    {"gaussian": gaussian, "mixture": mixture, "orthogonal": orthogonal_scale_skewed, "digits": digits}
)
"""Every data set that has a name, and the function that makes it."""


def load(name_or_path: str | os.PathLike[str], **options: Any) -> Classification:
    """Return the data set of that name, or the data in the file at that path.

    ``options`` are the arguments of the function behind the name (:data:`NAMES`), or of
    :func:`~steepest.datasets.from_file`; an option of ``None`` counts as not given.

    Raises:
        InvalidArgument: neither a known name nor a path, an option that this data set does not have, or a
            bad value of one.
        DataFileError: the file cannot be used.
        MissingExtra: the data needs a package that is not installed.

    >>> load("gaussian", classes=3, seed=1).n_classes
    3
    """
    given = {name: value for name, value in options.items() if value is not None}
    make = NAMES.get(os.fspath(name_or_path))
    if make is None:
        if not _looks_like_path(name_or_path):
            raise InvalidArgument(
                "data",
                str(name_or_path),
                f"give {', '.join(NAMES)}, or the path of a {', '.join(SUFFIXES)} file",
            )
        _require_known(given, from_file, skip=1)
        return from_file(name_or_path, **given)
    _require_known(given, make)
    return make(**given)


def _looks_like_path(name_or_path: str | os.PathLike[str]) -> bool:
    path = Path(name_or_path)
    return bool(path.suffix) or len(path.parts) > 1 or path.exists() or not isinstance(name_or_path, str)


def _require_known(options: dict[str, Any], make: Callable[..., Classification], skip: int = 0) -> None:
    accepted = list(signature(make).parameters)[skip:]
    for name, value in options.items():
        if name not in accepted:
            remedy = f"this data takes {', '.join(accepted)}" if accepted else "this data takes no options"
            raise InvalidArgument(name, value, remedy)
