"""Checks of arguments: each returns the value in plain form, or says argument, value and remedy."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from steepest.errors import InvalidArgument

__all__ = ["folder_path", "one_of", "real_number", "switch", "whole_number"]


def whole_number(
    argument: str, value: object, at_least: int, remedy: str | None = None, *, at_most: int | None = None
) -> int:
    """Return a whole number within bounds, both allowed, as an int; booleans and fractions are none.

    Args:
        argument: what the caller calls it.
        value: what was given.
        at_least: the smallest that is allowed.
        remedy: what to give instead, in words; by default the bounds.
        at_most: the largest that is allowed.

    Raises:
        InvalidArgument: it is not; the message names argument, value and remedy.

    >>> whole_number("steps", 10.5, 0)
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: steps=10.5: give a whole number of at least 0
    """
    bounds = f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
    if isinstance(value, bool) or not isinstance(value, Integral) or value < at_least:
        raise InvalidArgument(argument, value, remedy or f"give a whole number {bounds}")
    number = int(value)
    if at_most is not None and number > at_most:
        raise InvalidArgument(argument, value, remedy or f"give a whole number {bounds}")
    return number


def real_number(
    argument: str,
    value: object,
    remedy: str,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> float:
    """Return a finite real number within bounds, open or closed on either side, as a float.

    Args:
        argument: what the caller calls it.
        value: what was given.
        remedy: what to give instead, in words.
        above: what it has to be greater than.
        below: what it has to be less than.
        at_least: the smallest that is allowed.
        at_most: the largest that is allowed.

    Raises:
        InvalidArgument: it is not; the message names argument, value and remedy.

    >>> real_number("gap", 1.5, "give a number between 0 and 1", above=0, below=1)
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: gap=1.5: give a number between 0 and 1
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidArgument(argument, value, remedy)
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError) as error:
        # Spans of time count as numbers to NumPy, but are none.
        raise InvalidArgument(argument, value, remedy) from error
    if not (math.isfinite(number) and above < number < below and at_least <= number <= at_most):
        raise InvalidArgument(argument, value, remedy)
    return number


def switch(argument: str, value: object) -> bool:
    """Return True or False, NumPy's among them; numbers and texts are neither.

    Args:
        argument: what the caller calls it.
        value: what was given.

    Raises:
        InvalidArgument: it is not; the message names argument, value and remedy.

    >>> switch("bias", True)
    True
    """
    if isinstance(value, bool) or (type(value).__name__ == "bool" and type(value).__module__ == "numpy"):
        return bool(value)
    raise InvalidArgument(argument, value, "give True or False")


def one_of(argument: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return a text that is one of the choices.

    Args:
        argument: what the caller calls it.
        value: what was given.
        choices: what is allowed.

    Raises:
        InvalidArgument: it is not; the message names argument, value and remedy.

    >>> one_of("axis", "rows", ("rows", "columns"))
    'rows'
    """
    if not isinstance(value, str) or value not in choices:
        raise InvalidArgument(argument, value, f"give one of {', '.join(choices)}")
    return value


def folder_path(argument: str, value: object) -> Path:
    """Return a path that a text or a path object names.

    Args:
        argument: what the caller calls it.
        value: what was given.

    Raises:
        InvalidArgument: it is not; the message names argument, value and remedy.

    >>> folder_path("directory", "results").name
    'results'
    """
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise InvalidArgument(argument, value, "give the path of a folder")
    return Path(os.fspath(value))
