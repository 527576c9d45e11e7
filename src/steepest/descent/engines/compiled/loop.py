"""The compiled engine: one run at a time in numba, with its weights in a core's cache; for CPUs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from steepest.arrays import as_numpy
from steepest.compilation import compiled_and_kept
from steepest.descent.engines import graded_kernels
from steepest.descent.engines.compiled import directions, exactness, kernels, losses, norms, table
from steepest.descent.engines.compiled import gradient as gradients
from steepest.descent.engines.compiled.compiled_loss import COMPILED_LOSS
from steepest.descent.engines.compiled.directions import DOUBTFUL, direction, direction_work
from steepest.descent.engines.compiled.exactness import (
    Space,
    doubtful,
    factor_of,
    graded_direction,
    least_part,
    snapshot_totals,
    suspicious,
)
from steepest.descent.engines.compiled.gradient import gradient, gradient_work
from steepest.descent.engines.compiled.kernels import add_scaled, copy_row, move, move_on, scale_into
from steepest.descent.engines.compiled.losses import loss_code
from steepest.descent.engines.compiled.norms import COMPILED_DIRECTION, MAX, SCHATTEN
from steepest.descent.engines.compiled.signals import (
    AVERAGE,
    COMPILED_MOMENTUM,
    COMPILED_SIGNAL,
    HEAVY_BALL,
    NESTEROV,
)
from steepest.descent.engines.compiled.table import Table, table_step
from steepest.descent.engines.reference import Reference
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.doubled import head_bits
from steepest.geometry import RANK_CUTOFF
from steepest.problem import Classification
from steepest.scaled import Scaled
from steepest.schedules import step_sizes
from steepest.signals import Fields, saga


def has_code(method: Method) -> bool:
    """Whether everything that the method is made of brings compiled code."""
    parts = (
        (COMPILED_DIRECTION, method.norm),
        (COMPILED_SIGNAL, method.signal),
        (COMPILED_MOMENTUM, method.momentum_kind),
        (COMPILED_LOSS, method.loss),
    )
    return all(capability.of(part) is not None for capability, part in parts)


class Compiled:
    """Advances one run after the other in compiled code that holds no lock: callers use threads."""

    name = "compiled"

    @classmethod
    def for_method(cls, method: Method) -> Compiled:
        """Return the engine; MissingCapability where a part of the method brings no compiled code."""
        purpose, remedy = 'engine="compiled"', 'use engine="auto", "batched" or "reference"'
        COMPILED_DIRECTION.required_of("norm", method.norm, purpose, remedy)
        COMPILED_SIGNAL.required_of("signal", method.signal, purpose, remedy)
        COMPILED_MOMENTUM.required_of("momentum_kind", method.momentum_kind, purpose, remedy)
        loss_code(method.loss)
        return cls()

    def advance(self, problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
        """Return the runs after ``stop`` updates; see :class:`steepest.descent.engines.choice.Engine`."""
        return stack([_advance_run(problem, each, state.run(run), stop) for run, each in enumerate(methods)])


class Walk(NamedTuple):
    """Which samples and step sizes the steps take, from step ``start`` on."""

    start: int
    step_sizes: np.ndarray
    """η of each step, times the factor of the norm's directions, shape [steps]."""
    orders: np.ndarray
    """Order of the samples in each epoch, shape [epochs, n]."""
    first_epoch: int
    batch_size: int
    batches: int
    """Batches an epoch, m."""
    snapshots: np.ndarray
    """Whether a step takes the snapshot, shape [steps]; empty where gradients are not corrected."""
    takes_means: bool
    """Whether a smaller last batch counts by its mean."""
    cutoff: float
    """Singular values at or below this times the largest are left out of a formed signal's direction."""
    least: float
    """The part of its terms that an entry must exceed to be certain; 0 where entries need not be."""
    by_rows: bool
    """Whether rows of gradients must be exact, each by itself."""
    rank: int
    """Most singular values that a signal can have where all must be certain; 0 where they need not be."""


class Memory(NamedTuple):
    """What the run carries from step to step, changed in place; log-scales are arrays of one number."""

    weights: np.ndarray
    momentum: np.ndarray
    momentum_scale: np.ndarray
    snapshot: np.ndarray
    snapshot_gradient: np.ndarray
    snapshot_scale: np.ndarray
    previous: np.ndarray
    """W_{t-1}, which the heavy ball alone looks at."""


def _advance_run(problem: Classification, method: Method, state: State, stop: int) -> State:
    while True:
        state, done = _advance_surely(problem, method, state, stop)
        if done:
            return state
        # Logarithms of every residual decide this step: the reference has them.
        state = Reference().advance(_on_host(problem), [method], state, state.step + 1)
        if state.step == stop:
            return state


def _on_host(problem: Classification) -> Classification:
    """The same samples as NumPy arrays, beside which the state stands here."""
    if isinstance(problem.features, np.ndarray):
        return problem
    labels = problem.classes[problem.labels]
    host = Classification(as_numpy(problem.features), labels, problem.name, classes=problem.classes)
    return host if problem.sample_weight is None else host.weighted(problem.sample_weight)


def _advance_surely(problem: Classification, method: Method, state: State, stop: int) -> tuple[State, bool]:
    """Advance a run up to ``stop``, or to a step whose direction compiled code is not certain of."""
    reshuffling = method.reshuffling(problem)
    m = reshuffling.batches
    code = COMPILED_DIRECTION.of(method.norm)
    signal_code, kind = COMPILED_SIGNAL.of(method.signal), COMPILED_MOMENTUM.of(method.momentum_kind)
    assert code is not None
    assert signal_code is not None
    assert kind is not None
    state = state.map(lambda array: np.array(as_numpy(array), order="C"))
    memory = _memory(state)
    # With one batch an epoch the corrected gradient is the gradient itself.
    corrects = m > 1
    keeps_table = corrects and signal_code.keeps_table
    kept_table = Table.of(state.fields, reshuffling.batch_size) if keeps_table else None
    data = (
        _read_only(as_numpy(problem.features)),
        _read_only(as_numpy(problem.features_head)),
        _read_only(problem.labels),
        head_bits(problem.dimension),
        problem.largest_length,
        None if problem.sample_weight is None else _read_only(problem.sample_weight),
        *loss_code(method.loss),
    )
    exact = method.rank_cutoff is None and not keeps_table and (method.momentum == 0 or kind == HEAVY_BALL)
    snapshots = (
        signal_code.snapshots(method.seed, m, state.step, stop) if corrects else np.zeros(0, dtype=bool)
    )
    least = least_part(code.kind, code.power)
    # The entries of the gradient of one sample are single products: their signs are certain.
    single = reshuffling.batch_size == 1 and snapshots.size == 0
    demanded = least if exact and not (single and code.kind == MAX) else 0.0
    walk = Walk(
        state.step,
        _read_only(
            code.factor(memory.weights.shape) * step_sizes(method.schedule, np.arange(state.step, stop))
        ),
        _read_only(reshuffling.orders(state.step // m, -(-stop // m) if m > 1 else state.step + 1)),
        state.step // m,
        reshuffling.batch_size,
        m,
        _read_only(snapshots),
        method.takes_means and m > 1,
        RANK_CUTOFF if method.rank_cutoff is None else method.rank_cutoff,
        demanded,
        demanded > 0.0 or (least > 0.0 and not single),
        min(problem.n_classes - 1, problem.dimension) if exact and code.kind == SCHATTEN else 0,
    )
    from_terms = exact and code.kind == SCHATTEN
    space = Space.of(problem.samples, reshuffling.batch_size, problem.n_classes, used=from_terms)
    truncated, steps = _advance(
        data,
        walk,
        code,
        kind if method.momentum > 0 else AVERAGE,
        method.momentum,
        memory,
        kept_table,
        gradient_work(problem.samples, problem.n_classes, problem.dimension),
        direction_work(problem.n_classes, problem.dimension),
        space,
        space if from_terms else None,
    )
    fields = {**state.fields, **_fields(state, memory), **({} if kept_table is None else kept_table.fields())}
    reached = state.step + steps
    return replace(state, step=reached, fields=fields, truncated=state.truncated + truncated), reached == stop


def _memory(state: State) -> Memory:
    """Return the state of one run as the loop changes it; what a signal does not keep is scratch."""
    W = state.weights[0]

    def scaled(name: str) -> tuple[np.ndarray, np.ndarray]:
        kept = state.fields.get(name)
        return (np.zeros_like(W), np.full(1, -np.inf)) if kept is None else (kept.mantissa[0], kept.log_scale)

    def plain(name: str) -> np.ndarray:
        kept = state.fields.get(name)
        return np.zeros_like(W) if kept is None else kept[0]

    return Memory(
        W,
        *scaled("momentum"),
        plain("snapshot"),
        *scaled("snapshot_gradient"),
        plain("previous_weights"),
    )


def _fields(state: State, memory: Memory) -> Fields:
    after = {
        "momentum": Scaled(memory.momentum[None], memory.momentum_scale),
        "snapshot": memory.snapshot[None],
        "snapshot_gradient": Scaled(memory.snapshot_gradient[None], memory.snapshot_scale),
        "previous_weights": memory.previous[None],
    }
    return {name: after[name] for name in state.fields if name in after}


def _read_only(array: np.ndarray) -> np.ndarray:
    # One layout and one mutability for all callers: compiled code is made once for each.
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


def _compiled_advance(sources: str) -> Callable[..., tuple[int, int]]:  # noqa: C901 (one loop is compiled once)
    """Return the compiled loop over steps, cached on disk under a name that depends on ``sources``.

    numba's cache notices changes of this file alone. The digest of all compiled sources, held in a closure,
    is part of the cache's key: code that an older version compiled is never run.
    """

    def advance(
        data, walk, code, momentum_kind, beta, memory, kept_table, work, direction_scratch, space, graded
    ):
        """Advance one run in place, a step for each size.

        Return in how many the rank cut-off took effect, and how many were taken: fewer than asked for where
        the direction of the next hangs on residuals that compiled code does not keep.

        ``walk`` and ``memory`` are the named tuples above, ``kept_table`` a table.Table or None, ``graded``
        the space where directions may come from the terms of a signal, or None: for None code of its own is
        compiled, in half of the time. Matrices are [k, d].
        """
        assert sources
        # Taken out of the tuples once: every access would count references.
        n, m, b, start, first_epoch = (
            data[0].shape[0],
            walk.batches,
            walk.batch_size,
            walk.start,
            walk.first_epoch,
        )
        kind, power, across = code.kind, code.power, code.across
        step_sizes, orders, snapshots = walk.step_sizes, walk.orders, walk.snapshots
        W, momentum, momentum_scale = memory.weights, memory.momentum, memory.momentum_scale
        snapshot, snapshot_gradient = memory.snapshot, memory.snapshot_gradient
        snapshot_scale, previous = memory.snapshot_scale, memory.previous
        corrected = snapshots.shape[0] > 0
        cutoff, least, by_rows, most = walk.cutoff, walk.least, walk.by_rows, walk.rank
        takes_means, weighted = walk.takes_means, m / n
        sums, small = work[7], walk.least * data[4]
        everything = np.arange(n)
        signal = np.empty_like(W)
        there = np.empty_like(W)
        step_direction = np.empty_like(W)
        truncated = 0
        scale = -np.inf
        snapshot_totals(least > 0.0 and corrected, data, everything, snapshot, 1.0 / n, work, space, there)
        for offset in range(step_sizes.shape[0]):
            step = start + offset
            if corrected and snapshots[offset]:
                scale_into(W, 1.0, snapshot)
                snapshot_scale[0] = gradient(data, everything, W, 1.0 / n, work, snapshot_gradient, by_rows)
                copy_row(space.totals, 2, work[7], 0)
            position = step % m
            order = everything if m == 1 else orders[step // m - first_epoch]
            indices = order[position * b : min(n, (position + 1) * b)]
            factor = factor_of(takes_means, indices, weighted)
            if kept_table is not None:
                scale = table_step(data, indices, W, factor, work, kept_table, signal)
            else:
                scale = gradient(data, indices, W, factor, work, signal, by_rows)
            here_scale, there_scale = scale, -np.inf
            if corrected:
                copy_row(space.totals, 0, work[7], 0)
                there_scale = gradient(data, indices, snapshot, factor, work, there, by_rows)
                copy_row(space.totals, 1, work[7], 0)
                scale = add_scaled(signal, scale, 1.0, there, there_scale, -1.0)
                scale = add_scaled(signal, scale, 1.0, snapshot_gradient, snapshot_scale[0], 1.0)
            # A step that is not certain is left to the caller, as it was before.
            if least > 0.0 and (corrected or suspicious(sums, small, signal)) and doubtful(
                kind, least, data, corrected, indices, everything, work, space,
                here_scale, there_scale, snapshot_scale[0], scale, signal,
            ):  # fmt: skip
                return truncated, offset
            if beta > 0.0 and momentum_kind != HEAVY_BALL:
                momentum_scale[0] = add_scaled(momentum, momentum_scale[0], beta, signal, scale, 1.0 - beta)
                if momentum_kind == NESTEROV:
                    scale = add_scaled(signal, scale, 1.0 - beta, momentum, momentum_scale[0], beta)
                    followed = signal
                else:
                    followed = momentum
                truncated += direction(
                    kind, power, across, followed, step_direction, direction_scratch, cutoff, 0
                )
            else:
                rank = min(most, n if corrected else indices.shape[0])
                found = direction(
                    kind, power, across, signal, step_direction, direction_scratch, cutoff, rank
                )
                if graded is not None:  # noqa: SIM102 (numba leaves out what stands under it)
                    if found == DOUBTFUL and not graded_direction(
                        power, data, corrected, indices, everything, W, snapshot, factor, 1.0 / n,
                        work, graded, step_direction,
                    ):  # fmt: skip
                        return truncated, offset
                truncated += found % DOUBTFUL
            if momentum_kind == HEAVY_BALL:
                move_on(W, step_sizes[offset], step_direction, beta, previous)
            else:
                move(W, step_sizes[offset], step_direction)
        if beta == 0.0:
            scale_into(signal, 1.0, momentum)
            momentum_scale[0] = scale
        return truncated, step_sizes.shape[0]

    return compiled_and_kept(advance)


def _digest_of_sources() -> str:
    modules = (losses, norms, kernels, gradients, directions, exactness, graded_kernels, table, saga)
    files = [each.__file__ for each in modules if each.__file__ is not None]
    return hashlib.sha256(b"".join(Path(each).read_bytes() for each in files)).hexdigest()


_advance = _compiled_advance(_digest_of_sources())
