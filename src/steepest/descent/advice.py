"""Warnings, with their numbers, about settings that cannot do what they are meant for."""

from __future__ import annotations

import warnings
from bisect import bisect_left

import numpy as np

from steepest.arrays import as_numpy
from steepest.descent.method import Method
from steepest.errors import SteepestWarning
from steepest.geometry.facts import largest_pair
from steepest.problem import Classification
from steepest.schedules import PolynomialDecay, Schedule, step_sizes
from steepest.signals.facts import AGE, MEMORY

_STALL_SHARE = 0.05
_LARGEST_DRIFT = 1.0
_AT_ONCE = 1 << 16
"""Step sizes that are looked at together."""


def warn_about(problem: Classification, method: Method, steps: int, margin: float | None) -> None:
    """Warn where momentum must stall, or where variance reduction cannot hold, within ``steps`` steps.

    ``margin`` is the max margin γ in the method's norm where it is known.
    """
    if steps < 1:
        return
    for message in (
        _stalling_momentum(method, steps, margin),
        _drifting_snapshot(problem, method, steps),
    ):
        if message is not None:
            warnings.warn(message, SteepestWarning, stacklevel=3)


def _stalling_momentum(method: Method, steps: int, margin: float | None) -> str | None:
    """While η_t γ > 1 - β the loss falls faster than the buffer forgets, and old gradients lead."""
    memory = MEMORY.of(method.momentum_kind)
    if method.momentum == 0 or memory is None or margin is None or margin <= 0:
        return None
    stalled = _larger_than(method.schedule, (1 - method.momentum) / (memory * margin), steps)
    if stalled <= _STALL_SHARE * steps:
        return None
    return (
        f"momentum={method.momentum:g} stalls for {stalled} of {steps} steps: there the step size times the "
        f"max margin ({margin:.3g}) exceeds 1 - momentum = {1 - method.momentum:.3g}, so old gradients "
        "outweigh new ones; take smaller or faster decreasing steps, less momentum, or more steps"
    )


def _drifting_snapshot(problem: Classification, method: Method, steps: int) -> str | None:
    """In an epoch a margin moves by up to η m max_ic ‖(e_y - e_c) x_iᵀ‖_*, residuals by its exponential."""
    batches, age = method.reshuffling(problem).batches, AGE.of(method.signal)
    if age is None or batches == 1:
        return None
    longest = largest_pair(method.norm, as_numpy(problem.features), problem.n_classes)
    drift = age * _size(method, steps - 1) * batches * longest
    if drift <= _LARGEST_DRIFT:
        return None
    return (
        f"variance reduction cannot hold with batch_size={method.batch_size}: at the last of "
        f"{steps} steps an epoch of {batches} steps may move a margin by {drift:.3g} (more than "
        f"{_LARGEST_DRIFT:g}), so gradients of an epoch ago say little; take smaller steps, larger batches, "
        "or more steps"
    )


def _larger_than(schedule: Schedule, size: float, steps: int) -> int:
    """Return how many of the first steps are larger than a size."""
    if isinstance(schedule, PolynomialDecay):
        # They never increase: those are the first ones.
        return bisect_left(range(steps), True, key=lambda t: float(schedule(t)) <= size)
    starts = range(0, steps, _AT_ONCE)
    blocks = (step_sizes(schedule, np.arange(at, min(at + _AT_ONCE, steps))) for at in starts)
    return sum(int(np.count_nonzero(block > size)) for block in blocks)


def _size(method: Method, step: int) -> float:
    return float(step_sizes(method.schedule, np.asarray([step]))[0])
