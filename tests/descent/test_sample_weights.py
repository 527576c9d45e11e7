"""Sample weights in descent: exact in every engine and signal, and what repetition gives where it can."""

from __future__ import annotations

import numpy as np
import pytest
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument

WEIGHTS = np.array([1.0, 2, 3, 1, 1, 2, 5, 1, 1, 1, 2, 1])
SCHEDULE = st.PolynomialDecay(0.1, 0.5)


def repeated(problem):
    counts = WEIGHTS.astype(int)
    return st.Classification(problem.features.repeat(counts, axis=0), problem.labels.repeat(counts))


@pytest.mark.parametrize("loss", ["cross-entropy", "exponential", "pairwise-logistic"])
@pytest.mark.parametrize("engine", ["reference", "batched", "compiled"])
def test_whole_weights_are_repetitions_where_the_batch_is_all_samples(loss, engine):
    problem, method = random_problem(), st.Method("frobenius", loss=loss, schedule=SCHEDULE)
    run = st.descend(problem, method, 50, sample_weight=7.5 * WEIGHTS, engine=engine)
    same = st.descend(repeated(problem), method, 50, engine="reference")
    np.testing.assert_allclose(run.final_weights, same.final_weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run.log_loss, same.log_loss, rtol=1e-10)
    np.testing.assert_allclose(run.certificates, same.certificates, rtol=1e-9)


@pytest.mark.parametrize("signal", ["minibatch", "svrg", "loopless-svrg", "saga"])
@pytest.mark.parametrize("initial", [0.0, 300.0])
def test_engines_agree_on_weighted_mini_batches(signal, initial):
    problem = random_problem()
    method = st.Method("frobenius", batch_size=5, momentum=0.5, signal=signal, schedule=SCHEDULE)
    start = initial * np.random.default_rng(1).normal(size=(4, 20))
    runs = [
        st.descend(problem, method, 40, sample_weight=WEIGHTS, initial_weights=start, engine=engine)
        for engine in ("reference", "batched", "compiled")
    ]
    plain = st.descend(problem, method, 40, initial_weights=start, engine="reference")
    for run in runs[1:]:
        np.testing.assert_allclose(run.final_weights, runs[0].final_weights, rtol=1e-9, atol=1e-11)
    assert np.abs(plain.final_weights - runs[0].final_weights).max() > 1e-3


def test_the_gradient_is_the_weighted_mean():
    problem = random_problem()
    W = np.random.default_rng(2).normal(size=(4, 20))
    single = [
        st.losses.weighted_gradient(
            samples, st.losses.residuals(st.losses.CROSS_ENTROPY, samples, W), 1.0
        ).rounded()
        for samples in (st.losses.Samples.of(problem).take(np.array([i])) for i in range(12))
    ]
    expected = np.tensordot(WEIGHTS / WEIGHTS.sum(), single, axes=1)
    found = st.losses.gradient(problem.weighted(WEIGHTS), "cross-entropy", W).rounded()
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_equal_weights_are_none_and_keep_every_bit():
    problem, method = random_problem(), st.Method("spectral", batch_size=4, schedule=SCHEDULE)
    plain, run = (st.descend(problem, method, 30, sample_weight=w) for w in (None, np.full(12, 0.1)))
    assert (plain.weights == run.weights).all()
    assert problem.weighted(np.full(12, 3.0)).sample_weight is None


def test_a_checkpoint_is_that_of_its_weights(tmp_path):
    problem, method = random_problem(), st.Method("max", schedule=SCHEDULE)
    first = st.descend(problem, method, 30, checkpoint=tmp_path)
    second = st.descend(problem, method, 30, checkpoint=tmp_path, sample_weight=WEIGHTS)
    assert not np.array_equal(first.final_weights, second.final_weights)
    again = st.descend(problem, method, 30, checkpoint=tmp_path, sample_weight=WEIGHTS)
    assert np.array_equal(again.final_weights, second.final_weights)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"sample_weight=\(3,\): give one weight for each of the 12 samples"),
        (np.arange(12.0), r"sample_weight\[0\]=0\.0: give positive weights within a factor of 1e12"),
        (np.r_[np.ones(11), -1.0], r"sample_weight\[11\]=-1\.0: give positive"),
        (np.r_[np.ones(11), np.nan], r"sample_weight\[11\]=nan: give positive"),
        (np.r_[np.ones(11), np.inf], r"sample_weight\[\d+\]=.*: give positive"),
        (np.r_[np.ones(11), 1e-13], r"sample_weight\[11\]=1e-13: give positive"),
        (["a"] * 12, r"sample_weight='<U1': give numbers"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights, message):
    with pytest.raises(InvalidArgument, match=message):
        st.descend(random_problem(), st.Method("max"), 3, sample_weight=weights)
