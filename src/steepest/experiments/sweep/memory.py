"""Whether what a sweep records fits in memory: better an error before it than a death in it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from steepest.errors import RunError
from steepest.experiments.spec.cells import Cell

__all__ = ["free_memory", "in_words", "machine_memory", "require_memory"]

_STATE = Path("/proc/meminfo")
_LIMIT_OF_GROUP = Path("/sys/fs/cgroup/memory.max")


def machine_memory() -> int | None:
    """Return the memory that this process may have at most, in bytes; None where it cannot be told."""
    found: list[int] = []
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):
        found.append(int(_LIMIT_OF_GROUP.read_text(encoding="ascii")))
    return min(found, default=None)


def free_memory() -> int | None:
    """Return the memory that is free now, files that are kept in it counted as free; None if unknown."""
    with suppress(OSError, StopIteration, ValueError):
        lines = _STATE.read_text(encoding="ascii").splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        most = machine_memory()
        free = int(available.split()[1]) * 1024
        return free if most is None else min(free, most)
    return machine_memory()


def require_memory(cells: Iterable[Cell]) -> None:
    """Refuse cells of which a single one records more than memory holds.

    Raises:
        RunError: there is such a cell.
    """
    most = machine_memory()
    if most is None:
        return
    for cell in cells:
        if cell.memory_bytes > most:
            raise RunError(
                f"{cell.label}: its {cell.runs:,} runs record {in_words(cell.memory_bytes)}, and there are "
                f"{in_words(most)} of memory; ask for fewer records, momenta or signals at a time"
            )


def in_words(size: int) -> str:
    """Return a number of bytes as people write it.

    >>> in_words(19_200_000), in_words(3_000_000_000_000)
    ('19 MB', '3,000 GB')
    """
    return f"{size / 1e9:,.0f} GB" if size >= 10e9 else f"{size / 1e6:,.0f} MB"
