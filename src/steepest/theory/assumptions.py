"""The theory's assumptions (Section 3: Assumptions 3.1 to 3.4) as checks, a line each with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.arguments import switch
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm, norm_label
from steepest.losses import Loss
from steepest.losses import loss as loss_named
from steepest.problem import Classification, as_problem
from steepest.schedules import PolynomialDecay, Schedule
from steepest.theory.constants import batches_per_epoch, effective_samples, feature_radius
from steepest.theory.drift import drift_bound
from steepest.theory.effective_margin import Setting, effective_margin_of, margin_value
from steepest.theory.inputs import as_momentum, as_schedule
from steepest.theory.lemma_constants import lemma_constants

_PROBE = 100_000


@dataclass(frozen=True)
class Check:
    """One assumption: whether it holds, and why, in a sentence with numbers."""

    assumption: str
    """Number of the assumption in the paper, or the theorem whose condition this is."""
    title: str
    """What is assumed, in a few words."""
    holds: bool | None
    """None where it cannot be decided from what was given."""
    reason: str
    """Why, in a sentence with numbers."""
    values: dict[str, float]
    """The numbers of the reason."""

    def __str__(self) -> str:
        verdict = {True: "holds", False: "FAILS", None: "unknown"}[self.holds]
        return f"{self.title} ({self.assumption}) {verdict}: {self.reason}"


@dataclass(frozen=True)
class AssumptionChecks:
    """What :func:`check_assumptions` found; prints as one line each."""

    checks: tuple[Check, ...]
    """One for each assumption."""

    @property
    def hold(self) -> bool:
        """Whether every assumption is known to hold."""
        return all(check.holds is True for check in self.checks)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __str__(self) -> str:
        return "\n".join(map(str, self.checks))


def check_assumptions(
    problem: Classification,
    norm_: Norm | str,
    schedule: Schedule,
    margin: Any = None,
    *,
    batch_size: int | None = None,
    momentum: float = 0.0,
    variance_reduction: bool = False,
    loss: Loss | str = "cross-entropy",
) -> AssumptionChecks:
    """Check each assumption of the theorems on a problem and a method, with the numbers behind the verdict.

    Args:
        problem: the data.
        norm_: the norm of the descent.
        schedule: the step sizes.
        margin: γ as a number, or a max-margin solution in that norm; without it separability and the
            effective margin stay undecided.
        batch_size: b, or None for the full batch.
        momentum: β.
        variance_reduction: whether the signal is variance reduced.
        loss: a loss or its name, such as "cross-entropy".

    Raises:
        InvalidArgument: a batch size, norm, loss or margin that cannot be used.
        MissingCapability: the loss offers no lemma constants.

    >>> from steepest import PolynomialDecay
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> print(check_assumptions(problem, "max", PolynomialDecay(0.1, 0.5), margin=2.0, momentum=0.5))
    Separable (3.1) holds: γ = 2 > 0 in the max norm
    Bounded features (3.2) holds: R = max ‖x‖₁ = 1, and R(‖·‖) = 1 in the max norm
    Step sizes (3.3) holds: η_t = 0.1 (t+1)^-0.5 decreases and its sum is infinite
    Drift (3.4) holds: c₂(t) tends to 4, and its closed form bounds it from t₀ = 0 on
    Effective margin (4.3) holds: ρ = 2 > 0, with m = 1 and κ = 0
    """
    problem, schedule = as_problem(problem), as_schedule(schedule)
    lemma_constants(loss)
    numbers = Setting(
        samples=effective_samples(problem),
        n_classes=problem.n_classes,
        batches=batches_per_epoch(problem.samples, batch_size),
        momentum=as_momentum(momentum),
        variance_reduction=switch("variance_reduction", variance_reduction),
        schedule=schedule,
        loss=loss_named(loss),
        norm=norm(norm_),
        radius=feature_radius(problem, norm_),
        constants="sharp",
    )
    checks = [_separable(numbers, margin), _bounded(problem, numbers), _steps(schedule)]
    if numbers.momentum > 0:
        checks.append(_drift(numbers))
    checks.append(_effective_margin(numbers, margin))
    return AssumptionChecks(tuple(checks))


def _separable(numbers: Setting, margin: Any) -> Check:
    title = "Separable"
    if margin is None:
        return Check("3.1", title, None, "pass margin=max_margin(problem, norm) to decide it", {})
    value, upper = margin_value(margin, numbers.norm), getattr(margin, "upper_bound", None)
    values = {"margin": value} | ({} if upper is None else {"upper_bound": float(upper)})
    if value > 0:
        certified = "" if upper is None else f", certified to be at most {float(upper):.6g}"
        return Check(
            "3.1",
            title,
            True,
            f"γ = {value:.6g} > 0 in the {norm_label(numbers.norm)} norm{certified}",
            values,
        )
    if getattr(margin, "separable", False) is None:
        return Check("3.1", title, None, f"the solver reached γ ≥ {value:.6g} without a decision", values)
    return Check("3.1", title, False, f"γ = {value:.6g}: no weights classify every sample correctly", values)


def _bounded(problem: Classification, numbers: Setting) -> Check:
    paper, name = problem.feature_bound, norm_label(numbers.norm)
    reason = f"R = max ‖x‖₁ = {paper:.6g}, and R(‖·‖) = {numbers.radius:.6g} in the {name} norm"
    return Check(
        "3.2", "Bounded features", True, reason, {"feature_bound": paper, "feature_radius": numbers.radius}
    )


def _steps(schedule: Schedule) -> Check:
    title = "Step sizes"
    if isinstance(schedule, PolynomialDecay):
        formula = f"η_t = {schedule.initial:g} (t+1)^-{schedule.exponent:g}"
        values = {"initial": schedule.initial, "exponent": schedule.exponent}
        if not schedule.decreasing:
            return Check("3.3", title, False, f"{formula} does not decrease to 0", values)
        if schedule.summable:
            return Check("3.3", title, False, f"{formula} has a finite sum: W_t stays bounded", values)
        return Check("3.3", title, True, f"{formula} decreases and its sum is infinite", values)
    sizes = np.broadcast_to(np.asarray(schedule(np.arange(_PROBE)), dtype=float), (_PROBE,))
    rises = np.flatnonzero(np.diff(sizes) > 0)
    if len(rises):
        step = int(rises[0])
        return Check("3.3", title, False, f"the step size rises after step {step}", {"step": float(step)})
    reason = f"it never rises over {_PROBE} steps, to {sizes[-1]:.3g}; limit and sum cannot be decided"
    return Check("3.3", title, None, reason, {"probed": float(_PROBE)})


def _drift(numbers: Setting) -> Check:
    title, beta = "Drift", numbers.momentum
    if not isinstance(numbers.schedule, PolynomialDecay):
        return Check("3.4", title, None, "c₂ has a closed form for PolynomialDecay alone", {})
    try:
        bound = drift_bound(numbers.schedule, beta, numbers.radius)
    except InvalidArgument:
        reason = "the steps never get small enough for momentum to forget in time: c₂(t) grows without bound"
        return Check("3.4", title, False, reason, {})
    limit = _drift_limit(numbers.schedule, beta, numbers.radius)
    reason = f"c₂(t) tends to {limit:.4g}, and its closed form bounds it from t₀ = {bound.start:.6g} on"
    return Check("3.4", title, True, reason, {"c2_limit": limit, "t0": bound.start})


def _drift_limit(schedule: PolynomialDecay, beta: float, radius: float) -> float:
    """Return lim c₂(t) = lim (1/η) Σ_τ β^τ (e^{2Rητ} - 1): in the end the step sizes in memory are alike."""
    if schedule.decreasing:
        return 2.0 * radius * beta / (1.0 - beta) ** 2
    grown = math.expm1(2.0 * radius * schedule.initial)
    return beta * grown / ((1.0 - beta) * (1.0 - beta - beta * grown) * schedule.initial)


def _effective_margin(numbers: Setting, margin: Any) -> Check:
    theorem = "4.6" if numbers.variance_reduction else ("4.3" if numbers.momentum > 0 else "4.1")
    title = "Effective margin"
    if margin is None:
        return Check(theorem, title, None, "pass margin=max_margin(problem, norm) to decide it", {})
    rho = effective_margin_of(numbers, margin_value(margin, numbers.norm))
    share = 0.0 if numbers.variance_reduction else rho.noise_share
    values = {"rho": rho.value, "noise": rho.noise, "batches": float(rho.batches), "kappa": share}
    sign = "≤ 0, the theorem is vacuous here" if rho.vacuous else "> 0"
    with_noise = (
        "variance reduction leaves no noise"
        if numbers.variance_reduction
        else f"with m = {rho.batches} and κ = {share:.4g}"
    )
    return Check(theorem, title, not rho.vacuous, f"ρ = {rho.value:.6g} {sign}, {with_noise}", values)
