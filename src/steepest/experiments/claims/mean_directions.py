"""Claims beyond the paper: batches of one where no weights change a sample's direction, on any data."""

from __future__ import annotations

import numpy as np

from steepest.experiments.claims.claim import claim
from steepest.experiments.claims.measurement import Measurements, over_seeds
from steepest.experiments.claims.needs import Needs, OneRun
from steepest.experiments.claims.selection import Missing, Runs

__all__ = ["batch_one_follows_its_mean_direction", "batch_one_separates_if_its_mean_direction_does"]

_WHERE = "b = 1"
_NEEDS = Needs(run=OneRun(1), keys=("bias",))
_ROUNDING = 1e-9


@claim(
    "batch-one-follows-its-mean-direction",
    "Single samples follow their mean direction B on any data of two classes, and in the max-norm of any.",
    "b = 1, no momentum: ‖W_t - B R_t‖_F is at most its bound n η_0 max ‖D_i‖_F at every record",
    needs=_NEEDS,
    steps=1_000,
)
def batch_one_follows_its_mean_direction(runs: Runs) -> Measurements:
    """Measure the largest distance to B R_t as a share of its bound, and the cosine to B at the end."""
    _require(runs)
    bound = runs.dataset["bias_distance_bound"].values[:, None]
    shares = (runs.curve("bias_distance", 1, 0.0) / bound).max(axis=1)
    yield over_seeds(runs, "distance / bound", _WHERE, shares, at_most=1 + _ROUNDING)
    yield over_seeds(runs, "cosine to B", _WHERE, runs.final("bias_cosine", 1, 0.0))


@claim(
    "batch-one-separates-if-its-mean-direction-does",
    "Single samples come to separate the data where their mean direction B does, and only there.",
    "b = 1, no momentum: at the last step the margin of W is ≥ 0 where B separates the data, else ≤ 0",
    needs=_NEEDS,
)
def batch_one_separates_if_its_mean_direction_does(runs: Runs) -> Measurements:
    """Measure the margin at the last step over the max margin, and that of B, which it nears."""
    _require(runs)
    separates = _of_single_samples(runs, "bias_separates")
    if np.isnan(separates).any():
        raise Missing("whether B separates the data is hidden by rounding")
    shares = 1 - runs.final("relative_margin_error", 1, 0.0)
    agreeing = np.where(separates == 1, shares, -shares)
    quantity = "margin over the max margin, times -1 where B does not separate"
    yield over_seeds(runs, quantity, _WHERE, agreeing, at_least=0.0)
    yield over_seeds(runs, "margin over the max margin", _WHERE, shares)
    yield over_seeds(runs, "that of B", _WHERE, _of_single_samples(runs, "bias_share"))
    yield over_seeds(runs, "log of the loss", _WHERE, runs.final("log_loss", 1, 0.0))


def _require(runs: Runs) -> None:
    if "bias_separates" not in runs.dataset:
        raise Missing("directions of single samples depend on the weights here, or were stored without them")


def _of_single_samples(runs: Runs, name: str) -> np.ndarray:
    return runs.chosen(1, 0.0)[name].transpose("seed").values
