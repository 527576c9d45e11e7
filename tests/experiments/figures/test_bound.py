"""The figure of one run against the theory shows the numbers of the library."""

import numpy as np
import pytest
from matplotlib.axes import Axes

import steepest as st
from steepest.experiments.figures.bound import bound_figure

PROBLEM = st.datasets.gaussian(classes=3, samples_per_class=4, features=20, seed=1)
SOLUTION = st.max_margin(PROBLEM, "frobenius")


def lines(figure):
    axes = figure.axes[0]
    assert isinstance(axes, Axes)
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.lines}


def test_lines_are_the_numbers_of_the_library(tmp_path):
    method = st.Method("frobenius", schedule=st.PolynomialDecay(0.5, 0.5))
    trajectory = st.descend(PROBLEM, method, 3000, reference=SOLUTION)
    figure = bound_figure(PROBLEM, trajectory, SOLUTION)
    drawn = lines(figure)
    np.testing.assert_allclose(drawn["measured"][:, 1], trajectory.relative_margin_error[1:])
    floor = st.theory.margin_bound(PROBLEM, trajectory, SOLUTION).floor
    known = floor > 0
    assert known.any()
    bound = drawn["bound with the run's losses"]
    np.testing.assert_allclose(bound[:, 0], trajectory.steps[known])
    np.testing.assert_allclose(bound[:, 1], 1 - floor[known] / SOLUTION.margin)
    measured = dict(drawn["measured"])
    assert all(value >= measured[step] - 1e-9 for step, value in bound)
    slope = drawn["predicted slope (exponent 0.5)"]
    rate = st.theory.predicted_rate(0.5, PROBLEM.samples, slope[:, 0])
    np.testing.assert_allclose(slope[:, 1] / slope[-1, 1], rate / rate[-1])
    assert slope[-1, 1] == pytest.approx(trajectory.relative_margin_error[-1])
    figure.savefig(tmp_path / "bound.png")
    assert (tmp_path / "bound.png").stat().st_size > 10_000


def test_a_bound_that_promises_nothing_says_so():
    method = st.Method("frobenius", batch_size=4, schedule=st.PolynomialDecay(0.5, 0.5))
    trajectory = st.descend(PROBLEM, method, 500, reference=SOLUTION)
    figure = bound_figure(PROBLEM, trajectory, SOLUTION)
    assert sum("nothing by t = 500" in label for label in lines(figure)) == 3
    assert "vacuous" in figure.axes[0].get_title()


@pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")
def test_noise_that_remains_is_drawn_and_other_schedules_have_no_slope():
    momentum = st.theory.required_momentum(PROBLEM, "frobenius", 6, SOLUTION)
    method = st.Method("frobenius", 6, momentum=0.5 + 0.5 * momentum)
    trajectory = st.descend(PROBLEM, method, 300, reference=SOLUTION)
    assert "1 - ρ/γ, what noise may cost" in lines(bound_figure(PROBLEM, trajectory, SOLUTION))

    def schedule(step):
        return 0.1 / (1.0 + np.asarray(step)) ** 0.5

    trajectory = st.descend(PROBLEM, st.Method("frobenius", schedule=schedule), 100, reference=SOLUTION)
    drawn = lines(bound_figure(PROBLEM, trajectory, SOLUTION))
    assert not any("slope" in label for label in drawn)
