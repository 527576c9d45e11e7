"""How far each step of a run went against the full gradient, measured while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from steepest.arrays import as_numpy
from steepest.descent.method import Method
from steepest.losses import Samples, log_mean_exp, normalized_residuals, residuals
from steepest.problem import Classification

__all__ = ["AlignmentRecorder", "StepAlignment"]

_BUFFERED = 128


@dataclass(frozen=True)
class StepAlignment:
    """What ``descend(..., alignment=True)`` keeps of every step W_s to W_{s+1} of a run of T steps."""

    forward: np.ndarray
    """⟨-∇L(W_s), ΔW⟩ / G(W_s) with ΔW = W_{s+1} - W_s, shape [T], in feature units: η_s ρ̂_s."""
    backward: np.ndarray
    """⟨-∇L(W_{s+1}), ΔW⟩ / G(W_{s+1}), shape [T]."""
    lengths: np.ndarray
    """‖ΔW‖ in the method's norm, shape [T]."""
    log_loss: np.ndarray
    """log L(W_s), shape [T + 1]."""
    log_proxy: np.ndarray
    """log G(W_s), shape [T + 1]."""


class AlignmentRecorder:
    """Takes the weights of every step in turn, and measures them some at a time."""

    def __init__(self, problem: Classification, method: Method):
        self._problem, self._method = problem, method
        self._waiting: list[np.ndarray] = []
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._parts: dict[str, list[np.ndarray]] = {each.name: [] for each in fields(StepAlignment)}

    def add(self, weights: np.ndarray) -> None:
        """Take W [k, d] of the next step, the first time W_0."""
        self._waiting.append(weights.copy())
        if len(self._waiting) == _BUFFERED:
            self._measure()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was measured so far by name, and the last weights, for a file."""
        self._measure()
        found = {name: np.concatenate([np.zeros(0), *parts]) for name, parts in self._parts.items()}
        return found if self._last is None else {**found, "last_weights": self._last[0]}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what ``arrays()`` returned."""
        self._waiting = []
        self._parts = {name: [arrays[name]] for name in self._parts}
        if "last_weights" in arrays:
            weights = arrays["last_weights"]
            self._last = weights, self._ascents(weights[None])[0][0]

    def finished(self) -> StepAlignment:
        """Return what was measured of the steps so far."""
        arrays = self.arrays()
        return StepAlignment(**{name: arrays[name] for name in self._parts})

    def _measure(self) -> None:
        if not self._waiting:
            return
        weights = np.stack(self._waiting)
        self._waiting = []
        ascents, log_loss, log_proxy = self._ascents(weights)
        self._parts["log_loss"].append(log_loss)
        self._parts["log_proxy"].append(log_proxy)
        if self._last is not None:
            weights = np.concatenate([self._last[0][None], weights])
            ascents = np.concatenate([self._last[1][None], ascents])
        self._last = weights[-1], ascents[-1]
        moves = np.diff(weights, axis=0)
        if len(moves):
            self._parts["forward"].append(np.einsum("rkd,rkd->r", ascents[:-1], moves))
            self._parts["backward"].append(np.einsum("rkd,rkd->r", ascents[1:], moves))
            self._parts["lengths"].append(as_numpy(self._method.norm(moves)))

    def _ascents(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return -∇L/G, log L and log G at weights [r, k, d]."""
        problem = self._problem
        found = residuals(self._method.loss, Samples.of(problem), problem.weights_like_features(weights))
        return (
            as_numpy(problem.pair_sum(normalized_residuals(found))),
            as_numpy(log_mean_exp(found.log_losses)),
            as_numpy(log_mean_exp(found.log_weights)),
        )
