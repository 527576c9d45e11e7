"""Markdown tables and the description of the machine that every benchmark prints."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table whose columns line up."""
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    for line in [columns, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def machine(*packages: str) -> str:
    """Return one line that says on what the figures were measured."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{cores} cores ({platform.machine()}), Python {platform.python_version()}, {versions}"
