"""The compiled engine: one run at a time in numba, with its weights in a core's cache; for CPUs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from steepest.arrays import as_numpy
from steepest.compilation import compiled_and_kept
from steepest.descent.engines import averages, graded_kernels
from steepest.descent.engines.averages import AVERAGING, direction_of_terms, keeps_terms
from steepest.descent.engines.compiled import directions, exactness, kernels, losses, norms, table, terms
from steepest.descent.engines.compiled import gradient as gradients
from steepest.descent.engines.compiled.compiled_loss import COMPILED_LOSS
from steepest.descent.engines.compiled.directions import (
    CERTAIN_RATIO,
    DOUBTFUL,
    direction,
    direction_work,
)
from steepest.descent.engines.compiled.exactness import (
    Space,
    add_totals,
    doubtful,
    factor_of,
    graded_direction,
    graded_direction_of,
    least_part,
    suspicious,
)
from steepest.descent.engines.compiled.gradient import gradient, gradient_work
from steepest.descent.engines.compiled.kernels import (
    add_scaled,
    copy_row,
    move,
    move_on,
    scale_into,
    sum_of_squares,
)
from steepest.descent.engines.compiled.losses import CALLBACK, loss_code
from steepest.descent.engines.compiled.norms import COMPILED_DIRECTION, MAX, SCHATTEN
from steepest.descent.engines.compiled.signals import (
    AVERAGE,
    COMPILED_MOMENTUM,
    COMPILED_SIGNAL,
    HEAVY_BALL,
    NESTEROV,
)
from steepest.descent.engines.compiled.table import ROUNDING, TERMS, Table, table_step
from steepest.descent.engines.compiled.terms import (
    KeptCoefficients,
    add_compared,
    add_quickly,
    copy_totals,
    certain,
    found_coefficients,
    kept_rows,
    record,
    renew,
    repair,
    saga_totals,
    sized,
    total_compared,
)
from steepest.descent.engines.reference import Reference
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.doubled import head_bits
from steepest.geometry import RANK_CUTOFF
from steepest.problem import Classification
from steepest.scaled import Scaled
from steepest.schedules import step_sizes
from steepest.signals import Fields, numbers, saga
from steepest.signals.numbers import Numbers
from steepest.signals.terms import carried


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
    everything: np.ndarray
    """Indices of all samples, shape [n]."""
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
    if _lacks_rows(problem, method, state):
        return Reference().advance(_on_host(problem), [method], state, stop)
    while True:
        state, done = _advance_surely(problem, method, state, stop)
        if not done:
            # Logarithms of every residual decide this step: the reference has them.
            state = Reference().advance(_on_host(problem), [method], state, state.step + 1)
        if state.step == stop:
            return state


def _lacks_rows(problem: Classification, method: Method, state: State) -> bool:
    """Whether a step may need rows of residuals that it has replaced before it knows."""
    averaged = "term_mantissas" in state.fields and "table" in state.fields
    return averaged and method.reshuffling(problem).batches > 1 and loss_code(method.loss).kind == CALLBACK


def _on_host(problem: Classification) -> Classification:
    """The same samples as NumPy arrays, beside which the state stands here."""
    if isinstance(problem.features, np.ndarray):
        return problem
    labels = problem.classes[problem.labels]
    host = Classification(as_numpy(problem.features), labels, problem.name, classes=problem.classes)
    return host if problem.sample_weight is None else host.weighted(problem.sample_weight)


def _advance_surely(problem: Classification, method: Method, state: State, stop: int) -> tuple[State, bool]:
    """Advance a run up to ``stop``, or through a step whose direction took more than compiled code.

    Return False beside a state before a step that compiled code cannot take.
    """
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
    average = AVERAGING.of(method.momentum_kind)
    beta = method.momentum if average is not None and average.averages else 0.0
    kept = None
    if "term_mantissas" in state.fields:
        assert average is not None
        kept = KeptCoefficients.of(state.fields, beta, ahead=average.ahead, signs=code.kind == MAX)
    exact = method.rank_cutoff is None and (
        kept is not None or (not keeps_table and (method.momentum == 0 or kind == HEAVY_BALL))
    )
    snapshots = (
        signal_code.snapshots(method.seed, m, state.step, stop) if corrects else np.zeros(0, dtype=bool)
    )
    least = least_part(code.kind, code.power)
    # The entries of the gradient of one sample are single products: their signs are certain.
    single = reshuffling.batch_size == 1 and snapshots.size == 0
    demanded = least if exact and kept is None and not (single and code.kind == MAX) else 0.0
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
        demanded > 0.0 or (least > 0.0 and not single) or kept is not None,
        _read_only(np.arange(problem.samples)),
        min(problem.n_classes - 1, problem.dimension) if exact and code.kind == SCHATTEN else 0,
    )
    from_terms = exact and code.kind == SCHATTEN
    space = Space.of(problem.samples, reshuffling.batch_size, problem.n_classes, used=from_terms)
    truncated, steps, ending = _advance(
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
        kept,
        None if kept is None else (np.empty_like(kept.rows), np.empty(problem.samples)),
    )
    fields = {
        **state.fields,
        **_fields(state, memory),
        **({} if kept_table is None else kept_table.fields()),
        **({} if kept is None else kept.fields(state.fields)),
    }
    reached = state.step + steps
    state = replace(state, step=reached, fields=fields, truncated=state.truncated + truncated)
    if ending != _FROM_TERMS:
        return state, ending == _DONE
    assert kept is not None
    assert average is not None
    return _moved_by_terms(problem, method, state, kept, beta, ahead=average.ahead), True


def _moved_by_terms(
    problem: Classification, method: Method, state: State, kept: KeptCoefficients, beta: float, *, ahead: bool
) -> State:
    """Finish a step of one run whose coefficients were found."""
    matrices, logs = carried(state.fields, np.asarray([beta]), state.step, ahead=ahead)
    numbers = Numbers(kept.found, kept.found_scales)
    found = direction_of_terms(method.norm, problem, numbers, matrices[0], float(logs[0]))
    step_size = float(step_sizes(method.schedule, np.asarray([state.step]))[0])
    weights, changed = method.momentum_kind.move(
        state.weights, -step_size * found[None], np.asarray([method.momentum]), state.fields
    )
    return replace(state, step=state.step + 1, weights=weights, fields={**state.fields, **changed})


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


_DONE, _BY_REFERENCE, _FROM_TERMS = range(3)


def _compiled_advance(sources: str) -> Callable[..., tuple[int, int, int]]:  # noqa: C901 (one loop is compiled once)
    """Return the compiled loop over steps, cached on disk under a name that depends on ``sources``.

    numba's cache notices changes of this file alone. The digest of all compiled sources, held in a closure,
    is part of the cache's key: code that an older version compiled is never run.
    """

    def advance(
        data, walk, code, momentum_kind, beta, memory, kept_table, work, direction_scratch, space, graded, kept,
        taken,
    ):  # fmt: skip
        """Advance one run in place, a step for each size.

        Return in how many the rank cut-off took effect, how many were taken, and why there are no more: the
        next hangs on residuals that compiled code does not keep, or the direction of what it follows on
        coefficients, which then were found.

        ``walk`` and ``memory`` are the named tuples above, ``kept_table`` a table.Table or None, ``graded``
        the space where directions may come from the terms of a signal, or None, ``kept`` the coefficients of
        an average, or None, and ``taken`` scratch space for theirs: for None code of its own is compiled, in
        less time. Matrices are [k, d].
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
        everything = walk.everything
        signal = np.empty_like(W)
        there = np.empty_like(W)
        step_direction = np.empty_like(W)
        truncated = 0
        scale = -np.inf
        for offset in range(step_sizes.shape[0]):
            step = start + offset
            # What absolute coefficients add up to is known of a snapshot that was taken here.
            if corrected and (snapshots[offset] or (offset == 0 and least > 0.0)):
                if snapshots[offset]:
                    scale_into(W, 1.0, snapshot)
                snapshot_scale[0] = gradient(
                    data, everything, snapshot, 1.0 / n, work, snapshot_gradient, by_rows, taken
                )
                copy_row(space.totals, 2, work[7], 0)
                if kept is not None:
                    if not kept_rows(data, everything, snapshot, work, taken[0], taken[1], 1.0 * n, 1.0, kept):
                        return truncated, offset, _BY_REFERENCE
                    renew(data, step, kept)
            position = step % m
            order = everything if m == 1 else orders[step // m - first_epoch]
            indices = order[position * b : min(n, (position + 1) * b)]
            factor = factor_of(takes_means, indices, weighted)
            rounding, kept_scale = 0.0, -np.inf
            if kept_table is not None:
                log_rounding, log_terms = kept_table.logarithms[ROUNDING], kept_table.logarithms[TERMS]
                scale = table_step(data, indices, W, factor, work, kept_table, signal)
            else:
                scale = gradient(data, indices, W, factor, work, signal, by_rows, taken)
            if kept is not None:
                if kept_table is not None:
                    rows, units = kept_table.new_rows, kept_table.new_scales
                    kept_rows(data, indices, W, work, rows, units, factor, factor, kept)
                    kept_scale, rounding = saga_totals(
                        data, indices, factor, log_rounding, log_terms, kept, kept.totals
                    )
                    record(data, indices, 0, step, True, True, factor, kept)
                    if position == m - 1:
                        total_compared(data[2], kept)
                    else:
                        add_compared(data[2], indices, kept)
                else:
                    # Of a callback it is not known beforehand that all rows are to be had.
                    quickly = not corrected and data[6] != CALLBACK
                    first = 0
                    if quickly:
                        first = add_quickly(
                            data[2], indices, taken[0], taken[1], kept.mantissas, kept.scales, kept.steps,
                            beta, kept.head, kept.tail, step,
                        )  # fmt: skip
                    if first < indices.shape[0]:
                        if not kept_rows(data, indices, W, work, taken[0], taken[1], 1.0, factor, kept):
                            return truncated, offset, _BY_REFERENCE
                        record(data, indices, first, step, corrected, False, factor, kept)
            here_scale, there_scale = scale, -np.inf
            parts = 0.0
            if corrected:
                copy_row(space.totals, 0, work[7], 0)
                there_scale = gradient(data, indices, snapshot, factor, work, there, by_rows, taken)
                copy_row(space.totals, 1, work[7], 0)
                size_here, size_there = sum_of_squares(signal), sum_of_squares(there)
                scale = add_scaled(signal, scale, 1.0, there, there_scale, -1.0)
                scale = add_scaled(signal, scale, 1.0, snapshot_gradient, snapshot_scale[0], 1.0)
                if most > 0:
                    # Singular values must be no small part of what was added up either.
                    parts = CERTAIN_RATIO * (
                        math.sqrt(size_here) * math.exp(here_scale - scale)
                        + math.sqrt(size_there) * math.exp(there_scale - scale)
                        + math.sqrt(sum_of_squares(snapshot_gradient)) * math.exp(snapshot_scale[0] - scale)
                    )
            # A step that is not certain is left to the caller, as it was before.
            if least > 0.0 and (corrected or suspicious(sums, small, signal)) and doubtful(
                kind, least, data, corrected, indices, everything, work, space,
                here_scale, there_scale, snapshot_scale[0], scale, signal,
            ):  # fmt: skip
                return truncated, offset, _BY_REFERENCE
            followed, followed_scale, rank = signal, scale, 0
            if beta > 0.0 and momentum_kind != HEAVY_BALL:
                momentum_scale[0] = add_scaled(momentum, momentum_scale[0], beta, signal, scale, 1.0 - beta)
                if momentum_kind == NESTEROV:
                    scale = add_scaled(signal, scale, 1.0 - beta, momentum, momentum_scale[0], beta)
                    followed_scale = scale
                else:
                    followed, followed_scale = momentum, momentum_scale[0]
            else:
                rank = min(most, n if corrected else indices.shape[0])
            if kept is not None:
                if kept_table is None:
                    kept_scale = here_scale
                    if corrected:
                        copy_totals(kept.compared_sizes, space.totals[2])
                        add_totals(space.totals, here_scale, there_scale, kept.compared_scale[0], here_scale)
                        copy_totals(space.totals[3], kept.totals)
                    else:
                        copy_totals(sums[0], kept.totals)
                parts = sized(
                    data[4], kept.totals, kept.sizes, kept.sizes_scale, kept.bounds, rounding, kept_scale,
                    followed_scale, beta, kept.ahead, kept.of_sign, kept.of_rounding,
                )  # fmt: skip
                rank = most
                if most == 0 and not certain(followed, kept.bounds):
                    if kept_table is None and not corrected:
                        kept_rows(data, indices, W, work, taken[0], taken[1], 1.0, factor, kept)
                    found_coefficients(data, indices, step, corrected or kept_table is not None, kept)
                    if not repair(data, followed, followed_scale, kind == MAX, kept):
                        if beta == 0.0:
                            scale_into(signal, 1.0, momentum)
                            momentum_scale[0] = scale
                        return truncated, offset, _FROM_TERMS
                    followed = kept.matrix
            found = direction(
                kind, power, across, followed, step_direction, direction_scratch, cutoff, rank, parts
            )
            if graded is not None and found == DOUBTFUL:
                if kept is not None:
                    if kept_table is None and not corrected:
                        kept_rows(data, indices, W, work, taken[0], taken[1], 1.0, factor, kept)
                    found_coefficients(data, indices, step, corrected or kept_table is not None, kept)
                    if not graded_direction_of(power, data, kept, graded, step_direction):
                        if beta == 0.0:
                            scale_into(signal, 1.0, momentum)
                            momentum_scale[0] = scale
                        return truncated, offset, _FROM_TERMS
                elif not graded_direction(
                    power, data, corrected, indices, everything, W, snapshot, factor, 1.0 / n,
                    work, graded, step_direction,
                ):  # fmt: skip
                    return truncated, offset, _BY_REFERENCE
            truncated += found % DOUBTFUL
            if momentum_kind == HEAVY_BALL:
                move_on(W, step_sizes[offset], step_direction, beta, previous)
            else:
                move(W, step_sizes[offset], step_direction)
        if beta == 0.0:
            scale_into(signal, 1.0, momentum)
            momentum_scale[0] = scale
        return truncated, step_sizes.shape[0], _DONE

    return compiled_and_kept(advance)


def _digest_of_sources() -> str:
    modules = (losses, norms, kernels, gradients, directions, exactness, graded_kernels, table, terms, numbers, averages, saga)
    files = [each.__file__ for each in modules if each.__file__ is not None]
    return hashlib.sha256(b"".join(Path(each).read_bytes() for each in files)).hexdigest()


_advance = _compiled_advance(_digest_of_sources())
