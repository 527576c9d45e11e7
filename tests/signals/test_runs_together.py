"""Steps of several runs at once are those of each alone; terms that signals offer add up to them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.problems import random_problem

from steepest.losses import CROSS_ENTROPY, Samples, gradient
from steepest.signals import SIGNALS, Draw, signal
from steepest.signals.graded import GRADED_SIGNAL

PROBLEM = random_problem(classes=3, samples=6, features=5)
HALVES = np.array([[0, 2, 4], [1, 3, 5], [5, 0, 1]])
"""Batches of three runs: m = 2 an epoch."""


def drawn(step, indices, fell, batches=2):
    return Draw(PROBLEM, CROSS_ENTROPY, step, batches, indices, lambda _: np.array(fell))


def weights(seed):
    return np.random.default_rng(seed).normal(size=(3, 3, 5))


@pytest.mark.parametrize("name", sorted(SIGNALS))
@pytest.mark.parametrize("fell", [(False, True, True), (True, False, True), (False, False, False)])
def test_runs_whose_coins_fall_at_different_steps_do_not_mix(name, fell):
    part, start, then = signal(name), weights(1), weights(2)
    fields = part.start(PROBLEM, CROSS_ENTROPY, start)
    fields = {**fields, **part.step(drawn(0, HALVES, (True,) * 3), start, fields)[1]}
    found, _ = part.step(drawn(1, HALVES, fell), then, fields)
    for run in range(3):
        one = slice(run, run + 1)
        alone = part.start(PROBLEM, CROSS_ENTROPY, start[one])
        alone = {**alone, **part.step(drawn(0, HALVES[one], (True,)), start[one], alone)[1]}
        expected, _ = part.step(drawn(1, HALVES[one], (fell[run],)), then[one], alone)
        np.testing.assert_allclose(found.rounded()[run], expected.rounded()[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["svrg", "loopless-svrg"])
def test_with_two_batches_an_epoch_the_first_step_takes_the_snapshot(name):
    part, start = signal(name), weights(1)
    fields = part.start(PROBLEM, CROSS_ENTROPY, np.zeros_like(start))
    found, fields = part.step(drawn(0, HALVES, (False,) * 3), start, fields)
    full = gradient(PROBLEM, CROSS_ENTROPY, start).rounded()
    np.testing.assert_allclose(found.rounded(), full, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(fields["snapshot"], start)


@pytest.mark.parametrize("name", ["minibatch", "svrg", "loopless-svrg"])
def test_the_terms_of_a_signal_add_up_to_it(name):
    part, start, then = signal(name), weights(3), weights(4)
    parts = GRADED_SIGNAL.of(part)
    assert parts is not None
    fields = part.start(PROBLEM, CROSS_ENTROPY, start)
    fields = {**fields, **part.step(drawn(0, HALVES, (True,) * 3), start, fields)[1]}
    draw = drawn(1, HALVES, (False,) * 3)
    found, changed = part.step(draw, then, fields)
    terms = parts(draw, then, {**fields, **changed})
    assert len(terms) == (1 if name == "minibatch" else 3)
    total = np.zeros_like(start)
    for sign, logs, samples in ((each.sign, each.logs, each.samples) for each in terms):
        sizes = np.exp(logs.high + logs.low)
        # At the true class is the sum of the others, with the other sign.
        columns = np.where(samples.one_hot, -sizes, sizes)
        np.testing.assert_allclose(columns.sum(axis=-1), 0.0, atol=1e-15)
        total += sign * np.swapaxes(columns, -1, -2) @ samples.features
    np.testing.assert_allclose(total, found.rounded(), rtol=0, atol=1e-14)


def test_samples_that_a_draw_takes_are_those_of_its_batches():
    batch = drawn(0, HALVES, (False,) * 3).batch
    np.testing.assert_array_equal(batch.features, PROBLEM.features[HALVES])
    np.testing.assert_array_equal(batch.one_hot, Samples.of(PROBLEM).one_hot[HALVES])
    assert drawn(0, None, (False,) * 3, batches=1).factor == 1 / 6
    assert drawn(0, HALVES, (False,) * 3).factor == 2 / 6
