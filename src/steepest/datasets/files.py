"""The user's own data: .npz archives, and .csv and .parquet tables."""

from __future__ import annotations

import csv
import os
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import DataFileError, InvalidData
from steepest.extras import require
from steepest.problem import Classification

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".npz", ".csv", ".parquet")
"""Endings of the files that can be read."""

FEATURE_NAMES = ("x", "features", "data")
"""Names under which an .npz archive may hold its features, in any case."""

LABEL_NAMES = ("label", "labels", "y", "target", "class")
"""Names of a label column or array, in any case, in the order in which they are looked for."""


def from_file(path: str | os.PathLike[str], label: str | int | None = None) -> Classification:
    r"""Read features and labels from an .npz, .csv or .parquet file.

    Args:
        path: an .npz archive holds features of shape [n, d] as ``X``, ``features`` or ``data``. A table has
            a row for each sample; every column but the label must hold numbers. A .csv file is separated
            by commas; its first line is the header, unless it holds numbers (a header may number columns
            0, 1, 2, ... beside a column called as below).
        label: the label's column by name, or by position from 0 (negative from the end); in an archive
            the array's name. By default one called label, labels, y, target or class, else a table's last
            column.

    Raises:
        DataFileError: the file is missing, has another ending, is damaged or empty, has rows of different
            lengths, a value that is missing, infinite or no number, or no such label. The message names
            the file, what was found and the remedy.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = file.write_text("width,height,class\n1.5,2.0,rose\n0.5,3.0,tulip\n")
    >>> problem = from_file(file)
    >>> problem.classes.tolist(), problem.features.tolist()
    (['rose', 'tulip'], [[1.5, 2.0], [0.5, 3.0]])
    """
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        found = f"its name ends in {suffix}" if suffix else "its name has no ending"
        raise DataFileError(path, f"{found}: give a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file")
    if not file.exists():
        raise DataFileError(path, "there is no such file")
    if not file.is_file():
        raise DataFileError(path, "this is a folder: give the file inside it")
    if file.stat().st_size == 0:
        raise DataFileError(path, "the file is empty: write a row for each sample")
    try:
        if suffix == ".npz":
            X, y = _from_archive(file, label)
        else:
            X, y = _from_table(file, _read_csv(file) if suffix == ".csv" else _read_parquet(file), label)
        return Classification(X, y, name=file.name)
    except InvalidData as error:
        raise DataFileError(path, str(error)) from error
    except (PermissionError, UnicodeDecodeError, csv.Error) as error:
        raise DataFileError(path, f"the file cannot be read ({error})") from error


def _from_archive(file: Path, label: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {key: _plain_array(file, archive, key) for key in archive.files}
    except (zipfile.BadZipFile, ValueError, TypeError, AttributeError, EOFError, zlib.error) as error:
        raise DataFileError(
            file, "this is no .npz archive: write it with numpy.savez(file, X=X, y=y)"
        ) from error
    found = f"it holds {', '.join(arrays) or 'nothing'}"
    label_key = _first_known(list(arrays), LABEL_NAMES) if label is None else label
    if label_key not in arrays:
        wanted = "" if label is None else f" called {label!r}"
        raise DataFileError(file, f"no array of labels{wanted} ({found}): save it as y")
    feature_key = _first_known([key for key in arrays if key != label_key], FEATURE_NAMES)
    if feature_key is None:
        raise DataFileError(file, f"no array of features ({found}): save it as X")
    return arrays[feature_key], arrays[label_key]


def _plain_array(file: Path, archive: Any, key: str) -> np.ndarray:
    try:
        return archive[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataFileError(
            file, f"array {key} holds Python objects, which can run code when read: save numbers or text"
        ) from error


def _read_csv(file: Path) -> pd.DataFrame:
    require("tables", f"a {file.suffix.lower()} file")
    import pandas as pd
    import pyarrow as pa

    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        first_row = next(filter(None, reader), None)
        more = any(reader)
    if first_row is None:
        raise DataFileError(file, "the file is empty: write a row for each sample")
    if len(first_row) == 1:
        raise DataFileError(
            file, f"only one column ({first_row[0]!r}): separate features and label by commas"
        )
    if not more:
        raise DataFileError(file, f"only one line ({','.join(first_row)[:60]}): write a row for each sample")
    header = 0 if _is_header(file, first_row) else None
    try:
        # This engine refuses rows of different lengths and rounds decimals correctly.
        return pd.read_csv(file, header=header, engine="pyarrow", encoding="utf-8")
    except (pd.errors.ParserError, pa.ArrowInvalid) as error:
        raise DataFileError(
            file, _uneven_row(file, len(first_row)) or f"this is no table ({error})"
        ) from error


def _uneven_row(file: Path, width: int) -> str | None:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        for row in filter(None, reader):
            if len(row) != width:
                return f"line {reader.line_num} has {len(row)} values, the first has {width}: make them equal"
    return None


def _is_header(file: Path, row: list[str]) -> bool:
    numbers = [field for field in row if _is_number(field)]
    if not numbers:
        return True
    if not any(numbers == [str(start + i) for i in range(len(numbers))] for start in (0, 1)):
        return False
    if any(field.lower() in ("", *LABEL_NAMES) for field in row):
        return True
    # To guess here could silently lose a sample, or make one of a header.
    raise DataFileError(
        file, f"its first line, {','.join(row)[:60]}, may be a header or a sample: write a header with names"
    )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_parquet(file: Path) -> pd.DataFrame:
    require("tables", f"a {file.suffix.lower()} file")
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(file, engine="pyarrow")
    except (pa.ArrowInvalid, OSError) as error:
        raise DataFileError(file, f"this is no parquet file ({error})") from error


def _from_table(file: Path, table: pd.DataFrame, label: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    names = [str(name) for name in table.columns]
    if len(table) == 0:
        raise DataFileError(file, f"no rows under the header {', '.join(names)}: write a row for each sample")
    if len(names) < 2:
        raise DataFileError(file, f"only one column ({names[0]}): give features and a label")
    position = _label_position(file, table, names, label)
    _refuse_row_numbers(file, table)
    columns = [_numbers(file, table, at) for at in range(len(names)) if at != position]
    y = table.iloc[:, position]
    if y.isna().any():
        row = int(y.isna().to_numpy().argmax())
        raise DataFileError(
            file, f"no label in row {row + 1} of column {names[position]!r}: give one, or drop the row"
        )
    # A list, so that text becomes an array of text: pandas would give one of Python objects.
    return np.stack(columns, axis=1), np.array(y.tolist())


def _first_known(names: list[str], known: tuple[str, ...]) -> str | None:
    return next((name for wanted in known for name in names if name.lower() == wanted), None)


def _label_position(file: Path, table: pd.DataFrame, names: list[str], label: str | int | None) -> int:
    if label is None:
        known = _first_known(names, LABEL_NAMES)
        return _last_column(file, table, names) if known is None else names.index(known)
    if label in names:
        return names.index(str(label))
    try:
        return range(len(names))[int(label)]
    except (ValueError, IndexError) as error:
        listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        raise DataFileError(
            file, f"no column {label!r}: name one of {listed}, or give a position from 0 to {len(names) - 1}"
        ) from error


def _last_column(file: Path, table: pd.DataFrame, names: list[str]) -> int:
    last = table.iloc[:, -1]
    # Fractions are measurements: taken for labels they would silently make nearly every row its own class.
    if last.dtype.kind == "f":
        values = last.to_numpy()
        fractions = values[np.isfinite(values) & (values != np.round(values))]
        if fractions.size:
            raise DataFileError(
                file,
                f"no column is called {', '.join(LABEL_NAMES)}, and the last, {names[-1]!r}, holds "
                f"fractions ({fractions[0]}): name the column of the labels",
            )
    return len(names) - 1


def _refuse_row_numbers(file: Path, table: pd.DataFrame) -> None:
    first = table.iloc[:, 0]
    unnamed = str(table.columns[0]).strip() in ("", "Unnamed: 0")
    if unnamed and first.dtype.kind in "iu" and (np.diff(first.to_numpy()) == 1).all():
        raise DataFileError(
            file, "the first column has no name and numbers the rows: leave it out (index=False)"
        )


def _numbers(file: Path, table: pd.DataFrame, position: int) -> np.ndarray:
    import pandas as pd

    column = table.iloc[:, position]
    if column.dtype.kind in "mMc":
        raise _no_feature(file, column, f"holds {column.dtype} values")
    missing = column.isna().to_numpy()
    if missing.any():
        raise _no_feature(
            file, column, f"has no value in row {missing.argmax() + 1} ({missing.sum()} missing)"
        )
    values = pd.Series(pd.to_numeric(column, errors="coerce")).to_numpy(np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        found = repr(column.iloc[row]) if column.dtype == object or column.dtype == "str" else values[row]
        raise _no_feature(file, column, f"holds {found} in row {row + 1} ({bad.sum()} like it)")
    return values


def _no_feature(file: Path, column: pd.Series, found: str) -> DataFileError:
    return DataFileError(
        file, f"column {str(column.name)!r} {found}: give finite numbers, drop it, or name it as the label"
    )
