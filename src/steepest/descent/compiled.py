"""The compiled engine: one run at a time in numba, with its weights in a core's cache; for CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numba
import numpy as np

from steepest.arrays import as_numpy
from steepest.descent.compiled_directions import DirectionCode, Workspace, direction
from steepest.descent.kernels import add_scaled, gradient
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.doubled import head_bits
from steepest.problem import Classification
from steepest.scaled import Scaled


class Compiled:
    """Advances one run after the other in compiled code that holds no lock: callers use threads."""

    name = "compiled"

    def advance(self, problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
        """Return the runs after ``stop`` updates; see :class:`steepest.descent.engine.Engine`."""
        return stack([_advance_run(problem, each, state.run(run), stop) for run, each in enumerate(methods)])


def _advance_run(problem: Classification, method: Method, state: State, stop: int) -> State:
    reshuffling = method.reshuffling(problem)
    m = reshuffling.batches
    state = state.map(lambda array: np.array(as_numpy(array)))
    momentum_scale, snapshot_scale = state.momentum.log_scale, state.snapshot_gradient.log_scale
    truncated = _advance(
        _read_only(as_numpy(problem.features)),
        _read_only(as_numpy(problem.features_head)),
        _read_only(problem.labels),
        head_bits(problem.dimension),
        problem.largest_length,
        _read_only(reshuffling.orders(state.step // m, -(-stop // m) if m > 1 else state.step + 1)),
        state.step // m,
        reshuffling.batch_size,
        m,
        state.step,
        _read_only(np.asarray(method.schedule(np.arange(state.step, stop)), dtype=np.float64)),
        method.momentum,
        method.variance_reduction and m > 1,
        method.loss.normalized,
        *DirectionCode.of(method.norm),
        Workspace.for_shape(problem.n_classes, problem.dimension),
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _advance(
    X,
    X_head,
    labels,
    bits,
    size_bound,
    orders,
    first_epoch,
    b,
    m,
    start,
    step_sizes,
    beta,
    variance_reduction,
    normalized,
    norm_kind,
    norm_power,
    direction_work,
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
    n = X.shape[0]
    k, d = W.shape
    everything = np.arange(n)
    signal = np.empty((k, d))
    there = np.empty((k, d))
    step_direction = np.empty((k, d))
    W_head = np.empty((k, d))
    shares = np.empty((n, k))
    weights = np.empty((n, 2))
    truncated = 0
    scale = -np.inf
    for offset in range(step_sizes.shape[0]):
        step = start + offset
        position = step % m
        if variance_reduction and position == 0:
            snapshot[:] = W
            snapshot_scale[0] = gradient(
                X, X_head, labels, everything, W, W_head, bits, size_bound, normalized, 1.0 / n,
                shares, weights, snapshot_gradient,
            )  # fmt: skip
        order = everything if m == 1 else orders[step // m - first_epoch]
        indices = order[position * b : min(n, (position + 1) * b)]
        scale = gradient(
            X,
            X_head,
            labels,
            indices,
            W,
            W_head,
            bits,
            size_bound,
            normalized,
            m / n,
            shares,
            weights,
            signal,
        )
        if variance_reduction:
            there_scale = gradient(
                X, X_head, labels, indices, snapshot, W_head, bits, size_bound, normalized, m / n,
                shares, weights, there,
            )  # fmt: skip
            scale = add_scaled(signal, scale, 1.0, there, there_scale, -1.0)
            scale = add_scaled(signal, scale, 1.0, snapshot_gradient, snapshot_scale[0], 1.0)
        if beta > 0.0:
            momentum_scale[0] = add_scaled(momentum, momentum_scale[0], beta, signal, scale, 1.0 - beta)
            truncated += direction(norm_kind, norm_power, momentum, step_direction, direction_work)
        else:
            truncated += direction(norm_kind, norm_power, signal, step_direction, direction_work)
        eta = step_sizes[offset]
        for c in range(k):
            for j in range(d):
                W[c, j] -= eta * step_direction[c, j]
    if beta == 0.0:
        momentum[:] = signal
        momentum_scale[0] = scale
    return truncated
