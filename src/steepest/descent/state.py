"""The state of a batch of runs: all that the next step needs, and so all that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, as_numpy, namespace
from steepest.scaled import Scaled, zeros_like


@dataclass(frozen=True)
class State:
    """Runs after ``step`` updates; every array has the runs as its first axis."""

    step: int
    weights: Array
    """W_t, shape [runs, k, d]."""
    momentum: Scaled
    """M_{t-1}; zero before the first step."""
    snapshot: Array
    """W̃, the weights at the start of the epoch (variance reduction only)."""
    snapshot_gradient: Scaled
    """∇L(W̃) over all samples (variance reduction only)."""
    truncated: Array
    """Steps so far whose signal had a non-zero singular value below the rank cut-off, shape [runs]."""

    @classmethod
    def start(cls, weights: Array) -> State:
        """Return runs that start at ``weights`` [runs, k, d]."""
        xp = namespace(weights)
        truncated = xp.zeros_like(weights[:, 0, 0], dtype=xp.int64)
        return cls(0, weights, zeros_like(weights), weights, zeros_like(weights), truncated)

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
        """Return the state as named NumPy arrays, for a file; ``from_arrays`` is the inverse."""
        state = self.to_numpy()
        return {
            "step": np.asarray(state.step),
            "weights": state.weights,
            "momentum": state.momentum.mantissa,
            "momentum_log_scale": state.momentum.log_scale,
            "snapshot": state.snapshot,
            "snapshot_gradient": state.snapshot_gradient.mantissa,
            "snapshot_gradient_log_scale": state.snapshot_gradient.log_scale,
            "truncated": state.truncated,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> State:
        """Return the state that ``arrays()`` described."""
        return cls(
            step=int(arrays["step"]),
            weights=arrays["weights"],
            momentum=Scaled(arrays["momentum"], arrays["momentum_log_scale"]),
            snapshot=arrays["snapshot"],
            snapshot_gradient=Scaled(arrays["snapshot_gradient"], arrays["snapshot_gradient_log_scale"]),
            truncated=arrays["truncated"],
        )

    def map(self, function: Callable[[Array], Array]) -> State:
        """Return the state with a function applied to each of its arrays."""
        return State(
            self.step,
            function(self.weights),
            _map_scaled(function, self.momentum),
            function(self.snapshot),
            _map_scaled(function, self.snapshot_gradient),
            function(self.truncated),
        )


def _map_scaled(function: Callable[[Array], Array], matrices: Scaled) -> Scaled:
    return Scaled(function(matrices.mantissa), function(matrices.log_scale))


def stack(states: Sequence[State]) -> State:
    """Return runs that are at the same step as one batch."""
    first = states[0]
    if len(states) == 1:
        return first
    xp = namespace(first.weights)

    def joined(name: str) -> Array | Scaled:
        parts = [getattr(state, name) for state in states]
        if isinstance(parts[0], Scaled):
            return Scaled(
                xp.concat([part.mantissa for part in parts]), xp.concat([part.log_scale for part in parts])
            )
        return xp.concat(parts)

    return State(
        first.step, **{each.name: joined(each.name) for each in fields(State) if each.name != "step"}
    )
