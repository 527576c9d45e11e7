"""How fast the full batch's error falls, for four decays of the step sizes.

Normalised gradient descent on Gaussian data, step sizes η_t = η₀ (t+1)^-a. Broad pale lines have the slope
1 - a, dotted ones the slope a that the corollaries' bound has for a < 1/2. Run with

    python examples/gallery/rates.py rates.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

import steepest as st

DECAYS = (0.3, 0.5, 0.7, 1.0)


def draw(path: Path, steps: int = 200_000) -> Path:
    """Draw runs of so many steps, and return the path."""
    problem = st.datasets.gaussian(seed=0)
    solution = st.max_margin(problem, "frobenius")
    schedules = [st.PolynomialDecay(0.15 / solution.margin, a) for a in DECAYS]
    methods = [st.Method("frobenius", schedule=schedule) for schedule in schedules]
    runs = st.descend(problem, methods, steps=steps, reference=solution)
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    panel = figure.subplots()
    for a, run in zip(DECAYS, runs, strict=True):
        after = run.steps >= steps / 100
        t, error = run.steps[after], run.relative_margin_error
        (line,) = panel.loglog(run.steps[1:], error[1:], label=f"a = {a:g}", linewidth=1.2)
        if a < 1:
            slope = error[-1] * (t / t[-1]) ** -(1 - a)
            panel.loglog(t, slope, color=line.get_color(), linewidth=7, alpha=0.2)
        if a < 0.5:
            bound = error[after][0] * (t / t[0]) ** -a
            panel.loglog(t, bound, color=line.get_color(), linestyle=":", linewidth=1.2)
    panel.set(xlabel="step", ylabel="relative margin error")
    panel.legend(title="step sizes t^-a")
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    print(draw(Path((sys.argv[1:] or ["rates.png"])[0])))
