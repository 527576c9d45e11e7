"""Certified max margins as labelled arrays, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steepest.geometry import norm as as_norm
from steepest.geometry import norm_name
from steepest.maxmargin import MaxMarginSolution, Status
from steepest.problem import Classification

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["solution_dataset", "solution_from"]


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
