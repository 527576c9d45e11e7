"""What the theory's functions are given, checked where it comes in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from steepest.arguments import real_number, whole_number
from steepest.arrays import as_floating, as_numpy
from steepest.errors import InvalidArgument
from steepest.schedules import Schedule

__all__ = [
    "as_batch_sizes",
    "as_batches",
    "as_horizon",
    "as_momentum",
    "as_radius",
    "as_schedule",
    "as_steps",
    "require_parts",
]

_MOST_STEPS = 10**9
"""Of what is worked out step by step: arrays of 8 gigabytes."""
_MOST_BATCHES = 10**8


def as_momentum(momentum: Any) -> float:
    """Return β as a float in [0, 1)."""
    return real_number("momentum", momentum, "give a number with 0 <= momentum < 1", at_least=0, below=1)


def as_batches(batches: Any) -> int:
    """Return m, the batches an epoch."""
    m = whole_number("batches", batches, 1, "give a positive number of batches an epoch")
    if m > _MOST_BATCHES:
        raise InvalidArgument("batches", batches, f"give at most {_MOST_BATCHES} batches an epoch")
    return m


def as_radius(radius: Any) -> float:
    """Return R, in units of the features."""
    return real_number("radius", radius, "give a positive radius of the features", above=0)


def as_schedule(schedule: Any) -> Schedule:
    """Return step sizes as a function of the step."""
    if isinstance(schedule, type) or not callable(schedule):
        raise InvalidArgument(
            "schedule", schedule, "give step sizes, such as steepest.PolynomialDecay(0.1, 0.5)"
        )
    return schedule


def as_horizon(steps: Any) -> int:
    """Return a number of steps, each of which is worked out."""
    number = whole_number("steps", steps, 0)
    if number > _MOST_STEPS:
        raise InvalidArgument("steps", steps, f"give at most {_MOST_STEPS} steps")
    return number


def as_steps(steps: Any) -> np.ndarray:
    """Return steps t ≥ 0 in increasing order, shape [r], as whole numbers."""
    numbers = as_numpy(as_floating(steps, "steps"))
    usable = numbers.ndim == 1 and numbers.size > 0 and bool(np.isfinite(numbers).all())
    if not usable or (np.diff(numbers) < 0).any() or numbers[0] < 0 or (numbers != np.floor(numbers)).any():
        raise InvalidArgument("steps", steps, "give whole steps from 0 up, in increasing order")
    as_horizon(int(numbers[-1]))
    return numbers.astype(int)


def require_parts(argument: str, value: Any, parts: Iterable[str], remedy: str) -> None:
    """Refuse an object that lacks what will be read of it, a class in the place of an object among them."""
    if isinstance(value, type) or not all(hasattr(value, part) for part in parts):
        raise InvalidArgument(argument, value, remedy)


def as_batch_sizes(batch_sizes: object, samples: int) -> list[int]:
    """Return batch sizes in order, each once.

    Raises:
        InvalidArgument: there is none, or one is not from 1 to the number of samples.
    """
    remedy = f"give batch sizes from 1 to {samples} in a list"
    if isinstance(batch_sizes, str) or not isinstance(batch_sizes, Iterable):
        raise InvalidArgument("batch_sizes", batch_sizes, remedy)
    sizes = sorted({whole_number("batch_sizes", each, 1, remedy, at_most=samples) for each in batch_sizes})
    if not sizes:
        raise InvalidArgument("batch_sizes", sizes, remedy)
    return sizes
