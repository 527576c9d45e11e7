"""NetCDF files, made in memory and written by Python: where a disk is full, HDF5 itself ends the process."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from steepest.files import write_bytes

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["encoded", "read_netcdf", "write_netcdf"]

_ONE_AT_A_TIME = Lock()
"""The NetCDF library knows no threads, and an experiment may run in several."""

_FIRST_BYTES = 1 << 16
"""What a result usually takes; the library takes more where it does not do."""


def write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset; the file is whole or not there.

    Raises:
        RunError: it cannot be written.
    """
    write_bytes(path, encoded(dataset))


def read_netcdf(path: Path) -> xr.Dataset:
    """Return the dataset of a file, in memory; whatever the libraries raise of a damaged one goes through."""
    import xarray as xr

    with _ONE_AT_A_TIME:
        # A result holds no dates, and to look for them in every variable takes a quarter of the time.
        return xr.load_dataset(path, engine="netcdf4", decode_times=False)


def encoded(dataset: xr.Dataset) -> bytes:
    """Return a dataset as the bytes of a NetCDF file."""
    import netCDF4
    from xarray.backends import NetCDF4DataStore

    with _ONE_AT_A_TIME:
        file = netCDF4.Dataset("in memory", "w", memory=_FIRST_BYTES)
        _dimensions_first(dataset).dump_to_store(NetCDF4DataStore(file))
        return _without_padding(bytes(file.close()))


def _without_padding(file: bytes) -> bytes:
    # Memory is handed out in blocks, the last one filled with zeros; HDF5's superblock, from version 2 on,
    # says in its bytes 28 to 35 where the file ends.
    return file[: int.from_bytes(file[28:36], "little")] if file[8] >= 2 else file


def _dimensions_first(dataset: xr.Dataset) -> xr.Dataset:
    # HDF5 attaches every variable written so far anew to a dimension whose labels come after them.
    import xarray as xr

    labels = {name: dataset.variables[name] for name in dataset.dims if name in dataset.variables}
    others = {name: dataset.variables[name] for name in dataset.coords if name not in labels}
    data = {name: dataset.variables[name] for name in dataset.data_vars}
    return xr.Dataset(coords={**labels, **others}, attrs=dataset.attrs).assign(data)
