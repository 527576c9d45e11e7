"""The protocol that the three engines share, and which of them a problem gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from array_api_compat import is_numpy_array, is_torch_array

from steepest.descent.method import Method
from steepest.descent.state import State
from steepest.errors import InvalidArgument
from steepest.geometry import Schatten
from steepest.problem import Classification

_COMPILED_UP_TO = 200_000_000
"""Multiplications in one product of a batch with the weights beyond which threaded matrix products win."""

_ROTATIONS_UP_TO = 256
"""Smaller side of a signal beyond which LAPACK's singular values beat the compiled rotations."""


class Engine(Protocol):
    """Moves a batch of runs forward; engines differ in speed, never in what a step means.

    The result depends on the state and the methods alone, not on how often ``advance`` is called on the way.
    """

    name: str

    def advance(self, problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
        """Return the runs, one method each, after ``stop`` ≥ state.step updates; inputs are not changed."""
        ...


ENGINES = ("reference", "compiled", "batched")


def engine_for(problem: Classification, methods: Sequence[Method], name: str = "auto") -> Engine:
    """Return the engine of that name; "auto" takes compiled for small problems on CPUs, batched otherwise."""
    if name == "auto":
        name = _best_engine(problem, methods)
    # Imported here: numba is heavy, and a run on a GPU never needs it.
    if name == "compiled":
        from steepest.descent.engines.compiled.loop import Compiled
        from steepest.descent.engines.compiled.losses import loss_code

        for method in methods:
            loss_code(method.loss)
        return Compiled()
    if name == "batched":
        from steepest.descent.engines.batched import Batched

        return Batched()
    if name == "reference":
        from steepest.descent.engines.reference import Reference

        return Reference()
    raise InvalidArgument("engine", name, f"give one of auto, {', '.join(ENGINES)}")


def _best_engine(problem: Classification, methods: Sequence[Method]) -> str:
    features = problem.features
    on_cpu = is_numpy_array(features) or (is_torch_array(features) and features.device.type == "cpu")
    k, d = problem.n_classes, problem.dimension
    largest_batch = max(each.batch_size_for(problem) for each in methods)
    small = largest_batch * k * d <= _COMPILED_UP_TO
    rotations = any(isinstance(each.norm, Schatten) and each.norm.p != 2 for each in methods)
    few_rotations = not rotations or min(k, d) <= _ROTATIONS_UP_TO
    return "compiled" if on_cpu and small and few_rotations and _compiled_losses(methods) else "batched"


def _compiled_losses(methods: Sequence[Method]) -> bool:
    # Imported here: what the losses that come with steepest offer is defined beside numba code.
    from steepest.descent.engines.compiled import losses
    from steepest.descent.engines.compiled.compiled_loss import COMPILED_LOSS

    assert losses
    return all(COMPILED_LOSS.of(each.loss) is not None for each in methods)
