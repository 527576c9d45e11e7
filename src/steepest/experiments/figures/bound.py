"""One run against the theory: measured margin error, the bounds on it, and the predicted slope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steepest import theory
from steepest.descent import Trajectory
from steepest.maxmargin import MaxMarginSolution
from steepest.problem import Classification
from steepest.schedules import PolynomialDecay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SMALLEST_DRAWN = 1e-12


def bound_figure(problem: Classification, trajectory: Trajectory, solution: MaxMarginSolution) -> Figure:
    """Draw a run's relative margin error with the margin bounds over it and the predicted slope.

    Everything is relative to γ: the measured error is 1 - margin(W_t)/(‖W_t‖ γ), a bound is 1 - floor/γ with
    the floor of :func:`steepest.theory.margin_bound` (a posteriori) or
    :func:`steepest.theory.predicted_margin_bound` (a priori). The predicted slope is
    :func:`steepest.theory.predicted_rate`, scaled to meet the run at its end. A bound is drawn
    where it promises a positive margin; the legend says where it never does.

    >>> import steepest as st
    >>> problem = st.datasets.gaussian(classes=3, samples_per_class=4, features=20, seed=1)
    >>> solution = st.max_margin(problem, "spectral")
    >>> trajectory = st.descend(problem, st.Method("spectral"), steps=100, reference=solution)
    >>> figure = bound_figure(problem, trajectory, solution)
    >>> figure.axes[0].get_xlabel()
    'step t'
    """
    from matplotlib.figure import Figure

    method = trajectory.method
    run = trajectory.against(solution)
    steps = np.asarray(run.steps)
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    error = np.maximum(run.relative_margin_error, _SMALLEST_DRAWN)
    axes.plot(steps[1:], error[1:], color="black", linewidth=2, label="measured")
    rho = theory.effective_margin(problem, method, solution)
    bounds = {
        "bound with the run's losses": (theory.margin_bound(problem, run, solution), "C0", "-"),
        "bound before the run": (theory.predicted_margin_bound(problem, method, solution, steps), "C0", "--"),
        "the paper's, with the run's losses": (
            theory.margin_bound(problem, run, solution, "paper"),
            "C1",
            "-",
        ),
    }
    for label, (bound, color, style) in bounds.items():
        _draw_bound(axes, steps, 1.0 - bound.floor / solution.margin, label, color, style)
    if rho.noise > 0 and not rho.vacuous:
        axes.axhline(rho.noise / rho.margin, color="C2", linestyle=":", label="1 - ρ/γ, what noise may cost")
    _draw_slope(axes, problem, run, error)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("step t")
    axes.set_ylabel("relative margin error")
    axes.grid(True, which="major", color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    batch = "full batch" if method.batch_size is None else f"b = {method.batch_size}"
    share = "γ" if rho.noise == 0 else f"{rho.value / rho.margin:.2g} γ"
    verdict = f"{share} ≤ 0, vacuous" if rho.vacuous else share
    axes.set_title(
        f"{method.name} on {problem.name}, {batch}, β = {method.momentum:g}; ρ = {verdict}", fontsize=10
    )
    return figure


def _draw_bound(
    axes: Axes, steps: np.ndarray, values: np.ndarray, label: str, color: str, style: str
) -> None:
    # An error of 1 is what any weights reach that classify every sample correctly.
    known = (values < 1.0) & (steps > 0)
    if known.any():
        axes.plot(steps[known], values[known], color=color, linestyle=style, label=label)
    else:
        axes.plot([], [], color=color, linestyle=style, label=f"{label}: nothing by t = {steps[-1]}")


def _draw_slope(axes: Axes, problem: Classification, run: Trajectory, error: np.ndarray) -> None:
    method, steps = run.method, np.asarray(run.steps)
    schedule = method.schedule
    late = steps >= max(2, steps[-1] // 100)
    if not isinstance(schedule, PolynomialDecay) or not 0 < schedule.exponent <= 1 or late.sum() < 2:
        return
    rate = theory.predicted_rate(
        schedule.exponent,
        problem.samples,
        steps[late],
        method.momentum,
        theory.batches_per_epoch(problem.samples, method.batch_size),
        method.variance_reduction,
    )
    exponent = theory.predicted_exponent(schedule.exponent)
    axes.plot(
        steps[late], rate * (error[-1] / rate[-1]), color="0.6", linewidth=4, alpha=0.5, zorder=0,
        label=f"predicted slope (exponent {exponent:g})",
    )  # fmt: skip
