"""What the mean field predicts of stored runs: their errors at the step sizes that they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from steepest.descent import Method
from steepest.experiments.dimensions import PLAIN_SIGNAL
from steepest.experiments.report.folder import StoredExperiment
from steepest.experiments.spec.resolved import resolve
from steepest.problem import Classification
from steepest.theory import limit_direction

__all__ = ["Predictions", "Settled", "predictions_of"]


@dataclass(frozen=True)
class Settled:
    """The predicted relative margin error along R = Σ η, of one method on the data of one seed."""

    lengths: np.ndarray
    """R, increasing, shape [s]."""
    errors: np.ndarray
    """Shape [s]."""
    method: Method
    seed: int

    def at(self, steps: np.ndarray) -> np.ndarray:
        """Return the predicted errors after so many steps, NaN before the path's first R."""
        taken = np.cumsum(np.asarray(self.method.schedule(np.arange(int(steps.max())))))
        R = taken[steps - 1]
        found = np.interp(np.log(R), np.log(self.lengths), self.errors)
        return np.where(self.lengths[0] <= R, found, np.nan)


Predictions = Mapping[tuple[str, str, str, int], Settled]
"""By the names of data, norm and loss, and the batch size; of plain gradients without momentum."""


def predictions_of(experiment: StoredExperiment) -> Predictions:
    """Return the predictions of every mini-batch method without momentum, for the first seed of its data.

    Nothing of methods whose limit is not available, or of runs that do not say what data they were run on.

    Raises:
        DataFileError: a data file that the runs were made from cannot be read again.
    """
    if experiment.settings is None:
        return {}
    spec = experiment.settings.experiment
    first = min(cell.seed for cell in experiment.settings.cells)
    resolved = resolve(spec.replaced({"seed": first}))
    stored = experiment.dataset
    found: dict[tuple[str, str, str, int], Settled] = {}
    for cell in resolved.cells:
        key = cell.data.name, cell.norm, cell.loss, cell.batch_size
        known = cell.fingerprint in {each.fingerprint for each in experiment.settings.cells}
        if not known or cell.batch_size == cell.samples or 0.0 not in cell.momenta:
            continue
        margin = _margin(stored, key, first)
        chosen = [
            each for each in cell.methods(margin) if each.momentum == 0 and str(each.signal) == PLAIN_SIGNAL
        ]
        if chosen and margin > 0:
            settled = _settled(resolved.problem(cell), chosen[0], cell.steps, margin)
            found |= {} if settled is None else {key: settled}
    return found


def _margin(dataset: xr.Dataset, key: tuple[str, str, str, int], seed: int) -> float:
    data, norm, loss, _ = key
    values = dataset["max_margin"]
    wanted = {"data": data, "norm": norm, "loss": loss, "seed": seed}
    return float(values.sel({name: value for name, value in wanted.items() if name in values.dims}))


def _settled(problem: Classification, method: Method, steps: int, margin: float) -> Settled | None:
    R = float(np.sum(np.asarray(method.schedule(np.arange(steps)))))
    prediction = limit_direction(problem, method, at=R, margin=margin)
    if prediction.direction is None:
        return None
    if prediction.path is None:
        # A closed form: the same direction at any R.
        return Settled(np.array([1e-300, R]), np.full(2, prediction.relative_error), method, method.seed)
    errors = prediction.path.relative_errors.copy()
    errors[-1] = prediction.relative_error
    return Settled(prediction.path.lengths, errors, method, method.seed)
