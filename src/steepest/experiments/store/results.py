"""Results as labelled arrays: one cell's runs, one certified margin, and all of them joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import InvalidArgument
from steepest.experiments.spec.cells import Cell
from steepest.experiments.store.store import Store
from steepest.experiments.sweep.naive import can_be_naive, naive_descent
from steepest.geometry import norm as as_norm
from steepest.geometry import norm_name
from steepest.maxmargin import MaxMarginSolution, Status
from steepest.problem import Classification
from steepest.theory import LEMMA_CONSTANTS, bias_direction, effective_margin, feature_radius, margin_bound

if TYPE_CHECKING:
    import xarray as xr

    from steepest.descent import Trajectory

__all__ = [
    "DIMENSIONS",
    "cell_dataset",
    "combine",
    "margin_floor",
    "open_results",
    "solution_dataset",
    "solution_from",
]

DIMENSIONS = ("data", "loss", "norm", "batch_size", "momentum", "variance_reduction", "seed", "step")
"""The dimensions of every series, in this order."""

_CELL_LABELS = ("data", "loss", "norm", "batch_size", "seed")
_RUN_LABELS = ("momentum", "variance_reduction")

_AXES = {
    "data": ("1", "name of the data set"),
    "loss": ("1", "loss"),
    "norm": ("1", "norm of the steepest descent and of the max margin"),
    "batch_size": ("samples", "samples a step, b"),
    "momentum": ("1", "momentum, the weight β of the past in the moving average"),
    "variance_reduction": ("1", "whether gradients are corrected by a snapshot each epoch (SVRG)"),
    "seed": ("1", "seed of the data and of the shuffling"),
    "step": ("updates", "updates done, t"),
    "reference": ("1", "norm whose max margin the runs are compared with"),
    "class": ("1", "class, a row of the weights"),
    "feature": ("1", "feature, a column of the weights"),
}
_REFERENCE_SERIES = {
    "relative_margin_error": "relative margin error to the max margin in the reference norm",
    "cosine": "cosine of W_t to the canonical max-margin solution in the reference norm",
}
_DISTANCE = "distance_to_optima"
_DISTANCE_NAME = "distance of the direction of W_t to the set of all max-margin solutions"
_DISTANCE_ACCURACY = 1e-6
_SERIES = {
    "relative_margin_error": ("1", "relative margin error, 1 - margin(W_t) / (‖W_t‖ γ)"),
    "cosine": ("1", "cosine of W_t to the canonical max-margin solution W*, of least Frobenius norm"),
    "log_loss": ("1", "natural logarithm of the loss"),
    "log_proxy": ("1", "natural logarithm of the proxy G"),
    "margin": ("feature units", "smallest pair margin of W_t"),
    "normalized_margin": ("feature units", "margin over norm of W_t, a lower bound of the max margin"),
    "upper_bound": ("feature units", "smallest anytime certificate so far, an upper bound of the max margin"),
    "truncated_directions": ("updates", "updates whose spectral direction left out a real singular value"),
}
_MARGIN_FLOOR = "what the theory proves margin over norm of W_t cannot be below; -inf where it proves nothing"


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

    shape = (1, 1, 1, 1, len(cell.momenta), len(cell.variance_reduction), 1)

    def over_runs(values: Sequence[Any], name: str, units: str, long_name: str, *more: str) -> None:
        array = np.stack([np.asarray(value, float) for value in values])
        dimensions = (*DIMENSIONS[:-1], *more)
        variables[name] = (dimensions, array.reshape(*shape, *array.shape[1:]), _words(units, long_name))

    variables: dict[str, Any] = {}
    for name, (units, long_name) in _SERIES.items():
        over_runs([getattr(run, name) for run in trajectories], name, units, long_name, "step")
    solution = solutions[cell.norm]
    distances = {
        norm: [each.distance_to_optima(run.weights, _DISTANCE_ACCURACY) for run in trajectories]
        for norm, each in solutions.items()
    }
    over_runs(distances[cell.norm], _DISTANCE, "1", _DISTANCE_NAME, "step")
    effective = [_effective_margin(problem, run, solution) for run in trajectories]
    over_runs(effective, "effective_margin", "feature units", "effective margin ρ of the theory")
    floors = [margin_floor(problem, run, solution) for run in trajectories]
    over_runs(floors, "margin_floor", "feature units", _MARGIN_FLOOR, "step")
    if cell.references:
        for name, long_name in _REFERENCE_SERIES.items():
            series = [
                [getattr(run.against(solutions[norm]), name) for norm in cell.references]
                for run in trajectories
            ]
            over_runs(series, f"reference_{name}", "1", long_name, "reference", "step")
        by_run = [[distances[norm][run] for norm in cell.references] for run in range(len(trajectories))]
        long_name = f"{_DISTANCE_NAME} in the reference norm"
        over_runs(by_run, f"reference_{_DISTANCE}", "1", long_name, "reference", "step")
        variables["reference_unique_optimum"] = (
            ("data", "norm", "seed", "reference"),
            np.array([[[[_as_number(solutions[norm].unique) for norm in cell.references]]]]),
            _words("1", "1 if the max-margin solution in the reference norm is unique, 0 if not"),
        )
    if cell.bias:
        target = bias_direction(problem, cell.norm)
        cosines = [_cosine(run.weights, target) for run in trajectories]
        over_runs(cosines, "bias_cosine", "1", "cosine of W_t to the bias direction B", "step")
        if cell.naive:
            series, cancelled_at, margins = zip(
                *(_naive(problem, run, target) for run in trajectories), strict=True
            )
            over_runs(series, "naive_bias_cosine", "1", "cosine to B in plain float64 arithmetic", "step")
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
            _words(units, long_name),
        )
    sizes = {
        "samples": (problem.samples, "samples", "number of samples n"),
        "features": (problem.dimension, "features", "number of features d"),
        "classes": (problem.n_classes, "classes", "number of classes k"),
        "contrast": (cell.data.contrast, "1", "1 for data that is there for contrast"),
    }
    for name, (value, units, long_name) in sizes.items():
        variables[name] = (("data",), np.array([float(value)]), _words(units, long_name))
    return xr.Dataset(variables, _labelled(_coordinates(cell, problem, trajectories[0].steps)))


def _effective_margin(problem: Classification, run: Trajectory, solution: MaxMarginSolution) -> float:
    """Return ρ, or NaN where the loss offers nothing that the theory could use."""
    if LEMMA_CONSTANTS.of(run.method.loss) is None:
        return np.nan
    return effective_margin(problem, run.method, solution).value


def margin_floor(problem: Classification, run: Trajectory, solution: MaxMarginSolution) -> np.ndarray:
    """Return the a-posteriori lower bound of a run's normalised margin at its records, shape [r].

    :func:`steepest.theory.margin_bound` with sharp constants (Theorems 4.1, 4.3, 4.6); -inf where it proves
    nothing, as everywhere where the effective margin is not positive, or the loss has no lemma constants.
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
            _words("samples", "samples of a class"),
        ),
        "class_scale": (
            ("data", "seed", "class"),
            scales[None, None],
            _words("feature units", "mean length of a class's features"),
        ),
    }


def _coordinates(cell: Cell, problem: Classification, steps: np.ndarray) -> dict[str, Any]:
    coordinates = {
        "data": [cell.data.name],
        "loss": [cell.loss],
        "norm": [cell.norm],
        "batch_size": [cell.batch_size],
        "momentum": list(cell.momenta),
        "variance_reduction": list(cell.variance_reduction),
        "seed": [cell.seed],
        "step": steps,
    }
    if cell.references:
        coordinates["reference"] = list(cell.references)
    if cell.weights:
        coordinates |= {"class": range(problem.n_classes), "feature": range(problem.dimension)}
    return coordinates


def _words(units: str, long_name: str) -> dict[str, str]:
    return {"units": units, "long_name": long_name}


def _cosine(weights: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the cosines of weights [r, k, d] to a direction [k, d]; 0 for weights of 0."""
    products = np.einsum("rkd,kd->r", weights, target)
    sizes = np.linalg.norm(weights, axis=(1, 2)) * np.linalg.norm(target)
    return np.divide(products, sizes, out=np.zeros_like(products), where=sizes > 0)


def combine(datasets: Iterable[xr.Dataset]) -> xr.Dataset:
    """Join results along all their labels; combinations that were not run are NaN.

    Raises:
        InvalidArgument: there is nothing to join.
    """
    import xarray as xr

    parts = list(datasets)
    if not parts:
        raise InvalidArgument("datasets", parts, "there are no results yet; run the experiment first")
    names = dict.fromkeys([*DIMENSIONS, *(str(name) for part in parts for name in part.dims)])
    coordinates = {name: _union([part[name].values for part in parts if name in part.dims]) for name in names}
    position = {name: {label: i for i, label in enumerate(labels)} for name, labels in coordinates.items()}
    variables: dict[str, Any] = {}
    for part in parts:
        for name, variable in ((str(name), variable) for name, variable in part.data_vars.items()):
            if name not in variables:
                full = np.full([len(coordinates[str(dim)]) for dim in variable.dims], np.nan)
                variables[name] = (variable.dims, full, variable.attrs)
            places = [
                [position[str(dim)][label] for label in part[dim].values.tolist()] for dim in variable.dims
            ]
            variables[name][1][np.ix_(*places)] = variable.values
    return xr.Dataset(variables, _labelled(coordinates))


def open_results(directory: str | Path) -> xr.Dataset:
    """Return every result in a folder as one dataset; ``.to_dataframe()`` of it is tidy, a row a record.

    ``directory`` is the folder that an experiment was run in (or its ``cells``). Combinations that were not
    run are NaN. Data sets are told apart by the names that their experiment gave them.

    Raises:
        InvalidArgument: the folder holds no results, or results that differ in what is no dimension (the
            schedule, the number of steps, ...) and so cannot share one dataset.

    Warns:
        SteepestWarning: a file is damaged or foreign; it is left out.
    """
    folder = Path(directory)
    inside = folder / "cells"
    found = list(Store(inside if inside.is_dir() else folder).everything("runs"))
    if not found:
        raise InvalidArgument("directory", str(directory), "it holds no results; give the folder of a run")
    _require_alike(found, directory)
    return combine(dataset for _, dataset in found)


def _require_alike(found: list[tuple[dict[str, Any], xr.Dataset]], directory: str | Path) -> None:
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for description, dataset in found:
        labels = tuple(str(dataset[name].item()) for name in _CELL_LABELS)
        rest = {name: value for name, value in description.items() if name not in _RUN_LABELS}
        other = seen.setdefault(labels, rest)
        differing = [name for name in rest if rest[name] != other.get(name)]
        if differing:
            raise InvalidArgument(
                "directory",
                str(directory),
                f"it holds results for {', '.join(labels)} that differ in {', '.join(differing)}; "
                "keep experiments that differ in these in folders of their own",
            )


def solution_dataset(solution: MaxMarginSolution) -> xr.Dataset:
    """Return a certified max margin as a dataset, from which :func:`solution_from` makes it again."""
    import xarray as xr

    separable = {None: -1, False: 0, True: 1}[solution.separable]
    return xr.Dataset(
        {
            "weights": (("class", "feature"), solution.weights, {"long_name": "max-margin weights W*"}),
            "dual": (("sample", "class"), solution.dual, {"long_name": "dual weights q"}),
        },
        attrs={
            "norm": norm_name(solution.norm),
            "margin": solution.margin,
            "upper_bound": solution.upper_bound,
            "relative_gap": solution.relative_gap,
            "separable": separable,
            "seconds": solution.seconds,
            "iterations": solution.iterations,
            "method": solution.method,
            "status": solution.status.name,
            "canonical": "" if solution.canonical is None else str(solution.canonical),
            "uniqueness": str(solution.uniqueness),
        },
    )


def solution_from(dataset: xr.Dataset, problem: Classification) -> MaxMarginSolution:
    """Return the max-margin solution of a problem that a dataset holds."""
    facts = dataset.attrs
    return MaxMarginSolution(
        norm=as_norm(facts["norm"]),
        weights=dataset["weights"].values,
        margin=float(facts["margin"]),
        upper_bound=float(facts["upper_bound"]),
        relative_gap=float(facts["relative_gap"]),
        dual=dataset["dual"].values,
        separable={-1: None, 0: False, 1: True}[int(facts["separable"])],
        seconds=float(facts["seconds"]),
        iterations=int(facts["iterations"]),
        method=str(facts["method"]),
        status=Status[facts["status"]],
        problem=problem,
    )


def _as_number(verdict: bool | None) -> float:
    return np.nan if verdict is None else float(verdict)


def _union(labels: Sequence[np.ndarray]) -> list[Any]:
    every = list(dict.fromkeys(label for array in labels for label in array.tolist()))
    return every if isinstance(every[0], str) else sorted(every)


def _labelled(coordinates: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (name, labels, {"units": _AXES[name][0], "long_name": _AXES[name][1]})
        for name, labels in coordinates.items()
    }
