"""Which batches, or ages of samples, a mean field is taken over, and its path at a width of signs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from steepest.errors import InvalidArgument
from steepest.geometry import norm_label
from steepest.theory.limits.batches import (
    Batches,
    aged_epochs,
    every_batch,
    number_of_batches,
    sampled_batches,
)
from steepest.theory.limits.fields import Field, field_of
from steepest.theory.limits.path import Path, follow
from steepest.theory.limits.plan import Plan

__all__ = ["MOMENTA", "MOST_SOLVES", "WIDTH", "aged", "field_over", "followed", "samples_of", "width_of"]

WIDTH = 1.0
"""Of signs at first, over the square root of the number of samples that a batch amounts to."""
MOST_SOLVES = 1500
"""Newton steps of a path."""
_EVERY = 6000
"""Up to so many different batches all are taken."""
_HURRY = 2.0

MOMENTA: dict[str, Callable[[float, int], np.ndarray]] = {
    "ema": lambda beta, steps: np.arange(steps) * math.log(beta),
    # β M_t + (1 - β) V_t: the step's own gradient counts 1 + β times as much as the average gives it.
    "nesterov": lambda beta, steps: np.concatenate(
        [[math.log1p(beta)], np.arange(2, steps + 1) * math.log(beta)]
    ),
}
"""Of each kind the logarithms of the weights of past gradients, the latest first, from β and their number."""


def samples_of(plan: Plan) -> Iterator[Batches]:
    """Return what the expectation is over: every batch once, or independent samples of them."""
    n, b = plan.problem.samples, plan.batch_size
    if plan.kind in MOMENTA and b < n:
        for repeat in range(plan.repeats):
            yield aged(plan, repeat)
    elif number_of_batches(n, b) <= max(_EVERY, plan.least):
        yield every_batch(n, b)
    else:
        for repeat in range(plan.repeats):
            yield sampled_batches(n, b, plan.least, np.random.default_rng([plan.seed, repeat]))


def aged(plan: Plan, repeat: int, drift: float = 0.0) -> Batches:
    """Return averages over the ages of samples, whose margins have grown by ``drift`` a step meanwhile."""

    def log_weights(steps: int) -> np.ndarray:
        return MOMENTA[plan.kind](plan.momentum, steps) + drift * np.arange(steps)

    generator = np.random.default_rng([plan.seed, repeat])
    moments = max(50, plan.least // 3)
    return aged_epochs(plan.problem.samples, plan.batch_size, log_weights, moments, generator)


def followed(
    plan: Plan,
    batches: Batches,
    until: float,
    growth: float,
    width: float,
    doing: str,
    most: int = MOST_SOLVES,
) -> Path:
    """Return the path of the mean field over some batches, with signs ``width`` times their usual one."""
    # A limit does not depend on how its path began.
    hurry = 1.0 if plan.at is not None else _HURRY
    field = field_over(plan, batches)

    def reached(R: float) -> None:
        plan.tell(doing, R, until)

    return follow(field, width_of(batches, width), until, growth, most, hurry, reached)


def field_over(plan: Plan, batches: Batches) -> Field:
    """Return the mean field over some batches.

    Raises:
        InvalidArgument: it is not worked out in this norm.
    """
    field = field_of(plan.problem, plan.norm, plan.loss, batches)
    if field is None:
        raise InvalidArgument("norm", norm_label(plan.norm), "use frobenius or max")
    return field


def width_of(batches: Batches, width: float) -> float:
    """Return a width of signs relative to what sums over a batch, or an average over ages, balance to.

    Sums of s terms of both signs are about 1/√s of the sum of their moduli. An average with momentum is over
    far more samples than a batch has, so that its signs have to be sharper.
    """
    return width / math.sqrt(batches.effective_size)
