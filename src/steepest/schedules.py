"""Step sizes: how far each update goes (Assumption 3.3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from steepest.arguments import real_number
from steepest.arrays import as_floating, as_numpy
from steepest.errors import InvalidArgument

__all__ = ["PolynomialDecay", "Schedule", "step_sizes"]


@runtime_checkable
class Schedule(Protocol):
    """A step size for each step t = 0, 1, 2, ...; called with one step or an array of steps."""

    def __call__(self, step: Any, /) -> Any:
        """Return η_t for t = ``step``, a number or an array."""
        ...


@dataclass(frozen=True)
class PolynomialDecay:
    """Step sizes η_t = initial · (t + 1)^(-exponent), the family that the paper analyses.

    ``initial`` is in units of the norm of the weights. Assumption 3.3 (decreasing, with an infinite sum)
    holds for 0 < exponent ≤ 1; ``exponent = 0`` gives constant steps.

    Raises:
        InvalidArgument: ``initial`` ≤ 0, ``exponent`` < 0, or a value that is not finite.

    >>> PolynomialDecay(0.1, 0.5)(np.arange(4)).round(4)
    array([0.1   , 0.0707, 0.0577, 0.05  ])
    """

    initial: float = 0.1
    exponent: float = 0.5

    def __post_init__(self):
        checked = {
            "initial": real_number("initial", self.initial, "give a finite number greater than 0", above=0),
            "exponent": real_number(
                "exponent", self.exponent, "give a finite number of at least 0, such as 0.5", at_least=0
            ),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __call__(self, step: Any) -> Any:
        """Return η_t for t = ``step``, a number or an array."""
        numbers = as_numpy(as_floating(step, "step"))
        if np.any(numbers < 0):
            raise InvalidArgument("step", step, "give a step from 0 up, or an array of them")
        return self.initial * (numbers + 1.0) ** -self.exponent

    @property
    def decreasing(self) -> bool:
        """Whether the step sizes decrease to 0 (first half of Assumption 3.3)."""
        return self.exponent > 0

    @property
    def summable(self) -> bool:
        """Whether the step sizes have a finite sum (Assumption 3.3 asks for an infinite one)."""
        return self.exponent > 1


def step_sizes(schedule: Schedule, steps: np.ndarray) -> np.ndarray:
    """Return η_t for steps of shape [s], in float64; a schedule that returns one number means it for all.

    Raises:
        InvalidArgument: what the schedule returns is no finite number of at least 0 for each step.

    >>> step_sizes(lambda step: 0.1, np.arange(3))
    array([0.1, 0.1, 0.1])
    """
    found = np.asarray(schedule(steps))
    fits = found.dtype.kind in "fiu" and found.shape in ((), steps.shape)
    if not fits or not np.all(np.isfinite(found) & (found >= 0)):
        remedy = "for an array of steps it must return a finite number of at least 0 for each"
        raise InvalidArgument("schedule", schedule, remedy)
    return np.broadcast_to(found.astype(np.float64), steps.shape).copy()
