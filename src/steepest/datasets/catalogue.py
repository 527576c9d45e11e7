"""Data sets by name: the registry of generators, and what turns a name or a path into a problem."""

from __future__ import annotations

import os
from collections.abc import Callable
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from steepest.datasets.files import STANDARD_INPUT, SUFFIXES, from_file
from steepest.datasets.parameters import parameters_of
from steepest.errors import InvalidArgument, InvalidData
from steepest.problem import Classification
from steepest.registry import Registry

__all__ = ["DATA_SETS", "data_set", "generate", "load", "names_a_file", "register_data_set"]

Generator = TypeVar("Generator", bound=Callable[..., Any])

DATA_SETS: Registry[Callable[..., Any]] = Registry("data")
"""Every data set that has a name, and the function that makes it."""


def register_data_set(name: str, make: Generator) -> Generator:
    """Give a generator of data a name, by which the command line, specs and :func:`load` know it.

    Args:
        name: one word that no other data set has.
        make: returns a :class:`~steepest.Classification`, or features and labels; its signature and the Args
            of its docstring say which options there are (:func:`~steepest.datasets.parameters_of`). An
            experiment passes its seed as ``seed`` where the signature has one.

    Returns:
        The generator itself.

    Raises:
        InvalidArgument: the name is taken or is not one word, or the signature has a parameter that cannot
            be typed on a command line.

    ::

        def two_points(distance: float = 2.0):
            return [[0.0, 1.0], [distance, 1.0]], [0, 1]


        register_data_set("two-points", two_points)
        load("two-points", distance=3.0)
    """
    parameters_of(make)
    DATA_SETS.register(name, make)
    return make


def data_set(name: str) -> Callable[[Generator], Generator]:
    """Return a decorator that registers a generator of data under the name.

    In a file of one's own, loaded by ``steepest --plugin FILE`` or ``plugins = ["FILE"]``::

        @data_set("two-points")
        def two_points(distance: float = 2.0):
            return [[0.0], [distance]], ["near", "far"]

    Raises:
        InvalidArgument: as :func:`register_data_set`.
    """
    return lambda make: register_data_set(name, make)


def generate(name: str, **options: Any) -> Classification:
    """Return the data set that the generator of that name makes.

    Args:
        name: of the generator, one of :data:`DATA_SETS`.
        options: its arguments; one of ``None`` is left out.

    Raises:
        InvalidArgument: an unknown name, an option that the generator does not have, one that it needs, or
            a bad value of one.
        InvalidData: the generator returned no classification problem.

    >>> problem = generate("gaussian", classes=2, samples_per_class=3, features=8)
    >>> problem.samples, problem.dimension
    (6, 8)
    """
    make = DATA_SETS[name]
    parameters = {each.name: each for each in parameters_of(make)}
    given = {option: value for option, value in options.items() if value is not None}
    _require_known(given, list(parameters))
    for each in parameters.values():
        if each.required and each.name not in given:
            raise InvalidArgument(each.name, None, f"{name} needs it: give {each.wanted}")
    made = make(**{option: parameters[option].value_of(value) for option, value in given.items()})
    if isinstance(made, Classification):
        return made
    if isinstance(made, tuple) and len(made) == 2:
        return Classification(*made, name=name)
    raise InvalidData(name, type(made).__name__, "let its generator return a Classification, or X and y")


def load(name_or_path: str | os.PathLike[str], **options: Any) -> Classification:
    """Return the data set of that name, or the data in the file at that path.

    Args:
        name_or_path: one of :data:`DATA_SETS`, or a file's path.
        options: the arguments of the generator behind the name, or of
            :func:`~steepest.datasets.from_file`; one of ``None`` counts as not given.

    Raises:
        InvalidArgument: neither a known name nor a path, an option that this data set does not have, or a
            bad value of one.
        DataFileError: the file cannot be used.
        MissingExtra: the data needs a package that is not installed.

    >>> load("gaussian", classes=3, seed=1).n_classes
    3
    """
    if not names_a_file(name_or_path):
        return generate(str(name_or_path), **options)
    given = {name: value for name, value in options.items() if value is not None}
    _require_known(given, list(signature(from_file).parameters)[1:])
    return from_file(name_or_path, **given)


def names_a_file(name_or_path: str | os.PathLike[str]) -> bool:
    """Return whether this is the path of a file, or "-" for standard input, and not the name of a data set.

    Args:
        name_or_path: what :func:`load` and the command line are given; the file need not exist.

    Raises:
        InvalidArgument: it is neither.

    >>> names_a_file("gaussian"), names_a_file("gaussian.csv"), names_a_file("-")
    (False, True, True)
    """
    if not isinstance(name_or_path, str):
        if isinstance(name_or_path, os.PathLike):
            return True
        raise InvalidArgument("data", name_or_path, f"give {_known()}")
    if name_or_path in DATA_SETS:
        return False
    if name_or_path == STANDARD_INPUT or _looks_like_path(name_or_path):
        return True
    close = get_close_matches(name_or_path, DATA_SETS, n=1)
    guess = f'did you mean "{close[0]}"? ' if close else ""
    raise InvalidArgument("data", name_or_path, f"{guess}give {_known()}")


def _known() -> str:
    return f"{', '.join(DATA_SETS)}, or the path of a {', '.join(SUFFIXES)} file"


def _looks_like_path(text: str) -> bool:
    path = Path(text)
    if path.suffix or len(path.parts) > 1:
        return True
    try:
        return path.exists()
    except OSError:
        return False  # longer than any name of a file


def _require_known(options: dict[str, Any], accepted: list[str]) -> None:
    for name, value in options.items():
        if name not in accepted:
            remedy = f"this data takes {', '.join(accepted)}" if accepted else "this data takes no options"
            raise InvalidArgument(name, value, remedy)
