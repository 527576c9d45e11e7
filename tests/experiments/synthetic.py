"""Results made by hand: power laws whose claims are known without running anything."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import xarray as xr

from steepest.experiments.dimensions import DIMENSIONS

BATCH_SIZES = [1, 5, 10, 20, 50, 100]
MOMENTA = [0.0, 0.5, 0.99]
SEEDS = list(range(10))

Error = Callable[[int, float, bool, int], float]
"""Final error as a function of batch size, momentum, variance reduction and seed."""


def as_the_paper_says(batch_size: int, momentum: float, variance_reduction: bool, seed: int) -> float:
    """Return final errors under which every claim of Figure 1 holds."""
    full = 0.07 * (1 + 0.01 * seed)
    small = 100 / batch_size
    if variance_reduction or batch_size == 100:
        return full * (1.2 if batch_size == 1 and variance_reduction else 1.0)
    if momentum == 0:
        return full * (1 + small / 5)
    return full * (1 + small / 12) if momentum == 0.5 else full * (1.05 if batch_size > 1 else 1.2)


def results(final_error: Error = as_the_paper_says, steps: int = 20_000, exponent: float = 0.5) -> xr.Dataset:
    """Return results of one data set of 100 samples: errors fall as t^-exponent to their final value."""
    step = np.unique(np.rint(np.geomspace(1, steps, 60)).astype(int))
    step = np.concatenate([[0], step])
    shape = (1, 1, 1, len(BATCH_SIZES), len(MOMENTA), 2, len(SEEDS), len(step))
    error = np.ones(shape)
    for (b, batch_size), (m, momentum), reduced, (s, seed) in itertools.product(
        enumerate(BATCH_SIZES), enumerate(MOMENTA), (False, True), enumerate(SEEDS)
    ):
        final = final_error(batch_size, momentum, reduced, seed)
        error[0, 0, 0, b, m, int(reduced), s, 1:] = final * (step[1:] / steps) ** -exponent
    per_seed = ("data", "norm", "seed")
    return xr.Dataset(
        {
            "relative_margin_error": (DIMENSIONS, error),
            "cosine": (DIMENSIONS, 1 - error / 10),
            "unique_optimum": (per_seed, np.ones((1, 1, len(SEEDS)))),
            "step_size_exponent": (per_seed, np.full((1, 1, len(SEEDS)), 0.5)),
            "effective_margin": (DIMENSIONS[:-1], np.full(shape[:-1], -1.0)),
            "max_margin": (per_seed, np.full((1, 1, len(SEEDS)), 1.0 - 1e-9)),
            "max_margin_upper_bound": (per_seed, np.ones((1, 1, len(SEEDS)))),
            "samples": (("data",), [100.0]),
            "classes": (("data",), [10.0]),
        },
        {
            "data": ["gaussian"],
            "loss": ["cross-entropy"],
            "norm": ["frobenius"],
            "batch_size": BATCH_SIZES,
            "momentum": MOMENTA,
            "signal": ["minibatch", "svrg"],
            "seed": SEEDS,
            "step": step,
        },
    )
