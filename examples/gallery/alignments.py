"""What a run's own steps prove of its margin, where the worst case proves nothing.

Mini-batches of 10 and 50 of 200 samples without momentum, in three norms. Lines are measured margins over the
max margin, dashed ones what `st.theory.realised_bound` proves from the alignments of the steps. Run with

    python examples/gallery/alignments.py alignments.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import steepest as st

NORMS = ("frobenius", "max", "spectral")
BATCHES = {10: "tab:blue", 50: "tab:orange"}


def draw(path: Path, steps: int = 20_000) -> Path:
    """Draw runs of so many steps with what is proven of them, and return the path."""
    problem = st.datasets.mixture(seed=0)
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    for norm, panel in zip(NORMS, figure.subplots(1, len(NORMS), sharey=True), strict=True):
        solution = st.max_margin(problem, norm)
        schedule = st.PolynomialDecay(0.15 / solution.margin, 0.5)
        for size, colour in BATCHES.items():
            method = st.Method(norm, batch_size=size, schedule=schedule)
            run = st.descend(problem, method, steps=steps, reference=solution)
            proven = st.theory.realised_bound(problem, run).explained / solution.margin
            rho = st.theory.effective_margin(problem, method, solution).value / solution.margin
            label = f"b = {size}, worst case {rho:.0f}"
            panel.semilogx(run.steps, run.normalized_margin / solution.margin, color=colour, label=label)
            panel.semilogx(run.steps, np.where(proven > 0, proven, np.nan), "--", color=colour)
        panel.set(title=norm, xlabel="step", ylim=(-0.1, 1.0))
        panel.legend(fontsize=8, loc="upper left")
    figure.axes[0].set_ylabel("margin / max margin")
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    print(draw(Path((sys.argv[1:] or ["alignments.png"])[0])))
