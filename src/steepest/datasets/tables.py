"""Tables with a row for each sample: their columns as features and labels, checked value by value."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from steepest.datasets.labels import Holds, choose_label, labels_from_text, refuse_measurements
from steepest.errors import DataFileError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Samples", "Table", "parquet_table", "samples_of"]

_EXACT_INTEGERS = 2**53
"""Up to here float64 holds every integer."""


class Samples(NamedTuple):
    """What a file holds, and how its labels were found."""

    features: np.ndarray
    labels: np.ndarray
    label: str
    """Where the labels are, such as "column 'species'"."""
    guessed: str
    """Why there, where neither the user nor a name says so; otherwise empty."""
    names: tuple[str, ...] | None = None
    """What the file calls the features; None where it has no names for them."""


@dataclass(frozen=True)
class Table:
    """The columns of a file, in its own types."""

    file: object
    names: tuple[str, ...]
    columns: tuple[pa.ChunkedArray, ...]
    named: bool = True
    """Whether the columns have names of their own, instead of positions."""
    as_written: Callable[[int], list[str]] | None = None
    """A column's values as the file writes them, where it is one of text."""

    def called(self, position: int) -> str:
        """Return what messages call a column."""
        return f"column {self.names[position]!r}" if self.named else f"column {position}"


def samples_of(table: Table, label: str | int | None) -> Samples:
    """Return the samples that the rows of a table are.

    Raises:
        DataFileError: no rows, fewer than two columns, no column that can be the labels, or a feature with
            a value that is missing, infinite, no number, or an integer that float64 would round.
    """
    if len(table.columns) < 2:
        raise DataFileError(table.file, f"only one column ({table.names[0]}): give features and a label")
    if len(table.columns[0]) == 0:
        header = ", ".join(table.names)
        raise DataFileError(table.file, f"no rows under the header {header}: write a row for each sample")
    position, guessed = choose_label(
        table.file, table.names, lambda: [_holds(each) for each in table.columns], label, table.named
    )
    _refuse_row_numbers(table, position)
    where = table.called(position)
    labels = _labels(table, position, where)
    if label is None:
        refuse_measurements(table.file, where, labels)
    others = [at for at in range(len(table.columns)) if at != position]
    features = np.stack([_numbers(table, at) for at in others], axis=1)
    names = tuple(table.names[at] for at in others) if table.named else None
    return Samples(features, labels, where, guessed, names)


def parquet_table(file: object, stream: Any) -> Table:
    """Read a parquet file; the index that pandas stores beside the columns is left out.

    Raises:
        DataFileError: it is none.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataFileError(file, f"this is no parquet file ({error})") from error
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    table = table.drop_columns([each for each in stored if each in table.column_names])
    columns = tuple(_decoded(each) for each in table.columns)
    if not columns:
        raise DataFileError(file, "no columns: give features and a label")
    return Table(file, tuple(str(name).strip() for name in table.column_names), columns)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _holds(column: pa.ChunkedArray) -> Holds:
    import pyarrow as pa

    kind = pa.types
    if kind.is_string(column.type) or kind.is_large_string(column.type):
        return Holds.TEXT
    if not (kind.is_integer(column.type) or kind.is_boolean(column.type) or kind.is_floating(column.type)):
        return Holds.OTHER
    if len(column.unique()) < 2:
        return Holds.ONE_VALUE
    if kind.is_floating(column.type):
        values = column.drop_null().to_numpy()
        values = values[np.isfinite(values)]
        return Holds.WHOLE if (values == np.round(values)).all() else Holds.FRACTIONS
    return Holds.WHOLE


def _refuse_row_numbers(table: Table, label: int) -> None:
    import pyarrow as pa

    first = table.columns[0]
    unnamed = table.named and table.names[0] in ("", "Unnamed: 0")
    if unnamed and label != 0 and pa.types.is_integer(first.type) and (np.diff(first.to_numpy()) == 1).all():
        raise DataFileError(
            table.file, "the first column has no name and numbers the rows: leave it out (index=False)"
        )


def _labels(table: Table, position: int, where: str) -> np.ndarray:
    import pyarrow as pa

    if table.as_written is not None:
        return labels_from_text(table.file, where, table.as_written(position))
    column = table.columns[position]
    if column.null_count:
        row = _first(column.is_null())
        raise DataFileError(table.file, f"no label in row {row + 1} of {where}: give one, or drop the row")
    kind = pa.types
    if kind.is_integer(column.type) or kind.is_boolean(column.type) or kind.is_floating(column.type):
        return np.asarray(column.to_numpy())
    if kind.is_nested(column.type) or kind.is_binary(column.type):
        raise DataFileError(table.file, f"{where} holds {column.type} values: give labels of numbers or text")
    return np.array([str(value) for value in column.to_pylist()])


def _numbers(table: Table, position: int) -> np.ndarray:
    import pyarrow as pa

    column, kind = table.columns[position], pa.types
    if column.null_count:
        row = _first(column.is_null())
        raise _no_feature(table, position, f"has no value in row {row + 1} ({column.null_count} missing)")
    if kind.is_string(column.type) or kind.is_large_string(column.type):
        return _numbers_from_text(table, position, column.to_pylist())
    if kind.is_integer(column.type):
        return _exact_integers(table, position, column.to_numpy())
    if kind.is_decimal(column.type):
        column = column.cast(pa.float64())
    elif not (kind.is_floating(column.type) or kind.is_boolean(column.type)):
        raise _no_feature(table, position, f"holds {column.type} values")
    values = column.to_numpy().astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        raise _no_feature(table, position, f"holds {values[row]} in row {row + 1} ({bad.sum()} like it)")
    if table.as_written is not None and (np.abs(values) >= _EXACT_INTEGERS).any():
        _refuse_rounded(table, position, table.as_written(position), values)
    return values


def _numbers_from_text(table: Table, position: int, texts: list[str]) -> np.ndarray:
    values = np.array([_number(text) for text in texts])
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        found = f"holds {texts[row]!r} in row {row + 1} ({bad.sum()} like it)"
        if np.isfinite(_number(texts[row].replace(",", "."))):
            raise DataFileError(
                table.file, f"{table.called(position)} {found}: write decimals with a point, not a comma"
            )
        raise _no_feature(table, position, found)
    _refuse_rounded(table, position, texts, values)
    return values


def _number(text: str) -> float:
    try:
        return float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan


def _exact_integers(table: Table, position: int, integers: np.ndarray) -> np.ndarray:
    values = integers.astype(np.float64)
    large = (integers > _EXACT_INTEGERS) | (integers < -_EXACT_INTEGERS)
    for row in np.flatnonzero(large).tolist():
        _refuse_one(table, position, row, int(integers[row]), values[row])
    return values


def _refuse_rounded(table: Table, position: int, texts: list[str], values: np.ndarray) -> None:
    for row in np.flatnonzero(np.abs(values) >= _EXACT_INTEGERS).tolist():
        if re.fullmatch(r"\s*[+-]?\d{1,400}\s*", texts[row]):
            _refuse_one(table, position, row, int(texts[row]), values[row])


def _refuse_one(table: Table, position: int, row: int, integer: int, value: Any) -> None:
    if int(value) != integer:
        raise DataFileError(
            table.file,
            f"{table.called(position)} holds {integer} in row {row + 1}, which float64 would round: "
            "subtract an offset first",
        )


def _no_feature(table: Table, position: int, found: str) -> DataFileError:
    remedy = "give finite numbers, drop it, or name it as the label"
    return DataFileError(table.file, f"{table.called(position)} {found}: {remedy}")


def _first(true: Any) -> int:
    return int(true.to_numpy().argmax())
