"""The right sides of the lemmas, by loops over their definitions: a bound that is too large holds too."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.theory.instances import ANY_NORMS, instances
from tests.theory.lemmas import path_of

from steepest.theory import loss_lemmas, noise_lemmas
from steepest.theory.inequality import Inequality

LARGEST_PROXY = {"cross-entropy": lambda k: 1.0, "pairwise-logistic": lambda k: k - 1.0}


def radius_of(i):
    """R(‖·‖) = ½ max ‖(e_a - e_b) x_iᵀ‖_*, over all samples and pairs of classes."""
    k, found = i.problem.n_classes, 0.0
    for x in i.X:
        for a in range(k):
            for b in range(k):
                pair = np.zeros((k, len(x)))
                pair[a] += x
                pair[b] -= x
                found = max(found, 0.5 * float(i.norm.dual(pair)) if a != b else 0.0)
    return found


def grown(R, distance):
    return math.exp(2 * R * distance) - 1


@settings(max_examples=25)
@given(instance=instances(ANY_NORMS), seed=st.integers(0, 2**32 - 1))
def test_of_one_point_and_of_two(instance, seed):
    i, R = instance, radius_of(instance)
    data, norm, distance = (i.problem, i.loss), i.norm, float(instance.norm(i.W_new - i.W))
    m, last = i.batches, i.history[-1]
    if 2 * R * distance > 300:
        return
    _, above = loss_lemmas.gradient_and_proxy(*data, i.W, 0.0, norm)
    assert above.right == pytest.approx(2 * R)
    assert loss_lemmas.proxy_stability(*data, i.W, i.W_new, norm).right == pytest.approx(2 * R * distance)
    proxy = LARGEST_PROXY.get(i.loss, lambda k: 1.0)(i.problem.n_classes)
    found = loss_lemmas.loss_difference(*data, i.W, i.W_new, norm)
    assert found.right == pytest.approx(2 * R * proxy * distance)
    found = loss_lemmas.gradient_stability(*data, i.W, i.W_new, norm)
    assert found.right == pytest.approx(2 * R * grown(R, distance))
    step = min(distance, 1.0)
    found = loss_lemmas.taylor_remainder(*data, i.W, (i.W_new - i.W) / distance, step, norm)
    assert found.right == pytest.approx(grown(R, step) - 2 * R * step, rel=1e-6, abs=1e-15)
    s = np.random.default_rng(seed).dirichlet(np.ones(i.problem.n_classes))
    one = max(range(len(i.y)), key=lambda j: np.abs(i.X[j]).sum())
    pairs = [np.outer(e - f, i.X[one]) for e in np.eye(len(s)) for f in np.eye(len(s))]
    R_of_one = 0.5 * max(float(norm.dual(pair)) for pair in pairs)
    found = loss_lemmas.softmax_variance(s, i.W, i.X[one], 0, norm)
    assert found.right == pytest.approx(4 * (1 - s[0]) * (R_of_one * float(norm(i.W))) ** 2)

    lower, upper = loss_lemmas.proxy_and_loss(*data, i.W)
    assert (lower.right, upper.right) == (upper.left, 1.0)
    assert loss_lemmas.separation(*data, i.W).right == 1.0
    small = loss_lemmas.small_loss_ratio(*data, i.W)
    if small is not None:
        assert small.right == pytest.approx(1.0 if i.loss == "exponential" else 2 * math.log(2))
    assert noise_lemmas.sampling_noise(*data, i.W, last, m, norm).right == pytest.approx(2 * (m - 1) * R)
    found = noise_lemmas.variance_reduced_deviation(*data, i.W, i.W_new, last, m, norm)
    assert found.right == pytest.approx(2 * (m - 1) * R * grown(R, distance))


@settings(max_examples=25)
@given(instance=instances(ANY_NORMS), seed=st.integers(0, 2**32 - 1))
def test_of_a_path(instance, seed):
    i, R, m, beta = instance, radius_of(instance), instance.batches, instance.momentum
    path = path_of(i, np.random.default_rng(seed), scale=0.05)
    latest, last = path[-1], len(path) - 1
    epochs = [range(first, min(first + m, last + 1)) for first in range(0, last + 1, m)]
    if max(float(i.norm(latest - W)) for W in path) * 2 * R > 100:
        return

    def weight(step):
        return (1 - beta) * beta ** (last - step)

    moved = [[weight(t) * grown(R, float(i.norm(latest - path[t]))) for t in epoch] for epoch in epochs]
    found = noise_lemmas.momentum_drift(i.problem, i.loss, path, i.history, m, beta, i.norm)
    assert found.right == pytest.approx(2 * R * m * sum(map(max, moved)), rel=1e-9, abs=1e-300)

    stale = [
        [
            weight(t)
            * grown(R, float(i.norm(path[t] - path[epoch[0]])))
            * math.exp(2 * R * float(i.norm(latest - path[t])))
            for t in epoch
        ]
        for epoch in epochs
    ]
    bound = sum((m - 2) * max(each) + sum(each) for each in stale) if m > 1 else 0.0
    found = noise_lemmas.accumulated_deviation(i.problem, i.loss, path, i.history, m, beta, i.norm)
    assert found.right == pytest.approx(2 * R * bound, rel=1e-9, abs=1e-300)

    share = 0.0
    if m > 1:
        share = m * (1 - beta) - 1 + beta * m * (1 - beta) / (1 - beta**m)
    found = noise_lemmas.accumulated_noise(i.problem, i.loss, i.W, i.history, m, beta, i.norm)
    assert found.right == pytest.approx(2 * R * share, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("left", "right", "ratio"),
    [
        (0.5, 1.0, 0.5),
        (2.0, 1.0, 2.0),
        (0.5, 0.0, math.inf),
        (0.5, -1.0, math.inf),
        (0.0, 0.0, 0.0),
        (-1.0, 0.0, 0.0),
        (-1.0, 2.0, 0.0),
        (0.0, 1e-3, 0.0),
        (0.0, -1.0, math.inf),
        (-1.0, -2.0, math.inf),
        ([0.25, 0.5], [1.0, 1.0], 0.5),
        ([0.0, 3.0], [0.0, 2.0], 1.5),
        (0.5, 0.5, 1.0),
    ],
)
def test_how_tight_an_inequality_is(left, right, ratio):
    assert Inequality("C.1", left, right).ratio == ratio


def test_rounding_breaks_no_inequality_and_more_does():
    assert Inequality("C.1", 1.0 + 9e-10, 1.0).holds()
    assert not Inequality("C.1", 1.0 + 3e-9, 1.0).holds()
    assert Inequality("C.1", 1e-12, 0.0).holds()
    assert not Inequality("C.1", 3e-12, 0.0).holds()
    assert not Inequality("C.1", -1.0 + 3e-9, -1.0).holds()
    assert not Inequality("C.1", [0.0, 2.0], [1.0, 1.0]).holds()
