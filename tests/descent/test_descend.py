"""descend: many runs in one call, records, references, validation."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument, InvalidData, SteepestWarning


class Solution(NamedTuple):
    norm: st.geometry.Norm
    weights: np.ndarray
    upper_bound: float


SCHEDULE = st.PolynomialDecay(0.01, 0.5)


def methods_of(norms=("frobenius", "max", "spectral"), seeds=(0, 1)):
    return [
        st.Method(norm, batch, beta, reduced, schedule=SCHEDULE, seed=seed)
        for norm in norms
        for batch in (4, None)
        for beta, reduced in ((0.0, False), (0.5, True))
        for seed in seeds
    ]


@pytest.mark.parametrize("engine", ["compiled", "batched", "reference"])
def test_a_run_does_not_depend_on_what_runs_beside_it(engine):
    problem = random_problem()
    methods = methods_of()
    together = st.descend(problem, methods, 60, engine=engine)
    for method, trajectory in zip(methods, together, strict=True):
        alone = st.descend(problem, method, 60, engine=engine, workers=1)
        assert trajectory.method == method
        if engine == "batched":
            np.testing.assert_allclose(trajectory.weights, alone.weights, rtol=0, atol=1e-12)
        else:
            np.testing.assert_array_equal(trajectory.weights, alone.weights)


def test_one_method_gives_one_trajectory_and_a_sequence_a_list():
    problem = random_problem()
    assert isinstance(st.descend(problem, st.Method(), 5), st.Trajectory)
    assert [type(each) for each in st.descend(problem, [st.Method()], 5)] == [st.Trajectory]


@pytest.mark.parametrize("steps", [0, 1, 2, 7, 1000])
def test_records_are_log_spaced_with_the_first_and_the_last(steps):
    trajectory = st.descend(random_problem(), st.Method(schedule=SCHEDULE), steps, records=20)
    assert trajectory.steps[0] == 0
    assert trajectory.steps[-1] == steps
    assert np.all(np.diff(trajectory.steps) > 0)
    assert len(trajectory.steps) <= 20 + 1
    assert trajectory.weights.shape == (len(trajectory.steps), 4, 20)
    assert trajectory.completed
    if steps == 1000:
        ratios = trajectory.steps[8:] / trajectory.steps[7:-1]
        assert ratios.max() / ratios.min() < 1.2


def test_chosen_records_and_start_weights():
    problem = random_problem()
    start = np.random.default_rng(0).normal(size=(4, 20))
    trajectory = st.descend(problem, st.Method(), 10, records=[3, 7], initial_weights=start)
    assert trajectory.steps.tolist() == [0, 3, 7, 10]
    np.testing.assert_array_equal(trajectory.weights[0], start)


def test_progress_ends_at_the_total():
    seen = []
    st.descend(random_problem(), methods_of(), 50, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (24 * 50, 24 * 50)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": -1}, "steps=-1: give a whole number of at least 0"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"records": 1}, "records=1: give an integer of at least 2"),
        ({"records": [3, 99]}, r"records=\[3, 99\]: give a number of records, or whole steps from 0 to 10"),
        ({"records": [0.5]}, "records"),
        ({"workers": 0}, "workers=0: give a whole number of at least 1"),
        ({"engine": "fast"}, "engine='fast': give one of auto"),
        ({"methods": []}, r"methods=\[\]: give a steepest.Method"),
        ({"methods": ["muon"]}, "methods"),
        ({"methods": st.Method(batch_size=99)}, "batch_size=99: give an integer from 1 to 12"),
        ({"initial_weights": np.zeros((2, 2))}, r"W=\(2, 2\): give weights of shape"),
        ({"initial_weights": np.full((4, 20), np.nan)}, "initial_weights"),
        ({"reference": Solution(st.norm("max"), np.zeros((2, 2)), 1.0)}, r"reference=\(2, 2\)"),
        ({"reference": {"max": None}}, "reference=.*add a solution for the norm frobenius"),
    ],
)
def test_bad_arguments_name_the_argument_its_value_and_the_remedy(change, message):
    arguments = {"methods": st.Method(), "steps": 10, **change}
    with pytest.raises(InvalidArgument, match=message):
        st.descend(random_problem(), arguments.pop("methods"), arguments.pop("steps"), **arguments)


@pytest.mark.parametrize("size", [1e22, 1e200])
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_features_that_hide_all_residuals_are_refused_instead_of_followed_into_nan(engine, size):
    problem = random_problem()
    dates = np.asarray(problem.features) * ([1.0] * 19 + [size])
    message = (
        r"features='samples of .* up to .*: by step \d logits may reach .*; divide each feature by its size"
    )
    with pytest.raises(InvalidData, match=message):
        st.descend(st.Classification(dates, problem.labels), st.Method("max"), 5, engine=engine)


def test_momentum_that_must_stall_is_warned_of_with_numbers():
    problem = random_problem()
    known = Solution(st.norm("frobenius"), np.ones((4, 20)), 0.5)
    method = st.Method(batch_size=4, momentum=0.99, schedule=st.PolynomialDecay(1.0, 0.5))
    # η_t γ > 1 - β while 0.5 / sqrt(t + 1) > 0.01: all of the first 2498 steps.
    with pytest.warns(SteepestWarning, match=r"momentum=0.99 stalls for 1000 of 1000 steps.*0.5.*0.01"):
        st.descend(problem, method, 1000, reference=known)
    with pytest.warns(SteepestWarning, match=r"stalls for 249\d of 3000 steps"):
        st.descend(problem, method, 3000, reference={"frobenius": known})
    st.descend(problem, st.Method(batch_size=4, momentum=0.5, schedule=SCHEDULE), 1000, reference=known)
    # Averages of directions do not stall: gradients of every age count the same.
    ball = replace(method, momentum_kind="heavy-ball")
    st.descend(problem, ball, 1000, reference=known)
    with pytest.warns(SteepestWarning, match="stalls"):
        st.descend(problem, replace(method, momentum_kind="nesterov"), 1000, reference=known)


def test_momentum_that_stalls_after_a_warm_up_is_counted_step_by_step():
    problem = random_problem()
    known = Solution(st.norm("frobenius"), np.ones((4, 20)), 0.5)
    # η_t γ > 1 - β = 0.01 where η_t > 0.02: from step 200 on, and the first one does not stall.
    rising = st.Method(batch_size=4, momentum=0.99, schedule=lambda step: 0.0001 * (step + 0.5))
    with pytest.warns(SteepestWarning, match="stalls for 800 of 1000 steps"):
        st.descend(problem, rising, 1000, reference=known)
    # Large in every second step.
    swinging = replace(rising, schedule=lambda step: np.where(np.asarray(step) % 2 == 1, 0.021, 0.019))
    with pytest.warns(SteepestWarning, match="stalls for 500 of 1000 steps"):
        st.descend(problem, swinging, 1000, reference=known)
    # More steps than are looked at together.
    some = replace(rising, schedule=lambda step: np.where(np.asarray(step) % 10 == 9, 0.021, 0.019))
    with pytest.warns(SteepestWarning, match="stalls for 7000 of 70000 steps"):
        st.descend(problem, some, 70_000, records=[70_000], reference=known)
    # One step in fifty is within what is allowed.
    rare = replace(rising, schedule=lambda step: np.where(np.asarray(step) % 50 == 9, 1.0, 0.001))
    st.descend(problem, rare, 1000, reference=known)


@pytest.mark.parametrize("signal", ["loopless-svrg", "saga"])
def test_corrections_of_every_signal_that_cannot_hold_are_warned_of(signal):
    method = st.Method("max", 1, signal=signal, schedule=st.PolynomialDecay(1.0, 0.5))
    with pytest.warns(SteepestWarning, match="variance reduction cannot hold .* gradients of an epoch ago"):
        st.descend(random_problem(), method, 30)


@pytest.mark.parametrize("engine", ["reference", "compiled", "batched"])
def test_a_schedule_may_be_one_number(engine):
    problem = random_problem()
    runs = [
        st.descend(problem, st.Method("max", 5, schedule=each), 64, records=[64], engine=engine).final_weights
        for each in (lambda _step: 0.25, st.PolynomialDecay(0.25, 0.0))
    ]
    np.testing.assert_array_equal(runs[0], runs[1])


@pytest.mark.parametrize(
    "schedule",
    [
        lambda _step: "0.1",
        lambda step: 1.0 - step,
        lambda step: step[:-1],
        lambda step: step * np.nan,
    ],
    ids=["text", "negative", "too few", "not a number"],
)
def test_step_sizes_that_are_none_are_refused(schedule):
    with pytest.raises(InvalidArgument, match=r"schedule=.*a finite number of at least 0 for each"):
        st.descend(random_problem(), st.Method(schedule=schedule), 20)


def test_how_far_an_epoch_moves_a_margin_is_told_in_the_shape_of_the_weights():
    # √(4/20) times the spectral dual: two rows in place of the four classes would make it √(2/20).
    problem = st.Classification(np.eye(4, 20), [0, 1, 2, 3])
    method = st.Method(
        "mean-square-spectral", 1, variance_reduction=True, schedule=st.PolynomialDecay(10.0, 0.5)
    )
    expected = f"{10.0 * 4 * np.sqrt(2.0) * np.sqrt(4 / 20):.3g}"
    with pytest.warns(SteepestWarning, match=rf"may move a margin by {expected} ") as caught:
        st.descend(problem, method, 1, engine="reference")
    # It points to the call, not to what called that.
    assert caught[0].filename == __file__


def test_variance_reduction_that_cannot_hold_is_warned_of_once_for_all_seeds():
    problem = random_problem()
    methods = [
        st.Method("max", 1, variance_reduction=True, schedule=st.PolynomialDecay(1.0, 0.5), seed=seed)
        for seed in range(3)
    ]
    with pytest.warns(SteepestWarning, match=r"variance reduction cannot hold with batch_size=1") as caught:
        st.descend(problem, methods, 50)
    assert len(caught) == 1
    # The last step size is 1 / sqrt(50); an epoch has 12 steps; 2R bounds what a step of size one adds.
    assert f"{12 / np.sqrt(50) * 2 * problem.feature_bound:.3g}" in str(caught[0].message)


def test_steps_do_not_depend_on_the_size_of_the_records():
    problem = random_problem()
    few = st.descend(problem, st.Method(batch_size=5, momentum=0.9, schedule=SCHEDULE), 200, records=2)
    many = st.descend(problem, st.Method(batch_size=5, momentum=0.9, schedule=SCHEDULE), 200, records=150)
    np.testing.assert_array_equal(few.final_weights, many.final_weights)


@pytest.mark.torch
def test_tensors_run_on_their_device_and_give_arrays():
    import torch

    problem = random_problem()
    twin = st.Classification(torch.asarray(problem.features.copy()), problem.labels)
    methods = methods_of()
    ours = st.descend(problem, methods, 30)
    theirs = st.descend(twin, methods, 30, engine="batched")
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(other.weights, np.ndarray)
        np.testing.assert_allclose(one.weights, other.weights, rtol=0, atol=1e-10)
        np.testing.assert_allclose(one.log_loss, other.log_loss, rtol=1e-9)
        np.testing.assert_allclose(one.upper_bound, other.upper_bound, rtol=1e-9)


@pytest.mark.parametrize("engine", ["compiled", "batched"])
def test_a_run_stops_at_the_gap_that_its_own_certificate_shows(engine):
    problem = st.datasets.gaussian(seed=5)
    hot = st.PolynomialDecay(3.0, 0.3)
    methods = [st.Method("frobenius", schedule=hot), st.Method("frobenius", schedule=SCHEDULE)]
    sure, slow = st.descend(problem, methods, 3000, engine=engine, stop_at_gap=0.05)
    assert sure.completed
    assert sure.steps[-1] < 3000
    certified = sure.normalized_margin / sure.upper_bound
    assert certified[-1] >= 0.95
    assert np.all(certified[:-1] < 0.95)
    solution = st.max_margin(problem, "frobenius")
    assert sure.against(solution).relative_margin_error[-1] <= 0.05
    # The other run of the same group goes on to its end, as if it were alone.
    assert slow.steps[-1] == 3000
    alone = st.descend(problem, methods[1], 3000, engine=engine)
    np.testing.assert_allclose(slow.final_weights, alone.final_weights, rtol=0, atol=1e-9)


def test_a_run_that_stopped_at_its_gap_is_read_back(tmp_path):
    problem = st.datasets.gaussian(seed=5)
    method = st.Method("frobenius", schedule=st.PolynomialDecay(3.0, 0.3))
    first = st.descend(problem, method, 3000, stop_at_gap=0.05, checkpoint=tmp_path)
    seen = []
    again = st.descend(
        problem,
        method,
        3000,
        stop_at_gap=0.05,
        checkpoint=tmp_path,
        progress=lambda done, total: seen.append(done),
    )
    np.testing.assert_array_equal(first.weights, again.weights)
    # A smaller gap goes on from where the larger one stopped.
    more = st.descend(problem, method, 3000, stop_at_gap=0.03, checkpoint=tmp_path)
    assert more.steps[-1] > first.steps[-1]
    np.testing.assert_array_equal(more.weights[: len(first.steps)], first.weights)


@pytest.mark.parametrize("gap", [0, 1, -0.1, "small", float("nan"), True])
def test_a_gap_is_a_fraction(gap):
    with pytest.raises(InvalidArgument, match=r"stop_at_gap=.*: give a fraction between 0 and 1"):
        st.descend(random_problem(), st.Method(), 10, stop_at_gap=gap)
