"""What each key of an experiment accepts: small validators whose errors say what to give instead."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from steepest import geometry
from steepest.errors import InvalidArgument
from steepest.experiments.claims.check import CLAIMS
from steepest.experiments.figures.draw import FIGURES
from steepest.losses import LOSSES
from steepest.registry import Registry
from steepest.signals import MOMENTUM_KINDS, SIGNALS

__all__ = [
    "batch_size",
    "claim_name",
    "count",
    "exponent",
    "figure_name",
    "gap",
    "grid",
    "identifier",
    "loss_name",
    "momentum",
    "momentum_kind_name",
    "norm_name",
    "positive",
    "seed",
    "signal_name",
    "step_size",
    "switch",
]

_LARGEST_COUNT = 10**15
_LARGEST_SEED = 2**63 - 1  # what a label of a NetCDF file can hold


def grid(entry: Callable[[Any], Any], *, may_be_empty: bool = False) -> Callable[[Any], tuple[Any, ...]]:
    """Return a validator that takes one value or a list and gives a tuple without repeats."""

    def validate(given: Any) -> tuple[Any, ...]:
        entries = given if isinstance(given, (list, tuple)) else [given]
        if not entries and not may_be_empty:
            raise ValueError("an empty list has no runs; give at least one value")
        return tuple(dict.fromkeys(_accepted(entry, value, among=entries) for value in entries))

    return validate


def _accepted(entry: Callable[[Any], Any], value: Any, among: Sequence[Any]) -> Any:
    try:
        return entry(value)
    except InvalidArgument as error:
        # Beside a whole list the remedy alone does not say which entry it is about.
        told = f"{error.value!r}: {error.remedy}" if len(among) > 1 else error.remedy
        raise InvalidArgument(error.argument, error.value, told) from error


def norm_name(given: Any) -> str:
    """Accept a norm by name and give its canonical name."""
    return geometry.norm_name(geometry.norm(given))


def batch_size(given: Any) -> int | str:
    """Accept a number of samples, or "full" for all of them."""
    if given == "full" or (_is_integer(given) and given >= 1):
        return given
    raise ValueError(f"{given!r} is no batch size; give an integer of at least 1, or 'full' for every sample")


def momentum(given: Any) -> float:
    """Accept a momentum 0 ≤ β < 1."""
    if not _is_number(given) or not 0 <= given < 1:
        raise ValueError(f"{given!r} is no momentum; give a number from 0 up to, but not including, 1")
    return float(given)


def switch(given: Any) -> bool:
    """Accept true or false."""
    if not isinstance(given, bool):
        raise ValueError(f"{given!r} is neither true nor false")
    return given


def loss_name(given: Any) -> str:
    """Accept the name of a loss."""
    return _name_of(LOSSES, given)


def seed(given: Any) -> int:
    """Accept a seed for the data and the shuffling."""
    if not _is_integer(given) or not 0 <= given <= _LARGEST_SEED:
        raise ValueError(f"{given!r} is no seed; give an integer of at least 0 and below 2^63")
    return given


def signal_name(given: Any) -> str:
    """Accept the name of a signal."""
    return _name_of(SIGNALS, given)


def momentum_kind_name(given: Any) -> str:
    """Accept the name of a kind of momentum."""
    return _name_of(MOMENTUM_KINDS, given)


def figure_name(given: Any) -> str | None:
    """Accept the name of a figure that can be drawn, or None."""
    return None if given is None else _name_of(FIGURES, given)


def claim_name(given: Any) -> str:
    """Accept the name of a claim that can be checked."""
    if not isinstance(given, str) or given not in CLAIMS:
        raise ValueError(f"{given!r} is no claim; known: {', '.join(CLAIMS)}")
    return given


def count(at_least: int, at_most: int = _LARGEST_COUNT) -> Callable[[Any], int]:
    """Return a validator for an integer with a smallest and a largest value."""

    def validate(given: Any) -> int:
        if not _is_integer(given) or given < at_least:
            raise ValueError(f"give an integer of at least {at_least}")
        if given > at_most:
            raise ValueError(f"give an integer of at most {at_most:,}")
        return given

    return validate


def positive(given: Any) -> float:
    """Accept a finite number greater than 0."""
    if not _is_number(given) or given <= 0:
        raise ValueError("give a finite number greater than 0")
    return float(given)


def step_size(given: Any) -> float | dict[str, float] | None:
    """Accept one positive number, or a table from norms to positive numbers."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        if not given:
            raise ValueError("give a number for each norm, such as { frobenius = 1.0 }")
        return {norm_name(name): positive(value) for name, value in given.items()}
    if not _is_number(given) or given <= 0:
        raise ValueError("give a finite number greater than 0, or a table with one for each norm")
    return float(given)


def exponent(given: Any) -> float:
    """Accept the decay exponent of the step sizes, 0 < a ≤ 1 (Assumption 3.3)."""
    if not _is_number(given) or not 0 < given <= 1:
        raise ValueError("give a number greater than 0 and at most 1 (0.3 to 0.5 serve well)")
    return float(given)


def gap(given: Any) -> float:
    """Accept a relative duality gap."""
    if not _is_number(given) or not 0 < given < 1:
        raise ValueError("give a number between 0 and 1, such as 1e-8")
    return float(given)


def identifier(given: Any) -> str:
    """Accept a name that can be part of a file's name."""
    if not isinstance(given, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", given):
        raise ValueError("give a name of letters, digits, '.', '_' and '-' (it becomes part of file names)")
    return given


def _name_of(registry: Registry[Any], given: Any) -> str:
    if not isinstance(given, str) or given not in registry:
        kind = registry.kind.replace("_", " ")
        raise ValueError(f"{given!r} is no {kind}; give one of {', '.join(registry)}")
    return given


def _is_integer(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)


def _is_number(given: Any) -> bool:
    if not isinstance(given, Real) or isinstance(given, bool):
        return False
    try:
        return math.isfinite(given)
    except OverflowError:  # an integer of more digits than a float has
        return False
