"""The user's own data: archives and arrays of NumPy, tables of text and parquet, and standard input."""

from __future__ import annotations

import io
import os
import stat
import sys
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from steepest.datasets.archives import from_archive, from_array
from steepest.datasets.tables import Samples, parquet_table, samples_of
from steepest.datasets.texts import parsed_separator, text_table
from steepest.errors import DataFileError, InvalidArgument, InvalidData, SteepestWarning
from steepest.extras import require
from steepest.problem import Classification

__all__ = ["STANDARD_INPUT", "SUFFIXES", "DataFile", "from_file", "read_file"]

SUFFIXES = (".npz", ".npy", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
"""Endings of the files that can be read; a separator makes any other a table of text."""

STANDARD_INPUT = "-"
"""The path that stands for standard input."""

_MAGIC = {b"PK\x03\x04": ".npz", b"\x93NUMPY": ".npy", b"PAR1": ".parquet"}
_CLASSES_SHOWN = 12


@dataclass(frozen=True)
class DataFile:
    """A file's problem, and how its labels were found."""

    problem: Classification
    label: str
    """Where the labels are, such as "column 'species'"."""
    guessed: str
    """Why there, where neither the user nor a name says so; otherwise empty."""
    features: tuple[str, ...] | None = None
    """What the file calls the features; None where it has no names for them."""

    def __str__(self) -> str:
        """Return one line with the label's place, the classes and their counts."""
        guess = f" (a guess: {self.guessed}; label, --label, names another)" if self.guessed else ""
        counts = np.bincount(self.problem.labels).tolist()
        shown = [f"{_short(name)} {count}" for name, count in zip(self.problem.classes, counts, strict=True)]
        rest = len(shown) - _CLASSES_SHOWN
        if rest > 0:
            few, many = min(counts), max(counts)
            shown = [*shown[:_CLASSES_SHOWN], f"… {rest} more, {few} to {many} samples each"]
        return (
            f"{self.problem.name}: labels in {self.label}{guess}; {len(counts)} classes: {', '.join(shown)}"
        )


def from_file(
    path: str | os.PathLike[str],
    label: str | int | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> Classification:
    r"""Read features and labels from a file; docs/data.md has every form and rule.

    Args:
        path: an .npz archive holds features of shape [n, d] as ``X``, ``features`` or ``data``; a .npy file
            holds the features, or features and labels. A table (.csv, .tsv, either with .gz, or .parquet)
            has a row for each sample; every column but the label must hold numbers. The first line of
            text is the header, unless it holds numbers. "-" is standard input.
        label: the label's column by name, or by position from 0 (negative from the end); in an archive
            the array's name; beside a .npy file the .npy file of the labels. By default what is called
            label, y, target, class or category; else the only column of text, or of whole numbers.
        separator: the character between the values of a text: "," in .csv, a tab in .tsv by default.
        encoding: of a text, such as latin-1. UTF-8 by default.

    Raises:
        DataFileError: the file is missing, has another ending, is damaged or empty, has rows of different
            lengths, a value that is missing, infinite or no number, or no column that must be the label. The
            message names the file, what was found and the remedy.
        InvalidArgument: a path, label, separator or encoding that is none.
        MissingExtra: tables need pyarrow.

    Warns:
        SteepestWarning: the label's column was guessed.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = file.write_text("width,height,class\n1.5,2.0,rose\n0.5,3.0,tulip\n")
    >>> problem = from_file(file)
    >>> problem.classes.tolist(), problem.features.tolist()
    (['rose', 'tulip'], [[1.5, 2.0], [0.5, 3.0]])
    """
    found = read_file(path, label, separator, encoding)
    if found.guessed:
        warnings.warn(str(found), SteepestWarning, stacklevel=2)
    return found.problem


def read_file(
    path: str | os.PathLike[str],
    label: str | int | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> DataFile:
    """Read a file as :func:`from_file` does, and say how its labels were found, without a warning.

    ``path``, ``label``, ``separator`` and ``encoding`` are the arguments of :func:`from_file`.

    Raises:
        DataFileError: as for :func:`from_file`.
        InvalidArgument: as for :func:`from_file`.
        MissingExtra: as for :func:`from_file`.

    ::

        found = read_file("flowers.csv")
        print(found)  # flowers.csv: labels in column 'species' (a guess: ...); 3 classes: setosa 50, ...
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidArgument("path", path, "give the path of a file")
    mark = None if separator is None else parsed_separator(separator)
    name = os.fspath(path)
    try:
        if name == STANDARD_INPUT:
            if sys.stdin is None:
                raise DataFileError(path, "standard input is closed: give it data, or the path of a file")
            name, form, source = "standard input", None, nullcontext(sys.stdin.buffer)
        else:
            file = Path(path).expanduser()
            form, source = _form(file, path, mark), file.open("rb")
            name = file.name
        with source as stream:
            samples = _samples(path, stream, form, label, mark, encoding)
        problem = Classification(samples.features, samples.labels, name)
        return DataFile(problem, samples.label, samples.guessed, samples.names)
    except InvalidData as error:
        raise DataFileError(path, str(error)) from error
    except OSError as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(path, f"the file cannot be read ({error.strerror or error})") from error


def _form(file: Path, path: object, separator: str | None) -> str | None:
    """Return the ending that says what the file is; None where only its content does, as in a pipe."""
    try:
        status = file.stat()
    except ValueError as error:
        raise DataFileError(path, f"the file cannot be read ({error})") from error
    except FileNotFoundError as error:
        form = _ending(file)
        if form not in SUFFIXES and separator is None:
            raise _unknown(path, form) from error
        raise DataFileError(path, "there is no such file") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataFileError(path, "this is a folder: give the file inside it")
    if not stat.S_ISREG(status.st_mode):
        return None
    form = _ending(file)
    if form not in SUFFIXES and separator is None:
        raise _unknown(path, form)
    if status.st_size == 0:
        raise DataFileError(path, "the file is empty: write a row for each sample")
    return form if form in SUFFIXES else ".csv"


def _ending(file: Path) -> str:
    endings = [each.lower() for each in file.suffixes[-2:]]
    return "".join(endings) if endings[-1:] == [".gz"] else "".join(endings[-1:])


def _unknown(path: object, ending: str) -> DataFileError:
    found = f"its name ends in {ending}" if ending else "its name has no ending"
    return DataFileError(
        path, f"{found}: give a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file, or a separator for a text"
    )


def _samples(
    path: object,
    stream: IO[bytes],
    form: str | None,
    label: str | int | None,
    separator: str | None,
    encoding: str | None,
) -> Samples:
    if form is None:
        content = stream.read()
        stream = io.BytesIO(content)
        form = next((form for magic, form in _MAGIC.items() if content.startswith(magic)), ".csv")
    if form == ".npz":
        return from_archive(path, stream, label)
    if form == ".npy":
        return from_array(path, stream, label)
    require("tables", f"a {form} file")
    if form == ".parquet":
        return samples_of(parquet_table(path, stream), label)
    usual = "\t" if form.startswith(".tsv") else ","
    return samples_of(text_table(path, stream.read(), separator or usual, encoding), label)


def _short(name: Any, limit: int = 30) -> str:
    text = " ".join(str(name).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
