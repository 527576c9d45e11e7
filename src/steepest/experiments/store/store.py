"""A folder of results: one NetCDF file each, named by the hash of what it depends on, never half written.

A file is written under a temporary name and renamed, so a name that exists is a whole result. What is
truncated, altered or foreign is noticed (each file carries its description and a checksum), said in a
warning, and treated as absent. Whoever computes a result claims it first by a lock of the operating system,
which a process that dies cannot leave behind.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from steepest.errors import RunError, SteepestWarning
from steepest.experiments.dimensions import with_signals
from steepest.experiments.store.netcdf import read_netcdf, write_netcdf

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Store", "key_of"]

_DESCRIPTION = "steepest_description"
_CHECKSUM = "steepest_checksum"
_LOCK_SECONDS = 0.5


def key_of(description: Mapping[str, Any]) -> str:
    """Return the name of a result: a hash of its description, the same for equal descriptions."""
    return _hash(_canonical(description))


@dataclass(frozen=True)
class Store:
    """Results in a folder, each found by the description of what it depends on."""

    directory: Path
    """The folder, made when the first result is kept."""

    def path(self, description: Mapping[str, Any]) -> Path:
        """Return the file of a result, whether it exists or not."""
        return self.directory / f"{key_of(description)}.nc"

    @property
    def unfinished(self) -> Path:
        """The folder of what belongs to results that are being computed."""
        return self.directory / "unfinished"

    def checkpoint(self, description: Mapping[str, Any]) -> Path:
        """Return the folder in which a result that is being computed may save its state."""
        return self.unfinished / key_of(description)

    @contextmanager
    def claimed(
        self, description: Mapping[str, Any], waiting: Callable[[], None] | None = None
    ) -> Iterator[bool]:
        """Claim a result, so that no other process computes it: yields whether the claim was got.

        With ``waiting``, which is called now and then, it waits until the other process is done or dead.

        Raises:
            RunError: the folder cannot be written.
        """
        path = self.unfinished / f"{key_of(description)}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            ours = _acquired(lock, waiting)
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
        try:
            yield ours
        finally:
            if ours:
                # Once the result is there, whoever waits at the lock that is removed here finds it first.
                if self.path(description).exists():
                    with suppress(OSError):
                        path.unlink()
                lock.release()

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
        """Keep the result ``dataset``; a folder that has its name is moved aside.

        Raises:
            RunError: the folder cannot be written.
        """
        path = self.path(description)
        marks = {_DESCRIPTION: _canonical(description), _CHECKSUM: _checksum(dataset)}
        if path.is_dir():
            with suppress(OSError):
                path.rename(path.with_name(f"{path.name}.{time.time_ns()}.aside"))
        write_netcdf(dataset.assign_attrs(marks), path)
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
            # By its name, which is its description's hash: a checksum is of the values alone.
            if _hash(text) != path.stem:
                _say(path, "holds another result than its name says; it is left out")
                continue
            description = json.loads(text)
            if kind is None or description["kind"] == kind:
                yield description, dataset


def _acquired(lock: FileLock, waiting: Callable[[], None] | None) -> bool:
    while not _acquired_within(lock, 0.0 if waiting is None else _LOCK_SECONDS):
        if waiting is None:
            return False
        waiting()
    return True


def _acquired_within(lock: FileLock, seconds: float) -> bool:
    with suppress(Timeout):
        lock.acquire(timeout=seconds)
    return lock.is_locked


class _Unusable(Exception):
    """Why a file is no result of ours."""


def _read(path: Path) -> tuple[str, xr.Dataset]:
    try:
        dataset = read_netcdf(path)
    except Exception as error:
        # A damaged HDF5 file can raise nearly anything from deep inside; every reason means the same here.
        raise _Unusable(f"is truncated or no NetCDF file ({' '.join(str(error).split())[:80]})") from error
    description, checksum = dataset.attrs.pop(_DESCRIPTION, None), dataset.attrs.pop(_CHECKSUM, None)
    if description is None or checksum is None:
        raise _Unusable("is a NetCDF file that steepest did not write")
    if checksum != _checksum(dataset):
        raise _Unusable("is damaged (its checksum does not fit its values)")
    return description, with_signals(dataset)


def _say(path: Path, what: str) -> None:
    warnings.warn(f"{path} {what}", SteepestWarning, stacklevel=4)


def _canonical(description: Mapping[str, Any]) -> str:
    return json.dumps(description, sort_keys=True, separators=(",", ":"))


def _hash(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _checksum(dataset: xr.Dataset) -> str:
    digest = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        values = np.ascontiguousarray(variable.values)
        # Text comes back from a file as another string type of the same content.
        content = values.tobytes() if values.dtype.kind in "biuf" else json.dumps(values.tolist()).encode()
        digest.update(f"{name}{variable.dims}{variable.shape}".encode() + content)
    return digest.hexdigest()
