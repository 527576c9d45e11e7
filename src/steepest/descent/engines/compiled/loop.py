"""The compiled engine: one run at a time in numba, with its weights in a core's cache; for CPUs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from steepest.arrays import as_numpy
from steepest.compilation import compiled_and_kept
from steepest.descent.engines.compiled import directions, kernels, losses
from steepest.descent.engines.compiled import gradient as gradients
from steepest.descent.engines.compiled.directions import DirectionCode, direction, direction_work
from steepest.descent.engines.compiled.gradient import gradient, gradient_work
from steepest.descent.engines.compiled.kernels import add_scaled, move, scale_into
from steepest.descent.engines.compiled.losses import loss_code
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.doubled import head_bits
from steepest.problem import Classification
from steepest.scaled import Scaled


class Compiled:
    """Advances one run after the other in compiled code that holds no lock: callers use threads."""

    name = "compiled"

    def advance(self, problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
        """Return the runs after ``stop`` updates; see :class:`steepest.descent.engines.choice.Engine`."""
        return stack([_advance_run(problem, each, state.run(run), stop) for run, each in enumerate(methods)])


def _advance_run(problem: Classification, method: Method, state: State, stop: int) -> State:
    reshuffling = method.reshuffling(problem)
    m = reshuffling.batches
    state = state.map(lambda array: np.array(as_numpy(array), order="C"))
    momentum_scale, snapshot_scale = state.momentum.log_scale, state.snapshot_gradient.log_scale
    truncated = _advance(
        (
            _read_only(as_numpy(problem.features)),
            _read_only(as_numpy(problem.features_head)),
            _read_only(problem.labels),
            head_bits(problem.dimension),
            problem.largest_length,
            *loss_code(method.loss),
        ),
        _read_only(reshuffling.orders(state.step // m, -(-stop // m) if m > 1 else state.step + 1)),
        state.step // m,
        reshuffling.batch_size,
        m,
        state.step,
        _read_only(np.asarray(method.schedule(np.arange(state.step, stop)), dtype=np.float64)),
        method.momentum,
        method.variance_reduction and m > 1,
        *DirectionCode.of(method.norm),
        gradient_work(problem.samples, problem.n_classes, problem.dimension),
        direction_work(problem.n_classes, problem.dimension),
        state.weights[0],
        state.momentum.mantissa[0],
        momentum_scale,
        state.snapshot[0],
        state.snapshot_gradient.mantissa[0],
        snapshot_scale,
    )
    return replace(
        state,
        step=stop,
        momentum=Scaled(state.momentum.mantissa, momentum_scale),
        snapshot_gradient=Scaled(state.snapshot_gradient.mantissa, snapshot_scale),
        truncated=state.truncated + truncated,
    )


def _read_only(array: np.ndarray) -> np.ndarray:
    # One layout and one mutability for all callers: compiled code is made once for each.
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


def _compiled_advance(sources: str) -> Callable[..., int]:
    """Return the compiled loop over steps, cached on disk under a name that depends on ``sources``.

    numba's cache notices changes of this file alone. The digest of all compiled sources, held in a closure,
    is part of the cache's key: code that an older version compiled is never run.
    """

    def advance(
        data,
        orders,
        first_epoch,
        b,
        m,
        start,
        step_sizes,
        beta,
        variance_reduction,
        norm_kind,
        norm_power,
        work,
        direction_scratch,
        W,
        momentum,
        momentum_scale,
        snapshot,
        snapshot_gradient,
        snapshot_scale,
    ):
        """Advance one run in place, a step for each size; return in how many the rank cut-off took effect.

        Matrices are [k, d]; the log-scales of momentum and snapshot gradient are arrays of one number.
        """
        assert sources
        n = data[0].shape[0]
        everything = np.arange(n)
        signal = np.empty_like(W)
        there = np.empty_like(W)
        step_direction = np.empty_like(W)
        truncated = 0
        scale = -np.inf
        for offset in range(step_sizes.shape[0]):
            step = start + offset
            position = step % m
            if variance_reduction and position == 0:
                scale_into(W, 1.0, snapshot)
                snapshot_scale[0] = gradient(data, everything, W, 1.0 / n, work, snapshot_gradient)
            order = everything if m == 1 else orders[step // m - first_epoch]
            indices = order[position * b : min(n, (position + 1) * b)]
            scale = gradient(data, indices, W, m / n, work, signal)
            if variance_reduction:
                there_scale = gradient(data, indices, snapshot, m / n, work, there)
                scale = add_scaled(signal, scale, 1.0, there, there_scale, -1.0)
                scale = add_scaled(signal, scale, 1.0, snapshot_gradient, snapshot_scale[0], 1.0)
            if beta > 0.0:
                momentum_scale[0] = add_scaled(momentum, momentum_scale[0], beta, signal, scale, 1.0 - beta)
                truncated += direction(norm_kind, norm_power, momentum, step_direction, direction_scratch)
            else:
                truncated += direction(norm_kind, norm_power, signal, step_direction, direction_scratch)
            move(W, step_sizes[offset], step_direction)
        if beta == 0.0:
            scale_into(signal, 1.0, momentum)
            momentum_scale[0] = scale
        return truncated

    return compiled_and_kept(advance)


def _digest_of_sources() -> str:
    files = (kernels.__file__, losses.__file__, gradients.__file__, directions.__file__)
    return hashlib.sha256(b"".join(Path(each).read_bytes() for each in files)).hexdigest()


_advance = _compiled_advance(_digest_of_sources())
