"""The batched engine: arrays over runs through the array API; for GPUs and for large problems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.descent.method import Method
from steepest.descent.state import State
from steepest.descent.truncation import truncated
from steepest.losses import Samples, gradient
from steepest.problem import Classification
from steepest.signals import minibatch_gradient, variance_reduced_gradient, with_momentum

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
    shared, samples = methods[0], Samples.of(problem)
    loss, batches = shared.loss, shared.reshuffling(problem).batches
    steps = range(state.step, stop)
    momenta = xp.asarray([each.momentum for each in methods], dtype=xp.float64, device=place)
    step_sizes = xp.asarray(
        np.stack([each.schedule(np.asarray(steps)) for each in methods], axis=1),
        dtype=xp.float64,
        device=place,
    )
    batch_at = _batches(problem, methods, steps)
    factor = batches / problem.samples
    for offset, step in enumerate(steps):
        W = state.weights
        batch = samples.take(indices) if (indices := batch_at(step)) is not None else samples
        if shared.variance_reduction and batches > 1:
            if step % batches == 0:
                state = replace(state, snapshot=W, snapshot_gradient=gradient(problem, loss, W))
            signal = variance_reduced_gradient(
                loss, batch, W, factor, state.snapshot, state.snapshot_gradient
            )
        else:
            signal = minibatch_gradient(loss, batch, W, factor)
        momentum = with_momentum(signal, state.momentum, momenta)
        direction = shared.norm.direction(momentum.mantissa)
        state = replace(
            state,
            step=step + 1,
            weights=W - step_sizes[offset][:, None, None] * direction,
            momentum=momentum,
            truncated=state.truncated + truncated(shared.norm, momentum.mantissa),
        )
    return state


def _batches(
    problem: Classification, methods: Sequence[Method], steps: range
) -> Callable[[int], Array | None]:
    """Return a function from a step to its sample indices [runs, b], or None for all samples.

    The indices of all steps move to the device in one transfer.
    """
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
