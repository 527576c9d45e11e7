"""Norms by name: what a user writes in a call, a file or a command line."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

from steepest.errors import InvalidArgument
from steepest.geometry.blocks import BlockNorm
from steepest.geometry.entrywise import Entrywise
from steepest.geometry.facts import same_norm
from steepest.geometry.protocol import Norm, own_text, required_norm
from steepest.geometry.rows import ColumnNorm, RowNorm
from steepest.geometry.schatten import Schatten
from steepest.geometry.shape_scaled import MEAN_SQUARE, ScaledNorm
from steepest.registry import Registry

__all__ = ["FAMILIES", "NORMS", "norm", "norm_label", "norm_name", "register_norm", "register_norm_family"]

NORMS: Registry[Norm] = Registry("norm")
"""Norms that have a name of their own."""

FAMILIES: Registry[Callable[[str], Norm]] = Registry("norm")
"""Families of norms: what makes a norm of the text after the family's name and a hyphen."""

_EXAMPLES = {
    "entrywise": "entrywise-P or schatten-P with 1 <= P <= inf (4, 1.5 or 4/3)",
    "row": "row-P/Q or column-P/Q (row-2/inf, row-(4/3)/2)",
    "row-blocks": "row-blocks-M/Q:NORM or column-blocks-M/Q:NORM (row-blocks-4/inf:spectral)",
}
_DECIMAL = r"\d{1,4000}(?:\.\d+)?(?:e[+-]?\d{1,3})?"
_FRACTION = r"\d{1,4000}/0*[1-9]\d{0,4000}"
_WHOLE_OR_DECIMAL = rf"{_DECIMAL}|inf|infinity"
_NUMBER = rf"{_FRACTION}|{_WHOLE_OR_DECIMAL}"
_PART = rf"(?:\((?:{_NUMBER})\)|(?:{_WHOLE_OR_DECIMAL}))"
_POWER = rf"-?(?:{_FRACTION}|{_DECIMAL})"

_MEANINGS = {
    "inf": "the largest modulus of an entry (max), the largest singular value (spectral), an induced norm",
    "1": "the sum of the moduli (sum), the sum of the singular values (nuclear), an induced norm",
    "2": "the root of the sum of squares (frobenius), the largest singular value (spectral)",
}
_LARGEST_SHOWN = 10**6
"""Exponents above it are no exponents, and their digits no help."""
_SHORT_FORMS = {
    "fro": "frobenius",
    "f": "frobenius",
    "euclidean": "frobenius",
    "hilbert-schmidt": "frobenius",
    "nuc": "nuclear",
    "trace": "nuclear",
    "op": "spectral",
    "operator": "spectral",
    "rms-rms": "mean-square-spectral",
    "rms-to-rms": "mean-square-spectral",
    "col": "column-2/inf",
    "row-l2": "row-2/inf",
}


def norm(name: str | Norm) -> Norm:
    """Return the norm that a name stands for; a norm is returned as it is.

    Args:
        name: "max", "sum", "frobenius", "nuclear", "spectral", "entrywise-P" or "schatten-P" with P in [1,
            inf] written as 4, 1.5 or 4/3; "row-P/Q" or "column-P/Q" with the exponents within a row and
            across rows, fractions in parentheses; "largest-row-length" for row-2/inf, "largest-column-length"
            for column-2/inf; "mean-square-spectral", "mean-square-row", "mean-square-column" for operator
            norms between root mean squares; "row-blocks-M/Q:NORM" for M blocks of rows; or a name that a
            plug-in registered. Upper case counts as lower case. ``str`` of a norm gives its name back.

    Raises:
        InvalidArgument: another name; a bare "inf", "l2" or 2 among them, since several norms of a matrix go
            by it. An object that lacks a value, a dual or a direction.

    >>> norm("schatten-4/3")
    Schatten(p=Fraction(4, 3))
    >>> str(norm("entrywise-2")), str(norm("largest-row-length")), norm("row-(4/3)/inf").inner
    ('frobenius', 'row-2/inf', Fraction(4, 3))
    >>> norm("spectrl")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: norm='spectrl': did you mean "spectral"? give one of max, sum, ...
    """
    if isinstance(name, str):
        return _named(name)
    is_number = isinstance(name, numbers.Real) and not isinstance(name, bool)
    if not is_number and any(hasattr(name, part) for part in ("__call__", "dual", "direction")):
        return required_norm("norm", name)
    raise InvalidArgument("norm", name, f"{_reason(str(name)) if is_number else ''}give one of {_accepted()}")


def norm_name(norm_: Norm) -> str:
    """Return the name under which results of a norm are kept.

    It is the text of the norm where :func:`norm` reads that as the same norm; else the name by which the norm
    was registered; else its text all the same, unless that is the name of another norm.

    Args:
        norm_: a norm, of steepest or of one's own.

    Raises:
        InvalidArgument: the norm has neither, so that two norms could not be told apart.

    >>> norm_name(Entrywise(2))
    'frobenius'
    """
    name = _name_or_none(norm_)
    if name is None:
        raise InvalidArgument(
            "norm", norm_, "give its class a __str__ that names it alone, or register it by a name"
        )
    return name


def norm_label(norm_: Norm) -> str:
    """Return how messages and tables call a norm: its name, or that of its class where it has none.

    Args:
        norm_: a norm, of steepest or of one's own.

    >>> norm_label(Entrywise(2)), norm_label(Schatten(1.5))
    ('frobenius', 'schatten-1.5')
    """
    return _name_or_none(norm_) or type(norm_).__name__


def _name_or_none(norm_: Norm) -> str | None:
    text = own_text(norm_)
    read = None if text is None else _read(text)
    if read is not None and same_norm(read, norm_):
        return text
    registered = next((name for name in NORMS if NORMS[name] is norm_), None)
    # By a text that reads as another norm it would be taken for that.
    return registered or (text if read is None else None)


def _read(text: str) -> Norm | None:
    try:
        return _named(text)
    except InvalidArgument:
        return None


def register_norm(name: str, norm_: Norm) -> Norm:
    """Give a norm a name that every call, file and command line understands, and return the norm.

    Results are kept under its text form if that can be read back, and else under this name.

    Args:
        name: a single lower-case word.
        norm_: what it stands for.

    Raises:
        InvalidArgument: the name is taken or is no single lower-case word; the object is no norm.

    From then on ``norm("half-way")`` is that norm, and ``--norm half-way`` too::

        register_norm("half-way", Schatten(1.5))
    """
    _require_lower_case(name)
    return NORMS.register(name, norm(norm_))


def register_norm_family(name: str, parse: Callable[[str], Norm]) -> Callable[[str], Norm]:
    """Let ``name-TEXT`` stand for the norm that ``parse(TEXT)`` returns, and return ``parse``.

    ``parse`` raises InvalidArgument for a text that it cannot read.

    Args:
        name: a single lower-case word, the text before the dash.
        parse: called with the text after the dash.

    Raises:
        InvalidArgument: the name is taken or is no single lower-case word.

    From then on ``norm("nearly-1.5")`` is ``Schatten(1.5)``::

        register_norm_family("nearly", lambda text: Schatten(float(text)))
    """
    _require_lower_case(name)
    return FAMILIES.register(name, parse)


def _require_lower_case(name: object) -> None:
    if not isinstance(name, str) or name != name.casefold():
        raise InvalidArgument("name", name, "write the name in lower case, since names are read so")


def _named(name: str) -> Norm:
    text = " ".join(name.split()).casefold()
    if text in NORMS:
        return NORMS[text]
    scaled = re.fullmatch(rf"(.+)\*rows\^({_POWER})\*columns\^({_POWER})", text, re.ASCII)
    if scaled:
        return ScaledNorm(_named(scaled[1]), _power(scaled[2]), _power(scaled[3]))
    # The longest name first: "row-blocks" before "row".
    for family in sorted(FAMILIES, key=len, reverse=True):
        if text.startswith(f"{family}-"):
            try:
                return FAMILIES[family](text.removeprefix(f"{family}-"))
            except InvalidArgument as error:
                raise InvalidArgument("norm", name, error.remedy) from error
    raise InvalidArgument("norm", name, f"{_reason(text)}give one of {_accepted()}")


def _accepted() -> str:
    own = [family for family in FAMILIES if family not in _KNOWN_FAMILIES]
    return ", ".join([*NORMS, *_EXAMPLES.values(), *(f"{family}-..." for family in own)])


def _of_one_exponent(make: type[Entrywise] | type[Schatten]) -> Callable[[str], Norm]:
    def parse(text: str) -> Norm:
        if not re.fullmatch(_NUMBER, text, re.ASCII):
            family = make.__name__.lower()
            raise InvalidArgument("norm", text, f"{_reason(family)}give one of {_accepted()}")
        return make(_exponent(text))

    return parse


def _of_two_exponents(family: str, make: type[RowNorm] | type[ColumnNorm]) -> Callable[[str], Norm]:
    def parse(text: str) -> Norm:
        parts = re.fullmatch(rf"({_PART})/({_PART})", text, re.ASCII)
        if not parts:
            remedy = (
                f"write the exponents within and across the {family}s as in {family}-2/inf, a fraction in "
                f"parentheses as in {family}-(4/3)/2"
            )
            raise InvalidArgument("norm", text, remedy)
        return make(_exponent(parts[1].strip("()")), _exponent(parts[2].strip("()")))

    return parse


def _of_blocks(axis: Literal["rows", "columns"]) -> Callable[[str], Norm]:
    def parse(text: str) -> Norm:
        parts = re.fullmatch(rf"(\d{{1,9}})/({_PART}):(.+)", text, re.ASCII)
        if not parts or int(parts[1]) < 1:
            remedy = f"write blocks, exponent and norm as in {axis.removesuffix('s')}-blocks-4/inf:spectral"
            raise InvalidArgument("norm", text, remedy)
        return BlockNorm(_named(parts[3]), int(parts[1]), _exponent(parts[2].strip("()")), axis)

    return parse


def _exponent(text: str) -> Fraction | float:
    # A decimal means the float that it reads as, so that the text of a norm reads back as the norm.
    number = (
        float(text)
        if "inf" in text or not ("/" in text or text.isdigit() or math.isinf(float(text)))
        else Fraction(text)
    )
    if number < 1:
        raise InvalidArgument("norm", text, f"P={text} is below 1; give one of {_accepted()}")
    return number


def _power(text: str) -> float:
    # Beyond 99 it is refused, whatever it is, and may be beyond the range of floats.
    return float(min(max(Fraction(text), Fraction(-99)), Fraction(99)))


def _reason(text: str) -> str:
    """Return why a lower-case name is refused, as the beginning of a sentence, or an empty text."""
    bare = re.fullmatch(rf"(?:l|ell)?[-_ ]?p?({_NUMBER}|∞)", text, re.ASCII)
    if bare:
        written = bare[1].replace("infinity", "inf").replace("∞", "inf")
        exact = None if "inf" in written else Fraction(written)
        if exact is not None and exact > _LARGEST_SHOWN:
            return ""
        number = math.inf if exact is None else float(exact)
        written = "inf" if exact is None else str(exact if "/" in written else number)
        written = written.removesuffix(".0")
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
    return NORMS.guess(stem)


for _name, _norm in {
    "max": Entrywise(math.inf),
    "sum": Entrywise(1),
    "frobenius": Entrywise(2),
    "nuclear": Schatten(1),
    "spectral": Schatten(math.inf),
    "largest-row-length": RowNorm(2, math.inf),
    "largest-column-length": ColumnNorm(2, math.inf),
    **MEAN_SQUARE,
}.items():
    register_norm(_name, _norm)

for _name, _parse in {
    "entrywise": _of_one_exponent(Entrywise),
    "schatten": _of_one_exponent(Schatten),
    "row": _of_two_exponents("row", RowNorm),
    "column": _of_two_exponents("column", ColumnNorm),
    "row-blocks": _of_blocks("rows"),
    "column-blocks": _of_blocks("columns"),
}.items():
    register_norm_family(_name, _parse)

_KNOWN_FAMILIES = frozenset(FAMILIES)
