"""What a generator of data takes, read from its signature: for the command line, for specs and for help."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter as Argument
from inspect import getdoc, signature
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from steepest.errors import InvalidArgument

__all__ = ["REQUIRED", "Parameter", "parameters_of"]

REQUIRED: Final = Argument.empty
"""The default of a parameter that has none."""

_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_WANTED = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text"}


@dataclass(frozen=True)
class Parameter:
    """One argument of a generator, as the command line and specs see it."""

    name: str
    """As in the generator's signature."""
    type: type[int] | type[float] | type[bool] | type[str]
    """What its values are."""
    default: Any
    """:data:`REQUIRED` where there is none."""
    help: str
    """Its line under Args in the generator's docstring, or nothing."""
    choices: tuple[Any, ...] = ()
    """The values of a Literal; empty where any value of the type may be given."""
    optional: bool = False
    """Whether None may be given."""

    @property
    def required(self) -> bool:
        """Whether the generator cannot do without it."""
        return self.default is REQUIRED

    def value_of(self, given: Any) -> Any:
        """Return the value that is meant by ``given``, which was typed or written in a file.

        Raises:
            InvalidArgument: it is no such value.

        >>> Parameter("classes", int, 10, "").value_of("3")
        3
        """
        if given is None and self.optional:
            return None
        value = _converted(given, self.type)
        if value is None or (self.choices and value not in self.choices):
            raise InvalidArgument(self.name, given, f"give {self.wanted}")
        return value

    @property
    def wanted(self) -> str:
        """What may be given, in words."""
        return " or ".join(map(str, self.choices)) if self.choices else _WANTED[self.type]


def parameters_of(make: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return the parameters of the generator ``make``, in the order of its signature.

    Types come from the annotations (int, float, bool, str, a Literal of them, any of these or None), else
    from the defaults; the help comes from the lines under ``Args:`` in the docstring. An argument of another
    type that has a default keeps it, and is no parameter.

    Raises:
        InvalidArgument: ``*args``, an argument that takes a position only, or one of another type without a
            default.

    >>> def rings(classes: int = 3, width: float = 0.1, seed: int = 0):
    ...     '''Rings around the origin.
    ...
    ...     Args:
    ...         width: of a ring, as a share of its radius.
    ...     '''
    >>> for parameter in parameters_of(rings):
    ...     print(parameter.name, parameter.type.__name__, parameter.default, parameter.help)
    classes int 3
    width float 0.1 of a ring, as a share of its radius.
    seed int 0
    """
    if not callable(make):
        raise InvalidArgument("make", make, "give a function that returns a Classification, or X and y")
    hints = _hints(make)
    lines = _argument_lines(getdoc(make) or "")
    found = [
        _parameter(argument, hints.get(argument.name), lines.get(argument.name, ""))
        for argument in signature(make).parameters.values()
    ]
    return tuple(each for each in found if each is not None)


def _parameter(argument: Argument, hint: Any, line: str) -> Parameter | None:
    if argument.kind not in (Argument.POSITIONAL_OR_KEYWORD, Argument.KEYWORD_ONLY):
        raise InvalidArgument(
            "parameter", str(argument), "a data set takes arguments by name: write each out"
        )
    if hint is None and argument.default not in (REQUIRED, None):
        hint = type(argument.default)
    kind, choices, optional = _kind(hint)
    if kind is None and argument.default is not REQUIRED:
        return None
    if kind is None:
        raise InvalidArgument(
            "parameter", argument.name, "annotate it as int, float, bool, str or a Literal of these"
        )
    return Parameter(argument.name, kind, argument.default, line, choices, optional)


def _kind(hint: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """Return the type that an annotation means (None: another one), its choices, and whether it has None."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _kind(get_args(hint)[0])
    if origin in (Union, UnionType):
        others = [each for each in get_args(hint) if each is not NoneType]
        several = float if set(others) == {int, float} else None
        kind, choices, optional = _kind(others[0] if len(others) == 1 else several)
        return kind, choices, optional or len(others) < len(get_args(hint))
    if origin is Literal:
        choices = tuple(each for each in get_args(hint) if each is not None)
        kinds = {type(each) for each in choices}
        kind = kinds.pop() if len(kinds) == 1 else None
        return (kind if kind in _WANTED else None), choices, len(choices) < len(get_args(hint))
    return (hint if hint in _WANTED else None), (), False


def _hints(make: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(make, include_extras=True)
    except NameError as error:
        raise InvalidArgument(
            "parameter", str(error.name), "this annotation is not defined where the data set is"
        ) from error


def _argument_lines(docstring: str) -> dict[str, str]:
    """Return the text of every argument in the section Args of a docstring, each as one line."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", docstring, re.MULTILINE)
    if section is None:
        return {}
    found: dict[str, str] = {}
    name = ""
    margin = len(section[1]) - len(section[1].lstrip())
    for line in section[1].splitlines():
        start = re.match(r"\s+(\w+)(?: \([^)]*\))?:\s*(.*)", line)
        if start and len(line) - len(line.lstrip()) <= margin:
            name, found[start[1]] = start[1], start[2].strip()
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _converted(given: Any, kind: type) -> Any:
    """Return the value of the kind that was given, or None."""
    if isinstance(given, str):
        return _from_text(given, kind)
    if isinstance(given, bool) or kind is bool:
        return given if isinstance(given, bool) and kind is bool else None
    if kind is int:
        return int(given) if isinstance(given, Integral) else None
    return _finite(given) if kind is float and isinstance(given, Real) else None


def _from_text(text: str, kind: type) -> Any:
    if kind is str:
        return text
    if kind is bool:
        return _WORDS.get(text.strip().lower())
    try:
        return int(text) if kind is int else _finite(text)
    except ValueError:
        return None


def _finite(given: Any) -> float | None:
    try:
        value = float(given)
    except OverflowError:  # an integer of more digits than a float has
        return None
    return value if math.isfinite(value) else None
