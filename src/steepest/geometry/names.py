"""Norms by name: what a user writes in a call, a file or a command line."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from steepest.errors import InvalidArgument
from steepest.geometry.norms import Entrywise, Norm, Schatten, exponent

_NAMES = {
    "max": Entrywise(math.inf),
    "sum": Entrywise(1),
    "frobenius": Entrywise(2),
    "nuclear": Schatten(1),
    "spectral": Schatten(math.inf),
}
_FAMILIES = {"entrywise": Entrywise, "schatten": Schatten}
ACCEPTED = "max, sum, frobenius, nuclear, spectral, entrywise-P or schatten-P with P in [1, inf]"


def norm(name: str | Norm) -> Norm:
    """Return the norm of a name; a norm is returned as it is."""
    if not isinstance(name, str):
        if isinstance(name, Norm) and not isinstance(name, type):
            return name
        raise InvalidArgument("norm", name, f"give one of {ACCEPTED}")
    text = name.strip().casefold()
    if text in _NAMES:
        return _NAMES[text]
    family, dash, power = text.partition("-")
    if dash and family in _FAMILIES and re.fullmatch(r"\d+(\.\d+)?|\d+/0*[1-9]\d*|inf", power, re.ASCII):
        number = Fraction(power) if "/" in power else float(power)
        return _FAMILIES[family](exponent("norm", number))
    raise InvalidArgument("norm", name, f"give one of {ACCEPTED}")
