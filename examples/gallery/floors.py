"""Floors of mini-batch methods: predicted from the data alone, and measured.

Normalised SGD on fifteen samples, batches of 1, 2, 3 and 5 and the full batch. Lines are runs; dots are what
`st.theory.limit_direction` predicts at the same sum of step sizes, dashed lines its limits. Run with

    python examples/gallery/floors.py floors.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import steepest as st

BATCHES = (1, 2, 3, 5, 15)
POINTS = (300, 3_000, 30_000)
"""Steps at which a prediction stands beside the run."""


def draw(path: Path, steps: int = 100_000) -> Path:
    """Draw runs of so many steps with their predictions, and return the path."""
    problem = st.datasets.mixture(classes=3, samples_per_class=5, features=10, seed=0)
    solution = st.max_margin(problem, "frobenius")
    schedule = st.PolynomialDecay(initial=0.2 / solution.margin, exponent=0.4)
    methods = [st.Method("frobenius", batch_size=size, schedule=schedule) for size in BATCHES]
    runs = st.descend(problem, methods, steps=steps, reference=solution)
    lengths = np.cumsum(schedule.initial * np.arange(1, steps + 1) ** -schedule.exponent)
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    panel = figure.subplots()
    for size, method, run in zip(BATCHES, methods, runs, strict=True):
        label = f"b = {size}" if size < problem.samples else "full batch"
        (line,) = panel.loglog(run.steps, run.relative_margin_error, label=label, linewidth=1)
        if size == problem.samples:
            continue
        limit = st.theory.limit_direction(problem, method, margin=solution)
        panel.axhline(limit.relative_error, color=line.get_color(), linestyle="--", linewidth=1)
        for step in (point for point in POINTS if point <= steps):
            found = st.theory.limit_direction(problem, method, at=lengths[step - 1], margin=solution)
            panel.plot(step, found.relative_error, "o", color=line.get_color())
    panel.set(xlabel="step", ylabel="relative margin error", ylim=(3e-4, 3))
    panel.legend(ncols=2)
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    print(draw(Path((sys.argv[1:] or ["floors.png"])[0])))
