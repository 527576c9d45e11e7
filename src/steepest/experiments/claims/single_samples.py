"""The claims of Figure 2: where batches of one sample lead, and what that depends on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from steepest.experiments.claims.claim import claim
from steepest.experiments.claims.measurement import Measurements, over_seeds, where_unique
from steepest.experiments.claims.needs import Needs, OneRun
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.claims.statistics import fitted_exponent
from steepest.experiments.dimensions import PLAIN_SIGNAL

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "batch_one_bias",
    "batch_one_ignores_scales",
    "batch_one_spectral_is_frobenius",
    "frequent_hard_classes_hide_the_bias",
    "naive_residuals_lose_the_bias",
]

_PLAIN = {"batch_size": 1, "momentum": 0.0, "signal": PLAIN_SIGNAL}
_WHERE = "b = 1"
_FAR = 0.9
"""The cosine below which the bias direction counts as another direction than a max-margin solution's."""


@claim(
    "batch-one-bias",
    "Single samples without momentum lead to the bias direction, not to a max margin.",
    "1 - cosine to the bias ≤ 1e-3 and halved over the last decade of steps; loss ≤ log(k)/10 and "
    "halved too; errors ≥ 0.5, falling no faster than t^-0.1; cosine to every unique solution ≤ 0.9",
    needs=Needs(("max", "frobenius"), run=OneRun(1), keys=("bias", "reference")),
)
def batch_one_bias(runs: Runs) -> Measurements:
    """Measure the cosine to the bias direction, the loss, and errors and cosines to every max margin."""
    decade = np.searchsorted(runs.steps, runs.last_step / 10)
    distances = 1 - runs.curve("bias_cosine", 1, 0.0)
    yield over_seeds(runs, "1 - cosine to the bias direction", _WHERE, distances[:, -1], at_most=1e-3)
    approach = distances[:, -1] / distances[:, decade]
    yield over_seeds(runs, "1 - cosine / that at a tenth of the steps", _WHERE, approach, at_most=0.5)
    losses = runs.curve("log_loss", 1, 0.0)
    bound = math.log(math.log(runs.classes) / 10)
    yield over_seeds(runs, "log of the loss", _WHERE, losses[:, -1], at_most=bound)
    fall = losses[:, -1] - losses[:, decade]
    yield over_seeds(runs, "log of loss / loss at a tenth of the steps", _WHERE, fall, at_most=-math.log(2))
    for norm in runs.dataset["reference"].values.tolist():
        at = f"{_WHERE}, {norm}"
        curves = _reference(runs, norm, "relative_margin_error")
        yield over_seeds(runs, "error", at, curves[:, -1], at_least=0.5)
        exponents = [fitted_exponent(runs.steps, curve) for curve in curves]
        yield over_seeds(runs, "fitted exponent of the error", at, exponents, at_most=0.1)
        unique = runs.dataset["reference_unique_optimum"].sel(reference=norm).values == 1
        cosines = _reference(runs, norm, "cosine")[:, -1]
        quantity = "cosine to the max-margin solution"
        yield from where_unique(runs, unique, quantity, at, cosines, at_most=_FAR)
    full = runs.final("relative_margin_error", runs.samples, 0.0)
    yield over_seeds(runs, "error of the full batch, for contrast", f"b = {runs.samples}", full)


@claim(
    "batch-one-spectral-is-frobenius",
    "With single samples and no momentum Spectral-SGD and Normalized-SGD are the same method.",
    "b = 1: weights differ by ≤ 1e-13 relatively at every record; with momentum by ≥ 1e-3",
    needs=Needs(("spectral",), run=OneRun(1), keys=("weights",)),
)
def batch_one_spectral_is_frobenius(runs: Runs) -> Measurements:
    """Measure how far the weights of Spectral-SGD and Normalized-SGD are apart, with and without momentum."""
    if "frobenius" not in runs.every_norm["norm"]:
        raise Missing("the experiment has no runs in the Frobenius norm")
    for momentum in runs.momenta:
        if not runs.has(1, momentum):
            raise Missing(f"no run of {runs.words(1, momentum)}")
        chosen = {**_PLAIN, "momentum": momentum}
        weights = runs.every_norm["weights"].sel(chosen).transpose("norm", "seed", "step", "class", "feature")
        if not _all_run(weights.sel(norm="frobenius")):
            raise Missing(f"no run of batch size 1 at momentum {momentum:g} in the Frobenius norm")
        spectral, frobenius = (weights.sel(norm=norm).values for norm in ("spectral", "frobenius"))
        sizes = np.linalg.norm(frobenius, axis=(-2, -1))[:, 1:]
        largest = np.max(np.linalg.norm(spectral - frobenius, axis=(-2, -1))[:, 1:] / sizes, axis=1)
        quantity, where = "largest relative difference of the weights", f"momentum {momentum:g}"
        if momentum == 0:
            yield over_seeds(runs, quantity, where, largest, at_most=1e-13)
        else:
            yield over_seeds(runs, f"{quantity}, with momentum", where, largest, at_least=1e-3)


@claim(
    "batch-one-ignores-scales",
    "Where single samples lead depends on the class counts alone, unlike the max margin.",
    "same counts, scales in reverse order: 1 - cosine of the final weights ≤ 1e-6, while the cosine "
    "to the Frobenius max-margin solution changes by ≥ 0.1",
    needs=Needs(("max", "frobenius"), contrast=True, run=OneRun(1), keys=("reference", "weights")),
)
def batch_one_ignores_scales(runs: Runs) -> Measurements:
    """Measure how far apart runs end on data of the same counts and other scales, and their max margins."""
    _require_frobenius_reference(runs)
    other = _same_counts(runs)
    both = (runs.every_data.sel(data=data, **_PLAIN) for data in (runs.data, other))
    here, there = (each.sel(seed=list(runs.seeds)).isel(step=-1) for each in both)
    weights = [each["weights"].transpose("seed", "class", "feature").values for each in (here, there)]
    scales = (here["class_scale"] / there["class_scale"]).transpose("seed", "class").values
    at = f"{_WHERE}, against {other}"
    yield over_seeds(runs, "largest ratio of a class's scales", at, scales.max(axis=1), at_least=1.5)
    yield over_seeds(runs, "1 - cosine of the final weights", at, 1 - _cosines(*weights), at_most=1e-6)
    change = abs(here["reference_cosine"] - there["reference_cosine"]).sel(reference="frobenius")
    quantity = "change of the cosine to the Frobenius max-margin solution"
    yield over_seeds(runs, quantity, at, change.values, at_least=0.1)


@claim(
    "frequent-hard-classes-hide-the-bias",
    "Where hard classes are frequent, the bias of Normalized-SGD is near the Frobenius max margin.",
    "b = 1: cosine to the Frobenius max-margin solution ≥ 0.9",
    needs=Needs(("frobenius",), contrast=True, run=OneRun(1), keys=("bias", "reference")),
)
def frequent_hard_classes_hide_the_bias(runs: Runs) -> Measurements:
    """Measure how near single samples end to the Frobenius max margin where hard classes are frequent."""
    _require_frobenius_reference(runs)
    cosines = _reference(runs, "frobenius", "cosine")[:, -1]
    where = f"{_WHERE}, frobenius"
    yield over_seeds(
        runs, "cosine to the max-margin solution", where, cosines, at_least=_FAR, expected=(0.97, 1.0)
    )
    errors = _reference(runs, "frobenius", "relative_margin_error")[:, -1]
    yield over_seeds(runs, "error", where, errors)
    yield over_seeds(runs, "cosine to the bias direction", where, runs.final("bias_cosine", 1, 0.0))


@claim(
    "naive-residuals-lose-the-bias",
    "In plain float64 the residual softmax - onehot cancels, and descent leaves the bias direction.",
    "b = 1: cancels at a margin of 36 to 40, and 1 - cosine to the bias ends ≥ 10 × that of exact residuals",
    needs=Needs(("max", "frobenius"), run=OneRun(1), keys=("bias", "naive")),
)
def naive_residuals_lose_the_bias(runs: Runs) -> Measurements:
    """Measure when `softmax - onehot` cancels, and how much further from the bias direction its run ends."""
    naive = 1 - runs.final("naive_bias_cosine", 1, 0.0)
    if np.isnan(naive).any():
        raise Missing(f"the experiment does not repeat the runs naively (naive = {runs.norm})")
    chosen = runs.dataset.sel(_PLAIN)
    yield over_seeds(
        runs, "step of the first cancelled residual", _WHERE, chosen["naive_cancelled_at"].values
    )
    margins = chosen["naive_margin"].values
    yield over_seeds(runs, "margin of that sample", _WHERE, margins, at_least=36, at_most=40)
    yield over_seeds(runs, "1 - cosine to the bias direction, naive", _WHERE, naive)
    ratio = naive / (1 - runs.final("bias_cosine", 1, 0.0))
    yield over_seeds(runs, "1 - cosine, naive / exact", _WHERE, ratio, at_least=10)


def _reference(runs: Runs, norm: str, name: str) -> np.ndarray:
    # Curves of error or cosine to the solution in a reference norm, [seeds, r].
    chosen = runs.dataset[f"reference_{name}"].sel(_PLAIN).sel(reference=norm)
    return chosen.transpose("seed", "step").values[:, runs.dataset["step"].values > 0]


def _require_frobenius_reference(runs: Runs) -> None:
    if "frobenius" not in runs.dataset["reference"]:
        raise Missing("the experiment does not name frobenius among its reference norms")


def _same_counts(runs: Runs) -> str:
    every = runs.every_data
    seeds = list(runs.seeds)
    counts = every["class_counts"].sel(seed=seeds)
    for data in every["data"].values.tolist():
        same = bool((counts.sel(data=data) == counts.sel(data=runs.data)).all())
        if data != runs.data and same and _all_run(every["weights"].sel(data=data, seed=seeds, **_PLAIN)):
            return str(data)
    raise Missing("the experiment has no other data set with the same class counts")


def _all_run(weights: xr.DataArray) -> bool:
    # What was not run is NaN; so are, of the others, the features that only other data has.
    return bool(weights.notnull().any(["step", "class", "feature"]).all())


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    products = np.sum(first * second, axis=(1, 2))
    return products / (np.linalg.norm(first, axis=(1, 2)) * np.linalg.norm(second, axis=(1, 2)))
