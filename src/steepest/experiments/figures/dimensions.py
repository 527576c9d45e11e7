"""What the number of features costs: t₁ and the margin bound over d, the paper's beside Fan et al.'s."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from steepest.theory import DimensionRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["dimension_figure"]


def dimension_figure(rows: Sequence[DimensionRow], title: str = "") -> Figure:
    """Draw t₁ and the bound on the gap over the number of features d, with both kinds of constants.

    Args:
        rows: of :func:`steepest.theory.dimension_comparison`; what is infinite there is left out.
        title: what is written above, such as the method and its data.

    >>> import steepest as st
    >>> problem = st.Classification([[1.0], [-1.0]], [0, 1])
    >>> method = st.Method("max", momentum=0.9, schedule=st.PolynomialDecay(0.1, 0.5))
    >>> figure = dimension_figure(st.theory.dimension_comparison(problem, method, 2.0))
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['steps t₁ until the bound begins', 'bound on gap / ρ at t = 1.5e+15']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.6), layout="constrained")
    starts, gaps = figure.subplots(1, 2)
    d = [row.features for row in rows]
    _draw(starts, d, [row.paper_start for row in rows], [row.fan_start for row in rows])
    _draw(gaps, d, [row.paper_gap for row in rows], [row.fan_gap for row in rows])
    starts.set_title("steps t₁ until the bound begins", loc="left", fontsize=10)
    gaps.set_title(f"bound on gap / ρ at t = {rows[0].step:.3g}", loc="left", fontsize=10)
    figure.legend(
        *starts.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=9
    )
    figure.suptitle(title, fontsize=10)
    return figure


def _draw(axes: Axes, d: Sequence[int], paper: Sequence[float], fan: Sequence[float]) -> None:
    for values, color, style, label in (
        (paper, "C1", "-", "the paper's constants"),
        (fan, "C3", "--", "drift and start-up times d (Fan et al., 2025)"),
    ):
        known = [(size, value) for size, value in zip(d, values, strict=True) if math.isfinite(value)]
        if known:
            x, y = zip(*known, strict=True)
            axes.plot(x, y, color=color, linestyle=style, marker="o", markersize=4, label=label)
        else:
            axes.plot([], [], color=color, linestyle=style, label=f"{label}: never")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("number of features d, at fixed R = max ‖x‖₁")
    axes.grid(True, which="major", color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
