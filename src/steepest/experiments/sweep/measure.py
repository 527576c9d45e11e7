"""What is measured of a cell's runs, as one dataset with labelled dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.descent.series import OF_A_TRAJECTORY, SERIES
from steepest.experiments.dimensions import DIMENSIONS, labelled
from steepest.experiments.spec.cells import Cell
from steepest.experiments.sweep.constant_bias import about_bias
from steepest.experiments.sweep.naive import can_be_naive, naive_descent
from steepest.maxmargin import MaxMarginSolution
from steepest.problem import Classification
from steepest.theory import (
    LEMMA_CONSTANTS,
    batch_one_direction,
    effective_margin,
    feature_radius,
    margin_bound,
)
from steepest.theory.effective_margin import is_analysed

if TYPE_CHECKING:
    import xarray as xr

    from steepest.descent import Trajectory

__all__ = ["cell_dataset", "margin_floor"]

_DISTANCE_ACCURACY = 1e-6

Variable = tuple[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]
"""A name with dimensions, values, and units and meaning."""


def cell_dataset(
    cell: Cell,
    problem: Classification,
    solutions: Mapping[str, MaxMarginSolution],
    trajectories: Sequence[Trajectory],
) -> xr.Dataset:
    """Return the runs of a cell, in the order of its methods, as one dataset with labelled dimensions.

    ``solutions`` are the max margins in the cell's own norm and in its reference norms.
    """
    import xarray as xr

    runs = _CellRuns(cell, problem, solutions, trajectories)
    variables = dict([*_own(runs), *_theory(runs)])
    if cell.references:
        variables |= dict(_against_references(runs))
    if cell.bias:
        variables |= dict(_bias(runs))
    if cell.weights:
        variables |= dict([*_weights(runs), *_about_classes(problem)])
    variables |= dict([*_about_margin(runs), *_about_data(cell, problem)])
    return xr.Dataset(variables, labelled(_coordinates(runs)))


def margin_floor(problem: Classification, run: Trajectory, solution: MaxMarginSolution) -> np.ndarray:
    """Return the a-posteriori lower bound of a run's normalised margin at its records, shape [r].

    :func:`steepest.theory.margin_bound` with sharp constants (Theorems 4.1, 4.3, 4.6); -inf where it proves
    nothing, as everywhere where the effective margin is not positive, or the theory does not cover the run.
    """
    if not _effective_margin(problem, run, solution) > 0:
        # Known at once; the bound's own sums over every step would only say it again.
        return np.full(len(run.steps), -np.inf)
    return margin_bound(problem, run, solution).floor


def _effective_margin(problem: Classification, run: Trajectory, solution: MaxMarginSolution) -> float:
    """Return ρ, or NaN where the theory is not about the run's loss, signal or momentum."""
    if LEMMA_CONSTANTS.of(run.method.loss) is None or not is_analysed(run.method):
        return np.nan
    return effective_margin(problem, run.method, solution).value


@dataclass(frozen=True)
class _CellRuns:
    cell: Cell
    problem: Classification
    solutions: Mapping[str, MaxMarginSolution]
    trajectories: Sequence[Trajectory]

    @property
    def solution(self) -> MaxMarginSolution:
        return self.solutions[self.cell.norm]

    @cached_property
    def distances(self) -> dict[str, list[np.ndarray]]:
        """Distances of every run to the optima in every norm, each [r]."""
        return {
            norm: [each.distance_to_optima(run.weights, _DISTANCE_ACCURACY) for run in self.trajectories]
            for norm, each in self.solutions.items()
        }

    def variable(
        self, name: str, values: Sequence[Any], attributes: Mapping[str, str], *more: str
    ) -> Variable:
        """Return values, one array a run, over all labels of runs and ``more`` dimensions."""
        array = np.stack([np.asarray(value, float) for value in values])
        shape = (1, 1, 1, 1, len(self.cell.momenta), len(self.cell.signals), 1, *array.shape[1:])
        return name, ((*DIMENSIONS[:-1], *more), array.reshape(shape), dict(attributes))

    def series(self, name: str, values: Sequence[Any], *more: str) -> Variable:
        """Return a series of the table of series."""
        return self.variable(name, values, SERIES[name].attributes, *more, "step")


def _own(runs: _CellRuns) -> Iterator[Variable]:
    for series in OF_A_TRAJECTORY:
        yield runs.series(series.name, [getattr(run, series.name) for run in runs.trajectories])
    yield runs.series("distance_to_optima", runs.distances[runs.cell.norm])


def _theory(runs: _CellRuns) -> Iterator[Variable]:
    effective = [_effective_margin(runs.problem, run, runs.solution) for run in runs.trajectories]
    words = _words("feature units", "effective margin ρ of the theory")
    yield runs.variable("effective_margin", effective, words)
    floors = [margin_floor(runs.problem, run, runs.solution) for run in runs.trajectories]
    yield runs.series("margin_floor", floors)


def _against_references(runs: _CellRuns) -> Iterator[Variable]:
    norms = runs.cell.references
    for name in ("relative_margin_error", "cosine"):
        values = [
            [getattr(run.against(runs.solutions[norm]), name) for norm in norms] for run in runs.trajectories
        ]
        yield runs.series(f"reference_{name}", values, "reference")
    distances = [[runs.distances[norm][run] for norm in norms] for run in range(len(runs.trajectories))]
    yield runs.series("reference_distance_to_optima", distances, "reference")
    unique = np.array([[[[_as_number(runs.solutions[norm].unique) for norm in norms]]]])
    words = _words("1", "1 if the max-margin solution in the reference norm is unique, 0 if not")
    yield "reference_unique_optimum", (("data", "norm", "seed", "reference"), unique, words)


def _bias(runs: _CellRuns) -> Iterator[Variable]:
    target = batch_one_direction(runs.problem, runs.cell.norm)
    yield runs.series("bias_cosine", [_cosine(run.weights, target) for run in runs.trajectories])
    for name, values, words, *along in about_bias(
        runs.problem, runs.cell.norm, runs.solution.margin, runs.trajectories
    ):
        yield runs.variable(name, values, words, *along)
    if runs.cell.naive:
        found = [_naive(runs.problem, run, target) for run in runs.trajectories]
        cosines, cancelled_at, margins = zip(*found, strict=True)
        yield runs.series("naive_bias_cosine", cosines)
        words = _words("updates", "first step with softmax - onehot = 0")
        yield runs.variable("naive_cancelled_at", cancelled_at, words)
        words = _words("feature units", "margin at which softmax - onehot was 0")
        yield runs.variable("naive_margin", margins, words)


def _naive(problem: Classification, run: Trajectory, target: np.ndarray) -> tuple[np.ndarray, float, float]:
    if not can_be_naive(run.method):
        return np.full(len(run.steps), np.nan), np.nan, np.nan
    naive = naive_descent(problem, run.method, run.steps)
    return _cosine(naive.weights, target), naive.cancelled_at, naive.margin


def _weights(runs: _CellRuns) -> Iterator[Variable]:
    weights = [run.weights for run in runs.trajectories]
    yield runs.variable("weights", weights, _words("1", "weights W_t"), "step", "class", "feature")


def _about_classes(problem: Classification) -> Iterator[Variable]:
    counts = np.bincount(problem.labels, minlength=problem.n_classes).astype(float)
    lengths = np.linalg.norm(problem.features, axis=1)
    scales = np.bincount(problem.labels, lengths, problem.n_classes) / counts
    dimensions = ("data", "seed", "class")
    yield "class_counts", (dimensions, counts[None, None], _words("samples", "samples of a class"))
    words = _words("feature units", "mean length of a class's features")
    yield "class_scale", (dimensions, scales[None, None], words)


def _about_margin(runs: _CellRuns) -> Iterator[Variable]:
    cell, solution, problem = runs.cell, runs.solution, runs.problem
    first = cell.schedule.initial_step_size(cell.norm, solution.upper_bound)
    radius = feature_radius(problem, cell.norm)
    unique = _as_number(solution.unique)
    facts = {
        "max_margin": (solution.margin, "feature units", "max margin γ, certified from below"),
        "max_margin_upper_bound": (
            solution.upper_bound,
            "feature units",
            "max margin γ, certified from above",
        ),
        "initial_step_size": (first, "1", "initial step size η₀"),
        "step_size_exponent": (cell.schedule.exponent, "1", "decay exponent a of the step sizes"),
        "unique_optimum": (unique, "1", "1 if the max-margin solution is unique, 0 if it is not"),
        "feature_radius": (radius, "feature units", "feature radius R of the theory in the run's norm"),
        "feature_bound": (problem.feature_bound, "feature units", "R = max ‖x‖₁ of Assumption 3.2"),
    }
    for name, (value, units, meaning) in facts.items():
        yield name, (("data", "norm", "seed"), np.full((1, 1, 1), value, float), _words(units, meaning))


def _about_data(cell: Cell, problem: Classification) -> Iterator[Variable]:
    facts = {
        "samples": (problem.samples, "samples", "number of samples n"),
        "features": (problem.dimension, "features", "number of features d"),
        "classes": (problem.n_classes, "classes", "number of classes k"),
        "contrast": (cell.data.contrast, "1", "1 for data that is there for contrast"),
    }
    for name, (value, units, meaning) in facts.items():
        yield name, (("data",), np.array([float(value)]), _words(units, meaning))


def _coordinates(runs: _CellRuns) -> dict[str, Any]:
    cell = runs.cell
    coordinates = {
        "data": [cell.data.name],
        "loss": [cell.loss],
        "norm": [cell.norm],
        "batch_size": [cell.batch_size],
        "momentum": list(cell.momenta),
        "signal": list(cell.signals),
        "seed": [cell.seed],
        "step": runs.trajectories[0].steps,
    }
    if cell.references:
        coordinates["reference"] = list(cell.references)
    if cell.weights:
        coordinates |= {"class": range(runs.problem.n_classes), "feature": range(runs.problem.dimension)}
    return coordinates


def _words(units: str, meaning: str) -> dict[str, str]:
    return {"units": units, "long_name": meaning}


def _as_number(verdict: bool | None) -> float:
    return np.nan if verdict is None else float(verdict)


def _cosine(weights: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the cosines of weights [r, k, d] to a direction [k, d]; 0 for weights of 0."""
    products = np.einsum("rkd,kd->r", weights, target)
    sizes = np.linalg.norm(weights, axis=(1, 2)) * np.linalg.norm(target)
    return np.divide(products, sizes, out=np.zeros_like(products), where=sizes > 0)
