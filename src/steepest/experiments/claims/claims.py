"""The paper's qualitative statements as computed checks: what was measured, the threshold, and a verdict.

Each claim is about the runs of one data set, norm and loss, after enough updates for it to show. "Full" is
the full batch with the same momentum and without variance reduction, n the number of samples, b the batch
size and β the momentum. A measurement must be within its bound on every seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from steepest.errors import InvalidArgument
from steepest.experiments.claims import batch_one, margins
from steepest.experiments.claims.measurement import Measurement
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.inputs import as_instance, as_texts

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CLAIMS", "Claim", "ClaimResult", "Verdict", "check_claims"]

STEPS = 20_000
"""Updates after which a claim is decided, unless it says otherwise."""

LONG_RUN = 200_000
"""Updates after which what is asymptotic shows: a rate, or a floor under an error."""


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
    measure: Callable[[Runs], Iterator[Measurement]]
    norms: tuple[str, ...] | None = None
    """The norms that the statement is about; None is all of them."""
    contrast: bool = False
    """Whether the statement is about data that is there for contrast, and not about the other data."""
    steps: int = STEPS
    """Updates after which the statement is decided; 0 if it is about no run."""

    def is_about(self, runs: Runs) -> bool:
        """Whether the statement is about runs in this norm, on this data."""
        return (self.norms is None or runs.norm in self.norms) and runs.contrast == self.contrast

    def check(self, runs: Runs) -> ClaimResult:
        """Measure the claim on the runs of one data set, norm and loss."""
        measurements: tuple[Measurement, ...] = ()
        try:
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


def check_claims(dataset: xr.Dataset, names: Iterable[str]) -> tuple[ClaimResult, ...]:
    """Check claims by name on every data set, norm and loss that the results hold.

    Raises:
        InvalidArgument: a name that is no claim.
    """
    import xarray as xr

    names = as_texts("claims", names, "give the names of claims in a list")
    as_instance("dataset", dataset, xr.Dataset, "give results, as open_results returns them")
    for name in names:
        if name not in CLAIMS:
            raise InvalidArgument("claims", name, f"known claims: {', '.join(CLAIMS)}")
    every = tuple(Runs.of(dataset))
    return tuple(CLAIMS[name].check(runs) for name in names for runs in every if CLAIMS[name].is_about(runs))


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


CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for claim in (
        Claim(
            "full-batch-converges",
            "The full batch converges to the max-margin solution, at least at the predicted rate.",
            "error ≤ 0.12; fitted exponent ≥ the predicted one - 0.1; cosine ≥ 0.97 where the solution is "
            "unique",
            margins.full_batch_converges,
        ),
        Claim(
            "full-batch-rate-is-attained",
            "The full batch converges at the predicted rate and not faster.",
            "β = 0: fitted exponent within 0.1 of the predicted one",
            margins.full_batch_rate_is_attained,
            steps=LONG_RUN,
        ),
        Claim(
            "mini-batch-without-momentum-lags",
            "Without momentum small batches stay behind the full batch, the more the smaller they are.",
            "b ≤ n/10: error ≥ 2 × full, and it grows as b shrinks; cosine below full where the solution is "
            "unique",
            margins.mini_batch_lags,
        ),
        Claim(
            "mini-batch-without-momentum-has-a-floor",
            "Without momentum small batches do not converge to the max margin at all, however long they run.",
            "b ≤ n/10: error falls no faster than t^-0.1 over the last decade of steps",
            margins.mini_batch_has_a_floor,
            steps=LONG_RUN,
        ),
        Claim(
            "moderate-momentum-helps-partly",
            "Momentum 0.5 brings small batches closer, but not all the way.",
            "β = 0.5, b ≤ n/10: error below that of β = 0, and ≥ 1.15 × full; cosine above that of β = 0 "
            "where the solution is unique",
            margins.moderate_momentum_helps,
        ),
        Claim(
            "large-momentum-recovers",
            "Momentum 0.99 brings mini-batches to the full batch's error.",
            "β = 0.99, b ≥ n/20: error ≤ 1.3 × full",
            margins.large_momentum_recovers,
        ),
        Claim(
            "variance-reduction-recovers",
            "Variance reduction brings mini-batches to the full batch's error, whatever size and momentum.",
            "any β, b ≥ n/20, variance reduction: error ≤ 1.3 × full, and ≤ 1.3 × full without momentum",
            margins.variance_reduction_recovers,
        ),
        Claim(
            "batch-one-needs-longer",
            "With variance reduction even single samples get there, given more steps.",
            "b = 1, variance reduction: error falls at least as t^-0.1 over the last decade of steps",
            margins.batch_one_needs_longer,
        ),
        Claim(
            "batch-one-bias",
            "Single samples without momentum lead to the bias direction, not to a max margin.",
            "1 - cosine to the bias ≤ 1e-3 and halved over the last decade of steps; loss ≤ log(k)/10 and "
            "halved too; errors ≥ 0.5, falling no faster than t^-0.1; cosine to every unique solution ≤ 0.9",
            batch_one.batch_one_bias,
            norms=("max", "frobenius"),
        ),
        Claim(
            "batch-one-ignores-scales",
            "Where single samples lead depends on the class counts alone, unlike the max margin.",
            "same counts, scales in reverse order: 1 - cosine of the final weights ≤ 1e-6, while the cosine "
            "to the Frobenius max-margin solution changes by ≥ 0.1",
            batch_one.batch_one_ignores_scales,
            norms=("max", "frobenius"),
            contrast=True,
        ),
        Claim(
            "frequent-hard-classes-hide-the-bias",
            "Where hard classes are frequent, the bias of Normalized-SGD is near the Frobenius max margin.",
            "b = 1: cosine to the Frobenius max-margin solution ≥ 0.9",
            batch_one.frequent_hard_classes_hide_the_bias,
            norms=("frobenius",),
            contrast=True,
        ),
        Claim(
            "naive-residuals-lose-the-bias",
            "In plain float64 the residual softmax - onehot cancels, and descent leaves the bias direction.",
            "b = 1: cancels at a margin of 36 to 40, and 1 - cosine to the bias ends ≥ 10 × that of exact "
            "residuals",
            batch_one.naive_residuals_lose_the_bias,
            norms=("max", "frobenius"),
        ),
        Claim(
            "batch-one-spectral-is-frobenius",
            "With single samples and no momentum Spectral-SGD and Normalized-SGD are the same method.",
            "b = 1: weights differ by ≤ 1e-13 relatively at every record; with momentum by ≥ 1e-3",
            batch_one.batch_one_spectral_is_frobenius,
            norms=("spectral",),
        ),
        Claim(
            "worst-case-condition-is-vacuous",
            "The theory's condition for convergence without momentum never holds for mini-batches.",
            "ρ ≤ 0 for every b < n without momentum and variance reduction",
            margins.worst_case_is_vacuous,
            steps=0,
        ),
    )
}
"""The claims by their stable names."""
