"""The usual arithmetic: right while residuals are not small, and wrong where softmax - onehot cancels."""

import math

import numpy as np
import pytest

import steepest as st
from steepest.errors import InvalidArgument
from steepest.experiments.spec.experiment import validated
from steepest.experiments.sweep.naive import can_be_naive, naive_descent

DECAY = st.PolynomialDecay(0.1, 0.5)


@pytest.mark.parametrize("norm", ["max", "frobenius", "spectral", "entrywise-3"])
@pytest.mark.parametrize("batch_size", [1, 3, None])
def test_at_small_margins_it_is_descent_itself(norm, batch_size):
    problem = st.datasets.mixture(classes=3, samples_per_class=4, features=6, seed=3)
    method = st.Method(norm, batch_size=batch_size, schedule=DECAY, seed=4)
    trajectory = st.descend(problem, method, 40, records=range(41))
    run = naive_descent(problem, method, trajectory.steps)
    np.testing.assert_allclose(run.weights, trajectory.weights, atol=1e-10)
    assert math.isnan(run.cancelled_at)
    assert math.isnan(run.margin)


def test_two_samples_cancel_when_the_margin_passes_53_halvings():
    """x = ±1, k = 2: 1 + e^-margin rounds to 1 above a margin of 53 log 2 = 36.74; a step of 1 adds 2."""
    problem = st.Classification([[1.0], [-1.0]], [0, 1])
    method = st.Method("max", schedule=st.PolynomialDecay(1.0, 0.0))
    run = naive_descent(problem, method, np.arange(31))
    assert (run.cancelled_at, run.margin) == (19.0, 38.0)
    # Until then no step is wrong.
    exact = st.descend(problem, method, 30, records=range(31))
    np.testing.assert_array_equal(run.weights[:20], exact.weights[:20])


def test_what_it_cannot_run_is_refused():
    refused = (
        st.Method("max", batch_size=1, momentum=0.5),
        st.Method("max", batch_size=1, variance_reduction=True),
        st.Method("max", batch_size=1, loss="exponential"),
    )
    for method in refused:
        assert not can_be_naive(method)
        with pytest.raises(InvalidArgument, match="give cross-entropy, momentum 0, no variance reduction"):
            naive_descent(st.datasets.orthogonal_scale_skewed(), method, np.array([0, 1]))
    with pytest.raises(InvalidArgument, match="naive='max': it is measured against the bias direction"):
        validated({"name": "mine", "data": "orthogonal", "norm": "max", "naive": "max"})
