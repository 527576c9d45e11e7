"""The claims of Figure 2: where batches of one sample lead, and what that depends on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from steepest.experiments.claims.claim import claim
from steepest.experiments.claims.measurement import SMALLEST_RATIO, Measurements, mean_is, over_seeds
from steepest.experiments.claims.needs import Needs, OneRun
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.claims.statistics import fitted_exponent
from steepest.experiments.dimensions import PLAIN_SIGNAL

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "batch_one_bias",
    "batch_one_ignores_scales",
    "batch_one_misses_the_max_margin",
    "batch_one_spectral_is_frobenius",
    "frequent_hard_classes_hide_the_bias",
    "naive_residuals_lose_the_bias",
]

_PLAIN = {"batch_size": 1, "momentum": 0.0, "signal": PLAIN_SIGNAL}
_WHERE = "b = 1"
_ROUNDING = 1e-15
_FAR = 0.9
"""The cosine below which the bias direction counts as another direction than a max-margin solution's."""


@claim(
    "batch-one-bias",
    "Single samples without momentum lead to the bias direction and drive the loss to 0.",
    "‖W_t - R_t B‖ ≤ 2 n η₀ max ‖D_i‖ at every record of every data set, which proves the direction; 1 - "
    "cosine to the bias and the loss fall by more than half, in the mean, over the last decade of steps",
    needs=Needs(("max", "frobenius"), run=OneRun(1), keys=("bias",)),
    sentence="On the Orthogonal Scale-Skewed dataset, the training loss converges to zero and W_t/‖W_t‖ → "
    "B/‖B‖ (Theorem 4.9); the similarity to our theoretically derived bias direction steadily approaches 1 "
    "(Appendix J)",
)
def batch_one_bias(runs: Runs) -> Measurements:
    """Measure the distance to R_t B beside its bound, and how the angle to B and the loss fall."""
    if "bias_distance" not in runs.dataset:
        raise Missing("these results were stored without the distance to the bias direction; run them again")
    decade = np.searchsorted(runs.steps, runs.last_step / 10)
    share = runs.curve("bias_distance", 1, 0.0) / runs.dataset["bias_distance_bound"].values[:, None]
    # Sums of as many steps round; the bound is never that near.
    quantity = "largest ‖W_t - R_t B‖ / its bound"
    yield over_seeds(runs, quantity, _WHERE, share.max(axis=1), at_most=1 + runs.last_step * _ROUNDING)
    distances = 1 - runs.curve("bias_cosine", 1, 0.0)
    approach = distances[:, -1] / distances[:, decade]
    quantity = "1 - cosine to the bias / that at a tenth of the steps"
    yield from mean_is(runs, "below", 0.5, quantity, _WHERE, approach)
    yield over_seeds(runs, "1 - cosine to the bias direction", _WHERE, distances[:, -1])
    losses = runs.curve("log_loss", 1, 0.0)
    fall = losses[:, -1] - losses[:, decade]
    quantity, least = "log of loss / loss at a tenth of the steps", math.log(2)
    yield from mean_is(runs, "below", -least, quantity, _WHERE, fall, ratio=False, smallest=least)
    yield over_seeds(runs, "log of the loss", _WHERE, losses[:, -1])


@claim(
    "batch-one-misses-the-max-margin",
    "Single samples without momentum lead to no max margin: a statement about how data is drawn, not "
    "about all data.",
    "b = 1: mean error > 1.15 × that of the full batch at the last step, and its mean exponent < 0.1, in "
    "every norm; mean cosine to the max-margin solution < 0.9 where it is unique; the share of data sets "
    "above is shown",
    needs=Needs(("max", "frobenius"), run=OneRun(1), keys=("bias", "reference")),
    sentence="Regardless of the norm considered, the relative error remains high and does not converge to "
    "zero; the cosine similarity to the true max-margin solution stagnates well below 1 (Figure 2, Appendix "
    "J)",
)
def batch_one_misses_the_max_margin(runs: Runs) -> Measurements:
    """Measure errors and cosines to every max margin.

    Class frequency is independent of hardness here, so that by chance the hard classes can be the frequent
    ones, where the bias direction is near the max margin: what is asked is asked of the mean.
    """
    for norm in runs.dataset["reference"].values.tolist():
        at = f"{_WHERE}, {norm}"
        curves = _reference(runs, norm, "relative_margin_error")
        full = np.maximum(_full_error(runs, norm), runs.resolution)
        quantity = "error / the full batch's in that norm"
        yield from mean_is(runs, "above", SMALLEST_RATIO, quantity, at, curves[:, -1] / full)
        exponents = [fitted_exponent(runs.steps, curve) for curve in curves]
        quantity = "fitted exponent of the error"
        yield from mean_is(runs, "below", 0.1, quantity, at, exponents, ratio=False, smallest=0.05)
        yield over_seeds(runs, "error", at, curves[:, -1])
        unique = runs.dataset["reference_unique_optimum"].sel(reference=norm).values == 1
        if unique.any():
            cosines = _reference(runs, norm, "cosine")[:, -1]
            quantity = "cosine to the max-margin solution"
            for one in mean_is(
                runs, "below", _FAR, quantity, at, cosines, ratio=False, smallest=0.05, kept=unique
            ):
                yield replace(one, expected=(-1.0, _FAR))


@claim(
    "batch-one-spectral-is-frobenius",
    "With single samples and no momentum Spectral-SGD and Normalized-SGD are the same method.",
    "b = 1: weights differ by ≤ 1e-13 relatively at every record of every data set; with momentum by ≥ 1e-3",
    needs=Needs(("spectral",), run=OneRun(1), keys=("weights",)),
    sentence="when the batch size is 1, Spectral-SGD reduces exactly to Normalized-SGD (Section 4.4, "
    "Lemma H.1)",
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
    "same counts, other scales: 1 - cosine of the final weights ≤ 1e-6 on every data set, while the cosine "
    "to the Frobenius max-margin solution changes by > 0.05 in the mean",
    needs=Needs(("max", "frobenius"), run=OneRun(1), keys=("reference", "weights")),
    sentence="the limiting direction is independent of the sample scales and depends only on the class "
    "labels and their frequencies (Section 4.4)",
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
    yield over_seeds(runs, "largest ratio of a class's scales", at, scales.max(axis=1))
    yield over_seeds(runs, "1 - cosine of the final weights", at, 1 - _cosines(*weights), at_most=1e-6)
    change = abs(here["reference_cosine"] - there["reference_cosine"]).sel(reference="frobenius")
    quantity = "change of the cosine to the Frobenius max-margin solution"
    yield from mean_is(runs, "above", 0.05, quantity, at, change.values, ratio=False, smallest=0.05)


@claim(
    "frequent-hard-classes-hide-the-bias",
    "Where hard classes are frequent, the bias of Normalized-SGD is near the Frobenius max margin.",
    "b = 1: mean cosine to the Frobenius max-margin solution > 0.9",
    needs=Needs(
        ("frobenius",), contrast=True, data="orthogonal-frequent", run=OneRun(1), keys=("bias", "reference")
    ),
)
def frequent_hard_classes_hide_the_bias(runs: Runs) -> Measurements:
    """Measure how near single samples end to the Frobenius max margin where hard classes are frequent."""
    _require_frobenius_reference(runs)
    cosines = _reference(runs, "frobenius", "cosine")[:, -1]
    where = f"{_WHERE}, frobenius"
    quantity = "cosine to the max-margin solution"
    yield from mean_is(runs, "above", _FAR, quantity, where, cosines, ratio=False, smallest=0.05)
    errors = _reference(runs, "frobenius", "relative_margin_error")[:, -1]
    yield over_seeds(runs, "error", where, errors)
    yield over_seeds(runs, "cosine to the bias direction", where, runs.final("bias_cosine", 1, 0.0))


@claim(
    "naive-residuals-lose-the-bias",
    "In plain float64 the residual softmax - onehot cancels, and descent leaves the bias direction.",
    "b = 1: cancels at a margin of 36 to 40 on every data set, and 1 - cosine to the bias ends > 10 × that "
    "of exact residuals in the mean",
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
    yield from mean_is(runs, "above", 10, "1 - cosine, naive / exact", _WHERE, ratio, smallest=10)


def _reference(runs: Runs, norm: str, name: str) -> np.ndarray:
    # Curves of error or cosine to the solution in a reference norm, [seeds, r].
    chosen = runs.dataset[f"reference_{name}"].sel(_PLAIN).sel(reference=norm)
    return chosen.transpose("seed", "step").values[:, runs.dataset["step"].values > 0]


def _full_error(runs: Runs, norm: str) -> np.ndarray:
    # Of the full batch's descent in the reference norm, for in its own the max margin is its limit.
    if norm not in runs.every_norm["norm"]:
        raise Missing(f"the experiment has no runs in the norm {norm}")
    wanted = {"batch_size": runs.samples, "momentum": 0.0, "signal": PLAIN_SIGNAL, "norm": norm}
    if runs.samples not in runs.every_norm["batch_size"]:
        raise Missing("no run of the full batch")
    chosen = runs.every_norm["relative_margin_error"].sel(wanted).sel(seed=list(runs.seeds))
    return chosen.isel(step=-1).values


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
