"""Problems that hold PyTorch tensors get the same numbers."""

import numpy as np
import pytest
from tests.theory.instances import NORMS

import steepest as st
from steepest.theory import loss_lemmas, noise_lemmas

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("norm_", NORMS[:5], ids=str)
def test_same_numbers_as_with_numpy(norm_):
    import torch

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 4)), np.arange(6) % 3
    plain, tensors = st.Classification(X, y), st.Classification(torch.tensor(X), y)
    W, W_new = rng.normal(size=(2, 3, 4))
    method = st.Method(norm_, batch_size=2, momentum=0.9)
    assert st.theory.feature_radius(plain, norm_) == st.theory.feature_radius(tensors, norm_)
    for function in (loss_lemmas.gradient_stability, loss_lemmas.proxy_stability):
        first, second = (function(each, "cross-entropy", W, W_new, norm_) for each in (plain, tensors))
        assert first.left == pytest.approx(second.left, rel=1e-9)
    batch = np.array([0, 3])
    first, second = (
        noise_lemmas.sampling_noise(each, "exponential", W, batch, 3, norm_) for each in (plain, tensors)
    )
    assert first.left == pytest.approx(second.left, rel=1e-9)
    for function in (st.theory.measured_alignment, lambda p, m, w: st.theory.per_sample_bias(p, m.norm, w)):
        np.testing.assert_allclose(function(plain, method, W), function(tensors, method, W), rtol=1e-9)
    trajectory = st.descend(tensors, method, 50)
    assert np.all(st.theory.margin_bound(tensors, trajectory, 0.1).floor <= trajectory.normalized_margin)
