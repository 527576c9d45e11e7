"""Exponents of norms, kept exactly: 4/3 is a fraction, and the dual of the dual is the norm itself."""

from __future__ import annotations

import math
import numbers
from fractions import Fraction
from typing import Any

from steepest.errors import InvalidArgument
from steepest.geometry.vectors import Exponent

__all__ = ["conjugate", "exponent", "exponent_text"]


def exponent(argument: str, p: object) -> Exponent:
    """Return p exactly, as a Fraction or ``math.inf``; a float that rounds a simple fraction becomes it.

    Raises:
        InvalidArgument: p is not a real number in [1, inf].

    >>> exponent("p", 4 / 3)
    Fraction(4, 3)
    """
    if isinstance(p, numbers.Real) and not isinstance(p, bool):
        exact = _exact(p)
        if exact >= 1:
            return exact
    raise InvalidArgument(argument, p, "give an int, float or Fraction p with 1 <= p <= inf")


def exponent_text(p: Exponent) -> str:
    """Return the shortest text of a finite p that reads back as p: a decimal or a fraction.

    >>> exponent_text(Fraction(3, 2)), exponent_text(Fraction(4, 3))
    ('1.5', '4/3')
    """
    fraction = Fraction(p)
    try:
        decimal = repr(float(fraction))
    except OverflowError:
        return str(fraction)
    exact = _exact(float(fraction)) == fraction
    return decimal if exact and len(decimal) <= len(str(fraction)) else str(fraction)


def _exact(p: Any) -> Exponent:
    if isinstance(p, numbers.Rational):
        return Fraction(int(p.numerator), int(p.denominator))
    number = float(p)
    if not math.isfinite(number):
        return number
    simple = Fraction(number).limit_denominator(10**6)
    return simple if float(simple) == number else Fraction(number)


def conjugate(p: Exponent) -> Exponent:
    """Return the q with 1/p + 1/q = 1, exactly."""
    if p == math.inf:
        return Fraction(1)
    return math.inf if p == 1 else p / (Fraction(p) - 1)
