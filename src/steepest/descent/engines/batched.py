"""The batched engine: arrays over runs through the array API; for GPUs and for large problems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.descent.engines.exactness import directions
from steepest.descent.method import Method
from steepest.descent.state import State
from steepest.problem import Classification
from steepest.schedules import step_sizes as sizes_of
from steepest.signals import Draw, coins

_STEPS_PER_TRANSFER = 256


class Batched:
    """Advances runs of one norm, batch size, loss and kind of signal together, as one array axis."""

    name = "batched"

    def advance(self, problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
        """Return the runs after ``stop`` updates; see :class:`steepest.descent.engines.choice.Engine`.

        The methods may differ in momentum, schedule and seed alone.
        """
        for first in range(state.step, stop, _STEPS_PER_TRANSFER):
            state = _advance(problem, methods, state, min(stop, first + _STEPS_PER_TRANSFER))
        return state


def _advance(problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
    xp = namespace(problem.features)
    place = device(problem.features)
    shared = methods[0]
    steps = range(state.step, stop)
    betas = xp.asarray([each.momentum for each in methods], dtype=xp.float64, device=place)
    step_sizes = xp.asarray(
        np.stack([sizes_of(each.schedule, np.asarray(steps)) for each in methods], axis=1),
        dtype=xp.float64,
        device=place,
    )
    draw_at = _draws(problem, methods, steps)
    for offset, step in enumerate(steps):
        draw = draw_at(step)
        signal, changed = shared.signal.step(draw, state.weights, state.fields)
        fields = {**state.fields, **changed}
        followed, changed = shared.momentum_kind.follow(signal, betas, fields)
        fields = {**fields, **changed}
        direction, cut_off, changed = directions(methods, draw, state.weights, state.fields, fields, followed)
        fields = {**fields, **changed}
        weights, changed = shared.momentum_kind.move(
            state.weights, -step_sizes[offset][:, None, None] * direction, betas, fields
        )
        state = replace(
            state,
            step=step + 1,
            weights=weights,
            fields={**fields, **changed},
            truncated=state.truncated + cut_off,
        )
    return state


def _draws(problem: Classification, methods: Sequence[Method], steps: range) -> Callable[[int], Draw]:
    """Return a function from a step to what it draws; the samples of all steps move in one transfer."""
    indices_at = _indices(problem, methods, steps)
    loss, batches = methods[0].loss, methods[0].reshuffling(problem).batches

    def draw_at(step: int) -> Draw:
        def toss(probability: float) -> np.ndarray:
            return np.concatenate([coins(each.seed, step, step + 1, probability) for each in methods])

        return Draw(problem, loss, step, batches, indices_at(step), toss, methods[0].takes_means)

    return draw_at


def _indices(
    problem: Classification, methods: Sequence[Method], steps: range
) -> Callable[[int], Array | None]:
    """Return a function from a step to its sample indices [runs, b], or None for all samples."""
    xp = namespace(problem.features)
    shared = methods[0].reshuffling(problem)
    m, b = shared.batches, shared.batch_size
    if m == 1:
        return lambda step: None  # noqa: ARG005
    first = steps.start // m
    orders = np.stack([each.reshuffling(problem).orders(first, -(-steps.stop // m)) for each in methods])
    orders = xp.asarray(orders, device=device(problem.features))

    def batch_at(step: int) -> Array:
        epoch, position = divmod(step, m)
        return orders[:, epoch - first, position * b : (position + 1) * b]

    return batch_at
