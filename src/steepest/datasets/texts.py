"""Tables written as text: their encoding, header, separator and rows."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from steepest.datasets.labels import LABEL_NAMES
from steepest.datasets.tables import Table
from steepest.errors import DataFileError, InvalidArgument

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["parsed_separator", "text_table"]

_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " ", "pipe": "|"}
_USUAL = (",", ";", "\t", "|", " ")
_ROWS_LOOKED_AT = 1000


def parsed_separator(given: str) -> str:
    """Return the one character that stands between values; words such as "tab" and "space" name one.

    Raises:
        InvalidArgument: it is no single character.
    """
    found = _SEPARATORS.get(given, given) if isinstance(given, str) else ""
    if len(found) != 1 or found in '"\n\r':
        raise InvalidArgument("separator", given, f"give one character, or {', '.join(_SEPARATORS)}")
    return found


def text_table(file: object, content: bytes, separator: str, encoding: str | None) -> Table:
    """Read a table of text; its first line is the header, unless it holds numbers.

    Raises:
        DataFileError: no text in that encoding, damaged, empty, or with rows of different lengths.
        InvalidArgument: an encoding that Python does not know.
    """
    text = _decoded(file, _unpacked(file, content), encoding)
    if separator == " ":
        text = "\n".join(" ".join(line.split()) for line in text.splitlines())
    rows = _rows(file, text, separator)
    first_row = next(rows, None)
    if first_row is None:
        raise DataFileError(file, "the file is empty: write a row for each sample")
    if len(first_row) == 1:
        raise DataFileError(
            file, f"only one column ({first_row[0][:60]!r}): {_other_separator(first_row[0], separator)}"
        )
    following = list(islice(rows, _ROWS_LOOKED_AT))
    if not following:
        shown = separator.join(first_row)[:60]
        raise DataFileError(file, f"only one line ({shown}): write a row for each sample")
    named = _is_header(file, first_row, following, separator)
    body = text.encode()
    names = [name.strip() for name in first_row] if named else [str(at) for at in range(len(first_row))]
    names[0] = names[0].lstrip("#").strip()  # NumPy writes its headers as comments
    try:
        table = _columns(body, separator, named)
    except ValueError as error:
        raise DataFileError(file, _uneven(text, separator) or f"this is no table ({error})") from error
    if table.num_columns != len(names):
        raise DataFileError(file, _uneven(text, separator) or "its rows have different lengths")
    as_written = partial(_column_as_written, body, separator, named)
    return Table(file, tuple(names), tuple(table.columns), named, as_written)


def _unpacked(file: object, content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataFileError(file, f"this gzip file is damaged ({error}): copy it again") from error


def _decoded(file: object, content: bytes, encoding: str | None) -> str:
    marked = None if encoding is not None else _marked_encoding(content)
    if marked is not None:
        raise DataFileError(file, f"this is {marked.upper()} text: {_encoding_remedy(marked)}")
    if content.startswith(b"PK\x03\x04"):
        raise DataFileError(file, "this is a zip archive or a spreadsheet, and no text: save it as CSV")
    try:
        text = content.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{content[error.start]:02x} at position {error.start}"
        remedy = _encoding_remedy("latin-1")
        raise DataFileError(file, f"this is no {encoding or 'UTF-8'} text ({byte}): {remedy}") from error
    except (LookupError, TypeError, UnicodeError) as error:
        raise InvalidArgument(
            "encoding", encoding, "give a name that Python knows, such as latin-1"
        ) from error
    if not isinstance(text, str):
        raise InvalidArgument("encoding", encoding, "give the encoding of a text, such as latin-1")
    if "\0" in text:
        raise DataFileError(file, f"it holds zero bytes, as UTF-16 text does: {_encoding_remedy('utf-16')}")
    return text.removeprefix("\ufeff").lstrip("\r\n")


def _marked_encoding(content: bytes) -> str | None:
    # The mark of UTF-32 begins with that of UTF-16.
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None


def _encoding_remedy(example: str) -> str:
    return f"name its encoding, such as {example} (--encoding {example}), or save it as UTF-8"


def _rows(file: object, text: str, separator: str) -> Iterator[list[str]]:
    try:
        yield from filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise DataFileError(file, f"the file cannot be read ({error})") from error


def _other_separator(line: str, separator: str) -> str:
    other = next((each for each in _USUAL if each != separator and each in line.strip()), None)
    if other is None:
        return "separate features and label by commas"
    name = "tab" if other == "\t" else other
    return f"if {name!r} stands between the values, name it by separator (--separator {name!r})"


def _is_header(file: object, row: list[str], following: list[list[str]], separator: str) -> bool:
    fields = [field.strip() for field in row]
    numbers = [field for field in fields if _is_number(field)]
    if not numbers:
        return True
    numbered = any(numbers == [str(start + i) for i in range(len(numbers))] for start in (0, 1))
    usual = [at for at, field in enumerate(fields) if field.casefold() in ("", *LABEL_NAMES)]
    if numbered and usual:
        return True
    # A word such as y may be a label itself, and is one where other rows have it too.
    recurs = any(len(each) > at and each[at].strip() == fields[at] for each in following for at in usual)
    if not numbered and (recurs or not usual):
        return False
    # To guess here could silently lose a sample, or make one of a header.
    shown = separator.join(row)[:60]
    raise DataFileError(
        file, f"its first line, {shown}, may be a header or a sample: write a header with names"
    )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _columns(body: bytes, separator: str, named: bool, text_of: int | None = None) -> pa.Table:
    """Return all columns in the types that their values suggest, or one of them as it is written."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    convert = None
    if text_of is not None:
        name = f"f{text_of}"
        convert = arrow_csv.ConvertOptions(include_columns=[name], column_types={name: pa.string()})
    # This reader refuses rows of different lengths and rounds decimals correctly.
    return arrow_csv.read_csv(
        pa.BufferReader(body),
        arrow_csv.ReadOptions(autogenerate_column_names=True, skip_rows_after_names=int(named)),
        arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert,
    )


def _column_as_written(body: bytes, separator: str, named: bool, position: int) -> list[str]:
    return _columns(body, separator, named, position).column(0).to_pylist()


def _uneven(text: str, separator: str) -> str | None:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    width = 0
    for row in filter(None, reader):
        width = width or len(row)
        if len(row) != width:
            return f"line {reader.line_num} has {len(row)} values, the first has {width}: make them equal"
    return None
