"""The curves of a report: medians and ranges over seeds, and the theory beside them, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.descent.series import SERIES
from steepest.experiments.claims.promises import Promise, promise_of, promised_by_alignments
from steepest.experiments.claims.selection import Runs
from steepest.experiments.dimensions import DIMENSIONS, PLAIN_SIGNAL
from steepest.experiments.report.predictions import Predictions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["groups_of", "quantities_of"]

MOST_RECORDS = 400
"""Records of a run that are drawn; more are thinned evenly in their order, first and last kept."""

_DIGITS = 7
_FIRST = ("relative_margin_error", "cosine", "normalized_margin", "upper_bound", "log_loss")
_LEFT_OUT = ("margin_floor", "realised_floor")


def quantities_of(datasets: Sequence[xr.Dataset]) -> dict[str, dict[str, Any]]:
    """Return every quantity that some results hold along their steps, with its title, meaning and unit."""
    found: dict[str, dict[str, Any]] = {}
    for dataset in datasets:
        for name, variable in dataset.data_vars.items():
            series = SERIES.get(str(name))
            for reference in _references(dataset, str(name)):
                of = "" if reference is None else f", {reference} norm"
                found[_key(str(name), reference)] = {
                    "title": (series.title if series else str(name).replace("_", " ").capitalize()) + of,
                    "meaning": str(variable.attrs.get("long_name", "")) + of,
                    "units": str(variable.attrs.get("units", "1")),
                    "logarithmic": series is not None and series.logarithmic,
                }
    first = [name for name in _FIRST if name in found]
    return {name: found[name] for name in [*first, *(name for name in found if name not in first)]}


def groups_of(dataset: xr.Dataset, predictions: Predictions | None = None) -> Iterator[dict[str, Any]]:
    """Yield the runs of each data set, norm and loss: their steps, and a line for each method."""
    for runs in Runs.of(dataset):
        kept = _kept(len(runs.steps))
        yield {
            "data": runs.data,
            "norm": runs.norm,
            "loss": runs.loss,
            "samples": runs.samples,
            "seeds": list(runs.seeds),
            "margin": [
                _rounded(float(runs.dataset[name].median()))
                for name in ("max_margin", "max_margin_upper_bound")
            ],
            "steps": runs.steps[kept].tolist(),
            "lines": list(_lines(runs, kept, predictions or {})),
        }


def _lines(runs: Runs, kept: np.ndarray, predictions: Predictions) -> Iterator[dict[str, Any]]:
    keys = [
        (str(name), reference)
        for name in runs.dataset.data_vars
        for reference in _references(runs.dataset, str(name))
    ]
    for batch_size in runs.batch_sizes:
        for momentum in runs.momenta:
            for signal in runs.signals:
                if not runs.has(batch_size, momentum, signal):
                    continue
                settings = (batch_size, momentum, signal)
                error = runs.variable("relative_margin_error", *settings).transpose("seed", "step").values
                there = np.flatnonzero(np.isfinite(error).any(axis=1))
                yield {
                    "batch_size": batch_size,
                    "momentum": momentum,
                    "signal": signal,
                    "seeds": [runs.seeds[place] for place in there],
                    "values": {
                        _key(name, reference): values
                        for name, reference in keys
                        if (values := _over_seeds(runs, settings, name, reference, there, kept))
                    },
                    "theory": _theory(promise_of(runs, batch_size, momentum, signal), kept)
                    | _realised(runs, batch_size, momentum, signal, kept)
                    | _predicted(runs, batch_size, momentum, signal, kept, predictions),
                }


def _over_seeds(
    runs: Runs,
    settings: tuple[int, float, str],
    name: str,
    reference: str | None,
    there: np.ndarray,
    kept: np.ndarray,
) -> dict[str, list[float | None]]:
    values = runs.variable(name, *settings)
    if reference is not None:
        values = values.isel(reference=runs.dataset["reference"].values.tolist().index(reference))
    after_start = runs.dataset["step"].values > 0
    curves = values.transpose("seed", "step").values[there][:, after_start][:, kept]
    if np.isnan(curves).all():
        # What only some of the runs were measured for.
        return {}
    middle = {"middle": _listed(np.median(curves, axis=0))}
    if len(curves) == 1:
        return middle
    return {**middle, "low": _listed(curves.min(axis=0)), "high": _listed(curves.max(axis=0))}


def _theory(promise: Promise, kept: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {"share": _rounded(promise.share), "says": promise.says}
    if promise.slope is not None:
        found["slope"] = [_listed(each) for each in promise.slope]
    if promise.proven:
        found |= {"error": _listed(promise.error[kept]), "floor": _listed(promise.floor[kept])}
    return found


def _realised(
    runs: Runs, batch_size: int, momentum: float, signal: str, kept: np.ndarray
) -> dict[str, list[float | None]]:
    """Return the bound from realised alignments, over seeds the weakest; nothing where results have none."""
    found = promised_by_alignments(runs, batch_size, momentum, signal)
    if found is None:
        return {}
    error, floor = found
    return {"realised_error": _listed(error[kept]), "realised_floor": _listed(floor[kept])}


def _predicted(
    runs: Runs, batch_size: int, momentum: float, signal: str, kept: np.ndarray, predictions: Predictions
) -> dict[str, Any]:
    """Return the error that the mean field predicts, for the seed it was worked out for; nothing without."""
    found = predictions.get((runs.data, runs.norm, runs.loss, batch_size))
    if found is None or momentum or signal != PLAIN_SIGNAL:
        return {}
    return {"predicted_error": _listed(found.at(runs.steps[kept])), "predicted_seed": found.seed}


def _references(dataset: xr.Dataset, name: str) -> list[str | None]:
    """Return what a variable has a curve for: nothing, one of its own, or one for each reference norm."""
    if name in _LEFT_OUT:
        return []
    along = set(map(str, dataset[name].dims)) - set(DIMENSIONS[:3])
    if along == set(DIMENSIONS[3:]):
        return [None]
    if along == {*DIMENSIONS[3:], "reference"}:
        return [str(norm) for norm in dataset["reference"].values]
    return []


def _kept(records: int) -> np.ndarray:
    return np.unique(np.rint(np.linspace(0, records - 1, min(records, MOST_RECORDS))).astype(int))


def _key(name: str, reference: str | None) -> str:
    return name if reference is None else f"{name}@{reference}"


def _listed(values: np.ndarray) -> list[float | None]:
    return [_rounded(float(value)) for value in values]


def _rounded(value: float) -> float | None:
    # JSON has neither NaN nor infinities.
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
