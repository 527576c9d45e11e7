"""Figure 2: batches of one sample follow the bias direction of their counts, not a max margin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import InvalidArgument
from steepest.experiments.claims.needs import Needs, OneRun
from steepest.experiments.claims.promises import promise_of
from steepest.experiments.claims.selection import Runs
from steepest.experiments.dimensions import PLAIN_SIGNAL
from steepest.experiments.figures.figure import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["batch_one_panels"]

_PLAIN = {"batch_size": 1, "momentum": 0.0, "signal": PLAIN_SIGNAL}
_NEEDS = Needs(("max", "frobenius"), run=OneRun(1), keys=("reference", "bias"))
_SMALLEST_DRAWN = 1e-12
_METHODS = {"max": "SignSGD", "frobenius": "Normalized-SGD"}
# Okabe and Ito's colours keep apart for every common colour blindness; the dashes do so in grey.
_BIAS = {"color": "#0072B2", "linewidth": 2.0, "label": "bias direction"}
_NAIVE = {
    "color": "black",
    "linestyle": (0, (3, 1.5)),
    "linewidth": 1.6,
    "label": "bias direction, softmax - onehot",
}
_STYLES = (
    {"color": "#009E73", "linestyle": "-"},
    {"color": "#D55E00", "linestyle": (0, (5, 2))},
    {"color": "#CC79A7", "linestyle": (0, (1, 1.2))},
    {"color": "#E69F00", "linestyle": (0, (5, 2, 1, 2))},
)


def batch_one_panels(every: Sequence[Runs], title: str = "", *, bound: bool = False) -> Figure:
    """Draw errors (left) and cosines (middle) of batches of one sample without momentum, a row a method.

    Errors are to the max margin in each reference norm, cosines to the solution in each and to the bias
    direction. Where the runs were repeated in plain float64 arithmetic, a column on the right shows how far
    either arithmetic stays from the bias direction. Lines are medians over the seeds, shades their range.
    ``bound`` adds what the theory's margin bound says here.

    Raises:
        InvalidArgument: no runs of SignSGD or Normalized-SGD with bias and reference norms.
    """
    from matplotlib.figure import Figure

    rows = [runs for norm in _METHODS for runs in every if runs.norm == norm]
    if not rows or any(_NEEDS.lacking(runs) for runs in rows):
        raise InvalidArgument("figure", "batch-one", f"it needs {_NEEDS.words}")
    with_naive = all(_has_naive(runs) for runs in rows)
    columns = 3 if with_naive else 2
    picture = Figure(figsize=(4.6 * columns, 3.3 * len(rows) + 1.0), layout="constrained")
    grid: Any = picture.subplots(len(rows), columns, sharex=True, squeeze=False)
    for place, (runs, (errors, cosines, *rest)) in enumerate(zip(rows, grid, strict=True)):
        _draw(cosines, runs, "bias_cosine", None, _BIAS)
        for style, norm in zip(_STYLES, runs.dataset["reference"].values.tolist(), strict=False):
            solution = {**style, "linewidth": 1.6, "label": f"max margin, {norm}"}
            _draw(errors, runs, "reference_relative_margin_error", norm, solution)
            _draw(cosines, runs, "reference_cosine", norm, solution)
        errors.set_ylabel(f"{_METHODS[runs.norm]}, b = 1")
        # The paper's two columns are lettered first, row by row.
        letters = [*ascii_lowercase[2 * place : 2 * place + 2], ascii_lowercase[2 * len(rows) + place]]
        errors.set_title(f"({letters[0]})  relative margin error", fontsize=10, loc="left")
        cosines.set_title(f"({letters[1]})  cosine similarity", fontsize=10, loc="left")
        errors.set_ylim(bottom=0)
        cosines.set_ylim(top=1.02)
        for axes in rest:
            _draw_distances(axes, runs)
            axes.set_title(f"({letters[2]})  1 - cosine to the bias direction", fontsize=10, loc="left")
    for axes in grid.flat:
        axes.set_xscale("log")
        axes.grid(True, which="major", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("step t")
    handles, labels = grid[0, 1].get_legend_handles_labels()
    if with_naive:
        naive, words = grid[0, 2].get_legend_handles_labels()
        handles, labels = [*handles, naive[-1]], [*labels, words[-1]]
    picture.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    runs = rows[0]
    seeds = f"{len(runs.seeds)} seeds: median and range" if len(runs.seeds) > 1 else f"seed {min(runs.seeds)}"
    words = f"\n{_bound_in_words(rows)}" if bound else ""
    contrast = "for contrast: " if runs.contrast else ""
    picture.suptitle(
        f"{title or 'Batches of one'}, {contrast}{runs.data} data, n = {runs.samples}; {seeds}{words}",
        fontsize=11,
    )
    return picture


def _bound_in_words(rows: Sequence[Runs]) -> str:
    shares = [promise_of(runs, 1, 0.0).share for runs in rows]
    if np.isnan(shares).any():
        return "No margin bound: the theory has no lemma constants of this loss."
    sizes = " and ".join(f"{share:,.0f} γ" for share in shares)
    least = "ρ" if len(rows[0].seeds) == 1 else "the least ρ"
    # Batches of one are at least two an epoch, and then noise may always outweigh the margin.
    return f"No margin bound: {least} = {sizes} ≤ 0, so the theorem promises nothing for single samples."


def _has_naive(runs: Runs) -> bool:
    return "naive_bias_cosine" in runs.dataset and bool(
        runs.dataset["naive_bias_cosine"].sel(_PLAIN).notnull().all()
    )


def _draw_distances(axes: Axes, runs: Runs) -> None:
    axes.set_yscale("log")
    for variable, style in (("bias_cosine", _BIAS), ("naive_bias_cosine", _NAIVE)):
        curves = 1 - runs.dataset[variable].sel(_PLAIN).transpose("seed", "step").values
        _shade(axes, runs, np.maximum(curves, _SMALLEST_DRAWN), style)
    cancelled = float(runs.dataset["naive_cancelled_at"].sel(_PLAIN).median())
    axes.axvline(cancelled, color="0.5", linewidth=0.8)
    axes.annotate(
        "softmax - onehot = 0",
        (cancelled, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color="0.35",
    )


def _draw(axes: Axes, runs: Runs, variable: str, reference: str | None, style: dict[str, Any]) -> None:
    chosen = runs.dataset[variable].sel(_PLAIN)
    if reference is not None:
        chosen = chosen.sel(reference=reference)
    _shade(axes, runs, chosen.transpose("seed", "step").values, style)


def _shade(axes: Axes, runs: Runs, curves: np.ndarray, style: dict[str, Any]) -> None:
    curves = curves[:, runs.dataset["step"].values > 0]
    axes.plot(runs.steps, np.median(curves, axis=0), **style)
    low, high = curves.min(axis=0), curves.max(axis=0)
    axes.fill_between(runs.steps, low, high, color=style["color"], alpha=0.13, linewidth=0)


@figure("batch-one", needs=_NEEDS)
def _one_a_data_set(every: Sequence[Runs], title: str, bound: bool) -> Iterator[tuple[str, Figure]]:
    losses = {runs.loss for runs in every}
    for data, loss in dict.fromkeys((runs.data, runs.loss) for runs in every):
        chosen = [runs for runs in every if (runs.data, runs.loss) == (data, loss)]
        part = "-".join([data, *([loss] if len(losses) > 1 else [])])
        yield part, batch_one_panels(chosen, title, bound=bound)
