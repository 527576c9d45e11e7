"""What a public function says of itself: summary, arguments, shapes, errors, source and an example."""

import importlib
import inspect
import re

import pytest

COVERED = (
    *("steepest.arguments", "steepest.doubled", "steepest.files", "steepest.geometry", "steepest.labels"),
    "steepest.losses",
    *("steepest.plugins", "steepest.registry", "steepest.scaled", "steepest.schedules", "steepest.signals"),
    *("steepest.experiments.report.packing", "steepest.experiments.report.pictures", "steepest.theory"),
)
"""The rooms and files whose public functions and classes are held to this."""

_SOURCED = ("steepest.signals", "steepest.theory")
"""Rooms whose functions compute what a paper states; it may be their file that says which."""

_UNSOURCED = ("steepest.signals.names", "steepest.signals.reshuffling", "steepest.theory.summary")
"""Their files that only look up, draw, or put together."""

_LEFT_OUT = ("steepest.theory.limits",)
"""Files of covered rooms that are still being written."""

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
        if (inspect.isfunction(part) or inspect.isclass(part))
        and part.__module__.startswith("steepest.")
        and not part.__module__.startswith(_LEFT_OUT)
    }


EVERY = {name: part for room in COVERED for name, part in public(room).items()}
FUNCTIONS = {name: part for name, part in EVERY.items() if inspect.isfunction(part)}


def lacking(function, *, sourced):
    """Return what a function's docstring lacks, in words."""
    said = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    annotations = [*(str(each.annotation) for each in signature.parameters.values())]
    annotations.append(str(signature.return_annotation))
    raised = re.findall(r"^\s+raise (\w+)\(", inspect.getsource(function), re.M)
    origin = f"{said}\n{inspect.getmodule(function).__doc__}"
    return [
        *(["a summary that ends in a full stop or a colon"] if not has_summary(said) else []),
        *(f"argument {name}" for name in signature.parameters if not re.search(rf"\b{name}\b", said)),
        *(f"error {name}" for name in sorted({*raised}) if f"{name}:" not in said),
        *(["shapes"] if any(map(_ARRAYS.search, annotations)) and not _SHAPE.search(said) else []),
        *(["an example"] if ">>> " not in said and "::\n" not in said else []),
        *(["its source"] if sourced and not _SOURCE.search(origin) else []),
    ]


def has_summary(said):
    first = said.split("\n\n")[0].rstrip()
    return len(first) > 10 and first.endswith((".", ":"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_it_takes_returns_refuses_and_where_it_is_from(name):
    home = FUNCTIONS[name].__module__
    assert lacking(FUNCTIONS[name], sourced=home.startswith(_SOURCED) and home not in _UNSOURCED) == []


@pytest.mark.parametrize("name", [name for name in EVERY if name not in FUNCTIONS])
def test_a_public_class_and_each_of_its_public_methods_have_a_summary(name):
    part = EVERY[name]
    assert has_summary(inspect.getdoc(part) or "")
    for label, method in vars(part).items():
        if inspect.isfunction(method) and not label.startswith("_"):
            assert has_summary(inspect.getdoc(method) or ""), label


def test_there_are_functions_to_look_at():
    assert len(FUNCTIONS) > 60
    assert {name.split(".")[1] for name in FUNCTIONS} >= {"geometry", "losses", "signals", "theory"}


def test_what_a_docstring_lacks_is_seen():
    def nothing(X, steps):
        raise ValueError(X, steps)

    nothing.__annotations__ = {"return": "np.ndarray"}
    assert lacking(nothing, sourced=True) == [
        "a summary that ends in a full stop or a colon",
        *("argument X", "argument steps", "error ValueError", "shapes", "an example", "its source"),
    ]
