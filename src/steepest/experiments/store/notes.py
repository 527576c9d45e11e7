"""Warnings about the settings of runs, as results keep them: once for all data that they are alike on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["folded", "notes_of"]

_MEASURED = re.compile(r"(?<![\w.=])(?<!= )\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")
"""A number that a warning measured; what follows an equals sign is a setting, and tells warnings apart."""
_PLACE = "\0"


def notes_of(datasets: Iterable[xr.Dataset]) -> tuple[str, ...]:
    """Return the warnings that some results keep, folded."""
    return folded(line for each in datasets for line in str(each.attrs.get("notes", "")).splitlines() if line)


def folded(lines: Iterable[str]) -> tuple[str, ...]:
    """Return each line once, and those that differ in measured numbers as one line with their ranges.

    >>> folded(["b=1 moves by 1.2 in 100 steps", "b=1 moves by 1.29 in 100 steps", "b=2 moves by 1.3"])
    ('b=1 moves by 1.2 to 1.29 in 100 steps', 'b=2 moves by 1.3')
    """
    alike: dict[str, list[list[str]]] = {}
    for line in lines:
        alike.setdefault(_MEASURED.sub(_PLACE, line), []).append(_MEASURED.findall(line))
    return tuple(
        "".join(
            part + number
            for part, number in zip(
                pattern.split(_PLACE), [*map(_range, zip(*found, strict=True)), ""], strict=True
            )
        )
        for pattern, found in alike.items()
    )


def _range(numbers: tuple[str, ...]) -> str:
    least, most = min(numbers, key=float), max(numbers, key=float)
    return least if least == most else f"{least} to {most}"
