"""Step scalings: how long the step along a direction is, by the shape of the logical matrix.

A step is lr · scale · D(S). The scale depends on rows and columns of the logical matrix alone, never on the
axes of the tensor that holds it: kernels [out, in, 3, 3] have out rows and 9 in columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from steepest.arguments import real_number
from steepest.errors import InvalidArgument

__all__ = ["SCALES", "Scale", "ScaleRule", "check_scale", "scale_name", "scale_of", "scale_text"]

Scale = str | float | Callable[[int, int], float]
"""A scaling by name, a number, or a function of rows and columns."""

ScaleRule = Callable[[int, int, float], float]

_ADAMW_RMS = 0.2


def _unit(_rows: int, _columns: int, _length: float) -> float:
    return 1.0


def _aspect(rows: int, columns: int, _length: float) -> float:
    return math.sqrt(max(1.0, rows / columns))


def _matched_rms(rows: int, columns: int, length: float) -> float:
    return _ADAMW_RMS * math.sqrt(rows * columns) / length


def _unit_rms(rows: int, columns: int, length: float) -> float:
    return math.sqrt(rows * columns) / length


def _spectral_width(rows: int, columns: int, _length: float) -> float:
    return math.sqrt(rows / columns)


SCALES: Mapping[str, ScaleRule] = MappingProxyType(
    {
        "unit": _unit,
        "aspect": _aspect,
        "matched-rms": _matched_rms,
        "unit-rms": _unit_rms,
        "spectral-width": _spectral_width,
    }
)
"""Scalings by name, for k rows and d columns.

- unit: 1, the direction as it is in the paper: of norm 1
- aspect: √max(1, k/d), of Jordan's Muon; "original" in torch.optim.Muon
- matched-rms: the root mean square of the entries of a step is 0.2 lr, as of AdamW's steps. In the spectral
  norm that is 0.2 √max(k, d), "match_rms_adamw" in torch.optim.Muon
- unit-rms: that root mean square is lr
- spectral-width: √(k/d): steps of norm lr between root mean squares of inputs and outputs, so that a
  learning rate fits layers of every width
"""

_TORCH = {"original": "aspect", "match_rms_adamw": "matched-rms"}
_NEED_LENGTH = ("matched-rms", "unit-rms")
_REMEDY = f"give one of {', '.join(SCALES)}, a number above 0, or a function of rows and columns"


def scale_name(name: object) -> object:
    """Return our name where torch.optim.Muon has another."""
    return _TORCH.get(name, name) if isinstance(name, str) else name


def check_scale(scale: object) -> None:
    """Check that there is such a scaling, ours or one of torch.optim.Muon; what a function returns is not.

    Raises:
        InvalidArgument: there is none.

    >>> check_scale("width")
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: scale='width': give one of unit, aspect, matched-rms, unit-rms,
    spectral-width, a number above 0, or a function of rows and columns
    """
    named = scale_name(scale)
    if isinstance(named, str):
        if named not in SCALES:
            raise InvalidArgument("scale", scale, _REMEDY)
    elif not callable(named):
        real_number("scale", named, _REMEDY, above=0)


def scale_of(scale: Scale, rows: int, columns: int, length: float | None) -> float:
    """Return the factor of a step for a logical matrix.

    Args:
        scale: a scaling.
        rows: rows of the logical matrix.
        columns: its columns.
        length: Frobenius length that directions of full rank have at this shape; None where it is not known.

    Raises:
        InvalidArgument: no scaling, one that returns no number, or one that needs the length.

    >>> scale_of("aspect", 8, 2, None), scale_of("matched-rms", 100, 25, 5.0)
    (2.0, 2.0)
    """
    scale = scale_name(scale)  # pyright: ignore[reportAssignmentType]
    check_scale(scale)
    if callable(scale):
        return real_number("scale", scale(rows, columns), _REMEDY, above=0)
    if not isinstance(scale, str):
        return float(scale)
    if length is None and scale in _NEED_LENGTH:
        raise InvalidArgument(
            "scale", scale, "it is not known how long directions in this norm are; give a number"
        )
    return SCALES[scale](rows, columns, length or 1.0)


def scale_text(scale: Scale) -> str:
    """Return what a table calls a scaling."""
    return getattr(scale, "__name__", type(scale).__name__) if callable(scale) else str(scale)
