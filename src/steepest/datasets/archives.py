"""Arrays that NumPy saved: .npz archives of features and labels, and .npy files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from steepest.datasets.labels import LABEL_NAMES, Holds, choose_label, refuse_measurements
from steepest.datasets.tables import Samples
from steepest.errors import DataFileError

__all__ = ["FEATURE_NAMES", "from_archive", "from_array"]

FEATURE_NAMES = ("x", "features", "data")
"""Names under which an .npz archive may hold its features, in any case."""

_DAMAGED = (zipfile.BadZipFile, ValueError, TypeError, AttributeError, EOFError, zlib.error, MemoryError)


def from_archive(file: object, stream: IO[bytes], label: str | int | None) -> Samples:
    """Return the features and labels of an .npz archive; ``label`` is an array's name.

    Raises:
        DataFileError: it is no archive, is damaged, holds Python objects, or lacks one of the two arrays.
    """
    try:
        with np.load(stream, allow_pickle=False) as archive:
            arrays = {key: _plain_array(file, archive, key) for key in archive.files}
    except _DAMAGED as error:
        raise DataFileError(
            file, "this is no .npz archive: write it with numpy.savez(file, X=X, y=y)"
        ) from error
    found = f"it holds {', '.join(arrays) or 'nothing'}"
    if {"indptr", "indices", "data"} <= arrays.keys():
        raise DataFileError(
            file, f"this matrix is sparse ({found}): save its toarray() as X, and labels as y"
        )
    label_key = _first_known(list(arrays), LABEL_NAMES) if label is None else label
    if label_key not in arrays:
        wanted = "" if label is None else f" called {label!r}"
        raise DataFileError(file, f"no array of labels{wanted} ({found}): save it as y")
    feature_key = _first_known([key for key in arrays if key != label_key], FEATURE_NAMES)
    if feature_key is None:
        raise DataFileError(file, f"no array of features ({found}): save it as X")
    labels = arrays[label_key]
    if label is None and labels.ndim == 1:
        refuse_measurements(file, f"array {label_key!r}", labels)
    return Samples(arrays[feature_key], labels, f"array {label_key!r}", "")


def from_array(file: object, stream: IO[bytes], label: str | int | None) -> Samples:
    """Return the samples of a .npy file: an array [n, d] whose labels are another file, or one column.

    ``label`` is the path of a .npy file of labels [n], or a column's position; by default the only column
    of whole numbers.

    Raises:
        DataFileError: it is no array, holds Python objects, or no column can be the labels.
    """
    X = _read_array(file, stream)
    if isinstance(label, str) and label.endswith(".npy"):
        try:
            with Path(label).expanduser().open("rb") as labels:
                return Samples(X, _read_array(label, labels), f"file {label!r}", "")
        except OSError as error:
            raise DataFileError(label, f"the file cannot be read ({error.strerror or error})") from error
    if X.ndim != 2 or X.shape[1] < 2 or X.dtype.kind not in "iufb":
        raise DataFileError(
            file,
            f"an array of shape {X.shape} and type {X.dtype}: save numbers of shape [n, d], and name "
            "the .npy file of the labels by label (--label)",
        )
    if not len(X):
        raise DataFileError(file, f"an array of shape {X.shape} has no rows: save a row for each sample")
    names = [str(at) for at in range(X.shape[1])]
    position, guessed = choose_label(
        file, names, lambda: [_holds(column) for column in X.T], label, named=False
    )
    y = X[:, position]
    if label is None:
        refuse_measurements(file, f"column {position}", y)
    if y.dtype.kind == "f" and (y == np.round(y)).all() and (np.abs(y) < 2**53).all():
        y = y.astype(np.int64)
    return Samples(np.delete(X, position, axis=1), y, f"column {position}", guessed)


def _read_array(file: object, stream: IO[bytes]) -> np.ndarray:
    try:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    except _DAMAGED as error:
        if "allow_pickle" in str(error):
            raise _objects(file, "it") from error
        raise DataFileError(file, "this is no .npy file: write it with numpy.save(file, X)") from error
    return array


def _plain_array(file: object, archive: Any, key: str) -> np.ndarray:
    try:
        return archive[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise _objects(file, f"array {key}") from error


def _objects(file: object, what: str) -> DataFileError:
    return DataFileError(
        file, f"{what} holds Python objects, which can run code when read: save numbers or text"
    )


def _holds(column: np.ndarray) -> Holds:
    if (column == column[0]).all():
        return Holds.ONE_VALUE
    finite = column[np.isfinite(column)]
    return Holds.WHOLE if (finite == np.round(finite)).all() else Holds.FRACTIONS


def _first_known(names: list[str], known: tuple[str, ...]) -> str | None:
    return next((name for wanted in known for name in names if name.strip().casefold() == wanted), None)
