"""The figures that there are, drawn from labelled results into files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from steepest.experiments.claims.selection import Runs
from steepest.experiments.figures import batch_one, constant_bias, margin_panels
from steepest.experiments.figures.figure import FIGURES
from steepest.files import writing

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "GROUPS", "draw_figure", "save_figure"]

_UNFIT = re.compile(r"[^\w.()+-]")
"""Characters, such as / and :, that names of norms hold and names of files may not."""

GROUPS = (margin_panels, batch_one, constant_bias)
"""The files that register the figures of steepest itself."""


def draw_figure(name: str, dataset: xr.Dataset, stem: Path, title: str, *, bound: bool) -> Iterator[Path]:
    """Draw a figure of results into files whose names begin with ``stem``, and yield their paths.

    Raises:
        InvalidArgument: no figure of that name, or the results lack what it needs.
        RunError: a file cannot be written.
    """
    for part, drawn in FIGURES[name].draw(list(Runs.of(dataset)), title, bound):
        yield from save_figure(drawn, stem.with_name(f"{stem.name}-{_UNFIT.sub('_', part)}"))


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and PDF and return their paths.

    Raises:
        RunError: they cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    paths = [stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.pdf")]
    for path in paths:
        # Without a date, the same results give the same bytes.
        metadata = {"CreationDate": None} if path.suffix == ".pdf" else {}
        with writing(path) as file:
            figure.savefig(file, format=path.suffix[1:], dpi=150, metadata=metadata)
        # What was laid out for the first serves both, and takes as long as drawing.
        figure.set_layout_engine("none")
    return paths
