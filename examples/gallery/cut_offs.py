"""What leaving out small singular values does to Spectral-SGD.

Batches of 5 of 100 samples, Gaussian data, no momentum: with exact directions, and where singular values
below 450 eps of the largest count as zero. Run with

    python examples/gallery/cut_offs.py cut-offs.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

import steepest as st

CUTOFFS = {"exact directions": None, "cut off below 1e-13 of the largest": 1e-13, "below 1e-6": 1e-6}


def draw(path: Path, steps: int = 100_000) -> Path:
    """Draw runs of so many steps, and return the path."""
    problem = st.datasets.gaussian(seed=0)
    solution = st.max_margin(problem, "spectral")
    schedule = st.PolynomialDecay(0.225 / solution.margin, 0.3)
    methods = [
        st.Method("spectral", batch_size=5, schedule=schedule, rank_cutoff=cutoff)
        for cutoff in CUTOFFS.values()
    ]
    runs = st.descend(problem, methods, steps=steps, reference=solution)
    figure = Figure(figsize=(7.5, 4.0), layout="constrained")
    panel = figure.subplots()
    for label, run in zip(CUTOFFS, runs, strict=True):
        panel.semilogx(run.steps[1:], run.relative_margin_error[1:], label=label)
    panel.set(xlabel="step", ylabel="relative margin error", ylim=(0, None))
    panel.legend()
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    print(draw(Path((sys.argv[1:] or ["cut-offs.png"])[0])))
