"""A sweep that runs in about a second, for tests of what is made of stored results."""

from __future__ import annotations

import warnings
from pathlib import Path

from steepest.errors import SteepestWarning
from steepest.experiments import carry_out
from steepest.experiments.spec.experiment import Experiment, validated
from steepest.experiments.spec.resolved import resolve
from steepest.experiments.store.store import Store

CELLS = 8
"""Two norms, two batch sizes, two seeds."""


def small_experiment(**changes: object) -> Experiment:
    """Return an experiment of 32 runs: two norms, batch sizes, momenta, signals and seeds."""
    table = {
        "name": "small",
        "title": "A small sweep",
        "data": {"kind": "gaussian", "name": "points", "classes": 3, "samples_per_class": 4, "features": 20},
        "norm": ["frobenius", "max"],
        "batch_size": [3, "full"],
        "momentum": [0.0, 0.9],
        "variance_reduction": [False, True],
        "steps": 400,
        "records": 30,
        "seed": [1, 2],
        "claims": ["full-batch-converges"],
    }
    return validated({**table, **changes})


def files_of_runs(folder: Path, norm: str, **changes: object) -> list[Path]:
    """Return the paths of the small experiment's cells in a norm."""
    experiment = small_experiment(**changes)
    cells = resolve(experiment).cells
    return [Store(folder / "cells").path(cell.description()) for cell in cells if cell.norm == norm]


def run_into(folder: Path, **changes: object) -> Path:
    """Run the small experiment into a folder and return the folder."""
    with warnings.catch_warnings():
        # Its steps are few and large on purpose.
        warnings.simplefilter("ignore", SteepestWarning)
        carry_out(small_experiment(**changes), folder)
    return folder
