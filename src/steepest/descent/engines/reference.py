"""The reference engine: what a step of each method means, in a dozen plain lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from array_api_compat import device

from steepest.arrays import namespace
from steepest.descent.engines.exactness import directions
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.problem import Classification
from steepest.schedules import step_sizes as sizes_of
from steepest.signals import Draw, coins


class Reference:
    """Advances one run after the other, one step at a time."""

    name = "reference"

    def advance(self, problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
        """Return the runs after ``stop`` updates; see :class:`steepest.descent.engines.choice.Engine`."""
        return stack([_advance_run(problem, each, state.run(run), stop) for run, each in enumerate(methods)])


def _advance_run(problem: Classification, method: Method, state: State, stop: int) -> State:
    xp, place = namespace(problem.features), device(problem.features)
    beta = xp.asarray([method.momentum], dtype=xp.float64, device=place)
    step_sizes = sizes_of(method.schedule, np.arange(state.step, stop))
    for step, step_size in zip(range(state.step, stop), step_sizes, strict=True):
        draw = _draw(problem, method, step)
        signal, changed = method.signal.step(draw, state.weights, state.fields)
        fields = {**state.fields, **changed}
        followed, changed = method.momentum_kind.follow(signal, beta, fields)
        fields = {**fields, **changed}
        direction, cut_off, changed = directions(
            [method], draw, state.weights, state.fields, fields, followed
        )
        fields = {**fields, **changed}
        weights, changed = method.momentum_kind.move(
            state.weights, -float(step_size) * direction, beta, fields
        )
        state = replace(
            state,
            step=step + 1,
            weights=weights,
            fields={**fields, **changed},
            truncated=state.truncated + cut_off,
        )
    return state


def _draw(problem: Classification, method: Method, step: int) -> Draw:
    reshuffling = method.reshuffling(problem)
    # With one batch an epoch the samples keep their order.
    indices = None if reshuffling.batches == 1 else np.array(reshuffling.batch(step))[None]
    if indices is not None:
        indices = namespace(problem.features).asarray(indices, device=device(problem.features))
    return Draw(
        problem,
        method.loss,
        step,
        reshuffling.batches,
        indices,
        lambda probability: coins(method.seed, step, step + 1, probability),
        method.takes_means,
    )
