"""What a trajectory says, against the definitions computed plainly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument

METHOD = st.Method("spectral", 4, 0.5, schedule=st.PolynomialDecay(0.3, 0.5))


@pytest.fixture(scope="module")
def problem():
    return random_problem()


@pytest.fixture(scope="module")
def trajectory(problem):
    return st.descend(problem, METHOD, 300)


def test_measures_are_their_definitions(problem, trajectory):
    W = trajectory.weights[-1]
    logits = problem.features @ W.T
    true = logits[np.arange(12), problem.labels]
    margins = true[:, None] - logits
    margins[np.arange(12), problem.labels] = np.inf
    assert trajectory.margin[-1] == pytest.approx(margins.min())
    assert trajectory.normalized_margin[-1] == pytest.approx(margins.min() / np.linalg.norm(W, 2))
    losses = np.log1p(np.exp(-margins).sum(axis=1))
    assert trajectory.log_loss[-1] == pytest.approx(np.log(losses.mean()))
    proxy = 1 - np.exp(-losses)
    assert trajectory.log_proxy[-1] == pytest.approx(np.log(proxy.mean()))
    gradient = np.zeros_like(W)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = (softmax - problem.one_hot).T @ problem.features / 12
    assert trajectory.certificates[-1] == pytest.approx(np.linalg.norm(gradient, "nuc") / proxy.mean())


def test_the_upper_bound_never_rises_and_stays_above_every_normalised_margin(trajectory):
    assert np.all(np.diff(trajectory.upper_bound) <= 0)
    assert trajectory.normalized_margin.max() <= trajectory.upper_bound.min()


def test_at_zero_weights_there_is_no_direction(trajectory):
    assert trajectory.steps[0] == 0
    assert trajectory.normalized_margin[0] == 0
    reference = SimpleNamespace(norm=st.norm("spectral"), weights=np.ones((4, 20)), upper_bound=1.0)
    assert trajectory.against(reference).cosine[0] == 0
    assert trajectory.against(reference).relative_margin_error[0] == 1


def test_errors_and_cosines_against_a_reference_of_any_norm(problem, trajectory):
    W = np.random.default_rng(0).normal(size=(4, 20))
    for name in ("spectral", "max"):
        norm = st.norm(name)
        against = trajectory.against(SimpleNamespace(norm=norm, weights=W, upper_bound=2.0))
        expected = 1 - problem.margin(trajectory.final_weights) / norm(trajectory.final_weights) / 2.0
        assert against.relative_margin_error[-1] == pytest.approx(expected)
        last = trajectory.final_weights
        cosine = np.sum(W * last) / np.linalg.norm(W) / np.linalg.norm(last)
        assert against.cosine[-1] == pytest.approx(cosine)


def test_without_a_reference_the_error_says_how_to_get_one(trajectory):
    with pytest.raises(InvalidArgument, match=r"reference=None: pass reference=max_margin"):
        _ = trajectory.cosine
    with pytest.raises(InvalidArgument, match=r"reference=\(1, 1\): give a solution with weights \(4, 20\)"):
        trajectory.against(SimpleNamespace(norm=st.norm("max"), weights=np.ones((1, 1)), upper_bound=1.0))


@pytest.mark.lab
def test_to_xarray_is_labelled(trajectory):
    dataset = trajectory.to_xarray()
    assert dict(dataset.sizes) == {"step": len(trajectory.steps), "class": 4, "feature": 20}
    assert dataset.step.values.tolist() == trajectory.steps.tolist()
    assert dataset.log_loss.attrs["long_name"]
    assert "cosine" not in dataset
    reference = SimpleNamespace(norm=st.norm("spectral"), weights=np.ones((4, 20)), upper_bound=1.0)
    assert "cosine" in trajectory.against(reference).to_xarray()
    np.testing.assert_array_equal(dataset.margin.sel(step=300), trajectory.margin[trajectory.steps == 300][0])


def test_repr_is_short(trajectory):
    assert repr(trajectory) == "Trajectory(muon on random: 300 steps)"
