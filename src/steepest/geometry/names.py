"""Norms by name: what a user writes in a call, a file or a command line."""

from __future__ import annotations

import math
import numbers
import re
from difflib import get_close_matches
from fractions import Fraction

from steepest.errors import InvalidArgument
from steepest.geometry.entrywise import Entrywise
from steepest.geometry.exponents import exponent
from steepest.geometry.protocol import Norm
from steepest.geometry.schatten import Schatten

_NAMED: dict[str, Norm] = {
    "max": Entrywise(math.inf),
    "sum": Entrywise(1),
    "frobenius": Entrywise(2),
    "nuclear": Schatten(1),
    "spectral": Schatten(math.inf),
}
_FAMILIES = {"entrywise": Entrywise, "schatten": Schatten}
_ACCEPTED = f"{', '.join(_NAMED)}, entrywise-P or schatten-P with 1 <= P <= inf (4, 1.5 or 4/3)"
_DECIMAL = r"\d{1,4000}(?:\.\d+)?(?:e[+-]?\d{1,3})?"
_FRACTION = r"\d{1,4000}/0*[1-9]\d{0,4000}"
_NUMBER = rf"{_FRACTION}|{_DECIMAL}|inf|infinity"

_MEANINGS = {
    "inf": "the largest modulus of an entry (max), the largest singular value (spectral), an induced norm",
    "1": "the sum of the moduli (sum), the sum of the singular values (nuclear), an induced norm",
    "2": "the root of the sum of squares (frobenius), the largest singular value (spectral)",
}
_SHORT_FORMS = {
    "fro": "frobenius",
    "f": "frobenius",
    "euclidean": "frobenius",
    "hilbert-schmidt": "frobenius",
    "nuc": "nuclear",
    "trace": "nuclear",
    "op": "spectral",
    "operator": "spectral",
}


def norm(name: str | Norm) -> Norm:
    """Return the norm that a name stands for; a norm is returned as it is.

    Args:
        name: "max", "sum", "frobenius", "nuclear", "spectral", "entrywise-P" or "schatten-P" with P in [1,
            inf] written as 4, 1.5 or 4/3; upper case counts as lower case. ``str`` of a norm gives its name
            back.

    Raises:
        InvalidArgument: another name; a bare "inf", "l2" or 2 among them, since several norms of a matrix go
            by it.

    >>> norm("schatten-4/3")
    Schatten(p=Fraction(4, 3))
    >>> str(norm("entrywise-2"))
    'frobenius'
    >>> norm("l1")
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: norm='l1': several norms of a matrix go by this, the sum of the
    moduli (sum), the sum of the singular values (nuclear), an induced norm; give one of max, sum, frobenius,
    nuclear, spectral, entrywise-P or schatten-P with 1 <= P <= inf (4, 1.5 or 4/3)
    """
    if isinstance(name, str):
        text = " ".join(name.split()).casefold()
        if text in _NAMED:
            return _NAMED[text]
        family, _, power = text.partition("-")
        if family in _FAMILIES and re.fullmatch(_NUMBER, power, re.ASCII):
            number = _number(power)
            if number >= 1:
                return _FAMILIES[family](exponent("norm", number))
            raise InvalidArgument("norm", name, f"P={power} is below 1; give one of {_ACCEPTED}")
        raise InvalidArgument("norm", name, f"{_reason(text)}give one of {_ACCEPTED}")
    if isinstance(name, Norm) and not isinstance(name, type):
        return name
    is_number = isinstance(name, numbers.Real) and not isinstance(name, bool)
    raise InvalidArgument("norm", name, f"{_reason(str(name)) if is_number else ''}give one of {_ACCEPTED}")


def _number(text: str) -> Fraction | float:
    # A decimal means the float that it reads as, so that the text of a norm reads back as the norm.
    if "inf" in text or not ("/" in text or text.isdigit() or math.isinf(float(text))):
        return float(text)
    return Fraction(text)


def _reason(text: str) -> str:
    """Return why a lower-case name is refused, as the beginning of a sentence, or an empty text."""
    bare = re.fullmatch(rf"(?:l|ell)?[-_ ]?p?({_NUMBER}|∞)", text, re.ASCII)
    if bare:
        number = _number(bare[1].replace("infinity", "inf").replace("∞", "inf"))
        written = "inf" if number == math.inf else str(number).removesuffix(".0")
        families = (
            f"that of the entries (entrywise-{written}), that of the singular values (schatten-{written})"
        )
        meanings = _MEANINGS.get(written, families)
        return f"several norms of a matrix go by this, {meanings}; " if number >= 1 else ""
    stem = text.removesuffix("norm").rstrip("-_ ")
    if stem in _SHORT_FORMS:
        return f'write it in full, "{_SHORT_FORMS[stem]}"; '
    family = re.match(r"(entrywise|schatten)[-_ ]?", stem)
    if family:
        example = "4" if family[1] == "schatten" else "3"
        return f'write the exponent after a hyphen, as in "{family[1]}-{example}"; '
    close = get_close_matches(stem, _NAMED, n=1)
    return f'did you mean "{close[0]}"? ' if close else ""
