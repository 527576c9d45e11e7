"""c₂(t) and its relatives: recursions against their definitions, closed forms against recursions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest import PolynomialDecay
from steepest.errors import InvalidArgument
from steepest.theory.drift import (
    drift_bound,
    drift_constant,
    log_epoch_drift,
    log_memory_drift,
    log_snapshot_drift,
    snapshot_distances,
)
from steepest.theory.steps import step_sizes

schedules = st.builds(PolynomialDecay, st.floats(1e-3, 1), st.floats(0.1, 1.0))
momenta = st.one_of(st.just(0.0), st.floats(0.01, 0.99))
STEPS = 40


def distances(sizes, t):
    """d_τ = Σ_{s=1}^{τ} η_{t-s} for τ = 0, ..., t."""
    return np.concatenate([[0.0], np.cumsum(sizes[:t][::-1])])


@given(schedules, momenta, st.floats(0.1, 5))
def test_memory_drift_is_its_definition(schedule, momentum, radius):
    sizes = step_sizes(schedule, STEPS)
    logs = log_memory_drift(schedule, momentum, radius, STEPS)
    for t in range(STEPS):
        terms = momentum ** np.arange(t + 1.0) * np.expm1(2 * radius * distances(sizes, t))
        assert math.exp(logs[t]) == pytest.approx(terms.sum(), rel=1e-11, abs=0)
    constants = drift_constant(schedule, momentum, radius, STEPS)
    np.testing.assert_allclose(constants, np.exp(logs) / sizes, rtol=1e-12)


def test_drift_constant_by_hand():
    # η = 1, 1/2, 1/3; R = 1/2, β = 1/2: E_1 = ½(e-1), E_2 = ½(e^{1/2}-1) + ¼(e^{3/2}-1).
    constants = drift_constant(PolynomialDecay(1.0, 1.0), 0.5, 0.5, 3)
    expected = [0.0, 2 * 0.5 * (math.e - 1), 3 * (0.5 * (math.e**0.5 - 1) + 0.25 * (math.e**1.5 - 1))]
    np.testing.assert_allclose(constants, expected, rtol=1e-14)


@given(schedules, momenta, st.integers(1, 7), st.floats(0.1, 5))
def test_snapshot_and_epoch_drifts_are_their_definitions(schedule, momentum, batches, radius):
    sizes = step_sizes(schedule, STEPS)
    since = snapshot_distances(schedule, batches, STEPS)
    total, largest = log_snapshot_drift(schedule, momentum, batches, radius, STEPS)
    epochwise = log_epoch_drift(schedule, momentum, batches, radius, STEPS)
    for t in range(STEPS):
        assert since[t] == pytest.approx(sizes[t - t % batches : t].sum(), rel=1e-12)
        d = distances(sizes, t)
        ages = np.arange(t + 1)
        fade = momentum ** ages.astype(float)
        stale = fade * np.expm1(2 * radius * since[t - ages]) * np.exp(2 * radius * d)
        epochs = (t - ages) // batches
        assert math.exp(total[t]) == pytest.approx(stale.sum(), rel=1e-9)
        per_epoch = [stale[epochs == e].max() for e in np.unique(epochs)]
        assert math.exp(largest[t]) == pytest.approx(sum(per_epoch), rel=1e-9)
        products = [
            fade[epochs == e].max() * np.expm1(2 * radius * d[epochs == e].max()) for e in np.unique(epochs)
        ]
        assert math.exp(epochwise[t]) == pytest.approx(sum(products), rel=1e-9)


@settings(max_examples=30)
@given(schedules, st.floats(0.05, 0.98), st.floats(0.1, 2))
def test_closed_form_is_an_upper_bound_from_its_start_on(schedule, momentum, radius):
    bound = drift_bound(schedule, momentum, radius)
    steps = 2000
    exact = log_memory_drift(schedule, momentum, radius, steps)
    previous = math.inf
    for t in sorted(
        {int(s) for s in np.geomspace(1, steps - 1, 60)} | {min(steps - 1, int(min(bound.start, 1e9)))}
    ):
        closed = bound.memory_drift(t)
        assert (t < bound.start) == math.isinf(closed) or closed > 1e300
        assert exact[t] <= math.log(closed) + 1e-9 if closed < math.inf else True
        assert closed <= previous
        previous = closed


def test_closed_form_is_the_papers_constant_in_the_end():
    schedule, momentum, radius, a = PolynomialDecay(0.1, 0.5), 0.9, 1.0, 0.5
    bound = drift_bound(schedule, momentum, radius)
    assert bound(1e8) <= 4 * 2**a * 2 * radius / (1 - momentum) ** 2
    # The exact constant tends to 2R β/(1-β)²: the closed form is within a factor of 4 · 2^a.
    exact = drift_constant(schedule, momentum, radius, 200_001)[-1]
    assert exact == pytest.approx(2 * radius * momentum / (1 - momentum) ** 2, rel=0.05)
    assert bound(200_000) / exact < 4 * 2**a * 1.1


def test_drift_settles_after_passing_the_largest_double():
    # β e^{2Rη} > 1 for the first 9000 steps: the sum passes e^{900}, then comes back.
    schedule = PolynomialDecay(5.0, 0.5)
    assert log_memory_drift(schedule, 0.9, 1.0, 20_000).max() > 800
    settled = drift_constant(schedule, 0.9, 1.0, 100_000)[-1]
    assert 1 < settled / (2 * 0.9 / 0.01) < 2
    assert settled < drift_bound(schedule, 0.9, 1.0)(99_999) < math.inf


def test_without_momentum_nothing_drifts():
    assert np.isneginf(log_memory_drift(PolynomialDecay(), 0.0, 1.0, 5)).all()
    assert drift_bound(PolynomialDecay(), 0.0, 1.0)(3) == 0.0


def test_constant_steps_that_are_too_large_have_no_bound():
    with pytest.raises(InvalidArgument, match=r"Assumption 3\.4 fails"):
        drift_bound(PolynomialDecay(1.0, 0.0), 0.9, 1.0)
    assert math.isfinite(drift_bound(PolynomialDecay(0.01, 0.0), 0.9, 1.0)(10))


def test_the_tail_by_hand():
    """β = 0.8, R = 1, η_t = 0.5 / √(t+1): β' = 0.9, J first with 0.8 e^{2η_t} ≤ 0.9, P before."""
    schedule = PolynomialDecay(0.5, 0.5)
    bound = drift_bound(schedule, 0.8, 1.0)
    growths = 0.8 * np.exp(2 * schedule(np.arange(1000)))
    first = int(np.argmax(growths <= 0.9))
    product = float(np.prod(growths[growths > 1]))
    assert bound.contraction_start == first > 0
    assert bound.start == 2 * first
    for t in (2 * first, 2 * first + 7, 4 * first):
        tail = product * (0.9 ** (t // 2 + 1) / 0.1 + first * 0.9 ** (t - first))
        assert math.exp(bound.log_tail(t)) == pytest.approx(tail, rel=1e-9)
        head = 2 * float(schedule(math.ceil(t / 2))) * 4 * 0.9 / 0.04
        assert bound.memory_drift(t) == pytest.approx(head + tail, rel=1e-9)
    assert bound.memory_drift(2 * first - 1) == math.inf
