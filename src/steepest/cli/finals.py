"""The table of what the runs of an experiment came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steepest.experiments.final_errors import FinalError

__all__ = ["final_table"]

_MOST_ROWS = 40


def final_table(errors: Sequence[FinalError]) -> list[str]:
    """Return the lines of a table, a row for each kind of run; what all have alike stands in its heading."""
    if not errors:
        return []
    varying = [name for name in errors[0].run if len({str(each.run[name]) for each in errors}) > 1]
    several = max(each.seeds for each in errors) > 1
    cells = [[*(name.replace("_", " ") for name in varying), "error", *(["range"] if several else [])]]
    for each in errors[:_MOST_ROWS]:
        ranged = [f"{each.least:.3g} to {each.largest:.3g}"] if several else []
        cells.append([*(str(each.run[name]) for name in varying), f"{each.median:.3g}", *ranged])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    alike = [
        f"{name.replace('_', ' ')} {errors[0].run[name]}" for name in errors[0].run if name not in varying
    ]
    over = f", median and range of {max(each.seeds for each in errors)} seeds" if several else ""
    more = [f"  … {len(errors) - _MOST_ROWS} more rows"] if len(errors) > _MOST_ROWS else []
    return [
        f"relative margin error at the last step{over}",
        *([f"  all with {', '.join(alike)}"] if alike else []),
        *(f"  {row}".rstrip() for row in rows),
        *more,
    ]
