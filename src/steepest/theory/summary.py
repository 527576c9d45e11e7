"""Everything that the theory says of a method on a problem, as one table of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from steepest.errors import InvalidArgument
from steepest.geometry import norm_label
from steepest.problem import Classification
from steepest.schedules import PolynomialDecay
from steepest.theory.assumptions import AssumptionChecks, check_assumptions
from steepest.theory.constants import papers_required_momentum, required_momentum_for
from steepest.theory.effective_margin import Constants, MethodLike, effective_margin_of, margin_value, setting
from steepest.theory.rates import predicted_exponent
from steepest.theory.thresholds import thresholds_of


@dataclass(frozen=True)
class Quantity:
    """One number of the theory, with sharp constants and with the paper's."""

    key: str
    """Name in code and in JSON."""
    name: str
    """What it is, in words."""
    symbol: str
    """Its symbol in the paper."""
    sharp: float | None
    """With the smallest constants proven here; infinite where never, None where it does not apply."""
    paper: float | None
    """With the paper's constants; None where that is no other value, or there is none."""


@dataclass(frozen=True)
class TheorySummary:
    """What :func:`summarize` returns: the assumptions, and the numbers of the theorems."""

    problem: str
    """The data's name."""
    norm: str
    """The norm's name."""
    checks: AssumptionChecks
    """Which assumptions hold."""
    quantities: tuple[Quantity, ...]
    """The numbers of the theorems."""

    def __getitem__(self, key: str) -> Quantity:
        """Return the quantity of that key; KeyError if there is none."""
        return {quantity.key: quantity for quantity in self.quantities}[key]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types for JSON; infinite numbers as the text "infinite"."""
        return {
            "problem": self.problem,
            "norm": self.norm,
            "assumptions": [
                {
                    "assumption": check.assumption,
                    "title": check.title,
                    "holds": check.holds,
                    "reason": check.reason,
                    "values": {name: _plain(value) for name, value in check.values.items()},
                }
                for check in self.checks
            ],
            "quantities": {
                each.key: {
                    "name": each.name,
                    "symbol": each.symbol,
                    "sharp": _plain(each.sharp),
                    "paper": _plain(each.paper),
                }
                for each in self.quantities
            },
        }


def summarize(problem: Classification, method: MethodLike, margin: Any) -> TheorySummary:
    """Return assumptions, constants, effective margin, thresholds and the predicted rate of a method.

    Args:
        problem: the data.
        method: a :class:`steepest.Method`, or anything with its attributes.
        margin: γ as a number, or a max-margin solution in the method's norm.

    Raises:
        InvalidArgument: a value that the theory cannot use.

    >>> import steepest as st
    >>> problem = st.Classification([[1.0], [-1.0]], [0, 1])
    >>> summary = summarize(problem, st.Method("max", batch_size=1, momentum=0.9), margin=2.0)
    >>> [round(summary[key].sharp, 4) for key in ("effective_margin", "noise_share", "rate_exponent")]
    [1.4105, 0.1474, 0.5]
    """
    sharp, paper = (setting(problem, method, each) for each in _CONSTANTS)
    gamma = margin_value(margin, sharp.norm)
    checks = check_assumptions(
        problem,
        sharp.norm,
        method.schedule,
        margin,
        batch_size=method.batch_size,
        momentum=sharp.momentum,
        variance_reduction=sharp.variance_reduction,
        loss=sharp.loss,
    )
    margins = [effective_margin_of(each, gamma) for each in (sharp, paper)]
    quantities = [
        Quantity("max_margin", "max margin", "γ", gamma, None),
        Quantity("feature_radius", "feature radius", "R", sharp.radius, paper.radius),
        Quantity("batches", "batches an epoch", "m", float(sharp.batches), None),
    ]
    if not sharp.variance_reduction:
        shares = (each.noise_share for each in margins)
        needed = _required(gamma, sharp.radius, paper.radius, sharp.batches)
        quantities += [
            Quantity("noise_share", "share of the noise that momentum lets through", "κ", *shares),
            Quantity("required_momentum", "smallest momentum with ρ > 0", "β_min", *needed),
        ]
    quantities.append(
        Quantity("effective_margin", "effective margin", "ρ", *(each.value for each in margins))
    )
    if isinstance(sharp.schedule, PolynomialDecay):
        found = [thresholds_of(each, rho) for each, rho in zip((sharp, paper), margins, strict=True)]
        if sharp.momentum > 0:
            quantities.append(
                Quantity(
                    "drift_start", "closed form of the drift holds from step", "t₀", *(t.drift for t in found)
                )
            )
        quantities += [
            Quantity(
                "descent_start", "every step lowers the loss from step", "t_A", *(t.descent for t in found)
            ),
            Quantity(
                "separation_start",
                "every sample is classified correctly from step",
                "t₁",
                *(t.separation for t in found),
            ),
        ]
        if 0 < sharp.schedule.exponent <= 1:
            exponent = predicted_exponent(sharp.schedule.exponent)
            quantities.append(
                Quantity("rate_exponent", "the gap to ρ falls like t^-e, e", "e", exponent, None)
            )
    return TheorySummary(problem.name, norm_label(sharp.norm), checks, tuple(quantities))


_CONSTANTS: tuple[Constants, Constants] = ("sharp", "paper")


def _required(margin: float, sharp: float, paper: float, batches: int) -> tuple[float | None, float | None]:
    if margin <= 0:
        return None, None
    try:
        smallest = required_momentum_for(margin, sharp, batches)
    except InvalidArgument:
        smallest = None
    return smallest, papers_required_momentum(margin, paper, batches)


def _plain(value: float | None) -> float | str | None:
    return "infinite" if value is not None and math.isinf(value) else value
