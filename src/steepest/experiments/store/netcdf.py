"""NetCDF files, made in memory and written by Python: where a disk is full, HDF5 itself ends the process."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from steepest.files import write_bytes

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["encoded", "write_netcdf"]


def write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset; the file is whole or not there.

    Raises:
        RunError: it cannot be written.
    """
    write_bytes(path, encoded(dataset))


def encoded(dataset: xr.Dataset) -> bytes:
    """Return a dataset as the bytes of a NetCDF file."""
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    buffer = BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        _dimensions_first(dataset).dump_to_store(H5NetCDFStore(file))
    return buffer.getvalue()


def _dimensions_first(dataset: xr.Dataset) -> xr.Dataset:
    # HDF5 attaches every variable written so far anew to a dimension whose labels come after them.
    import xarray as xr

    labels = {name: dataset.variables[name] for name in dataset.dims if name in dataset.variables}
    others = {name: dataset.variables[name] for name in dataset.coords if name not in labels}
    data = {name: dataset.variables[name] for name in dataset.data_vars}
    return xr.Dataset(coords={**labels, **others}, attrs=dataset.attrs).assign(data)
