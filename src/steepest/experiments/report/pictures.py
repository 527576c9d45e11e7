"""The pictures that a page begins with: they are there at once, without a script, and on paper."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING

from steepest.experiments.claims.selection import Runs
from steepest.experiments.figures.figure import FIGURES
from steepest.experiments.figures.margin_panels import margin_panels
from steepest.experiments.report.folder import StoredExperiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MOST_PICTURES", "Picture", "pictures_of"]

MOST_PICTURES = 6
"""Pictures on a page; what else there is can be chosen under its trajectories."""

_DOTS_PER_INCH = 120


@dataclass(frozen=True)
class Picture:
    """One picture, and what it shows in words."""

    title: str
    """Of which experiment it is."""
    content: bytes
    """The picture as a file in the format WebP."""
    width: int
    """In dots."""
    height: int
    """In dots."""


def pictures_of(stored: Sequence[StoredExperiment]) -> list[Picture]:
    """Return at most six pictures of experiments: the first of each experiment before any second one.

    A finished experiment that names a figure is shown by that figure, as ``steepest reproduce`` draws it; any
    other one by its errors and cosines against steps, a picture for each data set, norm and loss.

    Args:
        stored: the experiments as ``read_folder`` returns them.

    They are the files of a page's first section::

        for picture in pictures_of(read_folder("results/figure1")):
            Path(f"{picture.title}.webp").write_bytes(picture.content)
    """
    rounds = zip_longest(*(islice(_drawn(each), MOST_PICTURES) for each in stored))
    drawn = (each for each in chain.from_iterable(rounds) if each is not None)
    return [_picture(title, figure) for title, figure in islice(drawn, MOST_PICTURES)]


def _drawn(experiment: StoredExperiment) -> Iterator[tuple[str, Figure]]:
    settings = None if experiment.settings is None else experiment.settings.experiment
    every = Runs.of(experiment.dataset)
    if settings is not None and settings.figure is not None and not experiment.missing:
        figures = FIGURES[settings.figure].draw(list(every), experiment.title, settings.bound)
        return ((f"{experiment.name}, {part}", figure) for part, figure in figures)
    return (
        (f"{experiment.name}: {runs.data}, {runs.norm}, {runs.loss}", margin_panels(runs, experiment.title))
        for runs in every
    )


def _picture(title: str, figure: Figure) -> Picture:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    content = io.BytesIO()
    # Without a loss: lines and letters stay sharp, and few colours take little room.
    figure.savefig(content, format="webp", dpi=_DOTS_PER_INCH, pil_kwargs={"lossless": True})
    width, height = (round(float(inches) * _DOTS_PER_INCH) for inches in figure.get_size_inches())
    return Picture(title, content.getvalue(), width, height)
