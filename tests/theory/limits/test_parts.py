"""Parts of predicted limits: shares of batches, slopes of graded signs, steps of paths, enough samples."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from steepest import Classification, Method, PolynomialDecay, max_margin, norm
from steepest.losses import loss
from steepest.theory import batch_one_direction, bias_direction, limit_direction, single_sample_bias
from steepest.theory.limits import predict, refinement
from steepest.theory.limits.batches import Batches, aged_epochs, every_batch, sampled_batches
from steepest.theory.limits.fields import field_of
from steepest.theory.limits.following import WIDTH, followed, samples_of
from steepest.theory.limits.path import Path, follow
from steepest.theory.limits.plan import planned
from steepest.theory.limits.result import LimitDirection, LimitError
from steepest.theory.limits.single_samples import constant_directions
from steepest.theory.limits.smallest import _is_clear
from steepest.theory.limits.uncertainty import scatter


@pytest.fixture(scope="module")
def problem():
    draw = np.random.default_rng(3)
    y = np.arange(6) % 3
    return Classification(draw.normal(size=(6, 4)) + 4.0 * np.eye(3, 4)[y], y)


def test_shares_of_batches_add_up_to_one():
    draw = np.random.default_rng(0)
    halving = aged_epochs(5, 2, lambda steps: np.arange(steps) * np.log(0.5), 7, draw)
    for batches in (every_batch(7, 3), sampled_batches(7, 3, 20, draw), halving):
        assert batches.shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(halving.shares, 1 / 7)


def test_what_a_batch_amounts_to_by_hand():
    members = sparse.csr_array(np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]))
    # Weights 1, 1, 2: (1 + 1 + 2)² / (1 + 1 + 4) = 8/3; weights 3, 1: 16/10.
    weighted = Batches(members, np.array([0.25, 0.75]), np.log([1.0, 1.0, 2.0, 3.0, 1.0]))
    assert weighted.effective_size == pytest.approx(0.25 * 8 / 3 + 0.75 * 1.6)
    assert Batches(members, np.array([0.25, 0.75])).effective_size == pytest.approx(0.25 * 3 + 0.75 * 2)
    part = weighted.part(np.array([1]))
    assert part.shares.tolist() == [1.0]
    np.testing.assert_allclose(np.exp(part.ratios(np.zeros(3)).toarray()), [[1.0, np.e, np.exp(1 / 3)]])


@pytest.mark.parametrize("loss_name", ["cross-entropy", "exponential"])
@pytest.mark.parametrize("aged", [False, True])
def test_slopes_of_an_entry_that_samples_of_weight_e_minus_1200_balance(loss_name, aged):
    # Only the last two samples have the second feature, and they pull it opposite ways at e^-1200.3 and
    # e^-1199.7, where the first sample, at 1, has a zero.
    data = Classification([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 3.0, 0.0], [0.0, 1.0, 0.0, 3.0]], [0, 0, 1])
    W = np.array([[0.0, 0.15, 200.0, -200.0], [0.0, -0.15, -200.0, 200.0]])
    batches = every_batch(3, 3)
    if aged:
        batches = Batches(batches.members, batches.shares, np.log([0.2, 0.5, 0.7]))
    field = field_of(data, norm("max"), loss(loss_name), batches)
    assert field is not None
    V, h = np.random.default_rng(1).normal(size=(2, 4)), 1e-6
    at = field.at(W, 0.7)
    slope = (field.at(W + h * V, 0.7).value - field.at(W - h * V, 0.7).value) / (2 * h)
    assert np.abs(slope[:, 1]).min() > 0.1
    np.testing.assert_allclose(at.slopes()(V), slope, atol=1e-7)
    # By hand: pulls e^-margin with their weights; the signs of class 0 are + and -.
    w = np.array([1.0, 1.0, 1.0]) if batches.logs is None else np.exp(batches.logs)
    first, second = w[1] * np.exp(-0.3), w[2] * np.exp(0.3)
    rho = (first - second) / (first + second)
    expected = rho * np.sqrt((1 + 0.7**2) / (rho**2 + 0.7**2))
    assert at.value[:, 1] == pytest.approx([expected, -expected])


def test_orthogonal_data_of_three_classes_has_its_own_bias_in_other_norms():
    data = Classification([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.5]], [0, 1, 1, 2])
    B = batch_one_direction(data, "frobenius")
    np.testing.assert_array_equal(B, bias_direction(data, "frobenius"))
    # (1/4) u_c / ‖u_c‖ a sample, u_c = e_c - 1/3.
    assert B[0, 0] == pytest.approx(0.25 * (2 / 3) / np.sqrt(2 / 3))


def test_all_batches_are_taken_where_they_are_fewer_than_some_thousand(problem):
    solution = max_margin(problem, "frobenius")
    found = limit_direction(problem, Method("frobenius", 3), margin=solution, batches=1)
    assert found.status.startswith("mean field over all 20 batches")
    assert found.error.samples == 0.0


def test_paths_hurry_to_a_limit_alone(problem):
    solution = max_margin(problem, "frobenius")
    limit = limit_direction(problem, Method("frobenius", 3), margin=solution)
    there = limit_direction(problem, Method("frobenius", 3), at=2000.0, margin=solution)
    assert limit.path is not None
    assert there.path is not None
    # R doubles a step, or grows half as much again where a short step before the end is spared.
    assert (there.path.lengths[1:] / there.path.lengths[:-1]).max() <= 3.0
    assert (limit.path.lengths[1:] / limit.path.lengths[:-1]).max() == pytest.approx(4.0)
    assert there.path.lengths[-1] == 2000.0


@pytest.mark.parametrize(("name", "largest"), [("frobenius", 6 * 3 * 3), ("max", 6 * 3 * 4)])
def test_a_field_that_fills_the_memory_is_not_begun(problem, monkeypatch, name, largest):
    solution = max_margin(problem, name)
    monkeypatch.setattr(predict, "_MOST_NUMBERS", largest - 1)
    found = limit_direction(problem, Method(name, 3), at=1.0, margin=solution, batches=1)
    assert found.status.startswith("the mean field of 6 samples, 3 classes and 4 features needs an array of")
    monkeypatch.setattr(predict, "_MOST_NUMBERS", largest)
    assert limit_direction(problem, Method(name, 3), at=1.0, margin=solution, batches=1).available


def test_when_more_samples_of_batches_would_not_change_a_verdict():
    def found(error, **parts):
        direction = np.zeros((2, 1))
        return LimitDirection(
            "data", "max", 1, "predicted", "", 2.0, direction, 2.0 * (1 - error), LimitError(**parts)
        )

    assert _is_clear(LimitDirection("data", "max", 1, "not available", "", 2.0), 0.002)
    # Every batch was taken: there are no other samples.
    assert _is_clear(found(0.002, doubling=0.1), 0.002)
    # Wide is six standard deviations and twice what else is open: 0.06 + 0.02.
    open_ = {"samples": 0.01, "width": 0.01}
    assert not _is_clear(found(0.081, **open_), 0.002)
    assert _is_clear(found(0.083, **open_), 0.002)
    assert not _is_clear(found(0.002, **open_), 0.002)


def test_a_path_ends_with_its_newton_steps():
    # A constant field: two Newton steps to the first state, and one for each later one, whose start is exact.
    data = Classification([[1.0], [-1.0]], [0, 1])
    field = field_of(data, norm("max"), loss("cross-entropy"), every_batch(2, 1))
    assert field is not None
    path = follow(field, 1.0, 1e6, 2.0, most_solves=5)
    assert not path.complete
    np.testing.assert_allclose(path.lengths, [0.25, 0.5, 1.0, 2.0])
    np.testing.assert_allclose(path.weights[:, 0, 0], path.lengths)
    assert follow(field, 1.0, 1e6, 2.0, most_solves=40).complete


@pytest.mark.parametrize(
    ("least", "separates"), [(2.0**-40, True), (2.0**-46, None), (-(2.0**-46), None), (-(2.0**-40), False)]
)
def test_a_margin_of_the_size_of_rounding_is_too_close_to_call(least, separates):
    # B = ((1, 1/3), -(1, 1/3)), so that the last sample's margin is 2/3 of ``least``. What rounds is below
    # (d + n) max ‖D‖ ‖x‖₁ 2^-50 = 5 · 2 · 4 · 2^-50.
    found = single_sample_bias(
        Classification([[1.0, 1.0], [-1.0, -1.0], [1.0, -3.0 + least]], [0, 1, 0]), "max"
    )
    assert found.margin == pytest.approx(2 / 3 * least, abs=2.0**-50)
    assert found.separates is separates


def test_scatter_of_a_run_by_hand():
    # n = 2 batches an epoch, and three steps until their sizes add up to R.
    data = Classification([[1.0], [-1.0]], [0, 1])
    method = Method("max", 1, schedule=PolynomialDecay(0.5, 0.5))
    at = 0.5 + 0.5 / np.sqrt(2) + 0.5 / np.sqrt(3) - 1e-9
    plan = planned(data, method, at, 2.0, None, 2, 0, None)
    assert plan.steps is not None
    first, last = 0.5, 0.5 / np.sqrt(3)
    mean = 0.25 * (1 + 1 / 2 + 1 / 3) / at
    assert (plan.steps.first, plan.steps.last, plan.steps.mean) == pytest.approx((first, last, mean))
    # Directions twice as far apart: a standard deviation of 2.
    directions, state = np.array([[[2.0], [-2.0]], [[0.0], [0.0]]]), np.array([[3.0], [-3.0]])
    epoch, size = np.sqrt(2), 3.0 * 2.0
    assert scatter(plan, directions, state) == pytest.approx(epoch * 2 * (first + last) / size)
    halved = scatter(plan, directions, state, lambda V: 0.5 * V)
    assert halved == pytest.approx(epoch * (first + 2 * last) / size)
    bent = scatter(plan, directions, state, bent=True)
    logits = mean * epoch * 2
    assert bent == pytest.approx((epoch * 2 * (first + last) + 0.5 * logits**2 * 2 * at) / size)
    assert scatter(planned(data, method, None, 2.0, None, 2, 0, None), directions, state) == 0.0


@pytest.mark.parametrize("at", [None, 50.0])
def test_signs_are_sharpened_from_where_the_sharper_path_stopped(problem, monkeypatch, at):
    # It stops after 12 Newton steps: for a limit F there is compared with F there; at a given R the change of
    # the weights grows with R.
    plan = planned(problem, Method("max", 3), at, max_margin(problem, "max"), None, 2, 0, None)
    until = 1000.0 if at is None else at
    (batches,) = samples_of(plan)
    wide = followed(plan, batches, until, 2.0, WIDTH, "wide")
    sharp = followed(plan, batches, until, np.sqrt(2), 0.3, "sharp", 12)
    assert wide.complete
    assert not sharp.complete
    here = int(np.argmin(np.abs(wide.lengths - sharp.lengths[-1])))
    if at is None:
        state, change = wide.growths[-1], sharp.growths[-1] - wide.growths[here]
    else:
        state = wide.weights[-1]
        change = (sharp.weights[-1] - wide.weights[here]) * at / sharp.lengths[-1]
    monkeypatch.setattr(refinement, "MOST_SOLVES", 12)
    found, left, last = refinement.sharper(plan, batches, wide, state, until)
    np.testing.assert_allclose(found, state + change / (1 - 0.3), rtol=1e-12)
    open_ = abs(plan.error_of(found) - plan.error_of(state + change))
    assert left == pytest.approx(open_)
    assert (last.width, last.growth) == (0.3, pytest.approx(np.sqrt(2)))
    assert np.abs(change).max() > 1e-6


def test_scatter_of_single_samples_is_over_all_of_few():
    data = Classification([[1.0, 1.0], [-1.0, 2.0]], [0, 1])
    method = Method("max", 1, schedule=PolynomialDecay(0.5, 0.5))
    found = limit_direction(data, method, at=3.0, margin=1.0)
    plan = planned(data, method, 3.0, 1.0, None, 2, 0, None)
    both = constant_directions(data, norm("max"), slice(None))
    assert found.error.steps == pytest.approx(scatter(plan, both, 3.0 * both.mean(axis=0)))
    assert found.error.steps > 0


def test_what_is_open_of_a_limit_is_its_change_over_the_last_doubling(problem):
    found = limit_direction(problem, Method("frobenius", 3), margin=max_margin(problem, "frobenius"))
    assert found.path is not None
    lengths, errors = found.path.lengths, found.path.limit_errors
    late = errors[np.flatnonzero(lengths <= 0.5 * lengths[-1] * (1 + 1e-6))[-1] :]
    assert found.error.doubling == pytest.approx(np.abs(late - late[-1]).max(), abs=1e-15)
    assert found.error.doubling < np.abs(errors - errors[-1]).max()


@pytest.mark.parametrize(
    ("samples", "features", "size", "least"),
    [(500, 1, 10, 3000), (500, 1, 100, 600), (500, 1, 500, 150), (4, 1000, 2, 500), (4, 9000, 2, 150)],
)
def test_samples_have_fewer_batches_where_these_or_weights_are_large(samples, features, size, least):
    X = np.zeros((samples, features))
    X[:, 0] = np.where(np.arange(samples) % 2, -1.0, 1.0)
    data = Classification(X, np.arange(samples) % 2)
    assert planned(data, Method("max", size), None, 2.0, None, 2, 0, None).least == least


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_method_without_step_sizes_has_no_error_of_theirs(problem, momentum):
    own: Any = SimpleNamespace(norm="frobenius", batch_size=3, momentum=momentum, loss="cross-entropy")
    found = limit_direction(problem, own, at=2.0, margin=max_margin(problem, "frobenius"), batches=1)
    assert found.available
    assert found.error.steps == 0.0


def test_the_last_doubling_begins_at_half_of_the_length(problem):
    solution = max_margin(problem, "frobenius")
    plan = planned(problem, Method("frobenius", 3), None, solution, None, 2, 0, None)
    (batches,) = samples_of(plan)
    ways = np.stack([solution.weights + share * np.eye(3, 4) for share in (2.0, 0.5, 0.1)])
    path = Path(np.array([1.0, 2.0, 4.0]), ways, ways, complete=True)
    last = refinement.Followed(path, WIDTH, 2.0)
    state, open_ = refinement.finer(plan, batches, path, last, ways[-1], 4.0)
    np.testing.assert_array_equal(state, ways[-1])
    errors = [plan.error_of(each) for each in ways]
    assert open_ == pytest.approx(abs(errors[1] - errors[2]))
    assert abs(errors[0] - errors[2]) > 2 * open_ > 0
