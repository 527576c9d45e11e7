"""The problem that an estimator's rows are, and its solution: the one place that calls max_margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from steepest.arguments import switch
from steepest.arrays import Array, as_numpy
from steepest.estimators.training import Training
from steepest.geometry import Norm, norm
from steepest.geometry.facts import MULTIPLE
from steepest.maxmargin import MaxMarginSolution, max_margin
from steepest.maxmargin.methods import RELAXED_SCANS, SCANS
from steepest.problem import Classification

__all__ = [
    "Settings",
    "dense",
    "misses_gap",
    "of_missed_gaps",
    "problem_of",
    "row_margins",
    "settings_of",
    "solved",
]

_SMALL_ENTRIES = 1 << 23
"""Of an array of 64 MB, for which every method is at hand."""


@dataclass(frozen=True)
class Settings:
    """What all solutions of a fit have in common."""

    norm: Norm | str
    gap: float
    intercept: bool
    method: str = "auto"
    time_limit: float | None = None


def settings_of(estimator: Any) -> Settings:
    """Return the settings that an estimator of max margins was given, as its solutions need them."""
    intercept = switch("fit_intercept", estimator.fit_intercept)
    return Settings(estimator.norm, estimator.gap, intercept, estimator.method, estimator.time_limit)


def dense(X: Array) -> Array:
    """Return features as an array in memory: a sparse matrix with all its zeros."""
    return X.toarray() if sparse.issparse(X) else X


def problem_of(training: Training, settings: Settings, *, soft: bool) -> Classification:
    """Return the rows as a problem, whose labels are indices into the classes.

    Sparse rows stay so where they are large and their margins can be found by scans.
    """
    large = training.features.shape[0] * training.features.shape[1] > _SMALL_ENTRIES
    scans = RELAXED_SCANS if soft or settings.intercept else SCANS
    measure = norm(settings.norm)
    multiple = MULTIPLE.of(measure)
    served = scans.serves(measure if multiple is None else multiple[0])
    if large and served and settings.method in ("auto", "scans"):
        return Classification(training.features, training.labels)
    return Classification(dense(training.features), training.labels)


def solved(
    problem: Classification,
    weights: np.ndarray,
    settings: Settings,
    nu: float | None,
    gap: float | None = None,
    start: MaxMarginSolution | None = None,
) -> MaxMarginSolution:
    """Return the max margin of rows with weights [m]: the hard one, or the soft one for ν, from a start."""
    return max_margin(
        problem,
        settings.norm,
        settings.gap if gap is None else gap,
        method=settings.method,
        time_limit=settings.time_limit,
        intercept=settings.intercept,
        nu=nu,
        sample_weight=weights,
        start=start,
    )


def misses_gap(solution: MaxMarginSolution, gap: float) -> bool:
    """Whether a computation ended with a positive margin before its gap was the one asked for."""
    return solution.margin > 0.0 and solution.relative_gap > gap


def of_missed_gaps(
    solutions: Sequence[tuple[float | None, MaxMarginSolution]], settings: Settings
) -> str | None:
    """Return what to warn of where solutions, each with its ν, miss the gap asked for; None where none does.

    >>> of_missed_gaps([], Settings("max", 1e-4, True)) is None
    True
    """
    # Neighbours on a path may be one solution.
    missed = {nu: solution for nu, solution in solutions if misses_gap(solution, settings.gap)}
    if not missed:
        return None
    widest = max(solution.relative_gap for solution in missed.values())
    gap = "gap is" if len(missed) == 1 else "gaps are up to"
    named = ", ".join(f"{nu:.4g}" for nu in missed if nu is not None)
    where = f" of nu={named}" if named and len(solutions) > 1 else ""
    larger = "gap" if settings.time_limit is None else "gap or time_limit"
    return (
        f"the certified {gap} {widest:.1e}{where}, and gap={settings.gap:g} was asked for: "
        f"give a larger {larger}, or another method"
    )


def row_margins(problem: Classification, solution: MaxMarginSolution) -> np.ndarray:
    """Return the smallest pair margin of every row, its intercept with it, shape [m]."""
    margins = as_numpy(problem.pair_margins(solution.weights))
    if solution.intercept is not None:
        b = solution.intercept
        margins = margins + (b[problem.labels][:, None] - b)
    return margins.min(axis=1)
