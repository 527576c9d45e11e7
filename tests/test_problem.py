"""The problem: what it accepts and refuses, and its margins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument, InvalidData


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", "b"], ["a", "b"]),
        ([3, -1, 3], [-1, 3]),
        ([2.5, 0.5, 0.5], [0.5, 2.5]),
        ([True, False, True], [False, True]),
        (np.array(["b", "a", "b"], dtype=object), ["a", "b"]),
        (np.array([7, 5, 7], dtype=np.uint8), [5, 7]),
        (np.array([["x"], ["y"], ["x"]]), ["x", "y"]),
    ],
)
def test_labels_of_any_dtype_are_mapped_and_kept(labels, classes):
    problem = st.Classification([[1.0], [2.0], [3.0]], labels)
    assert problem.classes.tolist() == classes
    assert problem.classes[problem.labels].tolist() == np.asarray(labels).ravel().tolist()
    assert problem.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (
            [[1.0, np.nan], [2.0, 3.0]],
            [0, 1],
            r"X\[0, 1\]=nan: replace values that are not finite \(1 of 4\)",
        ),
        ([[1.0, 2.0], [np.inf, -np.inf]], [0, 1], r"X\[1, 0\]=inf: .*\(2 of 4\)"),
        ([1.0, 2.0], [0, 1], r"X=\(2,\): give features of shape \[n, d\]"),
        (np.zeros((2, 0)), [0, 1], r"X=\(2, 0\)"),
        ([[1.0], [2.0]], [0, 1, 1], r"y=\(3,\): give one label for each of the 2 samples"),
        ([[1.0], [2.0]], [4, 4], r"y=\[4\]: give samples of at least two classes"),
        ([[1.0], [2.0]], ["a", None], r"y\[1\]=None: give every sample a label"),
        ([[1.0], [2.0]], [0.0, np.nan], r"y\[1\]=.*nan.*: give every sample a label"),
        (np.array([[1.0], [2.0]], dtype=object), np.array(["a", 3], dtype=object), "labels of one kind"),
        ([["a"], ["b"]], [0, 1], "give an array of numbers"),
        ([[1.0], [2.0, 3.0]], [0, 1], "give an array of numbers"),
        (np.array([[1j], [2j]]), [0, 1], "give an array of numbers .*complex"),
    ],
)
def test_unusable_data_is_refused_with_its_position_and_the_remedy(X, y, message):
    with pytest.raises(InvalidData, match=message):
        st.Classification(X, y)


def test_data_is_copied_and_read_only():
    X = np.ones((2, 2))
    problem = st.Classification(X, [0, 1])
    X[:] = np.nan
    assert np.all(problem.features == 1)
    with pytest.raises(ValueError, match="read-only"):
        problem.features[0, 0] = 2.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_features_of_any_real_dtype_become_float64(dtype):
    assert st.Classification(np.eye(2, dtype=dtype), [0, 1]).features.dtype == np.float64


def test_margins_by_hand():
    # Logits are W x: sample 0 (class 0) has (2, -1, 0), sample 1 (class 2) has (-3, 0, 1).
    problem = st.Classification([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0, 2, 1])
    W = np.array([[2.0, -3.0], [-1.0, 0.0], [0.0, 1.0]])
    inf = np.inf
    np.testing.assert_array_equal(problem.pair_margins(W), [[inf, 3, 2], [4, 1, inf], [0, inf, -2]])
    assert problem.margin(W) == -2
    assert problem.normalized_margin(W, "max") == pytest.approx(-2 / 3)
    assert problem.normalized_margin(0 * W, "max") == 0
    assert problem.feature_bound == 2
    assert problem.largest_length == pytest.approx(np.sqrt(2))


@given(seed=some.integers(0, 10**6))
@settings(max_examples=25)
def test_pair_sum_is_the_adjoint_of_pair_margins(seed):
    problem = random_problem(seed=seed)
    generator = np.random.default_rng(seed)
    W, q = generator.normal(size=(4, 20)), generator.uniform(size=(12, 4))
    pairs = ~problem.one_hot
    weighted = np.sum(q[pairs] * problem.pair_margins(W)[pairs])
    assert np.sum(problem.pair_sum(q) * W) == pytest.approx(weighted, rel=1e-12)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(InvalidArgument, match=r"W=\(2, 2\): give weights of shape \[\.\.\., 4, 20\]"):
        random_problem().margin(np.zeros((2, 2)))


def test_fingerprint_names_the_data():
    problem = random_problem(seed=1)
    assert problem.fingerprint == random_problem(seed=1).fingerprint
    assert problem.fingerprint != random_problem(seed=2).fingerprint
    flipped = st.Classification(problem.features, (problem.labels + 1) % 4)
    assert problem.fingerprint != flipped.fingerprint


@pytest.mark.torch
def test_tensors_stay_tensors():
    import torch

    problem = st.Classification(torch.eye(2, dtype=torch.float32), torch.tensor([0, 1]))
    assert isinstance(problem.features, torch.Tensor)
    assert problem.features.dtype == torch.float64
    assert float(problem.margin(torch.eye(2))) == 1.0
    assert problem.fingerprint == st.Classification(np.eye(2), [0, 1]).fingerprint
