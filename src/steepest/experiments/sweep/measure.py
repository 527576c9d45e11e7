"""What is measured on the runs of a cell: one dataset with labelled dimensions, as its file holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.descent.series import OF_A_TRAJECTORY, SERIES
from steepest.experiments.spec.cells import Cell
from steepest.experiments.store.results import DIMENSIONS, labelled, words
from steepest.experiments.sweep.naive import can_be_naive, naive_descent
from steepest.maxmargin import MaxMarginSolution
from steepest.problem import Classification
from steepest.theory import LEMMA_CONSTANTS, bias_direction, effective_margin, feature_radius, margin_bound
from steepest.theory.effective_margin import is_analysed

if TYPE_CHECKING:
    import xarray as xr

    from steepest.descent import Trajectory

__all__ = ["cell_dataset", "margin_floor"]

_DISTANCE_ACCURACY = 1e-6


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

    shape = (1, 1, 1, 1, len(cell.momenta), len(cell.signals), 1)

    def over_runs(values: Sequence[Any], name: str, units: str, long_name: str, *more: str) -> None:
        array = np.stack([np.asarray(value, float) for value in values])
        dimensions = (*DIMENSIONS[:-1], *more)
        variables[name] = (dimensions, array.reshape(*shape, *array.shape[1:]), words(units, long_name))

    def series(values: Sequence[Any], name: str, *more: str) -> None:
        known = SERIES[name]
        over_runs(values, name, known.units, known.meaning, *more, "step")

    variables: dict[str, Any] = {}
    for each in OF_A_TRAJECTORY:
        series([getattr(run, each.name) for run in trajectories], each.name)
    solution = solutions[cell.norm]
    distances = {
        norm: [each.distance_to_optima(run.weights, _DISTANCE_ACCURACY) for run in trajectories]
        for norm, each in solutions.items()
    }
    series(distances[cell.norm], "distance_to_optima")
    effective = [_effective_margin(problem, run, solution) for run in trajectories]
    over_runs(effective, "effective_margin", "feature units", "effective margin ρ of the theory")
    floors = [margin_floor(problem, run, solution) for run in trajectories]
    series(floors, "margin_floor")
    if cell.references:
        for name in ("relative_margin_error", "cosine"):
            values = [
                [getattr(run.against(solutions[norm]), name) for norm in cell.references]
                for run in trajectories
            ]
            series(values, f"reference_{name}", "reference")
        by_run = [[distances[norm][run] for norm in cell.references] for run in range(len(trajectories))]
        series(by_run, "reference_distance_to_optima", "reference")
        variables["reference_unique_optimum"] = (
            ("data", "norm", "seed", "reference"),
            np.array([[[[_as_number(solutions[norm].unique) for norm in cell.references]]]]),
            words("1", "1 if the max-margin solution in the reference norm is unique, 0 if not"),
        )
    if cell.bias:
        target = bias_direction(problem, cell.norm)
        cosines = [_cosine(run.weights, target) for run in trajectories]
        series(cosines, "bias_cosine")
        if cell.naive:
            naive, cancelled_at, margins = zip(
                *(_naive(problem, run, target) for run in trajectories), strict=True
            )
            series(naive, "naive_bias_cosine")
            over_runs(cancelled_at, "naive_cancelled_at", "updates", "first step with softmax - onehot = 0")
            over_runs(margins, "naive_margin", "feature units", "margin at which softmax - onehot was 0")
    if cell.weights:
        weights = [run.weights for run in trajectories]
        over_runs(weights, "weights", "1", "weights W_t", "step", "class", "feature")
        variables |= _about_classes(problem)
    facts = {
        "max_margin": (solution.margin, "feature units", "max margin γ, certified from below"),
        "max_margin_upper_bound": (
            solution.upper_bound,
            "feature units",
            "max margin γ, certified from above",
        ),
        "initial_step_size": (
            cell.schedule.initial_step_size(cell.norm, solution.upper_bound),
            "1",
            "initial step size η₀",
        ),
        "step_size_exponent": (cell.schedule.exponent, "1", "decay exponent a of the step sizes"),
        "unique_optimum": (
            _as_number(solution.unique),
            "1",
            "1 if the max-margin solution is unique, 0 if it is not",
        ),
        "feature_radius": (
            feature_radius(problem, cell.norm),
            "feature units",
            "feature radius R of the theory in the run's norm",
        ),
        "feature_bound": (problem.feature_bound, "feature units", "R = max ‖x‖₁ of Assumption 3.2"),
    }
    for name, (value, units, long_name) in facts.items():
        variables[name] = (
            ("data", "norm", "seed"),
            np.full((1, 1, 1), value, float),
            words(units, long_name),
        )
    sizes = {
        "samples": (problem.samples, "samples", "number of samples n"),
        "features": (problem.dimension, "features", "number of features d"),
        "classes": (problem.n_classes, "classes", "number of classes k"),
        "contrast": (cell.data.contrast, "1", "1 for data that is there for contrast"),
    }
    for name, (value, units, long_name) in sizes.items():
        variables[name] = (("data",), np.array([float(value)]), words(units, long_name))
    return xr.Dataset(variables, labelled(_coordinates(cell, problem, trajectories[0].steps)))


def _effective_margin(problem: Classification, run: Trajectory, solution: MaxMarginSolution) -> float:
    """Return ρ, or NaN where the theory says nothing of the loss, the signal or the momentum."""
    if LEMMA_CONSTANTS.of(run.method.loss) is None or not is_analysed(run.method):
        return np.nan
    return effective_margin(problem, run.method, solution).value


def margin_floor(problem: Classification, run: Trajectory, solution: MaxMarginSolution) -> np.ndarray:
    """Return the a-posteriori lower bound of a run's normalised margin at its records, shape [r].

    :func:`steepest.theory.margin_bound` with sharp constants (Theorems 4.1, 4.3, 4.6); -inf where it proves
    nothing, as everywhere where the effective margin is not positive or not known.
    """
    if not _effective_margin(problem, run, solution) > 0:
        # Known at once; the bound's own sums over every step would only say it again.
        return np.full(len(run.steps), -np.inf)
    return margin_bound(problem, run, solution).floor


def _naive(problem: Classification, run: Trajectory, target: np.ndarray) -> tuple[np.ndarray, float, float]:
    if not can_be_naive(run.method):
        return np.full(len(run.steps), np.nan), np.nan, np.nan
    naive = naive_descent(problem, run.method, run.steps)
    return _cosine(naive.weights, target), naive.cancelled_at, naive.margin


def _about_classes(problem: Classification) -> dict[str, Any]:
    counts = np.bincount(problem.labels, minlength=problem.n_classes).astype(float)
    lengths = np.linalg.norm(problem.features, axis=1)
    scales = np.bincount(problem.labels, lengths, problem.n_classes) / counts
    return {
        "class_counts": (
            ("data", "seed", "class"),
            counts[None, None],
            words("samples", "samples of a class"),
        ),
        "class_scale": (
            ("data", "seed", "class"),
            scales[None, None],
            words("feature units", "mean length of a class's features"),
        ),
    }


def _coordinates(cell: Cell, problem: Classification, steps: np.ndarray) -> dict[str, Any]:
    coordinates = {
        "data": [cell.data.name],
        "loss": [cell.loss],
        "norm": [cell.norm],
        "batch_size": [cell.batch_size],
        "momentum": list(cell.momenta),
        "signal": list(cell.signals),
        "seed": [cell.seed],
        "step": steps,
    }
    if cell.references:
        coordinates["reference"] = list(cell.references)
    if cell.weights:
        coordinates |= {"class": range(problem.n_classes), "feature": range(problem.dimension)}
    return coordinates


def _cosine(weights: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the cosines of weights [r, k, d] to a direction [k, d]; 0 for weights of 0."""
    products = np.einsum("rkd,kd->r", weights, target)
    sizes = np.linalg.norm(weights, axis=(1, 2)) * np.linalg.norm(target)
    return np.divide(products, sizes, out=np.zeros_like(products), where=sizes > 0)


def _as_number(verdict: bool | None) -> float:
    return np.nan if verdict is None else float(verdict)
