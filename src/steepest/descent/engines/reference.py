"""The reference engine: what a step of each method means, in a dozen plain lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.descent.truncation import truncated
from steepest.losses import Samples, gradient
from steepest.problem import Classification
from steepest.signals import minibatch_gradient, variance_reduced_gradient, with_momentum


class Reference:
    """Advances one run after the other, one step at a time."""

    name = "reference"

    def advance(self, problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
        """Return the runs after ``stop`` updates; see :class:`steepest.descent.engines.choice.Engine`."""
        return stack([_advance_run(problem, each, state.run(run), stop) for run, each in enumerate(methods)])


def _advance_run(problem: Classification, method: Method, state: State, stop: int) -> State:
    samples, reshuffling, loss = Samples.of(problem), method.reshuffling(problem), method.loss
    for step in range(state.step, stop):
        batch = samples.take(reshuffling.batch(step))
        factor = reshuffling.batches / problem.samples
        W = state.weights
        # With one batch an epoch the corrected gradient is the gradient itself.
        if method.variance_reduction and reshuffling.batches > 1:
            if step % reshuffling.batches == 0:
                state = replace(state, snapshot=W, snapshot_gradient=gradient(problem, loss, W))
            signal = variance_reduced_gradient(
                loss, batch, W, factor, state.snapshot, state.snapshot_gradient
            )
        else:
            signal = minibatch_gradient(loss, batch, W, factor)
        momentum = with_momentum(signal, state.momentum, method.momentum)
        direction = method.norm.direction(momentum.mantissa)
        state = replace(
            state,
            step=step + 1,
            weights=W - float(method.schedule(step)) * direction,
            momentum=momentum,
            truncated=state.truncated + truncated(method.norm, momentum.mantissa),
        )
    return state
