"""What the theory promises of stored runs: the margin bound, the predicted slope, or why neither is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest import theory
from steepest.experiments.claims.selection import Runs
from steepest.experiments.dimensions import PLAIN_SIGNAL, REDUCED_SIGNAL

__all__ = ["Promise", "promise_of", "promised_by_alignments"]

_SLOPE_POINTS = 12


@dataclass(frozen=True)
class Promise:
    """The theory of one method on one data set, norm and loss; over seeds always the weakest."""

    share: float
    """ρ / γ, the least over seeds; where it is not positive the theorems promise nothing; NaN without a ρ."""
    error: np.ndarray
    """What the relative margin error cannot be above, at the runs' steps; NaN where nothing is proven."""
    floor: np.ndarray
    """The same as a lower bound of the normalised margin."""
    slope: tuple[np.ndarray, np.ndarray] | None
    """Steps of the last two decades and the predicted rate there, as a multiple of that at the end."""
    says: str
    """The same in words."""

    @property
    def vacuous(self) -> bool:
        """Whether ρ ≤ 0 on a data set, so that nothing is promised of all."""
        return self.share <= 0

    @property
    def proven(self) -> bool:
        """Whether the bound says something at some step."""
        return bool(np.isfinite(self.error).any())


def promise_of(runs: Runs, batch_size: int, momentum: float, signal: str = PLAIN_SIGNAL) -> Promise:
    """Return what the theory promises of the runs with these settings.

    The bound is :func:`steepest.theory.margin_bound` with the losses of each run, the slope
    :func:`steepest.theory.predicted_rate`.

    Raises:
        Missing: they were not run.
    """
    settings = batch_size, momentum, signal
    there = np.isfinite(runs.curve("relative_margin_error", *settings)).any(axis=1)
    margins = runs.dataset["max_margin"].values[there]
    effective = runs.chosen(*settings)["effective_margin"].values[there]
    shares = effective / margins
    share = float(shares.min())
    # Without a positive ρ the theorems predict no rate either.
    slope = _slope(runs, *settings) if share > 0 else None
    if "margin_floor" not in runs.dataset:
        nothing = np.full(len(runs.steps), np.nan)
        says = "These results were stored without the theory's bound; run them again."
        return Promise(share, nothing, nothing, slope, says)
    floors = runs.curve("margin_floor", *settings)[there]
    error = np.max(1 - floors / margins[:, None], axis=0)
    # An error of 1 is what any weights reach that classify every sample correctly.
    known = error < 1
    says = _proven(runs.steps, error, known) if known.any() else _why_nothing(runs, shares, *settings)
    weakest = floors.min(axis=0)
    return Promise(share, np.where(known, error, np.nan), np.where(known, weakest, np.nan), slope, says)


def promised_by_alignments(
    runs: Runs, batch_size: int, momentum: float, signal: str = PLAIN_SIGNAL
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (largest error, smallest normalised margin) that the runs' own alignments leave, weakest seed.

    See :func:`steepest.theory.realised_bound`. NaN where nothing is proven; None where nothing is proven at
    any step, or the results were stored without.
    """
    if "realised_floor" not in runs.dataset:
        return None
    there = np.isfinite(runs.curve("relative_margin_error", batch_size, momentum, signal)).any(axis=1)
    floors = runs.curve("realised_floor", batch_size, momentum, signal)[there]
    margins = runs.dataset["max_margin"].values[there]
    error = np.max(1 - floors / margins[:, None], axis=0)
    known = error < 1
    if not known.any():
        return None
    return np.where(known, error, np.nan), np.where(known, floors.min(axis=0), np.nan)


def _proven(steps: np.ndarray, error: np.ndarray, known: np.ndarray) -> str:
    """Say from where on the bound holds at every recorded step, and where else it does."""
    gaps, places = np.flatnonzero(~known), np.flatnonzero(known)
    lasting = int(gaps[-1]) + 1 if len(gaps) else 0
    if lasting == len(steps):
        # A step that may raise the loss ends a proof; with snapshots each epoch may have some.
        last = places[-1]
        return (
            f"Proven at {len(places)} of {len(steps)} recorded steps, from {steps[places[0]]:,} to "
            f"{steps[last]:,}, and not at the last: at step {steps[last]:,} the error is at most "
            f"{error[last]:.3g}."
        )
    before = int(np.sum(places < lasting))
    earlier = f", and at {before} before from step {steps[places[0]]:,} on" if before else ""
    return (
        f"Proven at every recorded step from {steps[lasting]:,} on{earlier}: at step {steps[-1]:,} the error "
        f"is at most {error[-1]:.3g}."
    )


def _why_nothing(runs: Runs, shares: np.ndarray, batch_size: int, momentum: float, signal: str) -> str:
    share = float(shares.min())
    if np.isnan(share) and signal not in (PLAIN_SIGNAL, REDUCED_SIGNAL):
        return f"Nothing: the theory covers the signals {PLAIN_SIGNAL} and {REDUCED_SIGNAL} alone."
    if np.isnan(share):
        kind = ", or does not cover this kind of momentum" if momentum else ""
        return f"Nothing: the theory has no lemma constants of this loss{kind}."
    batches, last = theory.batches_per_epoch(runs.samples, batch_size), runs.last_step
    size = f"{share:,.0f}" if abs(share) >= 100 else f"{share:.3g}"
    least = "ρ =" if len(shares) == 1 else "the least ρ ="
    if share <= 0:
        bad = int(np.sum(shares <= 0))
        some = "" if bad == len(shares) else f" on {bad} of {len(shares)} data sets"
        return (
            f"Vacuous{some}: with {batches:,} batches an epoch the noise of sampling may in the worst case "
            f"outweigh the margin ({least} {size} γ ≤ 0), so the theorem promises nothing, whatever practice "
            "shows."
        )
    # Step sizes of experiments decrease to 0 and have an infinite sum (0 < a ≤ 1), and so ρ > 0 is enough.
    return (
        f"Nothing by step {last:,}: {least} {size} γ is positive, but the steps are not yet small enough, or "
        "not yet many enough, for the proof to reach a positive margin. It would with more steps."
    )


def _slope(runs: Runs, batch_size: int, momentum: float, signal: str) -> tuple[np.ndarray, np.ndarray] | None:
    last = runs.last_step
    steps = np.unique(np.rint(np.geomspace(max(2, last // 100), max(2, last), _SLOPE_POINTS)))
    if len(steps) < 2:
        return None
    batches = theory.batches_per_epoch(runs.samples, batch_size)
    rate = theory.predicted_rate(
        runs.step_size_exponent, runs.samples, steps, momentum, batches, signal == REDUCED_SIGNAL
    )
    return steps, rate / rate[-1]
