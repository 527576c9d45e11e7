"""Figures 1, 3 and 4: errors and cosines of every batch size, momentum and signal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from steepest.descent.series import SERIES
from steepest.experiments.claims.promises import promise_of
from steepest.experiments.claims.selection import Missing, Runs
from steepest.experiments.dimensions import PLAIN_SIGNAL, REDUCED_SIGNAL
from steepest.experiments.figures.figure import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["margin_panels"]

_NORM_WORDS = {
    "frobenius": "Frobenius norm",
    "max": "max-norm",
    "spectral": "spectral norm",
    "sum": "sum-norm",
}
_SMALLEST_DRAWN = 1e-12
_ERROR, _COSINE = "relative_margin_error", "cosine"
_BOUND: dict[str, Any] = {"linestyle": (0, (1, 1.2)), "linewidth": 2.0, "zorder": 6}
_SLOPE: dict[str, Any] = {"color": "0.6", "linewidth": 5, "alpha": 0.5, "zorder": 0}


class _Row(NamedTuple):
    variable: str
    signal: str
    label: str


def margin_panels(runs: Runs, title: str = "", *, bound: bool = False) -> Figure:
    """Draw error and cosine against steps, a line a batch size, a column a momentum (Figures 1, 3, 4).

    Columns are the momenta; rows are error and cosine of the first signal, and the error of each other one
    (variance reduction in the paper), lettered down the pairs as in the paper. Lines are medians over the
    seeds, shades their range. With ``bound`` the theory is drawn over the errors: the margin bound of each
    batch size, and the slope that is predicted.
    """
    from matplotlib.figure import Figure

    momenta, rows = runs.momenta, _rows(runs)
    # Title and legend need the width of two panels, however many there are.
    size = (3.4 * max(len(momenta), 2) + 0.4, 2.7 * len(rows) + 0.5)
    picture = Figure(figsize=size, layout="constrained")
    grid: Any = picture.subplots(len(rows), len(momenta), sharex=True, sharey="row", squeeze=False)
    _share_scale([axes for axes, row in zip(grid[:, 0], rows, strict=True) if row.variable == _ERROR])
    styles = dict(zip(runs.batch_sizes, _styles(runs), strict=True))
    letters = _letters(len(rows), len(momenta))
    for row, (variable, signal, label) in enumerate(rows):
        for column, momentum in enumerate(momenta):
            axes = grid[row, column]
            for batch_size, style in styles.items():
                _draw(axes, runs, variable, (batch_size, momentum, signal), style)
            said = ", ".join([f"β = {momentum:g}", *([_said(signal)] if signal != PLAIN_SIGNAL else [])])
            axes.set_title(f"({letters[row][column]})  {said}", fontsize=10, loc="left")
            if bound and variable == _ERROR:
                _draw_promises(axes, runs, styles, momentum, signal)
            _scale(axes, variable)
        grid[row, 0].set_ylabel(label)
    for axes in grid[-1]:
        axes.set_xlabel("step t")
    for row_of_axes, row in zip(grid, rows, strict=True):
        if row.variable == _ERROR:
            for axes in row_of_axes:
                _label_logarithms(axes)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if bound:
        handles, labels = [*handles, *_promise_handles()], [*labels, "margin bound", "predicted slope"]
    picture.legend(
        handles, labels, title="batch size b", loc="outside lower center", ncols=len(labels), frameon=False
    )
    several = f"{len(runs.seeds)} seeds: median and range"
    seeds = several if len(runs.seeds) > 1 else f"seed {min(runs.seeds)}"
    norm = _NORM_WORDS.get(runs.norm, f"{runs.norm} norm")
    picture.suptitle(
        f"{title or 'Steepest descent'} ({norm}) on {runs.data} data, n = {runs.samples}; {seeds}",
        fontsize=11,
    )
    return picture


def _rows(runs: Runs) -> list[_Row]:
    signals = sorted(runs.signals, key=lambda signal: signal != PLAIN_SIGNAL)
    error = SERIES[_ERROR].title.lower()
    first, *others = [
        _Row(_ERROR, signal, error if signal == PLAIN_SIGNAL else f"{error},\n{_said(signal)}")
        for signal in signals
    ]
    return [first, _Row(_COSINE, first.signal, "cosine similarity to W*"), *others]


def _said(signal: str) -> str:
    return "variance reduction" if signal == REDUCED_SIGNAL else signal


def _draw(
    axes: Axes,
    runs: Runs,
    variable: str,
    settings: tuple[int, float, str],
    style: dict[str, Any],
) -> None:
    try:
        curves = runs.curve(variable, *settings)
    except Missing:
        return
    if variable != _COSINE:
        curves = np.maximum(curves, _SMALLEST_DRAWN)
    axes.plot(runs.steps, np.median(curves, axis=0), **style)
    axes.fill_between(
        runs.steps, curves.min(axis=0), curves.max(axis=0), color=style["color"], alpha=0.13, linewidth=0
    )


def _draw_promises(
    axes: Axes, runs: Runs, styles: dict[int, dict[str, Any]], momentum: float, signal: str
) -> None:
    """Draw the bounds, the slope of the largest batch that has one, and say which sizes have no bound."""
    promises = {
        batch_size: promise_of(runs, batch_size, momentum, signal)
        for batch_size in styles
        if runs.has(batch_size, momentum, signal)
    }
    for batch_size, promise in promises.items():
        if promise.proven:
            axes.plot(runs.steps, promise.error, color=styles[batch_size]["color"], **_BOUND)
    sloping = [(size, promise.slope) for size, promise in promises.items() if promise.slope is not None]
    if sloping:
        batch_size, (steps, multiples) = sloping[-1]
        final = runs.final(_ERROR, batch_size, momentum, signal)
        axes.plot(steps, multiples * np.nanmedian(final), **_SLOPE)
    vacuous = [str(size) for size, promise in promises.items() if promise.vacuous]
    later = [str(size) for size, promise in promises.items() if not (promise.vacuous or promise.proven)]
    least = "ρ" if len(runs.seeds) == 1 else "least ρ"
    lines = [f"no bound, {least} ≤ 0: b = {', '.join(vacuous)}"] if vacuous else []
    lines += [f"no bound by t = {runs.last_step:,}: b = {', '.join(later)}"] if later else []
    axes.text(0.03, 0.04, "\n".join(lines), transform=axes.transAxes, fontsize=7.5, color="0.3")


def _promise_handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], color="black", **_BOUND), Line2D([], [], **_SLOPE)]


def _share_scale(rows: Sequence[Axes]) -> None:
    # The errors of different signals are there to be compared.
    for other in rows[1:]:
        other.sharey(rows[0])


def _scale(axes: Axes, variable: str) -> None:
    from matplotlib.ticker import LogLocator

    axes.set_xscale("log")
    # Eight marks a decade take most of the time of a figure, and are too close to be counted.
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    if variable == _COSINE:
        axes.set_ylim(top=1.0)
    else:
        axes.set_yscale("log")
    axes.grid(True, which="major", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _label_logarithms(axes: Axes) -> None:
    """Label an axis with plain numbers at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    # Last of all, since every set_yscale of an axis that shares it would put the usual labels back.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _styles(runs: Runs) -> Iterator[dict[str, Any]]:
    """Yield a style for each batch size: viridis from dark (small) to light, the full batch black dashes.

    Viridis keeps its order for every common colour blindness and in grey; its lightest end is left out,
    since it vanishes on white.
    """
    from matplotlib import colormaps

    sizes = [b for b in runs.batch_sizes if b != runs.samples]
    shades = colormaps["viridis"](np.linspace(0.0, 0.85, max(len(sizes), 2)))
    for batch_size in runs.batch_sizes:
        if batch_size == runs.samples:
            yield {
                "color": "black",
                "linestyle": (0, (4, 2)),
                "linewidth": 1.8,
                "label": f"{batch_size} (full)",
                "zorder": 5,
            }
        else:
            yield {"color": shades[sizes.index(batch_size)], "linewidth": 1.6, "label": str(batch_size)}


def _letters(rows: int, columns: int) -> list[list[str]]:
    """Return letters of the panels: error and cosine of one momentum together, then row by row."""
    names = [*ascii_lowercase, *(f"{a}{b}" for a in ascii_lowercase for b in ascii_lowercase)]
    pairs = names[: 2 * columns]
    others = [names[row * columns : (row + 1) * columns] for row in range(2, rows)]
    return [pairs[0::2], pairs[1::2], *others]


@figure("margin-panels")
def _one_a_norm(every: Sequence[Runs], title: str, bound: bool) -> Iterator[tuple[str, Figure]]:
    norms, losses = {runs.norm for runs in every}, {runs.loss for runs in every}
    for runs in every:
        parts = [
            runs.data,
            *([runs.norm] if len(norms) > 1 else []),
            *([runs.loss] if len(losses) > 1 else []),
        ]
        yield "-".join(parts), margin_panels(runs, title, bound=bound)
