"""What a prediction is asked, checked: a method on a problem, reduced to what its limit depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.arguments import real_number, whole_number
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm, norm_label
from steepest.losses import Loss, loss
from steepest.problem import Classification, as_problem
from steepest.schedules import Schedule
from steepest.theory.effective_margin import MethodLike, margin_value
from steepest.theory.inputs import as_momentum, as_schedule, require_parts
from steepest.theory.limits.result import LimitDirection
from steepest.theory.steps import step_sizes

__all__ = ["READ", "Plan", "planned"]

_MOST_BATCHES, _MOST_REPEATS = 1_000_000, 1_000
"""More would fill the memory, or never end."""

_MOST_STEPS = 1 << 22

_FEWEST, _USUAL = 150, 3000
"""In a sample of batches, where nothing else is said."""

_LARGEST = 1e120
"""Squares of what is larger, and of what is smaller than one over it, leave float64 on the way."""

READ = ("norm", "batch_size", "momentum", "loss")
"""What is read of a method."""


@dataclass(frozen=True)
class StepSizes:
    """Those that add up to a given R."""

    first: float
    last: float
    mean: float
    """Σ η² / Σ η: the mean step size over R, each step counted by its length."""


@dataclass(frozen=True)
class Plan:
    """What :func:`~steepest.theory.limit_direction` was asked, checked."""

    problem: Classification
    norm: Norm
    loss: Loss
    batch_size: int
    momentum: float
    kind: str
    signal: str
    at: float | None
    margin: float
    solution: Any
    least: int
    repeats: int
    seed: int
    steps: StepSizes | None
    progress: Callable[[str], object] | None

    def tell(self, doing: str, R: float, until: float) -> None:
        """Tell how far a path has come."""
        if self.progress is not None:
            self.progress(f"batch size {self.batch_size}, {doing}, R = {R:.3g} of {until:.3g}")

    def error_of(self, W: np.ndarray) -> float:
        """Return the relative margin error of weights."""
        return 1.0 - float(self.problem.normalized_margin(W, self.norm)) / self.margin

    def result(self, kind: Any, status: str, **values: Any) -> LimitDirection:
        """Return a result about this problem and norm."""
        names = self.problem.name, norm_label(self.norm), self.batch_size
        return LimitDirection(*names, kind, " ".join(status.split()), self.margin, at=self.at, **values)

    def directed(self, kind: Any, status: str, W: np.ndarray, **values: Any) -> LimitDirection:
        """Return the result whose direction is that of W."""
        direction = W / float(self.norm(W))
        return self.result(
            kind, status, direction=direction, margin=float(self.problem.margin(direction)), **values
        )


def planned(
    problem: Classification,
    method: MethodLike,
    at: float | None,
    margin: Any,
    batches: int | None,
    repeats: int,
    seed: int,
    progress: Any,
) -> Plan:
    """Return what :func:`~steepest.theory.limit_direction` was asked, with its errors."""
    if progress is not None and not callable(progress):
        raise InvalidArgument("progress", progress, "give a function of a text, or None")
    problem = as_problem(problem)
    require_parts("method", method, READ, "give a steepest.Method")
    norm_, samples = norm(method.norm), problem.samples
    size = method.batch_size
    if size is not None:
        size = whole_number("batch_size", size, 1)
        if size > samples:
            raise InvalidArgument("batch_size", size, f"give an integer from 1 to {samples}, or None")
    if at is not None:
        at = real_number("at", at, "give a positive sum of step sizes, or None for the limit", above=0)
    if margin is None:
        # Everything else here takes γ as it is given; the solvers are heavy to load for one function.
        from steepest.maxmargin import max_margin

        margin = max_margin(problem, norm_)
    gamma = margin_value(margin, norm_)
    if not gamma > 0:
        raise InvalidArgument("problem", problem.name, "give data that is separable: γ > 0 is needed")
    _require_squares(problem, gamma)
    weights = problem.n_classes * problem.dimension
    size = samples if size is None else size
    usual = int(np.clip(min(1e6 / weights, 6e4 / size), _FEWEST, _USUAL))
    beta = as_momentum(method.momentum)
    return Plan(
        problem,
        norm_,
        loss(method.loss),
        size,
        beta,
        str(getattr(method, "momentum_kind", "ema")) if beta > 0 else "none",
        _signal(method),
        at,
        gamma,
        margin if hasattr(margin, "weights") else None,
        usual if batches is None else whole_number("batches", batches, 1, at_most=_MOST_BATCHES),
        whole_number("repeats", repeats, 2, at_most=_MOST_REPEATS),
        whole_number("seed", seed, 0),
        None if at is None or not hasattr(method, "schedule") else _steps(as_schedule(method.schedule), at),
        progress,
    )


def _signal(method: MethodLike) -> str:
    plain = "svrg" if bool(getattr(method, "variance_reduction", False)) else "minibatch"
    return str(getattr(method, "signal", plain))


def _steps(schedule: Schedule, at: float) -> StepSizes:
    """Return the step sizes of a run until they add up to R, or of its first 4 million steps."""
    many = 1 << 10
    while (sizes := step_sizes(schedule, many)).sum() < at and many < _MOST_STEPS:
        many *= 2
    sizes = sizes[: 1 + int(np.searchsorted(np.cumsum(sizes), at))]
    return StepSizes(float(sizes[0]), float(sizes[-1]), float(np.sum(sizes**2) / np.sum(sizes)))


def _require_squares(problem: Classification, margin: float) -> None:
    largest = problem.feature_bound
    if not all(1 / _LARGEST <= size <= _LARGEST for size in (margin, largest)):
        raise InvalidArgument(
            "problem",
            problem.name,
            f"samples of ‖x‖₁ up to {largest:.3g} and a max margin of {margin:.3g} leave no room for squares "
            "in float64: divide all features by the largest",
        )
