"""The protocol that the three engines share, and which of them a problem gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from array_api_compat import is_numpy_array, is_torch_array

from steepest.arguments import one_of
from steepest.descent.method import Method
from steepest.descent.state import State
from steepest.problem import Classification

_COMPILED_UP_TO = 200_000_000
"""Multiplications in one product of a batch with the weights beyond which threaded matrix products win."""


class Engine(Protocol):
    """Moves a batch of runs forward; engines differ in speed, never in what a step means.

    The result depends on the state and the methods alone, not on how often ``advance`` is called on the way.
    """

    name: str

    def advance(self, problem: Classification, methods: Sequence[Method], state: State, stop: int) -> State:
        """Return the runs, one method each, after ``stop`` ≥ state.step updates; inputs are not changed."""
        ...


ENGINES = ("reference", "compiled", "batched")


def engine_for(problem: Classification, method: Method, name: str = "auto") -> Engine:
    """Return the engine of that name; "auto" takes compiled for small problems on CPUs, batched otherwise.

    Raises:
        InvalidArgument: another name.
        MissingCapability: the compiled engine has no code for the method's norm, signal, momentum or loss.
    """
    one_of("engine", name, ("auto", *ENGINES))
    # Imported here: numba is heavy, and a run on a GPU never needs it.
    if name == "auto":
        name = "compiled" if _suits_compiled(problem, method) else "batched"
    if name == "compiled":
        from steepest.descent.engines.compiled.loop import Compiled

        return Compiled.for_method(method)
    if name == "batched":
        from steepest.descent.engines.batched import Batched

        return Batched()
    from steepest.descent.engines.reference import Reference

    return Reference()


def _suits_compiled(problem: Classification, method: Method) -> bool:
    features = problem.features
    on_cpu = is_numpy_array(features) or (is_torch_array(features) and features.device.type == "cpu")
    k, d = problem.n_classes, problem.dimension
    if not (on_cpu and method.batch_size_for(problem) * k * d <= _COMPILED_UP_TO):
        return False
    from steepest.descent.engines.compiled.loop import has_code
    from steepest.descent.engines.compiled.norms import COMPILED_DIRECTION

    code = COMPILED_DIRECTION.of(method.norm)
    return code is not None and code.suits((k, d)) and has_code(method)
