import numpy as np
import pytest

from steepest import Classification, norm
from steepest.descent.engines.graded import GradedSum, graded_polar_factor
from steepest.losses import Samples, loss, residuals, weighted_gradient
from steepest.theory.limits import slopes as ways
from steepest.theory.limits.batches import (
    _older,
    aged_epochs,
    every_batch,
    number_of_batches,
    sampled_batches,
)
from steepest.theory.limits.fields import field_of

LOSSES = ["cross-entropy", "exponential", "pairwise-logistic"]


def problem_of(samples, dimension, classes, seed, zeros=0.0):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(samples, dimension)) * (draw.random((samples, dimension)) >= zeros)
    return Classification(X, np.arange(samples) % classes)


def field(problem, name, loss_name, batches):
    found = field_of(problem, norm(name), loss(loss_name), batches)
    assert found is not None
    return found


def mean_direction(problem, name, loss_name, W, batches):
    """The expectation from the library's own exact gradients, a batch at a time."""
    total, members = 0.0, batches.members.toarray().astype(bool)
    for row, share in zip(members, batches.shares, strict=True):
        part = Samples.of(problem).take(np.flatnonzero(row))
        gradient = weighted_gradient(part, residuals(loss(loss_name), part, W), 1.0)
        total = total - share * norm(name).direction(gradient.mantissa)
    return total


def test_every_batch_counts_smaller_last_ones_by_their_share_of_an_epoch():
    batches = every_batch(5, 2)
    sizes = batches.members.sum(axis=1)
    assert number_of_batches(5, 2) == len(sizes) == 10 + 5
    assert batches.shares[sizes == 2].sum() == pytest.approx(2 / 3)
    assert batches.shares[sizes == 1].sum() == pytest.approx(1 / 3)
    # Every sample is seen once an epoch.
    assert batches.shares @ batches.members == pytest.approx(np.full(5, 1 / 3))


@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("name", ["frobenius", "max"])
@pytest.mark.parametrize("size", [0.5, 30.0])
def test_field_is_the_mean_of_exact_directions(name, loss_name, size):
    problem = problem_of(7, 4, 3, seed=1)
    W = size * np.random.default_rng(2).normal(size=(3, 4))
    batches = every_batch(7, 3)
    found = field(problem, name, loss_name, batches).at(W, 1e-9).value
    np.testing.assert_allclose(found, mean_direction(problem, name, loss_name, W, batches), atol=1e-9)


@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("name", ["frobenius", "max"])
@pytest.mark.parametrize(("size", "zeros"), [(0.5, 0.0), (2000.0, 0.6)])
def test_jacobian_is_the_derivative(name, loss_name, size, zeros):
    problem = problem_of(8, 5, 3, seed=3, zeros=zeros).weighted(np.arange(1.0, 9.0))
    draw = np.random.default_rng(4)
    W, V = size * draw.normal(size=(3, 5)), draw.normal(size=(3, 5))
    smoothed = field(problem, name, loss_name, sampled_batches(8, 3, 30, draw))
    at = smoothed.at(W, 0.7)
    h = 1e-5
    slope = (smoothed.at(W + h * V, 0.7).value - smoothed.at(W - h * V, 0.7).value) / (2 * h)
    np.testing.assert_allclose(at.slopes()(V), slope, atol=2e-6)


def test_a_sign_is_exact_where_only_a_sample_of_weight_e_minus_12000_has_the_feature():
    # The second feature is 0 in the first sample, which outweighs the second by e^12000.
    problem = Classification([[1.0, 0.0], [-1.0, -2.0]], [0, 1])
    W = np.array([[-2000.0, 3000.0], [2000.0, -3000.0]])
    assert np.asarray(problem.pair_margins(W))[[0, 1], [1, 0]].tolist() == [-4000.0, 8000.0]
    found = field(problem, "max", "exponential", every_batch(2, 2)).at(W, 0.5)
    assert np.abs(found.value - [[1.0, 1.0], [-1.0, -1.0]]).max() < 1e-12


@pytest.mark.parametrize("name", ["frobenius", "max"])
def test_a_batch_whose_gradients_cancel_pulls_nowhere(name):
    """Two samples at one place with both labels: at W = 0 their gradients add up to 0, exactly."""
    problem = Classification([[3.0, 1.0], [3.0, 1.0], [-1.0, 2.0]], [0, 1, 1])
    batches, W, V = every_batch(3, 2), np.zeros((2, 2)), np.array([[1.0, -2.0], [0.5, 3.0]])
    at = field(problem, name, "cross-entropy", batches).at(W, 1e-9)
    expected = mean_direction(problem, name, "cross-entropy", W, batches)
    np.testing.assert_allclose(at.value, expected, rtol=0, atol=1e-12)
    assert np.abs(expected).max() > 0.1
    if name == "frobenius":
        # The others turn as they do without it.
        others = batches.part(np.flatnonzero(batches.members.toarray()[:, :2].sum(axis=1) < 2))
        share = 1.0 - batches.shares[batches.members.toarray()[:, :2].sum(axis=1) == 2].sum()
        slopes = field(problem, name, "cross-entropy", others).at(W, 1e-9).slopes()
        np.testing.assert_allclose(at.slopes()(V), share * slopes(V), rtol=0, atol=1e-12)


def test_ages_of_samples_are_those_of_shuffled_epochs():
    # At β = 1/2 and b = 1 the latest sample weighs 1 and its predecessor half of that, whatever the moment.
    ages = aged_epochs(6, 1, lambda steps: np.arange(steps) * np.log(0.5), 40, np.random.default_rng(0))
    assert ages.logs is not None
    weights = np.exp(ages.logs.reshape(40, 6))
    assert weights.max(axis=1).min() >= 1.0
    # All weights of the past add up to Σ β^age.
    np.testing.assert_allclose(weights.sum(axis=1), 2.0, rtol=1e-9)


def test_ages_of_samples_are_finite_where_their_weights_leave_float64():
    # A sample that was last seen 400 steps ago at β = 1/10 weighs 1e-400, and a drift of 1/2 a step takes
    # weights of late ages beyond e^709 before β does away with them.
    for drift in (0.0, 0.5):
        slope = np.log(0.1) + drift
        ages = aged_epochs(
            400, 1, lambda steps, slope=slope: np.arange(steps) * slope, 3, np.random.default_rng(0)
        )
        assert ages.logs is not None
        logs = ages.logs.reshape(3, 400)
        assert np.isfinite(logs).all()
        assert logs.max(axis=1).min() >= 0.0
        assert logs.min(axis=1).max() < 399 * slope + 1e-9


@pytest.mark.parametrize("beta", [0.995, 1 - 1e-5, 1 - 1e-12])
@pytest.mark.parametrize(("samples", "size"), [(2, 1), (7, 3)])
def test_averages_over_more_than_a_thousand_epochs_are_not_cut_off(samples, size, beta):
    # With momentum near 1 an average is over 1 / (1-β) steps, and each sample is in one of m of them.
    steps = -(-samples // size)
    ages = aged_epochs(
        samples, size, lambda many: np.arange(many) * np.log(beta), 400, np.random.default_rng(0)
    )
    assert ages.logs is not None
    weights = np.exp(ages.logs.reshape(400, samples)) * -np.log(beta)
    np.testing.assert_allclose(weights.mean(), 1 / steps, rtol=0.02)
    np.testing.assert_allclose(weights.sum(axis=1), samples / steps, rtol=2 * (1 - beta) * samples + 1e-10)
    # Samples differ by what the epoch that has begun has shown of them, 1 or 0, and by the orders before it.
    if samples == 2:
        differences = (weights[:, 0] - weights[:, 1]) / -np.log(beta)
        # By hand: ±1 after an epoch's first step, ±(1-β) after its second; ±β^(now+2e) (1/β - 1) from e ago.
        now = beta ** np.array([0.0, 1.0])
        older = (1 / beta - 1) ** 2 * np.mean(now**2) * beta**4 / (1 - beta**4)
        expected = 0.5 * (1 + (1 - beta) ** 2) + older
        assert np.mean(differences**2) == pytest.approx(expected, abs=0.1)


def test_the_sum_of_older_epochs_has_the_moments_of_epochs_drawn_one_by_one():
    # 12 epochs are held, and all older ones drawn one by one beside what is drawn of their sum.
    samples, size, slope, now, draw = 5, 2, -0.004, 1, np.random.default_rng(1)
    by_age, position = slope * np.arange(12 * 3), np.arange(samples) // size
    found = np.exp([_older(by_age, now, samples, size, draw) for _ in range(4000)])
    epochs = np.arange(12, 1200)
    ages = (now + 3 * epochs)[:, None] - np.tile(position, (len(epochs), 1))
    drawn = np.array([np.exp(slope * draw.permuted(ages, axis=1)).sum(axis=0) for _ in range(1000)])
    np.testing.assert_allclose(found.sum(axis=1), drawn[0].sum(), rtol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), drawn.mean(axis=0), rtol=1e-3)
    np.testing.assert_allclose(np.cov(found.T), np.cov(drawn.T), atol=0.12 * found[:, 0].var())


@pytest.mark.parametrize("name", ["frobenius", "max"])
@pytest.mark.parametrize("size", [0.5, 300.0])
def test_all_ways_to_solve_for_a_newton_step_agree(name, size, monkeypatch):
    problem = problem_of(9, 6, 3, seed=5)
    draw = np.random.default_rng(6)
    W, V, step = size * draw.normal(size=(3, 6)), draw.normal(size=(3, 6)), 2.0 * size
    V -= V.mean(axis=0)
    slopes = field(problem, name, "cross-entropy", sampled_batches(9, 4, 30, draw)).at(W, 0.7).slopes()
    matrix = slopes.matrix()
    np.testing.assert_allclose(slopes(V).ravel(), matrix @ V.ravel(), atol=1e-12)
    formed = ways.solver(slopes, step)(V)
    np.testing.assert_allclose((np.eye(18) - step * matrix) @ formed.ravel(), V.ravel(), atol=1e-9)
    # As with more weights: by the columns that matter, and by GMRES where these are too many.
    monkeypatch.setattr(ways, "MOST_DENSE", 0)
    monkeypatch.setattr(ways, "_NEGLIGIBLE", 0.0)
    np.testing.assert_allclose(ways.solver(slopes, step)(V), formed, rtol=1e-8, atol=1e-8)
    monkeypatch.setattr(ways, "_MOST_COLUMNS", 4)
    monkeypatch.setattr(ways, "_PRECISION", 1e-10)
    np.testing.assert_allclose(ways.solver(slopes, step)(V), formed, rtol=1e-6, atol=1e-6)
    # The size of a column is never below what it is.
    samples, classes = np.divmod(np.arange(27), 3)
    norms = np.sqrt(np.sum(slopes.columns(samples, classes) ** 2, axis=(1, 2)))
    assert (norms <= slopes.sizes().ravel() * (1 + 1e-9) + 1e-12).all()


@pytest.mark.parametrize("smaller", [3.0, 300.0, 8000.0])
def test_spectral_directions_jump_at_ties_of_shares_that_weigh_nothing(smaller):
    # Two samples of class 0 whose strongest wrong class is 1: which has more of class 2 decides a sign. That
    # is why limits in the spectral norm are not available.
    draw = np.random.default_rng(int(smaller))
    features, pulls = draw.normal(size=(2, 4)), np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]])
    which, lefts = np.array([0, 1, 0, 1]), pulls[[0, 0, 1, 1]]

    def direction(more):
        return graded_polar_factor(
            GradedSum(np.array([0.0, 0.0, more - smaller, -smaller]), lefts, which, features)
        )

    assert np.linalg.norm(direction(1e-6) - direction(-1e-6), 2) == pytest.approx(2.0, abs=1e-5)
    # By hand: the second left and right vectors are orthogonal to e_0 - e_1 and to x_0 + x_1.
    left, right = np.array([0.5, 0.5, -1.0]), features[0] - features[1]
    right -= features.sum(axis=0) * (right @ features.sum(axis=0)) / np.sum(features.sum(axis=0) ** 2)
    if smaller > 100:
        for more in (1e-6, -1e-6):
            seen = left @ direction(more) @ right / (np.linalg.norm(left) * np.linalg.norm(right))
            assert seen == pytest.approx(np.sign(more), abs=1e-5)
