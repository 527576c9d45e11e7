"""Bias directions by hand, against Theorem 4.9's runs, and the field on data where nothing is proven."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.norms import UNEVEN
from tests.theory import plain
from tests.theory.instances import LOSSES, NORMS, instances

from steepest import Classification, Method, PolynomialDecay, descend, norm, theory
from steepest.errors import InvalidArgument, InvalidData
from steepest.geometry import norm_label


def orthogonal(counts=(2, 3, 7), seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    return Classification(np.eye(len(counts))[y] * rng.uniform(0.5, 3.0, (len(y), 1)), y)


def cosine(A, B):
    return float(np.sum(A * B) / np.linalg.norm(A) / np.linalg.norm(B))


def test_definition_by_hand():
    """Counts 2, 3, 7 of 12: column c is the count's share of 2e_c - 1 (max) or of u_c (Schatten)."""
    problem = orthogonal()
    shares = np.array([2, 3, 7]) / 12
    np.testing.assert_allclose(
        theory.bias_direction(problem, "max"), (2 * np.eye(3) - 1) * shares, rtol=1e-14
    )
    u = (np.eye(3) - 1 / 3) / np.sqrt(2 / 3)
    for name in ("frobenius", "spectral", "nuclear", "schatten-4"):
        np.testing.assert_allclose(theory.bias_direction(problem, name), u * shares, atol=1e-12)
    # Entry-wise 3: D has exponent 1/2, so column (√(2/3), -√(1/3), -√(1/3)) over its 3-norm.
    column = np.array([np.sqrt(2), -1, -1])
    expected = column / (2 * np.sqrt(2) + 2) ** (1 / 3) * shares[0]
    np.testing.assert_allclose(theory.bias_direction(problem, "entrywise-3")[:, 0], expected, atol=1e-12)


@pytest.mark.parametrize("norm_", [norm_ for norm_ in NORMS if str(norm_) != "sum"], ids=str)
def test_runs_with_batches_of_one_go_there(norm_):
    problem = orthogonal(counts=(2, 4, 3))
    method = Method(norm_, batch_size=1, schedule=PolynomialDecay(0.1, 0.5))
    trajectory = descend(problem, method, 1800, records=3)
    bias = theory.bias_direction(problem, norm_)
    assert cosine(trajectory.final_weights, bias) > 0.999
    assert trajectory.log_loss[-1] < -1


@pytest.mark.parametrize("name", ["row-2/inf", "column-2/1", "mean-square-spectral", "row-3/1.5"])
def test_runs_in_norms_that_treat_rows_alike_go_there_too(name):
    problem = orthogonal(counts=(2, 4, 3))
    method = Method(name, batch_size=1, schedule=PolynomialDecay(0.1, 0.5))
    trajectory = descend(problem, method, 1800, records=3)
    assert cosine(trajectory.final_weights, theory.bias_direction(problem, name)) > 0.999


@pytest.mark.parametrize("norm_", [UNEVEN, norm("row-blocks-2/inf:spectral")], ids=norm_label)
def test_norms_that_move_wrong_classes_apart_have_no_constant_bias(norm_):
    """The induction of Theorem 4.9 fails there, and so does what it would say."""
    problem = orthogonal(counts=(2, 4, 3, 1))
    with pytest.raises(
        InvalidArgument, match="moves the logits of wrong classes apart; use per_sample_bias"
    ) as error:
        theory.bias_direction(problem, norm_)
    assert error.value.value == norm_label(norm_)
    at_start = theory.per_sample_bias(problem, norm_, np.zeros((4, 4)))
    method = Method(norm_, batch_size=1, schedule=PolynomialDecay(0.1, 0.5))
    trajectory = descend(problem, method, 1800, records=3)
    assert cosine(trajectory.final_weights, at_start) < 0.999
    assert np.max(np.abs(theory.per_sample_bias(problem, norm_, trajectory.final_weights) - at_start)) > 1e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_field_is_the_constant_bias_along_runs_on_orthogonal_data(loss):
    problem = orthogonal(counts=(1, 2, 4))
    for norm_ in NORMS[:5]:
        method = Method(norm_, batch_size=1, loss=loss, schedule=PolynomialDecay(0.3, 0.5))
        for W in descend(problem, method, 600, records=5).weights:
            field = theory.per_sample_bias(problem, norm_, W, loss)
            np.testing.assert_allclose(field, theory.bias_direction(problem, norm_), atol=1e-9)


@given(instances())
def test_field_is_the_mean_direction_of_single_samples(instance):
    each = -plain.sample_gradients(instance.X, instance.y, 0.1 * instance.W, instance.loss)
    expected = instance.norm.direction(each).mean(axis=0)
    ours = theory.per_sample_bias(instance.problem, instance.norm, 0.1 * instance.W, instance.loss)
    if str(instance.norm) in ("max", "sum"):  # ties are decided by rounding there
        assert float(instance.norm(ours)) <= 1 + 1e-12
        each_ours = np.sum(each * ours, axis=(1, 2)).mean()
        assert each_ours <= instance.norm.dual(each).mean() * (1 + 1e-9)
    else:
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@given(st.integers(0, 1000), st.sampled_from(NORMS))
def test_field_has_norm_at_most_one(seed, norm_):
    rng = np.random.default_rng(seed)
    problem = Classification(rng.normal(size=(7, 3)), [0, 1, 2, 0, 1, 2, 0])
    field = theory.per_sample_bias(problem, norm_, 1000 * rng.normal(size=(3, 3)))
    assert np.all(np.isfinite(field))
    assert float(norm_(field)) <= 1 + 1e-12


def test_data_of_another_form_is_refused():
    bad = (
        Classification([[1.0, 0.1], [0.0, 1.0]], [0, 1]),  # not single entries
        Classification([[-1.0, 0.0], [0.0, 1.0]], [0, 1]),  # a negative scale
        Classification([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1]),  # a class in two columns
        Classification([[1.0, 0.0], [2.0, 0.0]], [0, 1]),  # two classes in a column
        Classification([[1.0, 0.0], [0.0, 0.0]], [0, 1]),  # a zero sample
    )
    for problem in bad:
        with pytest.raises(InvalidData, match="per_sample_bias"):
            theory.bias_direction(problem, "max")
    with pytest.raises(InvalidArgument, match="one matrix"):
        theory.per_sample_bias(orthogonal(), "max", np.zeros((2, 3, 3)))
    permuted = Classification([[0.0, 2.0, 0.0], [0.0, 0.0, 1.0]], [0, 1])
    assert theory.bias_direction(permuted, "max").tolist() == [[0, 0.5, -0.5], [0, -0.5, 0.5]]


@pytest.mark.parametrize("norm_", ["max", "frobenius", "spectral"])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_runs_of_single_samples_stay_within_their_bound_of_the_bias_direction(norm_, exponent):
    problem, schedule = orthogonal(), PolynomialDecay(0.3, exponent)
    target = theory.bias_direction(problem, norm_)
    bound = theory.bias_distance_bound(problem, norm_, 0.3)
    for seed in range(3):
        method = Method(norm_, 1, schedule=schedule, seed=seed)
        run = descend(problem, method, 600, records=600)
        sums = np.concatenate([[0.0], np.cumsum(schedule(np.arange(600)))])[run.steps]
        distances = np.linalg.norm(run.weights - sums[:, None, None] * target, axis=(1, 2))
        assert distances.max() <= bound
        # Not by the bound being idle: single steps alone reach a good part of it.
        assert distances.max() > bound / 100


def test_the_bound_of_the_distance_by_hand_and_its_refusals():
    # Of 12 samples each direction has Frobenius norm 1, or 3 in the max-norm, where all nine entries are ±1.
    problem = orthogonal()
    assert theory.bias_distance_bound(problem, "frobenius", 0.5) == pytest.approx(12)
    longest = np.sqrt(np.sum(theory.bias_direction(orthogonal((1, 1, 1)), "max")[:, 0] ** 2)) * 3
    assert theory.bias_distance_bound(problem, "max", 0.5) == pytest.approx(12 * longest)
    with pytest.raises(InvalidArgument, match="initial_step_size=0: give a number above 0"):
        theory.bias_distance_bound(problem, "max", 0)
