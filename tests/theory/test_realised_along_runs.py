"""The realised-alignment bound at every recorded step of runs of every signal, average and norm."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.theory.test_realised import separable

from steepest import Classification, Method, PolynomialDecay, descend
from steepest.signals import MOMENTUM_KINDS, SIGNALS
from steepest.theory import feature_radius, realised_bound
from steepest.theory.batch_condition import batch_alignment
from steepest.theory.stretches import Ground, measured_stretches

pytestmark = pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")

NORMS_OF_RUNS = ("max", "frobenius", "spectral", "row-2/inf")


@pytest.mark.parametrize("signal", SIGNALS)
@settings(max_examples=12, deadline=None)
@given(
    norm_=st.sampled_from(NORMS_OF_RUNS),
    average=st.sampled_from([(0.0, "ema"), *product((0.3, 0.9), MOMENTUM_KINDS)]),
    seed=st.integers(0, 99),
    batch_size=st.integers(1, 6),
    schedule=st.tuples(st.floats(0.02, 2.0), st.floats(0.1, 1.0)),
    loss=st.sampled_from(["cross-entropy", "exponential", "pairwise-logistic"]),
    weighted=st.booleans(),
    moved=st.booleans(),
)
def test_the_measured_margin_is_above_the_bound_at_every_record(
    signal, norm_, average, seed, batch_size, schedule, loss, weighted, moved
):
    problem = separable(seed, weighted=weighted)
    momentum, kind = average
    method = Method(
        norm_,
        batch_size=batch_size,
        signal=signal,
        momentum=momentum,
        momentum_kind=kind,
        loss=loss,
        schedule=PolynomialDecay(*schedule),
        seed=seed,
    )
    start = np.random.default_rng(seed).normal(size=(3, 4)) if moved else None
    options = {"initial_weights": start, "engine": "reference"}
    dense = descend(problem, method, 30, records=list(range(31)), **options)
    kept = descend(problem, method, 30, records=6, alignment=True, **options)
    for run in (dense, kept):
        bound, whole = realised_bound(problem, run), realised_bound(problem, run, since=0)
        for proven in (bound.floor, bound.explained, whole.floor, whole.explained):
            assert np.all(proven <= run.normalized_margin)
        assert np.all(bound.gains[1:] <= -np.diff(bound.total_odds) + 1e-11)
        moves = bound.alignment[np.isfinite(bound.alignment)]
        assert np.all(np.abs(moves) <= 2 * feature_radius(problem, norm_) * (1 + 1e-12))
    # The definition, from every step's own weights and full gradient: Y falls by at least c_s φ(W_s).
    ground = Ground.of(problem, norm_, loss)
    stretches = measured_stretches(ground, np.asarray(dense.weights))
    x = 2 * feature_radius(problem, norm_) * stretches.lengths
    total = np.exp(ground.log_totals(stretches.log_loss))
    slope = 1.0 if loss == "exponential" else total / -np.expm1(-total)
    factor = np.exp(stretches.log_proxy - stretches.log_loss) * slope
    assert np.all(factor >= 1 - 1e-12)
    falls = -np.diff(ground.total_odds(stretches.log_loss))
    assert np.all(falls >= (stretches.forward - (np.expm1(x) - x)) * factor[:-1] - 1e-11)


@settings(max_examples=15, deadline=None)
@given(
    norm_=st.sampled_from(NORMS_OF_RUNS),
    seed=st.integers(0, 99),
    batch_size=st.integers(1, 6),
    eta=st.floats(1e-3, 1.0),
    size=st.floats(0.0, 20.0),
    weighted=st.booleans(),
)
def test_the_averaged_condition_on_the_batch_size(norm_, seed, batch_size, eta, size, weighted):
    """E Y(W - ηD_B) ≤ Y - φ (η ρ̄_b - (e^{2Rη} - 1 - 2Rη)), every batch of a partition stepped by a run."""
    problem = separable(seed, weighted=weighted)
    W = size * np.random.default_rng(seed).normal(size=(3, 4))
    found = batch_alignment(problem, norm_, batch_size, W, partitions=1, seed=seed)
    order = np.arange(6) if batch_size == 6 else np.random.default_rng(seed).permutation(6)
    ground, after = Ground.of(problem, norm_, "cross-entropy"), []
    for batch in np.split(order, range(batch_size, 6, batch_size)):
        part = _part(problem, batch)
        step = _one_step(part, norm_, eta, W)
        after.append(step)
    stretches = measured_stretches(ground, np.stack([W, *after]))
    odds = ground.total_odds(stretches.log_loss)
    total = np.exp(ground.log_totals(stretches.log_loss[0]))
    factor = np.exp(stretches.log_proxy[0] - stretches.log_loss[0]) * total / -np.expm1(-total)
    x = 2 * feature_radius(problem, norm_) * eta
    assert np.mean(odds[1:]) <= odds[0] - factor * (eta * found.mean - (np.expm1(x) - x)) + 1e-11 * (
        1 + abs(odds[0])
    )
    if found.batches == 1:
        assert found.mean >= 0
    if found.batches == 2 and batch_size == 3 and not weighted:
        assert found.mean >= -1e-12


def _part(problem, batch):
    part = Classification(np.asarray(problem.features)[batch], problem.labels[batch], classes=range(3))
    weights = problem.sample_weight
    return part if weights is None else part.weighted(np.asarray(weights)[batch])


def _one_step(part, norm_, eta, W):
    method = Method(norm_, schedule=PolynomialDecay(eta, 0.5))
    return descend(part, method, 1, initial_weights=W, engine="reference").final_weights
