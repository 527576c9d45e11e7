"""The compiled engine: one run at a time in numba, with its weights in a core's cache; for CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from steepest.arrays import as_numpy
from steepest.descent.engines.averages import AVERAGING, direction_of_terms
from steepest.descent.engines.compiled.compiled_loss import COMPILED_LOSS
from steepest.descent.engines.compiled.directions import (
    direction_work,
)
from steepest.descent.engines.compiled.exactness import (
    Space,
    least_part,
)
from steepest.descent.engines.compiled.gradient import gradient_work
from steepest.descent.engines.compiled.losses import CALLBACK, loss_code
from steepest.descent.engines.compiled.norms import COMPILED_DIRECTION, MAX, SCHATTEN
from steepest.descent.engines.compiled.signals import (
    AVERAGE,
    COMPILED_MOMENTUM,
    COMPILED_SIGNAL,
    HEAVY_BALL,
)
from steepest.descent.engines.compiled.steps import DONE, FROM_TERMS, advance
from steepest.descent.engines.compiled.table import Table
from steepest.descent.engines.compiled.terms import (
    KeptCoefficients,
)
from steepest.descent.engines.reference import Reference
from steepest.descent.method import Method
from steepest.descent.state import State, stack
from steepest.doubled import head_bits
from steepest.geometry import RANK_CUTOFF
from steepest.problem import Classification
from steepest.scaled import Scaled
from steepest.schedules import step_sizes
from steepest.signals import Fields
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
    space = Space.of(
        problem.samples, reshuffling.batch_size, problem.n_classes,
        signs=demanded > 0.0 and code.kind == MAX, singular=from_terms,
    )  # fmt: skip
    truncated, steps, ending = advance(
        data,
        walk,
        code,
        kind if method.momentum > 0 else AVERAGE,
        method.momentum,
        memory,
        kept_table,
        tuple(np.empty((3, *memory.weights.shape))),
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
    if ending != FROM_TERMS:
        return state, ending == DONE
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
