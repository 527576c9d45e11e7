from typing import Any

import numpy as np
import pytest
from tests.contracts.losses import BARE

from steepest import Classification, Method, PolynomialDecay, descend
from steepest.errors import InvalidArgument
from steepest.theory import (
    batch_one_distance_bound,
    bias_direction,
    limit_direction,
    per_sample_bias,
    single_sample_bias,
)


def random_problem(samples, dimension, classes, seed):
    draw = np.random.default_rng(seed)
    return Classification(draw.normal(size=(samples, dimension)), np.arange(samples) % classes)


CASES = [("frobenius", 2), ("spectral", 2), ("max", 2), ("entrywise-3", 2), ("sum", 2), ("max", 4)]


@pytest.mark.parametrize(("name", "classes"), CASES)
@pytest.mark.parametrize("loss", ["cross-entropy", "pairwise-logistic"])
def test_runs_stay_within_the_bound_of_the_mean_direction(name, classes, loss):
    problem = random_problem(11, 5, classes, seed=7)
    found = single_sample_bias(problem, name)
    method = Method(name, batch_size=1, loss=loss, schedule=PolynomialDecay(0.3, 0.6), seed=5)
    steps = [1, 4, 11, 40, 41, 400, 407]
    run = descend(problem, method, 407, records=steps, engine="reference")
    lengths = np.cumsum(0.3 * np.arange(1, 408) ** -0.6)
    for t, W in zip(run.steps, run.weights, strict=True):
        if t > 0:
            distance = np.linalg.norm(W - found.B * lengths[t - 1])
            assert distance <= found.distance_bound(0.3) * (1 + 1e-9)


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_mean_direction_is_the_same_at_all_weights(name, classes):
    problem = random_problem(9, 4, classes, seed=1)
    B = single_sample_bias(problem, name).B
    for size in (0.0, 1.0, 50.0):
        W = size * np.random.default_rng(2).normal(size=(classes, 4))
        np.testing.assert_allclose(per_sample_bias(problem, name, W), B, atol=1e-12)


def test_it_extends_theorem_4_9():
    problem = Classification(
        [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.5]], [0, 1, 1, 2]
    )
    np.testing.assert_allclose(single_sample_bias(problem, "max").B, bias_direction(problem, "max"))


def test_where_b_does_not_separate_the_loss_stays_up_by_hand():
    # B = (1/3) (2 [1, 0] + [-1, 0.0]) by signs: the lone sample of class 1 is on the wrong side.
    problem = Classification([[3.0, 1.0], [2.0, -1.0], [0.1, -9.0]], [0, 0, 1])
    found = single_sample_bias(problem, "max")
    np.testing.assert_allclose(found.B, [[1 / 3, 1 / 3], [-1 / 3, -1 / 3]])
    assert found.separates is True
    problem = Classification([[3.0, 1.0], [2.0, -1.0], [0.5, -0.2]], [0, 0, 1])
    found = single_sample_bias(problem, "max")
    assert found.separates is False
    assert found.margin == pytest.approx(-0.2)
    limit = limit_direction(problem, Method("max", batch_size=1), margin=0.1)
    assert limit.kind == "exact"
    assert "does not go to 0" in limit.status
    run = descend(
        problem, Method("max", batch_size=1, schedule=PolynomialDecay(0.5, 0.5)), 500, engine="reference"
    )
    assert run.log_loss[-1] > run.log_loss[0]


def test_directions_that_cancel_leave_no_limit():
    problem = Classification([[1.0, 2.0], [2.0, 1.0]], [0, 1])
    found = single_sample_bias(problem, "max")
    assert not found.B.any()
    assert found.separates is None
    assert not limit_direction(problem, Method("max", batch_size=1)).available


def test_at_a_given_length_the_state_is_that_multiple():
    problem = random_problem(6, 4, 2, seed=3)
    B = single_sample_bias(problem, "spectral").B
    plain = limit_direction(problem, Method("spectral", batch_size=1), at=50.0, margin=1.0)
    np.testing.assert_allclose(np.asarray(plain.weights), 50.0 * B)
    heavy = Method("spectral", batch_size=1, momentum=0.75, momentum_kind="heavy-ball")
    moved = limit_direction(problem, heavy, at=50.0, margin=1.0)
    np.testing.assert_allclose(np.asarray(moved.weights), 200.0 * B)


def test_three_classes_in_another_norm_are_refused():
    problem = random_problem(6, 4, 3, seed=3)
    with pytest.raises(InvalidArgument, match="use the max-norm or limit_direction"):
        single_sample_bias(problem, "frobenius")


@pytest.mark.parametrize("size", [0.0, -0.1, np.nan])
def test_step_sizes_that_are_none_have_no_distance_bound(size):
    problem = Classification([[2.0], [-1.0], [-3.0]], [0, 1, 1])
    with pytest.raises(InvalidArgument, match=rf"^initial_step_size={size}: give a number above 0$"):
        batch_one_distance_bound(problem, "frobenius", size)


def test_the_full_batch_is_proven_by_the_theorem_of_its_momentum_and_for_losses_of_the_theory():
    problem = Classification([[1.0], [-1.0]], [0, 1])
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({}, "exact", "(Theorem 4.1)"),
        ({"momentum": 0.9}, "exact", "(Theorem 4.3)"),
        ({"batch_size": 1, "signal": "svrg", "momentum": 0.9}, "exact", "(Theorem 4.6)"),
        ({"momentum": 0.9, "momentum_kind": "nesterov"}, "predicted", "; not proven here"),
        ({"loss": BARE}, "predicted", "; not proven here"),
    ]
    for settings, kind, end in cases:
        found = limit_direction(problem, Method("max", **settings))
        assert found.kind == kind
        assert found.status.endswith(end)
        assert found.relative_error == pytest.approx(0.0, abs=1e-9)
