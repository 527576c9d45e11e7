"""A folder of results: one NetCDF file each, named by the hash of what it depends on, never half written.

A file is written under a temporary name and renamed, so a name that exists is a whole result. What is
truncated, altered or foreign is noticed (each file carries its description and a checksum), said in a
warning, and treated as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import RunError, SteepestWarning

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Store", "key_of"]

_DESCRIPTION = "steepest_description"
_CHECKSUM = "steepest_checksum"


def key_of(description: Mapping[str, Any]) -> str:
    """Return the name of a result: a hash of its description, the same for equal descriptions."""
    return hashlib.sha256(_canonical(description).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Store:
    """Results in a folder, each found by the description of what it depends on."""

    directory: Path

    def path(self, description: Mapping[str, Any]) -> Path:
        """Return the file of a result, whether it exists or not."""
        return self.directory / f"{key_of(description)}.nc"

    def checkpoint(self, description: Mapping[str, Any]) -> Path:
        """Return the folder in which a result that is being computed may save its state."""
        return self.directory / "unfinished" / key_of(description)

    def load(self, description: Mapping[str, Any]) -> xr.Dataset | None:
        """Return a result, or None if it has to be computed; a file that is damaged or foreign is said."""
        path = self.path(description)
        if not path.exists():
            return None
        try:
            found, dataset = _read(path)
        except _Unusable as problem:
            _say(path, f"{problem}; it is computed again")
            return None
        if found != _canonical(description):
            _say(path, "holds another result than its name says; it is computed again")
            return None
        return dataset

    def save(self, description: Mapping[str, Any], dataset: xr.Dataset) -> Path:
        """Write a result under a temporary name, then rename it into place.

        Raises:
            RunError: the folder cannot be written.
        """
        path = self.path(description)
        marks = {_DESCRIPTION: _canonical(description), _CHECKSUM: _checksum(dataset)}
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.part")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            dataset.assign_attrs(marks).to_netcdf(temporary, engine="h5netcdf")
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
        finally:
            with suppress(OSError):
                temporary.unlink()
        shutil.rmtree(self.checkpoint(description), ignore_errors=True)
        return path

    def everything(self, kind: str | None = None) -> Iterator[tuple[dict[str, Any], xr.Dataset]]:
        """Yield each result (of a kind) with its description; other files are said and left out."""
        for path in sorted(self.directory.glob("*.nc")):
            try:
                text, dataset = _read(path)
            except _Unusable as problem:
                _say(path, f"{problem}; it is left out")
                continue
            description = json.loads(text)
            if kind is None or description["kind"] == kind:
                yield description, dataset


class _Unusable(Exception):
    """Why a file is no result of ours."""


def _read(path: Path) -> tuple[str, xr.Dataset]:
    import xarray as xr

    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
    except Exception as error:
        # A damaged HDF5 file can raise nearly anything from deep inside; every reason means the same here.
        raise _Unusable(f"is truncated or no NetCDF file ({' '.join(str(error).split())[:80]})") from error
    description, checksum = dataset.attrs.pop(_DESCRIPTION, None), dataset.attrs.pop(_CHECKSUM, None)
    if description is None or checksum is None:
        raise _Unusable("is a NetCDF file that steepest did not write")
    if checksum != _checksum(dataset):
        raise _Unusable("is damaged (its checksum does not fit its values)")
    return description, dataset


def _say(path: Path, what: str) -> None:
    warnings.warn(f"{path} {what}", SteepestWarning, stacklevel=4)


def _canonical(description: Mapping[str, Any]) -> str:
    return json.dumps(description, sort_keys=True, separators=(",", ":"))


def _checksum(dataset: xr.Dataset) -> str:
    digest = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        values = np.ascontiguousarray(variable.values)
        # Text comes back from a file as another string type of the same content.
        content = values.tobytes() if values.dtype.kind in "biuf" else json.dumps(values.tolist()).encode()
        digest.update(f"{name}{variable.dims}{variable.shape}".encode() + content)
    return digest.hexdigest()
