"""The same points, told apart with the largest margin in five norms.

Three classes of points in the plane. Colours show which class the classifier gives; pale bands lie within the
margin, grey lines where it ends, and the points that hold it up are ringed. Run with

    python examples/gallery/margins.py margins.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import steepest as st

NORMS = ("max", "frobenius", "spectral", "nuclear", "sum")
COLOURS = ("tab:blue", "tab:orange", "tab:green")
CENTRES = np.array([[-2.0, 0.6], [1.6, 0.1], [0.4, 1.9]])
SPREAD = np.array([0.6, 0.25])


def points(each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points around the centres, and their classes."""
    labels = np.repeat(np.arange(len(CENTRES)), each)
    return CENTRES[labels] + np.random.default_rng(seed).normal(size=(len(labels), 2)) * SPREAD, labels


def draw(path: Path) -> Path:
    """Draw a panel for each norm, and return the path."""
    X, y = points(14, seed=3)
    problem = st.Classification(X, y)
    sides = [np.linspace(X[:, axis].min() - 0.6, X[:, axis].max() + 0.6, 401) for axis in (0, 1)]
    axes = np.meshgrid(*sides)
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    *panels, empty = figure.subplots(2, 3).flat
    empty.set_axis_off()
    for panel, name in zip(panels, NORMS, strict=True):
        found = st.max_margin(problem, name, intercept=True)
        scores = np.stack(axes, axis=-1) @ found.weights.T + found.intercept
        panel.contourf(*axes, scores.argmax(-1), np.arange(4) - 0.5, colors=COLOURS, alpha=0.3)
        panel.contourf(*axes, lead(scores), [0, found.margin], colors="white", alpha=0.5)
        panel.contour(*axes, lead(scores), [found.margin], colors="0.5", linewidths=0.7)
        holding = lead(X @ found.weights.T + found.intercept) < (1 + 1e-6) * found.margin
        panel.scatter(*X.T, c=np.array(COLOURS)[y], s=12)
        panel.scatter(*X[holding].T, s=60, facecolors="none", edgecolors="black", linewidths=1)
        panel.set(title=f"{name}: γ = {found.margin:.3f}", xticks=[], yticks=[])
    figure.savefig(path, dpi=110)
    return path


def lead(scores: np.ndarray) -> np.ndarray:
    """Return how far the highest score is ahead of the second."""
    return np.diff(np.sort(scores, axis=-1), axis=-1)[..., -1]


if __name__ == "__main__":
    print(draw(Path((sys.argv[1:] or ["margins.png"])[0])))
