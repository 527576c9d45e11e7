"""What a public function or class says of itself: summary, arguments, shapes, errors, source, an example."""

import ast
import enum
import importlib
import inspect
import pkgutil
import re
import textwrap
from dataclasses import dataclass
from itertools import pairwise

import pytest

import steepest

ROOMS = tuple(
    f"steepest.{each.name}" for each in pkgutil.iter_modules(steepest.__path__) if each.name[0] != "_"
)
"""Every room and file under the package, so that a new one is held to this from its first day."""

COVERED = (
    *ROOMS,
    *(
        "steepest.experiments.report.packing",
        "steepest.experiments.report.pictures",
        "steepest.theory.limits",
    ),
)
"""Rooms within rooms that offer names of their own, too."""

_SOURCED = ("steepest.signals", "steepest.theory")
"""Rooms whose functions compute what a paper states; it may be their file that says which."""

_UNSOURCED = ("steepest.signals.names", "steepest.signals.reshuffling", "steepest.theory.summary")
"""Their files that only look up, draw, or put together."""

_SOURCE = re.compile(
    r"\b(Lemma|Theorem|Corollar(y|ies)|Definition|Assumption|Remark|Section|Table|Figure|Appendix)s? [A-Z\d]"
    r"|\b(18|19|20)\d\d\b|\([A-Z]\.\d+\)|[Bb]eyond the paper"
)
_ARRAYS = re.compile(r"\b(ndarray|Array|Scaled|Samples|Residuals|Doubled)\b")
_SHAPE = re.compile(r"\[(\.\.\.|[a-z])[\w, .·+-]*\]|\bshape\b")


def public(room):
    """Return what a room offers that is written in it: its functions and its classes by their names."""
    module = importlib.import_module(room)
    names = getattr(module, "__all__", None) or [
        name
        for name, part in vars(module).items()
        if not name.startswith("_") and getattr(part, "__module__", "") == room
    ]
    parts = {name: getattr(module, name) for name in names}
    return {
        f"{room}.{name}": part
        for name, part in parts.items()
        if (inspect.isfunction(part) or inspect.isclass(part)) and part.__module__.startswith("steepest.")
    }


EVERY = {part: name for room in reversed(COVERED) for name, part in public(room).items()}
"""What several rooms offer stands here once, by the room that comes first."""
FUNCTIONS = {name: part for part, name in EVERY.items() if inspect.isfunction(part)}
CLASSES = {name: part for part, name in EVERY.items() if inspect.isclass(part)}


def lacking(function, *, sourced):
    """Return what a function's docstring lacks, in words."""
    said = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    annotations = [*(str(each.annotation) for each in signature.parameters.values())]
    annotations.append(str(signature.return_annotation))
    origin = f"{said}\n{inspect.getmodule(function).__doc__}"
    return [
        *(["a summary that ends in a full stop or a colon"] if not has_summary(said) else []),
        *undescribed(function, said),
        *(["shapes"] if any(map(_ARRAYS.search, annotations)) and not _SHAPE.search(said) else []),
        *(["an example"] if ">>> " not in said and "::\n" not in said else []),
        *(["its source"] if sourced and not _SOURCE.search(origin) else []),
    ]


def undescribed(function, said):
    """Return the arguments of a function and the errors that it raises which a text does not speak of."""
    arguments = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    raised = re.findall(r"^\s+raise (\w+)\(", inspect.getsource(function), re.M)
    return [
        *(f"argument {name}" for name in arguments if not re.search(rf"\b{name}\b", said)),
        *(f"error {name}" for name in sorted({*raised}) if f"{name}:" not in said),
    ]


def lacking_in_class(part):
    """Return what a class, its fields and its public methods do not say of themselves, in words."""
    said = inspect.getdoc(part) or ""
    found = ["a summary"] if not has_summary(said) else []
    if not (issubclass(part, (BaseException, enum.Enum)) or getattr(part, "_is_protocol", False)):
        found += undescribed_fields(part)
    for label, member in vars(part).items():
        function = inspect.unwrap(getattr(member, "__func__", getattr(member, "fget", member)))
        if label.startswith("_") or not inspect.isfunction(function):
            continue
        own = inspect.getdoc(getattr(part, label)) or ""
        found += [f"{label}: a summary"] if not has_summary(own) else []
        found += [f"{label}: {each}" for each in undescribed(function, f"{said}\n{own}")]
    return found


def undescribed_fields(part):
    """Return what builds a class that neither its text, nor a base's, nor a line under a field speaks of."""
    ours = [each for each in part.__mro__ if each is part or each.__module__.startswith("steepest.")]
    said = "\n".join(inspect.getdoc(each) or "" for each in ours)
    unnamed = [name for name in inspect.signature(part).parameters if not re.search(rf"\b{name}\b", said)]
    beneath = {field for each in ours for field in fields_with_a_line(each)} if unnamed else set()
    return [f"argument {name}" for name in unnamed if name not in beneath]


def fields_with_a_line(part):
    """Yield the fields of a class under which a line of text stands."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
    assert isinstance(definition, ast.ClassDef)
    for field, line in pairwise(definition.body):
        match field, line:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant()):
                yield name


def has_summary(said):
    first = said.split("\n\n")[0].rstrip()
    return len(first) > 10 and first.endswith((".", ":"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_it_takes_returns_refuses_and_where_it_is_from(name):
    home = FUNCTIONS[name].__module__
    assert lacking(FUNCTIONS[name], sourced=home.startswith(_SOURCED) and home not in _UNSOURCED) == []


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_says_what_it_is_of_and_each_of_its_public_methods_what_it_takes_and_refuses(name):
    assert lacking_in_class(CLASSES[name]) == []


def test_there_are_functions_and_classes_of_every_room_to_look_at():
    assert len(FUNCTIONS) > 120
    assert len(CLASSES) > 100
    rooms = {name.split(".")[1] for name in (*FUNCTIONS, *CLASSES)}
    assert rooms >= {"datasets", "descent", "estimators", "experiments", "maxmargin", "monitor", "optim"}
    assert {f"steepest.{name.split('.')[1]}" for name in (*FUNCTIONS, *CLASSES)} == {*ROOMS}


def test_what_a_docstring_lacks_is_seen():
    def nothing(X, steps):
        raise ValueError(X, steps)

    nothing.__annotations__ = {"return": "np.ndarray"}
    assert lacking(nothing, sourced=True) == [
        "a summary that ends in a full stop or a colon",
        *("argument X", "argument steps", "error ValueError", "shapes", "an example", "its source"),
    ]


def test_what_a_class_lacks_is_seen():
    @dataclass(frozen=True)
    class Nothing:
        """Nothing at all, but for a width."""

        width: float
        height: float
        depth: float
        """How deep it is."""

        @property
        def size(self) -> float:
            return 0.0

        @classmethod
        def of(cls, part):
            """Return the nothing of something."""
            raise ValueError(part)

    assert lacking_in_class(Nothing) == [
        *("argument height", "size: a summary", "of: argument part", "of: error ValueError"),
    ]
