"""Signals: shuffling, unbiasedness over an epoch, variance reduction and momentum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.problems import random_problem

from steepest.losses import CROSS_ENTROPY, Samples, gradient
from steepest.scaled import Scaled, zeros_like
from steepest.signals import Reshuffling, minibatch_gradient, variance_reduced_gradient, with_momentum

shuffled = some.builds(
    Reshuffling,
    samples=some.integers(1, 40),
    batch_size=some.integers(1, 40),
    seed=some.integers(0, 1000),
).filter(lambda each: each.batch_size <= each.samples)


@given(each=shuffled, epoch=some.integers(0, 5000))
def test_every_epoch_visits_every_sample_once(each, epoch):
    steps = range(epoch * each.batches, (epoch + 1) * each.batches)
    batches = [each.batch(step) for step in steps]
    assert sorted(np.concatenate(batches)) == list(range(each.samples))
    assert all(len(batch) == each.batch_size for batch in batches[:-1])


@given(each=shuffled, first=some.integers(0, 4000), count=some.integers(1, 3000))
@settings(max_examples=30)
def test_orders_of_a_range_are_the_orders_of_its_epochs(each, first, count):
    orders = each.orders(first, first + count)
    assert orders.shape == (count, each.samples)
    for offset in {0, count // 2, count - 1}:
        np.testing.assert_array_equal(orders[offset], each.order(first + offset))


def test_orders_are_uniform_and_differ_between_epochs_and_seeds():
    counts = np.zeros((4, 4))
    each = Reshuffling(samples=4, batch_size=1, seed=5)
    orders = each.orders(0, 4000)
    for position in range(4):
        counts[position] = np.bincount(orders[:, position], minlength=4)
    # 4000 draws of probability 1/4: five standard deviations are 137.
    assert np.abs(counts - 1000).max() < 137
    assert not np.array_equal(orders[:50], Reshuffling(4, 1, 6).orders(0, 50))


@pytest.mark.parametrize("batch_size", [1, 3, 5, 12])
@pytest.mark.parametrize("reduced", [False, True])
def test_signals_at_fixed_weights_average_to_the_full_gradient_over_an_epoch(batch_size, reduced):
    problem = random_problem(samples=13)
    samples, reshuffling = Samples.of(problem), Reshuffling(13, batch_size, seed=2)
    generator = np.random.default_rng(3)
    W, snapshot = generator.normal(size=(2, 4, 20))
    factor = reshuffling.batches / 13
    full = gradient(problem, CROSS_ENTROPY, W).rounded()
    signals = []
    for step in range(reshuffling.batches):
        batch = samples.take(reshuffling.batch(step))
        if reduced:
            at_snapshot = gradient(problem, CROSS_ENTROPY, snapshot)
            signal = variance_reduced_gradient(CROSS_ENTROPY, batch, W, factor, snapshot, at_snapshot)
        else:
            signal = minibatch_gradient(CROSS_ENTROPY, batch, W, factor)
        signals.append(signal.rounded())
    np.testing.assert_allclose(np.mean(signals, axis=0), full, rtol=1e-12, atol=1e-14)


def test_variance_reduction_at_the_snapshot_is_the_full_gradient():
    problem = random_problem()
    W = 40 * np.random.default_rng(4).normal(size=(4, 20))
    batch = Samples.of(problem).take(np.array([1, 5]))
    full = gradient(problem, CROSS_ENTROPY, W)
    signal = variance_reduced_gradient(CROSS_ENTROPY, batch, W, 6 / 12, W, full)
    np.testing.assert_allclose(signal.mantissa, full.mantissa, rtol=1e-14)
    assert signal.log_scale == full.log_scale


def test_momentum_starts_at_zero_and_averages():
    signal = Scaled(np.ones((1, 1)), np.array(-2000.0))
    momentum = zeros_like(signal.mantissa)
    for step in range(1, 4):
        momentum = with_momentum(signal, momentum, 0.5)
        value = momentum.mantissa[0, 0] * np.exp(momentum.log_scale + 2000)
        assert value == pytest.approx(1 - 0.5**step)
