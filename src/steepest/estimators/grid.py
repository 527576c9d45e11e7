"""Grids of ν, and the solutions along them."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from steepest.arguments import real_number, whole_number
from steepest.arrays import as_numpy, plain_array
from steepest.errors import InvalidArgument
from steepest.estimators.softest import highest_nu, largest_nu, smallest_nu
from steepest.estimators.solving import Settings, solved
from steepest.estimators.training import Training
from steepest.maxmargin import MaxMarginSolution
from steepest.problem import Classification

__all__ = ["Softest", "bounded_nu", "checked_nu", "grid", "path", "softest"]


def checked_nu(nu: Any, argument: str = "nu") -> float:
    """Return ν as a float.

    Raises:
        InvalidArgument: no number in (0, 1].
    """
    remedy = "give a share in (0, 1], such as 0.1, or None for the hard margin"
    return real_number(argument, nu, remedy, above=0, at_most=1)


def bounded_nu(nu: float, training: Training, settings: Settings) -> tuple[float, str | None]:
    """Return ν, or the highest one whose margin has a bound where that is less, with what to warn of then."""
    largest = largest_nu(training.class_shares, intercept=settings.intercept)
    highest = highest_nu(training.class_shares, intercept=settings.intercept)
    if nu <= largest:
        return min(nu, highest), None
    message = (
        f"nu={nu:.4g}: above {largest:.4g} free intercepts make the margin of these classes as large as they "
        f"like; this is the fit of nu={largest:.4g}; give a smaller nu, class_weight='balanced', or "
        "fit_intercept=False"
    )
    return highest, message


def grid(
    nus: Any, problem: Classification, training: Training, settings: Settings, highest: float | None = None
) -> np.ndarray:
    """Return values of ν, ascending: those given, or so many from the smallest with a positive margin up.

    ``highest`` bounds a grid of a number of values, as does the highest ν of these classes.

    Raises:
        InvalidArgument: neither a number of at least 2 nor at least one ν in (0, 1].
    """
    if isinstance(nus, Integral):
        number = whole_number("nus", nus, 2, "give a whole number of at least 2, or the values of nu")
        own = highest_nu(training.class_shares, intercept=settings.intercept)
        top = own if highest is None else min(own, highest)
        low = smallest_nu(problem, training, settings, 0.0)
        return np.geomspace(top if low is None else min(low, top), top, number)
    values = as_numpy(plain_array(nus, "nus"))
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "fiu":
        by_name = "; norms are given by name, norm=" if isinstance(nus, str) else ""
        raise InvalidArgument("nus", nus, f"give a whole number of at least 2, or the values of nu{by_name}")
    return np.unique([checked_nu(float(each), f"nus[{i}]") for i, each in enumerate(values)])


class Softest(NamedTuple):
    """The fit where a margin is not positive, and what is to be said of it."""

    nu: float | None
    solution: MaxMarginSolution
    message: str


def path(
    problem: Classification, training: Training, settings: Settings, nus: np.ndarray
) -> tuple[list[tuple[float | None, MaxMarginSolution]], list[str]]:
    """Return for each ν, ascending, the ν whose margin is positive and its solution; and what to warn of.

    Solved from the largest ν down. Below the smallest ν with a positive margin all are that of the smallest,
    and above the largest with a bound that of the largest.
    """
    found: list[tuple[float | None, MaxMarginSolution]] = []
    messages: list[str] = []
    for each in nus[::-1]:
        nu, message = bounded_nu(float(each), training, settings)
        if message is not None:
            messages = [message]
        if found and found[-1][0] == nu:
            found.append(found[-1])
            continue
        # Dual weights of a nearby ν are nearly those of this one.
        start = found[-1][1] if found else None
        solution = solved(problem, training.weights, settings, nu, start=start)
        if solution.margin <= 0.0:
            least = softest(problem, training, settings, nu, solution)
            found += [(least.nu, least.solution)] * (len(nus) - len(found))
            messages.append(least.message)
            break
        found.append((nu, solution))
    return found[::-1], messages


def softest(
    problem: Classification,
    training: Training,
    settings: Settings,
    nu: float | None,
    without: MaxMarginSolution,
) -> Softest:
    """Return the fit of the smallest ν of at least ``nu`` with a positive margin.

    Where there is none it is ``without``, the solution at ``nu`` whose margin is not positive.
    """
    asked = "the data is not separable" if without.separable is False else "no weights separate the data"
    if nu is not None:
        asked = f"nu={nu:.4g}: no weights have a positive margin"
    elif without.separable is None:
        asked += f", as far as could be decided ({without.status})"
    found = smallest_nu(problem, training, settings, nu or 0.0)
    solution = without if found is None else solved(problem, training.weights, settings, found)
    if found is None or solution.margin <= 0.0:
        then = "no nu was found that has one: weights are 0, and the heaviest class is predicted"
        return Softest(nu, without, f"{asked}; {then}")
    then = f"this is the fit of nu={found:.4g}, about the smallest with a positive margin; give nu to choose"
    return Softest(found, solution, f"{asked}; {then}")
