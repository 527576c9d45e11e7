"""The random data sets: what they are distributed like, their seeds, and refused arguments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

import steepest as st
from steepest.datasets import gaussian, mixture, orthogonal_scale_skewed
from steepest.errors import InvalidArgument

GENERATORS = [gaussian, mixture, orthogonal_scale_skewed]


@pytest.mark.parametrize("make", GENERATORS)
def test_same_seed_same_data_other_seed_other_data(make):
    assert make(seed=3).fingerprint == make(seed=3).fingerprint
    assert make(seed=3).fingerprint != make(seed=4).fingerprint


def test_data_sets_of_one_seed_do_not_share_their_random_numbers():
    wide = gaussian(classes=5, samples_per_class=40, features=50, scale=1.0)
    cloud = mixture(classes=5, samples_per_class=40, features=50)
    correlation = np.corrcoef(np.ravel(wide.features), np.ravel(cloud.features))[0, 1]
    assert abs(correlation) < 0.05


def test_gaussian_has_the_papers_sizes_and_distribution():
    problem = gaussian()
    assert problem.features.shape == (100, 100)
    assert np.bincount(problem.labels).tolist() == [10] * 10
    assert stats.kstest(np.ravel(problem.features) / 0.1, "norm").pvalue > 0.01


def test_gaussian_scale_multiplies_the_same_numbers():
    np.testing.assert_allclose(gaussian(scale=2.0).features, 20 * gaussian().features, rtol=1e-15)


def test_mixture_is_a_cloud_of_its_own_around_each_mean():
    d, separation = 400, 3.0
    problem = mixture(classes=4, samples_per_class=50, features=d, separation=separation, seed=1)
    assert np.bincount(problem.labels).tolist() == [50] * 4
    means = np.stack([problem.features[problem.labels == c].mean(axis=0) for c in range(4)])
    noise = (problem.features - means[problem.labels]) * np.sqrt(d) * np.sqrt(50 / 49)
    assert stats.kstest(np.ravel(noise), "norm").pvalue > 0.01
    # The mean of 50 samples still carries a fiftieth of the noise's variance.
    spread = np.sqrt(separation**2 + 1 / 50)
    assert stats.kstest(np.ravel(means) * np.sqrt(d) / spread, "norm").pvalue > 0.01


def test_mixture_defaults_are_those_of_the_experiments():
    problem = mixture()
    assert problem.features.shape == (200, 50)
    assert problem.n_classes == 5


@pytest.mark.parametrize("seed", range(20))
def test_orthogonal_samples_lie_on_their_class_axis_with_scales_of_their_class(seed):
    problem = orthogonal_scale_skewed(seed=seed, hard_classes="rare")
    scales = problem.features[np.arange(100), problem.labels]
    np.testing.assert_array_equal(problem.features, scales[:, None] * np.eye(5)[problem.labels])
    lowest = np.array([0.5 * 6 ** (c / 4) for c in range(5)])[problem.labels]
    assert np.all((scales >= lowest) & (scales <= 2 * lowest))


def test_orthogonal_counts_are_imbalanced_with_hard_classes_rare():
    counts = np.stack([np.bincount(orthogonal_scale_skewed(seed=seed).labels) for seed in range(200)])
    assert np.all(counts.sum(axis=1) == 100)
    assert counts.min() >= 1
    odds = np.array([0.5 * 6 ** (c / 4) for c in range(5)])
    np.testing.assert_allclose(counts.mean(axis=0), 1 + 95 * odds / odds.sum(), rtol=0.05)


def test_orthogonal_hard_classes_can_be_frequent_for_contrast():
    rare = orthogonal_scale_skewed(samples=10_000, hard_classes="rare")
    frequent = orthogonal_scale_skewed(samples=10_000, hard_classes="frequent")
    assert np.all(np.diff(np.bincount(rare.labels)) > 0)
    # The same labels, and so the same limit of batches of one sample, with the scales the other way round.
    np.testing.assert_array_equal(frequent.labels, rare.labels)
    scales = frequent.features[np.arange(10_000), frequent.labels]
    lowest = np.array([0.5 * 6 ** (c / 4) for c in range(5)])[::-1][frequent.labels]
    assert np.all((scales >= lowest) & (scales <= 2 * lowest))


def test_orthogonal_hardness_has_nothing_to_do_with_frequency_unless_asked_for():
    orders = []
    for seed in range(300):
        problem = orthogonal_scale_skewed(seed=seed)
        rare = orthogonal_scale_skewed(seed=seed, hard_classes="rare")
        np.testing.assert_array_equal(problem.labels, rare.labels)
        scales = problem.features[np.arange(100), problem.labels]
        means = np.bincount(problem.labels, scales) / np.bincount(problem.labels)
        orders.append(np.argsort(np.argsort(means)))
    # Every class has every rank of hardness about as often.
    shares = np.stack([np.mean(np.array(orders) == rank, axis=0) for rank in range(5)])
    assert np.all(np.abs(shares - 0.2) < 0.12)


def test_orthogonal_with_as_many_samples_as_classes_has_one_of_each():
    assert orthogonal_scale_skewed(classes=7, samples=7).labels.tolist() == list(range(7))


def test_numpy_integers_are_integers():
    make: Callable[..., st.Classification] = gaussian
    drawn = make(classes=np.int32(3), seed=np.int64(1))
    assert drawn.fingerprint == gaussian(classes=3, seed=1).fingerprint


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (gaussian, {"classes": 1}, "classes=1: give a whole number of at least 2"),
        (gaussian, {"classes": 2.0}, "classes=2.0: give a whole number of at least 2"),
        (gaussian, {"samples_per_class": 0}, "samples_per_class=0: give a whole number of at least 1"),
        (gaussian, {"features": True}, "features=True: give a whole number of at least 1"),
        (gaussian, {"scale": 0.0}, "scale=0.0: give a finite number greater than 0"),
        (gaussian, {"scale": float("nan")}, "scale=nan: give a finite number greater than 0"),
        (gaussian, {"scale": 1e301}, r"scale=1e\+301: features so large leave float64: give at most 1e\+300"),
        (gaussian, {"seed": -1}, "seed=-1: give a whole number of at least 0"),
        (mixture, {"features": 0}, "features=0: give a whole number of at least 1"),
        (mixture, {"separation": float("inf")}, "separation=inf: give a finite number greater than 0"),
        (mixture, {"seed": None}, "seed=None: give a whole number of at least 0"),
        (orthogonal_scale_skewed, {"samples": 4}, "samples=4: give a whole number of at least 5"),
        (
            orthogonal_scale_skewed,
            {"smallest_scale": "1"},
            "smallest_scale='1': give a finite number greater than 0",
        ),
        (
            orthogonal_scale_skewed,
            {"smallest_scale": 4.0},
            r"largest_scale=3.0: give at least smallest_scale \(4.0\)",
        ),
        (
            orthogonal_scale_skewed,
            {"hard_classes": "some"},
            "hard_classes='some': give one of independent, rare, frequent",
        ),
    ],
)
def test_refused_arguments_are_named_with_value_and_remedy(make, arguments, message):
    with pytest.raises(InvalidArgument, match=f"^{message}$"):
        make(**arguments)
