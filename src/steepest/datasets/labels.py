"""Which column of a file holds the labels, and what its values are: never taken in silence, never merged."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

from steepest.errors import DataFileError, InvalidArgument

__all__ = ["LABEL_NAMES", "Choice", "Holds", "choose_label", "labels_from_text", "refuse_measurements"]

LABEL_NAMES = ("label", "labels", "y", "target", "targets", "class", "classes", "category")
"""Names of a label column or array, in any case, in the order in which they are looked for."""

_MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
_FEW_SAMPLES = 10
"""Up to so many samples each may have a class of its own, as in examples by hand."""


class Holds(Enum):
    """What the values of a column are, as far as it tells labels from features."""

    TEXT = "text"
    WHOLE = "whole numbers"
    ONE_VALUE = "the same value everywhere"
    FRACTIONS = "fractions"
    OTHER = "something else"


class Choice(NamedTuple):
    """The column of the labels."""

    position: int
    guessed: str
    """Why this one, where neither the user nor its name alone says so; otherwise empty."""


def choose_label(
    file: object,
    names: Sequence[str],
    holds: Callable[[], Sequence[Holds]],
    label: str | int | None,
    named: bool,
) -> Choice:
    """Return the column that ``label`` names, by name or position, or the only one that can be the labels.

    ``named`` tells whether the columns have names of their own, instead of positions; ``holds`` returns what
    each column holds, which is looked at only where no name tells.

    Raises:
        DataFileError: there is no such column, or none or several could be the labels.
    """
    if label is not None:
        return Choice(_given_column(file, names, label), "")
    known = [at for wanted in LABEL_NAMES for at, name in enumerate(names) if name.casefold() == wanted]
    if named and known:
        if names.count(names[known[0]]) > 1:
            raise DataFileError(file, f"several columns are called {names[known[0]]!r}: {_name_it(names)}")
        others = ", ".join(repr(names[at]) for at in known[1:])
        return Choice(known[0], f"{others} is taken for a feature" if others else "")
    kinds = holds()
    for kind, reason in (
        (Holds.TEXT, "the only column of text"),
        (Holds.WHOLE, "the only one of whole numbers"),
    ):
        found = [at for at, each in enumerate(kinds) if each is kind]
        if len(found) == 1:
            return Choice(found[0], reason)
        if found:
            listed = ", ".join(repr(names[at]) for at in found[:4]) + (", …" if len(found) > 4 else "")
            break
    else:
        raise DataFileError(
            file, f"{_no_name(named)}, and none holds text or whole numbers: {_name_it(names)}"
        )
    raise DataFileError(file, f"{_no_name(named)}, and {listed} hold {kind.value}: {_name_it(names)}")


def refuse_measurements(file: object, column: str, labels: np.ndarray) -> None:
    """Refuse labels that nobody pointed at and that look measured: fractions, or nearly all different.

    Raises:
        DataFileError: they do; it says how to take them all the same.
    """
    remedy = "name the column of the labels by label (--label), this one if it is meant"
    if labels.dtype.kind == "f":
        fractions = labels[np.isfinite(labels) & (labels != np.round(labels))]
        if fractions.size:
            raise DataFileError(
                file, f"{column} holds fractions ({fractions[0]}), which are no classes: {remedy}"
            )
    classes = len(set(labels.tolist()))
    if len(labels) > _FEW_SAMPLES and classes > len(labels) / 2:
        raise DataFileError(file, f"{column} would make {classes} classes of {len(labels)} samples: {remedy}")


def labels_from_text(file: object, column: str, texts: Sequence[str]) -> np.ndarray:
    """Return labels as they are written; as numbers only if every one is written as Python writes it.

    So 007 and 7 stay two labels, and integers of any length stay apart. Spaces around a label do not count.

    Raises:
        DataFileError: an empty label, or one such as NA among numbers, which is a missing value there.
    """
    labels = [text.strip() for text in texts]
    distinct = Counter(labels)
    numbers = [text for text in distinct if _number_type(text) is not None]
    missing = {text for text in distinct if text.casefold() in _MISSING}
    # Among words NA may be a class, such as a country; an empty label is none anywhere.
    refused = missing if len(numbers) + len(missing) == len(distinct) else missing & {""}
    if refused:
        row, text = next((row, text) for row, text in enumerate(labels) if text in refused)
        if not text:
            raise DataFileError(file, f"no label in row {row + 1} of {column}: give one, or drop the row")
        raise DataFileError(
            file,
            f"{column} holds {text!r} in row {row + 1} among numbers, where it means a missing value: "
            "give a label, or drop the row",
        )
    kinds = {_number_type(text) for text in distinct}
    if kinds == {int} and all(abs(int(text)) < 2**63 for text in distinct):
        return np.array([int(text) for text in labels], dtype=np.int64)
    if kinds <= {int, float} and len({float(text) for text in distinct}) == len(distinct):
        return np.array([float(text) for text in labels]) if float in kinds else np.array(labels)
    return np.array(labels)


def _number_type(text: str) -> type | None:
    """Return int or float where this is how Python writes one, otherwise None."""
    if re.fullmatch(r"-?[1-9]\d{0,4000}|0", text):
        return int
    try:
        return float if repr(float(text)) == text and text not in ("nan", "inf", "-inf") else None
    except ValueError:
        return None


def _given_column(file: object, names: Sequence[str], label: str | int) -> int:
    if isinstance(label, bool) or not isinstance(label, (str, int)):
        raise InvalidArgument("label", label, "give a column's name, or its position from 0")
    same = (
        [at for at, name in enumerate(names) if name == str(label).strip()] if isinstance(label, str) else []
    )
    if len(same) > 1:
        raise DataFileError(file, f"{len(same)} columns are called {label!r}: give a position from 0")
    if same:
        return same[0]
    try:
        return range(len(names))[int(label)]
    except (ValueError, IndexError) as error:
        listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        raise DataFileError(
            file, f"no column {label!r}: name one of {listed}, or give a position from 0 to {len(names) - 1}"
        ) from error


def _no_name(named: bool) -> str:
    return f"no column is called {', '.join(LABEL_NAMES)}" if named else "the columns have no names"


def _name_it(names: Sequence[str]) -> str:
    return (
        f"name the column of the labels by label (--label), or give its position from 0 to {len(names) - 1}"
    )
