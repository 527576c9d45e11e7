"""Descent on one batch of samples after another: a pass over each, with steps and momentum that go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest.arrays import as_numpy
from steepest.descent import Method
from steepest.descent.engines.choice import engine_for
from steepest.descent.known_residuals import require_known_residuals
from steepest.descent.state import State
from steepest.problem import Classification
from steepest.schedules import Schedule
from steepest.threads import available_cores, linear_algebra_threads

__all__ = ["Delayed", "Standing", "one_pass"]


@dataclass(frozen=True)
class Delayed:
    """The step sizes of a schedule from its step ``by`` on.

    >>> from steepest import PolynomialDecay
    >>> float(Delayed(PolynomialDecay(1.0, 1.0), by=3)(0))
    0.25
    """

    schedule: Schedule
    by: int

    def __call__(self, step: Any) -> Any:
        """Return η of step ``by`` + ``step``."""
        return self.schedule(np.asarray(step) + self.by)


@dataclass(frozen=True)
class Standing:
    """Where descent stands between two batches."""

    weights: np.ndarray
    """W_t, shape [k, d]."""
    seed: int
    """Of the first pass; each later one has the next."""
    step: int = 0
    """Steps so far, t."""
    passes: int = 0
    """Batches so far."""
    momentum: Mapping[str, Any] | None = None
    """What the momentum keeps, by name; None before its first step."""


def one_pass(problem: Classification, method: Method, standing: Standing, engine: str = "auto") -> Standing:
    """Return where descent stands after each sample of the problem was in one mini-batch.

    What a signal keeps of samples (snapshots, tables) is of these, and starts with them; schedule and
    momentum go on. The order of the samples is that of the seed and the number of passes.
    """
    batches = method.reshuffling(problem).batches
    method = replace(
        method, schedule=Delayed(method.schedule, standing.step), seed=standing.seed + standing.passes
    )
    weights = problem.weights_like_features(standing.weights[None])
    kept = method.momentum_kind.start(weights)
    state = State.start(problem, method, weights)
    if standing.momentum is not None:
        before = replace(state, fields=standing.momentum).like(problem.features)
        state = State.start(problem, method, weights, before.fields)
    with linear_algebra_threads(available_cores(), problem.multiplications):
        state = engine_for(problem, method, engine).advance(problem, [method], state, batches).to_numpy()
    require_known_residuals(problem, as_numpy(state.weights), standing.step + batches)
    return Standing(
        as_numpy(state.weights)[0],
        standing.seed,
        standing.step + batches,
        standing.passes + 1,
        {name: state.fields[name] for name in kept},
    )
