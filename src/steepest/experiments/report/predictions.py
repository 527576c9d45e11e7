"""What the mean field predicts of stored runs: their errors at the step sizes that they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steepest.descent import Method
from steepest.experiments.dimensions import PLAIN_SIGNAL
from steepest.experiments.report.folder import StoredCell, StoredExperiment
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
    """Return the predictions of every mini-batch method without momentum, for the first seed that was run.

    Nothing of methods whose limit is not available, of what was not run yet, or of runs that do not say what
    data they were run on.

    Raises:
        DataFileError: a data file that the runs were made from cannot be read again.
    """
    if experiment.settings is None:
        return {}
    spec = experiment.settings.experiment
    first: dict[tuple[str, ...], StoredCell] = {}
    for each in sorted(experiment.cells, key=lambda each: int(each.description["seed"])):
        first.setdefault(each.place[:-1], each)
    seeds = sorted({int(each.description["seed"]) for each in first.values()})
    resolved = resolve(spec.replaced({"seed": seeds}))
    found: dict[tuple[str, str, str, int], Settled] = {}
    for cell in resolved.cells:
        key = cell.data.name, cell.norm, cell.loss, cell.batch_size
        stored = first.get((*key[:-1], str(cell.batch_size)))
        if stored is None or stored.description["samples"] != cell.fingerprint:
            continue
        if cell.batch_size == cell.samples or 0.0 not in cell.momenta:
            continue
        margin = float(stored.dataset["max_margin"].item())
        chosen = [
            each for each in cell.methods(margin) if each.momentum == 0 and str(each.signal) == PLAIN_SIGNAL
        ]
        if chosen:
            settled = _settled(resolved.problem(cell), chosen[0], cell.steps, margin)
            found |= {} if settled is None else {key: settled}
    return found


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
