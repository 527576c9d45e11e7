"""NetCDF files, made in memory and written by Python: where a disk is full, HDF5 itself ends the process."""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["encoded", "write_netcdf"]


def write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset under a temporary name, then rename it into place: the file is whole or not there.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(encoded(dataset))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def encoded(dataset: xr.Dataset) -> bytes:
    """Return a dataset as the bytes of a NetCDF file."""
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    buffer = BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        dataset.dump_to_store(H5NetCDFStore(file))
    return buffer.getvalue()
