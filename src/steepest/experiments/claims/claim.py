"""What a claim is: a statement with its threshold, what it needs, how it is measured, and its verdict.

A claim is about the runs of one kind of data, norm and loss, after enough updates for it to show. How
verdicts come out of measurements is in :mod:`steepest.experiments.claims.verdict`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from steepest.arguments import whole_number
from steepest.experiments.claims.measurement import Measurement, Measurements
from steepest.experiments.claims.needs import NOTHING_MORE, Needs
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.claims.verdict import LONGER, Effect, Judged, Verdict, judge
from steepest.experiments.claims.words import decisive, in_words
from steepest.experiments.inputs import as_function, as_instance
from steepest.registry import Registry

__all__ = ["CLAIMS", "LONG_RUN", "Claim", "ClaimResult", "Measured", "Verdict", "claim"]

STEPS = 20_000
"""Updates after which a claim is decided, unless it says otherwise."""

LONG_RUN = 200_000
"""Updates after which what is asymptotic shows: a rate, or a floor under an error."""

Measure = Callable[[Runs], Measurements]
MeasureFunction = TypeVar("MeasureFunction", bound=Measure)


@dataclass(frozen=True)
class ClaimResult:
    """One row of the table of claims."""

    name: str
    """The claim's, one of :data:`CLAIMS`."""
    norm: str
    """Of the runs."""
    data: str
    """The data set's name."""
    loss: str
    """Of the runs."""
    sentence: str
    """What the paper says; empty for a claim that is not the paper's."""
    statement: str
    """What is claimed, in one sentence."""
    measured: str
    """What was measured, with its spread over data sets."""
    threshold: str
    """What it is held against."""
    verdict: Verdict
    """Supported, contradicted or undecided."""
    reason: str
    """The verdict in one sentence, for readers who know no statistics."""
    effect: Effect | None = None
    """What decides: of all that is asked the least certain part, or the one that is refuted."""
    effects: tuple[Effect, ...] = ()
    """Every part of what is asked."""
    data_sets: int = 0
    """How many data sets it rests on, one a seed."""
    more_data_sets: int | None = None
    """If undecided, how many more data sets would decide it; None where they would not help."""
    generalises: bool = False
    """Whether the data is another than the paper's: shown, and no reason for a command to fail."""
    measurements: tuple[Measurement, ...] = ()
    """What the verdict rests on, a value a seed each."""
    remarks: tuple[str, ...] = ()
    """What was measured outside the range where it was expected; no part of the verdict."""

    @property
    def about(self) -> str:
        """What it was judged on: data set and norm, and the loss where it is not cross-entropy."""
        loss = "" if self.loss == "cross-entropy" else f", {self.loss}"
        return f"{self.data}, {self.norm}{loss}" + (" (generalises to)" if self.generalises else "")

    @property
    def refutes(self) -> bool:
        """Whether what is claimed is contradicted on the data that it is about."""
        return self.verdict is Verdict.CONTRADICTED and not self.generalises


@dataclass(frozen=True)
class Measured:
    """What a claim measured on the runs of one data set, norm and loss, before its verdict."""

    claim: Claim
    runs: Runs
    measurements: tuple[Measurement, ...]
    lacking: str = ""
    """Why nothing can be decided; empty if something can."""

    @property
    def judged(self) -> list[Judged]:
        """Whatever is asked, with its p-values; nothing where nothing can be decided."""
        if self.lacking:
            return []
        return [judge(m) for m in self.measurements if m.test is not None or m.bounded]

    def result(self, verdict: Verdict, effects: tuple[Effect, ...]) -> ClaimResult:
        """Return the row with this verdict and the effects that it rests on."""
        effect = None if self.lacking else decisive(verdict, effects)
        more = [each.more_data_sets for each in effects if each.more_data_sets is not None]
        stuck = any(each.outcome in LONGER for each in effects)
        return ClaimResult(
            self.claim.name,
            self.runs.norm,
            self.runs.data,
            self.runs.loss,
            self.claim.sentence,
            self.claim.statement,
            _summary(self.measurements),
            self.claim.threshold,
            verdict,
            self.lacking or in_words(verdict, effects),
            effect,
            effects,
            max((each.data_sets for each in effects), default=0),
            max(more) if verdict is Verdict.UNDECIDED and more and not stuck else None,
            self.runs.generalises,
            self.measurements,
            tuple(_remarks(self.measurements)),
        )


@dataclass(frozen=True)
class Claim:
    """A named statement, what is asked in words, and the function that measures it on the runs."""

    name: str
    statement: str
    threshold: str
    measure: Measure
    needs: Needs = NOTHING_MORE
    steps: int = STEPS
    """Updates after which the statement is decided; 0 if it is about no run."""
    sentence: str = ""
    """What the paper says; empty if it does not."""

    def measured_on(self, runs: Runs) -> Measured:
        """Measure the claim on the runs of one data set, norm and loss."""
        measurements: tuple[Measurement, ...] = ()
        try:
            if lacking := self.needs.lacking(runs):
                raise Missing(lacking)
            measurements = tuple(self.measure(runs))
        except Missing as missing:
            return Measured(self, runs, measurements, str(missing))
        if runs.last_step < self.steps:
            few = f"too few steps: {runs.last_step:,} were run, the claim is about {self.steps:,}"
            return Measured(self, runs, measurements, few)
        return Measured(self, runs, measurements)


CLAIMS: Registry[Claim] = Registry("claim")
"""The claims by their stable names."""


def claim(
    name: str,
    statement: str,
    threshold: str,
    *,
    needs: Needs = NOTHING_MORE,
    steps: int = STEPS,
    sentence: str = "",
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
        sentence: what the paper says, where the claim checks a sentence of it.

    Raises:
        InvalidArgument: the name is taken, or is not one word; other texts, needs or numbers than these.
    """
    for argument, value in (
        ("statement", statement),
        ("threshold", threshold),
        ("sentence", sentence),
    ):
        as_instance(argument, value, str, "say it in words, such as 'log-loss ≤ -10'")
    as_instance("needs", needs, Needs, "give steepest.experiments.Needs")
    whole_number("steps", steps, 0)

    def register(measure: MeasureFunction) -> MeasureFunction:
        measured = as_function("measure", measure)
        CLAIMS.register(name, Claim(name, statement, threshold, measured, needs, steps, sentence))
        return measure

    return register


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
