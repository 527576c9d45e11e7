"""Results as labelled arrays: those of all cells joined, and read back from a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import InvalidArgument
from steepest.experiments.dimensions import (
    CELL_LABELS,
    DIMENSIONS,
    PLAIN_SIGNAL,
    REDUCED_SIGNAL,
    RUN_LABELS,
    labelled,
    with_variance_reduction,
)
from steepest.experiments.inputs import as_path
from steepest.experiments.store.store import Store

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["combine", "open_results"]

_FIRST_SIGNALS = {PLAIN_SIGNAL: 0, REDUCED_SIGNAL: 1}
_OF_RUNS = (*RUN_LABELS, "variance_reduction")
"""What a description says of the runs, among them the switch from before signals had names."""


def combine(datasets: Iterable[xr.Dataset]) -> xr.Dataset:
    """Join results along all their labels; combinations that were not run are NaN.

    Raises:
        InvalidArgument: there is nothing to join.
    """
    import xarray as xr

    parts = list(datasets)
    if not parts:
        raise InvalidArgument("datasets", parts, "there are no results yet; run the experiment first")
    names = dict.fromkeys([*DIMENSIONS, *(str(name) for part in parts for name in part.dims)])
    coordinates = {
        name: _union([part.variables[name].values for part in parts if name in part.dims]) for name in names
    }
    # In the order of the paper, whichever file was read first.
    coordinates["signal"].sort(key=lambda signal: _FIRST_SIGNALS.get(signal, len(_FIRST_SIGNALS)))
    position = {name: {label: i for i, label in enumerate(labels)} for name, labels in coordinates.items()}
    variables: dict[str, Any] = {}
    for part in parts:
        at = {
            str(dim): [position[str(dim)][label] for label in part.variables[dim].values.tolist()]
            for dim in part.dims
        }
        for name in map(str, part.data_vars):
            variable = part.variables[name]
            if name not in variables:
                full = np.full([len(coordinates[str(dim)]) for dim in variable.dims], np.nan)
                variables[name] = (variable.dims, full, variable.attrs)
            variables[name][1][np.ix_(*(at[str(dim)] for dim in variable.dims))] = variable.values
    return with_variance_reduction(xr.Dataset(variables, labelled(coordinates)))


def open_results(directory: str | Path) -> xr.Dataset:
    """Return every result in a folder as one dataset; ``.to_dataframe()`` of it is tidy, a row a record.

    ``directory`` is the folder that an experiment was run in (or its ``cells``). Combinations that were not
    run are NaN. Data sets are told apart by the names that their experiment gave them.

    Raises:
        InvalidArgument: the folder holds no results, or results that differ in what is no dimension (the
            schedule, the number of steps, ...) and so cannot share one dataset.

    Warns:
        SteepestWarning: a file is damaged or foreign; it is left out.

    ::

        results = open_results("results/figure1")
        final = results["relative_margin_error"].isel(step=-1)
        table = results.to_dataframe()
    """
    folder = as_path("directory", directory, "give the folder of a run")
    inside = folder / "cells"
    found = list(Store(inside if inside.is_dir() else folder).everything("runs"))
    if not found:
        raise InvalidArgument("directory", str(directory), "it holds no results; give the folder of a run")
    _require_alike(found, directory)
    return combine(dataset for _, dataset in found)


def _require_alike(found: list[tuple[dict[str, Any], xr.Dataset]], directory: str | Path) -> None:
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for description, dataset in found:
        labels = tuple(str(dataset[name].item()) for name in CELL_LABELS)
        rest = {name: value for name, value in description.items() if name not in _OF_RUNS}
        other = seen.setdefault(labels, rest)
        differing = [name for name in rest if rest[name] != other.get(name)]
        if differing:
            raise InvalidArgument(
                "directory",
                str(directory),
                f"it holds results for {', '.join(labels)} that differ in {', '.join(differing)}; "
                "keep experiments that differ in these in folders of their own",
            )


def _union(labels: Sequence[np.ndarray]) -> list[Any]:
    every = list(dict.fromkeys(label for array in labels for label in array.tolist()))
    return every if isinstance(every[0], str) else sorted(every)
