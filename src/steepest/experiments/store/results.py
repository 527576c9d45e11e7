"""Results as labelled arrays: certified margins as files hold them, and the runs of all cells joined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import InvalidArgument
from steepest.experiments.inputs import as_path
from steepest.experiments.store.store import Store
from steepest.geometry import norm as as_norm
from steepest.maxmargin import MaxMarginSolution, Status
from steepest.problem import Classification

if TYPE_CHECKING:
    import xarray as xr


__all__ = [
    "DIMENSIONS",
    "combine",
    "labelled",
    "open_results",
    "solution_dataset",
    "solution_from",
    "words",
]

DIMENSIONS = ("data", "loss", "norm", "batch_size", "momentum", "signal", "seed", "step")
"""The dimensions of every series, in this order."""

_CELL_LABELS = ("data", "loss", "norm", "batch_size", "seed")
_RUN_LABELS = ("momentum", "variance_reduction", "signal")

_AXES = {
    "data": ("1", "name of the data set"),
    "loss": ("1", "loss"),
    "norm": ("1", "norm of the steepest descent and of the max margin"),
    "batch_size": ("samples", "samples a step, b"),
    "momentum": ("1", "momentum β, the weight of the past"),
    "signal": ("1", "signal, how the gradient is estimated"),
    "seed": ("1", "seed of the data and of the shuffling"),
    "step": ("updates", "updates done, t"),
    "reference": ("1", "norm whose max margin the runs are compared with"),
    "class": ("1", "class, a row of the weights"),
    "feature": ("1", "feature, a column of the weights"),
}


def words(units: str, long_name: str) -> dict[str, str]:
    """Return the attributes of a variable: its units and what it is."""
    return {"units": units, "long_name": long_name}


def combine(datasets: Iterable[xr.Dataset]) -> xr.Dataset:
    """Join results along all their labels; combinations that were not run are NaN.

    Raises:
        InvalidArgument: there is nothing to join.
    """
    import xarray as xr

    parts = [_with_signals(each) for each in datasets]
    if not parts:
        raise InvalidArgument("datasets", parts, "there are no results yet; run the experiment first")
    names = dict.fromkeys([*DIMENSIONS, *(str(name) for part in parts for name in part.dims)])
    coordinates = {name: _union([part[name].values for part in parts if name in part.dims]) for name in names}
    position = {name: {label: i for i, label in enumerate(labels)} for name, labels in coordinates.items()}
    variables: dict[str, Any] = {}
    for part in parts:
        for name, variable in ((str(name), variable) for name, variable in part.data_vars.items()):
            if name not in variables:
                full = np.full([len(coordinates[str(dim)]) for dim in variable.dims], np.nan)
                variables[name] = (variable.dims, full, variable.attrs)
            places = [
                [position[str(dim)][label] for label in part[dim].values.tolist()] for dim in variable.dims
            ]
            variables[name][1][np.ix_(*places)] = variable.values
    return xr.Dataset(variables, labelled(coordinates))


def _with_signals(dataset: xr.Dataset) -> xr.Dataset:
    """Return results with the dimension ``signal``, also of the time when there were two and a switch."""
    if "variance_reduction" not in dataset.dims:
        return dataset
    names = ["svrg" if reduced else "minibatch" for reduced in dataset["variance_reduction"].values]
    renamed = dataset.rename(variance_reduction="signal")
    return renamed.assign_coords(signal=("signal", names, words(*_AXES["signal"])))


def open_results(directory: str | Path) -> xr.Dataset:
    """Return every result in a folder as one dataset; ``.to_dataframe()`` of it is tidy, a row a record.

    ``directory`` is the folder that an experiment was run in (or its ``cells``). Combinations that were not
    run are NaN. Data sets are told apart by the names that their experiment gave them.

    Raises:
        InvalidArgument: the folder holds no results, or results that differ in what is no dimension (the
            schedule, the number of steps, ...) and so cannot share one dataset.

    Warns:
        SteepestWarning: a file is damaged or foreign; it is left out.
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
        labels = tuple(str(dataset[name].item()) for name in _CELL_LABELS)
        rest = {name: value for name, value in description.items() if name not in _RUN_LABELS}
        other = seen.setdefault(labels, rest)
        differing = [name for name in rest if rest[name] != other.get(name)]
        if differing:
            raise InvalidArgument(
                "directory",
                str(directory),
                f"it holds results for {', '.join(labels)} that differ in {', '.join(differing)}; "
                "keep experiments that differ in these in folders of their own",
            )


def solution_dataset(solution: MaxMarginSolution) -> xr.Dataset:
    """Return a certified max margin as a dataset, from which :func:`solution_from` makes it again."""
    import xarray as xr

    separable = {None: -1, False: 0, True: 1}[solution.separable]
    return xr.Dataset(
        {
            "weights": (("class", "feature"), solution.weights, {"long_name": "max-margin weights W*"}),
            "dual": (("sample", "class"), solution.dual, {"long_name": "dual weights q"}),
        },
        attrs={
            "norm": str(solution.norm),
            "margin": solution.margin,
            "upper_bound": solution.upper_bound,
            "relative_gap": solution.relative_gap,
            "separable": separable,
            "seconds": solution.seconds,
            "iterations": solution.iterations,
            "method": solution.method,
            "status": solution.status.name,
            "canonical": "" if solution.canonical is None else str(solution.canonical),
            "uniqueness": str(solution.uniqueness),
        },
    )


def solution_from(dataset: xr.Dataset, problem: Classification) -> MaxMarginSolution:
    """Return the max-margin solution of a problem that a dataset holds."""
    facts = dataset.attrs
    return MaxMarginSolution(
        norm=as_norm(facts["norm"]),
        weights=dataset["weights"].values,
        margin=float(facts["margin"]),
        upper_bound=float(facts["upper_bound"]),
        relative_gap=float(facts["relative_gap"]),
        dual=dataset["dual"].values,
        separable={-1: None, 0: False, 1: True}[int(facts["separable"])],
        seconds=float(facts["seconds"]),
        iterations=int(facts["iterations"]),
        method=str(facts["method"]),
        status=Status[facts["status"]],
        problem=problem,
    )


def _union(labels: Sequence[np.ndarray]) -> list[Any]:
    every = list(dict.fromkeys(label for array in labels for label in array.tolist()))
    return every if isinstance(every[0], str) else sorted(every)


def labelled(coordinates: dict[str, Any]) -> dict[str, Any]:
    """Return coordinates with the units and the meaning of their dimensions."""
    return {
        name: (name, labels, {"units": _AXES[name][0], "long_name": _AXES[name][1]})
        for name, labels in coordinates.items()
    }
