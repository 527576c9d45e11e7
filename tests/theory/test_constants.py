"""R, m and κ: by hand, by exhaustive search, and against each other."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from tests.theory.instances import ANY_NORMS, instances

from steepest import Classification
from steepest.errors import InvalidArgument
from steepest.theory.constants import (
    batches_per_epoch,
    feature_radius,
    noise_factor,
    noise_share,
    papers_radius,
    papers_required_momentum,
    required_momentum_for,
)

momenta = st.one_of(st.floats(0, 0.999999), st.floats(1e-12, 1).map(lambda lag: 1.0 - lag))


@given(instances())
def test_radius_is_at_most_the_papers_in_the_papers_norms(instance):
    radius = feature_radius(instance.problem, instance.norm)
    assert radius <= feature_radius(instance.problem, "max") * (1 + 1e-12)
    assert feature_radius(instance.problem, "max") == pytest.approx(instance.problem.feature_bound, rel=1e-14)
    assert papers_radius(instance.problem, instance.norm) == feature_radius(instance.problem, "max")


def largest_of_all_pairs(problem, norm_):
    """Half the largest dual norm of a pair, one matrix [k, d] after the other."""
    largest = 0.0
    for x in np.asarray(problem.features):
        for a, b in itertools.permutations(range(problem.n_classes), 2):
            pair = np.zeros((problem.n_classes, problem.dimension))
            pair[a], pair[b] = x, -x
            largest = max(largest, float(norm_.dual(pair)))
    return 0.5 * largest


@given(instances(ANY_NORMS))
def test_radius_is_the_largest_of_all_pairs_in_any_norm(instance):
    problem, norm_ = instance.problem, instance.norm
    expected = largest_of_all_pairs(problem, norm_)
    assert feature_radius(problem, norm_) == pytest.approx(expected, rel=1e-12)
    assert papers_radius(problem, norm_) == pytest.approx(max(expected, problem.feature_bound), rel=1e-12)


def test_radius_knows_the_number_of_classes_and_where_they_stand():
    """Mean-square-spectral: √(k/d) ‖x‖₂ / √2. Norms of blocks tell classes of one block from others."""
    X, y = np.random.default_rng(0).normal(size=(12, 6)), np.arange(12) % 4
    problem = Classification(X, y)
    longest = np.linalg.norm(X, axis=1).max()
    expected = math.sqrt(4 / 6) * longest / math.sqrt(2)
    assert feature_radius(problem, "mean-square-spectral") == pytest.approx(expected, rel=1e-12)
    # Two classes of one block make one matrix of length √2 ‖x‖, two of different blocks two of length ‖x‖.
    assert feature_radius(problem, "row-blocks-2/inf:frobenius") == pytest.approx(longest, rel=1e-12)
    assert feature_radius(problem, "row-blocks-2/1:frobenius") == pytest.approx(
        longest / math.sqrt(2), rel=1e-12
    )


@pytest.mark.parametrize(
    ("name", "radius"),
    [
        ("max", 7.0),
        ("sum", 2.0),
        ("frobenius", 5 / 2**0.5),
        ("nuclear", 5 / 2**0.5),
        ("spectral", 5 / 2**0.5),
    ],
)
def test_radius_by_hand(name, radius):
    # Duals: sum 2·7, max 4, and √2·5 for every Schatten norm, halved.
    problem = Classification([[3.0, -4.0], [1.0, 0.0]], [0, 1])
    assert feature_radius(problem, name) == pytest.approx(radius, rel=1e-12)


def exact_supremum(momentum, batches, epochs):
    """max over shuffles of |c_i| / n for one sample: it may be anywhere in every epoch, so epochs add up."""
    best = 0.0
    for done in range(1, batches + 1):  # steps done in the last epoch
        ages = [list(range(done))]
        ages += [list(range(done + e * batches, done + (e + 1) * batches)) for e in range(epochs)]
        options = []
        for epoch in ages:
            weights = [(1 - momentum) * momentum**age for age in epoch]
            places = weights if len(epoch) == batches else [*weights, 0.0]
            options.append([batches * w - sum(weights) for w in places])
        best = max(best, abs(sum(map(max, options))), abs(sum(map(min, options))))
    return best


@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("batches", [1, 2, 3, 5, 8])
def test_noise_factor_is_the_supremum(momentum, batches):
    epochs = 2 + int(40 / (batches * (1 - momentum)))
    supremum = exact_supremum(momentum, batches, epochs)
    assert noise_factor(momentum, batches) == pytest.approx(supremum, rel=1e-9, abs=1e-12)


@given(momenta, st.integers(1, 300))
def test_each_form_of_the_share_is_at_most_the_next(momentum, batches):
    exact, epochwise, paper = (
        noise_share(momentum, batches, form) for form in ("exact", "epochwise", "paper")
    )
    assert 0 <= exact <= epochwise * (1 + 1e-9) + 1e-15
    assert epochwise <= 1 + 1e-12
    if batches >= 2:
        assert epochwise <= paper * (1 + 1e-9) + 1e-12


def test_shares_by_hand():
    # m = 2: q = 2/(1+β), δ = 1-β, u = (1-β)/(1+β); at β = 1/2: q = 4/3, u = 1/3.
    assert noise_share(0.5, 2, "exact") == pytest.approx(1 - 1 + 0.5 * 4 / 3)
    assert noise_share(0.5, 2, "epochwise") == pytest.approx(1 - 0.5 * (1 - 1 / 3))
    assert noise_share(0.5, 2, "paper") == pytest.approx(2.0)
    for form in ("exact", "epochwise", "paper"):
        assert noise_share(0.9, 1, form) == 0.0
    for batches in (2, 7):
        assert noise_share(0.0, batches, "exact") == noise_share(0.0, batches, "epochwise") == 1.0


def test_exact_share_saves_a_factor_of_the_batches():
    for batches in (10, 100):
        lag = 1e-6
        assert noise_share(1 - lag, batches, "exact") == pytest.approx(1.5 * lag, rel=1e-2)
        assert noise_share(1 - lag, batches, "epochwise") > 0.75 * batches * noise_share(
            1 - lag, batches, "exact"
        )


@given(momenta, momenta, st.integers(2, 60))
def test_noise_factor_decreases_in_the_momentum(first, second, batches):
    low, high = sorted((first, second))
    assert noise_factor(high, batches) <= noise_factor(low, batches) * (1 + 1e-12)


@given(st.floats(1e-12, 1).map(lambda lag: 1.0 - lag), st.integers(2, 40))
def test_noise_factor_against_forty_digits(momentum, batches):
    with mp.workdps(60):
        beta, m = mpf(momentum), mpf(batches)
        q = m * (1 - beta) / (1 - beta**m)
        expected = max(m * (1 - beta) - 1 + beta * q, 1 - beta ** (2 * m - 2) * q)
        assert noise_factor(momentum, batches) == pytest.approx(float(expected), rel=1e-9)


@given(st.floats(1e-4, 1), st.integers(2, 500))
def test_required_momentum_is_the_smallest(relative_margin, batches):
    radius = 3.0
    margin = 2 * radius * relative_margin
    momentum = required_momentum_for(margin, radius, batches)
    assert 4 * radius * noise_factor(momentum, batches) < margin
    below = 1 - (1 - momentum) * (1 + 1e-9)
    assert 4 * radius * noise_factor(below, batches) >= margin * (1 - 1e-8)
    assert required_momentum_for(margin, radius, 1) == 0.0


def test_required_momentum_by_hand():
    """n = k = 2, x = ±1, b = 1: R = 1, γ = 2, m = 2; (1-β) (1+2β) / (1+β) has to come below 1/2."""
    sharp = required_momentum_for(2.0, 1.0, 2)
    assert sharp == pytest.approx((1 + 17**0.5) / 8)  # 4β² - β - 1 = 0
    # The paper's 4 (m-1) R (1-β) m² = 16 (1-β) has to come below 2, and does not at β = 7/8 itself.
    paper = papers_required_momentum(2.0, 1.0, 2)
    assert paper == math.nextafter(7 / 8, 1)
    assert papers_required_momentum(2.0, 1.0, 1) == 0.0
    assert papers_required_momentum(1e-300, 1.0, 2) is None


@given(st.floats(1e-6, 1), st.integers(2, 500))
def test_the_papers_required_momentum_meets_its_condition_and_exceeds_the_sharp_one(relative_margin, batches):
    radius = 3.0
    margin = 2 * radius * relative_margin
    momentum = papers_required_momentum(margin, radius, batches)
    assert momentum is not None
    assert 4 * (batches - 1) * radius * (1 - momentum) * batches**2 < margin
    assert momentum >= required_momentum_for(margin, radius, batches) - 1e-15


def test_required_momentum_where_none_is_enough():
    with pytest.raises(InvalidArgument, match="use larger batches"):
        required_momentum_for(1e-300, 1.0, 100)
    with pytest.raises(InvalidArgument, match="separable"):
        required_momentum_for(0.0, 1.0, 4)


def test_batches_and_their_errors():
    assert [batches_per_epoch(10, b) for b in (None, 10, 9, 5, 3, 1)] == [1, 1, 2, 2, 4, 10]
    for bad in (0, 11, 2.5, True):
        with pytest.raises(InvalidArgument, match="batch_size"):
            batches_per_epoch(10, bad)  # pyright: ignore[reportArgumentType]
    for call in (
        lambda: noise_share(1.0, 3),
        lambda: noise_share(-0.1, 3),
        lambda: noise_factor(math.nan, 3),
    ):
        with pytest.raises(InvalidArgument, match="0 <= momentum < 1"):
            call()
    with pytest.raises(InvalidArgument, match="batches"):
        noise_share(0.5, 0)
    with pytest.raises(InvalidArgument, match="form='best'"):
        noise_share(0.5, 2, "best")  # pyright: ignore[reportArgumentType]


def test_margins_never_exceed_twice_the_radius():
    # The duality behind "vacuous without momentum": ‖A(q)‖_* ≤ 2R for every q, in every norm.
    rng = np.random.default_rng(0)
    for norm_ in ANY_NORMS:
        X, y = rng.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])
        problem = Classification(X, y)
        q = rng.random((6, 3))
        q[np.arange(6), y] = 0
        assert norm_.dual(problem.pair_sum(q / q.sum())) <= 2 * feature_radius(problem, norm_)
