"""What a figure is: a name, what it needs, and a function that draws it from labelled results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from steepest.experiments.claims.needs import NOTHING_MORE, Needs
from steepest.experiments.claims.selection import Runs
from steepest.experiments.inputs import as_function, as_instance
from steepest.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "Drawing", "figure"]

Draw = Callable[[Sequence[Runs], str, bool], "Iterator[tuple[str, Figure]]"]
"""Called with all runs, a title, and whether the theory is drawn over them; yields pictures, each with what
to add to the experiment's name for its file."""

DrawFunction = TypeVar("DrawFunction", bound=Draw)


@dataclass(frozen=True)
class Drawing:
    """A figure that experiments can name."""

    name: str
    draw: Draw
    needs: Needs = NOTHING_MORE


FIGURES: Registry[Drawing] = Registry("figure")
"""The figures by their names."""


def figure(name: str, *, needs: Needs = NOTHING_MORE) -> Callable[[DrawFunction], DrawFunction]:
    """Return a decorator that registers a figure, drawn by the function that it decorates.

    In a file of one's own, named by ``plugins`` in an experiment::

        @figure("losses")
        def losses(every, title, bound):
            for runs in every:
                picture = matplotlib.figure.Figure()
                picture.subplots().semilogx(runs.steps, runs.curve("log_loss", runs.samples, 0.0).T)
                yield f"{runs.data}-{runs.norm}", picture

    Args:
        name: one word, by which experiments name the figure.
        needs: what an experiment must ask for; refused before it runs where it does not.

    Raises:
        InvalidArgument: the name is taken, or is not one word, or needs that are none.
    """
    as_instance("needs", needs, Needs, "give steepest.experiments.Needs")

    def register(draw: DrawFunction) -> DrawFunction:
        FIGURES.register(name, Drawing(name, as_function("draw", draw), needs))
        return draw

    return register
