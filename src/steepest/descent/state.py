"""The state of a batch of runs: all that the next step needs, and so all that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import device, is_array_api_obj

from steepest.arrays import Array, as_numpy, namespace
from steepest.descent.engines.averages import keeps_terms, kept_terms
from steepest.descent.method import Method
from steepest.errors import InvalidArgument
from steepest.problem import Classification
from steepest.scaled import Scaled
from steepest.signals import Fields
from steepest.signals.terms import FIELDS

_SCALE = "_log_scale"


@dataclass(frozen=True)
class State:
    """Runs after ``step`` updates; every array has the runs as its first axis."""

    step: int
    weights: Array
    """W_t, shape [runs, k, d]."""
    fields: Fields
    """What the signal and the momentum keep, by name."""
    truncated: Array
    """Steps so far whose signal had a non-zero singular value below the rank cut-off, shape [runs]."""

    @classmethod
    def start(
        cls, problem: Classification, method: Method, weights: Array, momentum: Fields | None = None
    ) -> State:
        """Return runs of methods with these signal, momentum and loss, from ``weights`` [runs, k, d].

        ``momentum`` is what a momentum has kept of earlier steps, by name; left out, there were none.

        Raises:
            InvalidArgument: what the signal or the momentum keeps is no state of runs.
        """
        xp = namespace(weights)
        kept = method.signal.start(problem, method.loss, weights)
        kept_by_momentum = method.momentum_kind.start(weights)
        taken = {"step", "weights", "truncated"}
        taken = _checked("momentum_kind", method.momentum_kind, kept_by_momentum, len(weights), taken)
        _checked("signal", method.signal, kept, len(weights), taken)
        truncated = xp.zeros_like(weights[:, 0, 0], dtype=xp.int64)
        fields = {**kept, **kept_by_momentum, **(momentum or {})}
        return cls(0, weights, {**fields, **kept_terms(problem, method, weights, fields)}, truncated)

    def run(self, index: int) -> State:
        """Return one run as a batch of one."""
        return self.map(lambda array: array[index : index + 1])

    def to_numpy(self) -> State:
        """Return the state with all arrays as NumPy arrays on the host."""
        return self.map(as_numpy)

    def like(self, features: Array) -> State:
        """Return the state with all arrays beside the features (namespace and device)."""
        xp = namespace(features)
        return self.map(lambda array: xp.asarray(array, device=device(features), copy=True))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the state as named NumPy arrays, for a file; ``with_arrays`` is the inverse."""
        state = self.to_numpy()
        arrays = {"step": np.asarray(state.step), "weights": state.weights, "truncated": state.truncated}
        for name, value in state.fields.items():
            if isinstance(value, Scaled):
                arrays |= {name: value.mantissa, name + _SCALE: value.log_scale}
            else:
                arrays[name] = value
        return arrays

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> State:
        """Return the state that ``arrays()`` of one with the same fields described.

        Coefficients may be missing, which earlier versions did not keep: :meth:`with_terms` adds them.

        Raises:
            KeyError: something that the fields need is not there.
        """
        fields = {
            name: Scaled(arrays[name], arrays[name + _SCALE]) if isinstance(value, Scaled) else arrays[name]
            for name, value in self.fields.items()
            if not (name in FIELDS and FIELDS[0] not in arrays)
        }
        return State(int(arrays["step"]), arrays["weights"], fields, arrays["truncated"])

    def with_terms(self, problem: Classification, method: Method) -> State:
        """Return the state with the coefficients of averages that the method keeps, if it lacks them.

        What was averaged before is kept as the matrix that it is.
        """
        if not keeps_terms(method) or FIELDS[0] in self.fields:
            return self
        beside = self.like(problem.features)
        kept = kept_terms(problem, method, beside.weights, beside.fields, self.step)
        return replace(beside, fields={**beside.fields, **kept}).to_numpy()

    def map(self, function: Callable[[Array], Array]) -> State:
        """Return the state with a function applied to each of its arrays."""
        fields = {
            name: Scaled(function(value.mantissa), function(value.log_scale))
            if isinstance(value, Scaled)
            else function(value)
            for name, value in self.fields.items()
        }
        return State(self.step, function(self.weights), fields, function(self.truncated))


def _checked(argument: str, part: object, fields: Fields, runs: int, taken: set[str]) -> set[str]:
    """Check a part's fields, and return the names that are taken with them."""
    for name, value in fields.items():
        arrays = {name: value}
        if isinstance(value, Scaled):
            arrays = {name: value.mantissa, name + _SCALE: value.log_scale}
        shapes = [tuple(getattr(each, "shape", ())) for each in arrays.values() if is_array_api_obj(each)]
        if len(shapes) < len(arrays) or any(shape[:1] != (runs,) for shape in shapes):
            remedy = f"its start must return arrays with the runs as first axis; {name!r} is none"
            raise InvalidArgument(argument, str(part), remedy)
        if not taken.isdisjoint(arrays):
            raise InvalidArgument(argument, str(part), f"rename what it keeps as {name!r}: the name is taken")
        taken = taken | set(arrays)
    return taken


def stack(states: Sequence[State]) -> State:
    """Return runs that are at the same step as one batch."""
    first = states[0]
    if len(states) == 1:
        return first
    xp = namespace(first.weights)

    def joined(parts: Sequence[Array | Scaled]) -> Array | Scaled:
        if isinstance(parts[0], Scaled):
            return Scaled(
                xp.concat([part.mantissa for part in parts]), xp.concat([part.log_scale for part in parts])
            )
        return xp.concat(parts)

    return replace(
        first,
        weights=joined([state.weights for state in states]),
        fields={name: joined([state.fields[name] for state in states]) for name in first.fields},
        truncated=joined([state.truncated for state in states]),
    )
