"""Batches of one beyond the paper's data: predicted and measured direction, and whether it separates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import InvalidArgument
from steepest.experiments.claims.needs import Needs, OneRun
from steepest.experiments.claims.selection import Runs
from steepest.experiments.figures.figure import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["constant_bias_panels"]

_NEEDS = Needs(run=OneRun(1), keys=("bias",))
# Okabe and Ito's colours keep apart for every common colour blindness; the dashes do so in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 2, 1, 2)), (0, (3, 1.5)))
_SMALLEST_DRAWN = 1e-12


def constant_bias_panels(every: Sequence[Runs], title: str = "") -> Figure:
    """Draw, a row a data set and a line a norm, how runs of batches of one near their mean direction B.

    Left: 1 - cosine of W_t to B. Right: the normalised margin of W_t over γ, with that of B as a line across
    in the same colour: above 0 where B separates the data. Lines are medians over the seeds.

    Raises:
        InvalidArgument: no runs of batches of one whose direction is known in closed form.
    """
    from matplotlib.figure import Figure

    known = [runs for runs in every if _is_known(runs)]
    data = list(dict.fromkeys(runs.data for runs in known))
    if not known:
        raise InvalidArgument("figure", "constant-bias", f"it needs {_NEEDS.words}, of constant directions")
    norms = list(dict.fromkeys(runs.norm for runs in known))
    picture = Figure(figsize=(9.4, 2.9 * len(data) + 0.9), layout="constrained")
    grid: Any = picture.subplots(len(data), 2, sharex=True, squeeze=False)
    for name, (cosines, margins) in zip(data, grid, strict=True):
        rows = [runs for runs in known if runs.data == name]
        for runs in rows:
            place = norms.index(runs.norm) % len(_COLOURS)
            _draw(cosines, margins, runs, _COLOURS[place], _DASHES[place])
        cosines.set_yscale("log")
        cosines.set_ylabel(name)
        cosines.set_title("1 - cosine of W to B", fontsize=10, loc="left")
        margins.axhline(0.0, color="0.5", linewidth=0.8)
        margins.set_title(f"margin / γ;  {_in_words(rows)}", fontsize=10, loc="left")
    for axes in grid.flat:
        axes.set_xscale("log")
        axes.grid(True, which="major", color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("step t")
    handles = {label: line for axes in grid.flat for line, label in zip(*_legend(axes), strict=True)}
    picture.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False
    )
    picture.suptitle(f"{title or 'Batches of one'}; thin lines: predicted by B", fontsize=11)
    return picture


def _legend(axes: Axes) -> tuple[list[Any], list[str]]:
    return axes.get_legend_handles_labels()


def _is_known(runs: Runs) -> bool:
    return (
        runs.has(1, 0.0)
        and "bias_margin" in runs.dataset
        and bool(np.isfinite(_of(runs, "bias_margin")).all())
    )


def _of(runs: Runs, name: str) -> np.ndarray:
    return runs.chosen(1, 0.0)[name].transpose("seed").values


def _draw(cosines: Axes, margins: Axes, runs: Runs, colour: str, dashes: Any) -> None:
    style = {"color": colour, "linestyle": dashes, "linewidth": 1.7, "label": runs.norm}
    apart = np.maximum(1 - runs.curve("bias_cosine", 1, 0.0), _SMALLEST_DRAWN)
    cosines.plot(runs.steps, np.median(apart, axis=0), **style)
    errors = runs.curve("relative_margin_error", 1, 0.0)
    margins.plot(runs.steps, np.median(1 - errors, axis=0), **style)
    margins.axhline(float(np.median(_of(runs, "bias_share"))), color=colour, linewidth=0.8)


def _in_words(rows: Sequence[Runs]) -> str:
    separating = [runs.norm for runs in rows if (_of(runs, "bias_separates") == 1).all()]
    return f"B separates in: {', '.join(separating) or 'none'}"


@figure("constant-bias", needs=_NEEDS)
def _all_in_one(every: Sequence[Runs], title: str, bound: bool) -> Iterator[tuple[str, Figure]]:  # noqa: ARG001
    yield "panels", constant_bias_panels(every, title)
