"""What a claim is: a statement with its threshold, what it needs, how it is measured, and its verdict.

A claim is about the runs of one data set, norm and loss, after enough updates for it to show. A measurement
must be within its bound on every seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from steepest.arguments import whole_number
from steepest.experiments.claims.measurement import Measurement, Measurements
from steepest.experiments.claims.needs import NOTHING_MORE, Needs
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.inputs import as_function, as_instance
from steepest.registry import Registry

__all__ = ["CLAIMS", "LONG_RUN", "Claim", "ClaimResult", "Verdict", "claim"]

STEPS = 20_000
"""Updates after which a claim is decided, unless it says otherwise."""

LONG_RUN = 200_000
"""Updates after which what is asymptotic shows: a rate, or a floor under an error."""

Measure = Callable[[Runs], Measurements]
MeasureFunction = TypeVar("MeasureFunction", bound=Measure)


class Verdict(Enum):
    """What a check concludes; the values are the words that tables show."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_DECIDED = "not decided"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class ClaimResult:
    """One row of the table of claims."""

    name: str
    norm: str
    data: str
    loss: str
    statement: str
    measured: str
    threshold: str
    verdict: Verdict
    reason: str
    measurements: tuple[Measurement, ...] = ()
    remarks: tuple[str, ...] = ()
    """What was measured outside the range where it was expected; no part of the verdict."""


@dataclass(frozen=True)
class Claim:
    """A named statement, its threshold in words and the function that measures it on the runs."""

    name: str
    statement: str
    threshold: str
    measure: Measure
    needs: Needs = NOTHING_MORE
    steps: int = STEPS
    """Updates after which the statement is decided; 0 if it is about no run."""

    def check(self, runs: Runs) -> ClaimResult:
        """Measure the claim on the runs of one data set, norm and loss."""
        measurements: tuple[Measurement, ...] = ()
        try:
            if lacking := self.needs.lacking(runs):
                raise Missing(lacking)
            measurements = tuple(self.measure(runs))
            verdict, reason = _judge(measurements)
            if runs.last_step < self.steps:
                verdict = Verdict.NOT_DECIDED
                reason = f"too few steps: {runs.last_step:,} were run, the claim is about {self.steps:,}"
        except Missing as missing:
            verdict, reason = Verdict.NOT_DECIDED, str(missing)
        return ClaimResult(
            self.name,
            runs.norm,
            runs.data,
            runs.loss,
            self.statement,
            _summary(measurements),
            self.threshold,
            verdict,
            reason,
            measurements,
            tuple(_remarks(measurements)),
        )


CLAIMS: Registry[Claim] = Registry("claim")
"""The claims by their stable names."""


def claim(
    name: str, statement: str, threshold: str, *, needs: Needs = NOTHING_MORE, steps: int = STEPS
) -> Callable[[MeasureFunction], MeasureFunction]:
    """Return a decorator that registers a claim, measured by the function that it decorates.

    The function takes the :class:`~steepest.experiments.claims.selection.Runs` of one data set, norm and
    loss, and yields measurements with their bounds. In a file of one's own, named by ``plugins`` in an
    experiment::

        @claim("loss-vanishes", "The loss goes to 0.", "log-loss ≤ -10", steps=1_000)
        def loss_vanishes(runs):
            losses = runs.final("log_loss", runs.samples, 0.0)
            yield over_seeds(runs, "log-loss", "full batch", losses, at_most=-10)

    Args:
        name: one word, by which experiments name the claim.
        statement: what is claimed, a sentence.
        threshold: the bounds in words.
        needs: what the runs must be and hold.
        steps: updates after which it is decided; 0 for a claim that is about no run.

    Raises:
        InvalidArgument: the name is taken, or is not one word; other texts, needs or numbers than these.
    """
    for argument, value in (("statement", statement), ("threshold", threshold)):
        as_instance(argument, value, str, "say it in words, such as 'log-loss ≤ -10'")
    as_instance("needs", needs, Needs, "give steepest.experiments.Needs")
    whole_number("steps", steps, 0)

    def register(measure: MeasureFunction) -> MeasureFunction:
        measured = as_function("measure", measure)
        CLAIMS.register(name, Claim(name, statement, threshold, measured, needs, steps))
        return measure

    return register


def _judge(measurements: Sequence[Measurement]) -> tuple[Verdict, str]:
    bounded = [m for m in measurements if m.bounded]
    broken = [(slack, m, i) for m in bounded for i, slack in enumerate(m.slack) if slack < 0]
    if not broken:
        return Verdict.HOLDS, ""
    _, worst, index = min(broken, key=lambda each: each[0])
    label, value = worst.judged[index]
    side = f"below {worst.at_least:g}" if value < worst.at_least else f"above {worst.at_most:g}"
    if math.isnan(value):
        side = "not a number"
    total = sum(len(m.judged) for m in bounded)
    return Verdict.FAILS, (
        f"{worst.quantity} at {worst.where}, {label}: {value:.4g}, {side} "
        f"({len(broken)} of {total} measurements break their bound)"
    )


def _summary(measurements: Sequence[Measurement]) -> str:
    lines = []
    for quantity in dict.fromkeys(m.quantity for m in measurements):
        values = [value for m in measurements if m.quantity == quantity for value in m.values]
        low, high = min(values), max(values)
        lines.append(f"{quantity} {low:.3g}" if low == high else f"{quantity} {low:.3g} to {high:.3g}")
    return "; ".join(lines)


def _remarks(measurements: Sequence[Measurement]) -> Iterator[str]:
    for quantity in dict.fromkeys(m.quantity for m in measurements if m.unexpected):
        chosen = [m for m in measurements if m.quantity == quantity and m.expected is not None]
        outside = [value for m in chosen for value in m.unexpected]
        low, high = chosen[0].expected or (-math.inf, math.inf)
        total = sum(len(m.values) for m in chosen)
        yield (
            f"{quantity} expected from {low:g} to {high:g}: {len(outside)} of {total} values are outside, "
            f"from {min(outside):.3g} to {max(outside):.3g}"
        )
