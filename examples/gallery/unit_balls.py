"""Unit balls of eight norms, and where steepest descent steps in each.

A plane of 2 × 2 matrices; each grey region is what the unit ball covers of it, seen along the other axes. An
arrow leads from a gradient S on the dotted circle to D(S), the point of the ball furthest along S. Run with

    python examples/gallery/unit_balls.py unit-balls.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

import steepest as st

NORMS = ("max", "entrywise-3", "frobenius", "sum", "spectral", "schatten-4", "nuclear", "row-2/inf")
PLANE = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.5**0.5], [0.5**0.5, 0.0]]])
"""Two matrices that span the plane: one of rank one, one of rank two."""


def directions(name: str, angles: np.ndarray) -> np.ndarray:
    """Return where D(S) lies in the plane, shape [angles, 2], for S = cos(angle) P₀ + sin(angle) P₁."""
    gradients = np.einsum("ta,aij->tij", np.stack([np.cos(angles), np.sin(angles)], axis=1), PLANE)
    return np.einsum("tij,aij->ta", st.norm(name).direction(gradients), PLANE)


def draw(path: Path) -> Path:
    """Draw a panel for each norm, and return the path."""
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    for panel, name in zip(figure.subplots(2, 4).flat, NORMS, strict=True):
        # Between corners the direction jumps, and the straight line drawn there is the ball's edge.
        edge = directions(name, np.linspace(0, 2 * np.pi, 2001))
        reach = 1.25 * np.abs(edge).max()
        panel.fill(*edge.T, facecolor="0.9", edgecolor="0.3", linewidth=1)
        angles = np.pi * (np.arange(10) + 0.35) / 5
        starts = 1.15 * reach * np.stack([np.cos(angles), np.sin(angles)])
        for start, end in zip(starts.T, directions(name, angles), strict=True):
            panel.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "tab:blue", "lw": 1})
            panel.plot(*end, "o", color="tab:blue", markersize=3)
        panel.add_artist(Circle((0, 0), 1.15 * reach, fill=False, linestyle=":", edgecolor="0.6"))
        panel.set(title=name, xlim=(-1.3 * reach, 1.3 * reach), ylim=(-1.3 * reach, 1.3 * reach))
        panel.set(aspect="equal", xticks=[], yticks=[])
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    print(draw(Path((sys.argv[1:] or ["unit-balls.png"])[0])))
