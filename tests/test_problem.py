"""The problem: what it accepts and refuses, and its margins."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.sparse import coo_array, csr_array
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument, InvalidData
from steepest.features.validated import rows_elsewhere

ONE_PLACE = coo_array(([2**53, 1], ([0, 0], [0, 0])), shape=(2, 1))
"""An integer that float64 rounds, as two that it does not round."""


def test_sparse_integers_are_taken_where_float64_holds_them_as_dense_ones_are():
    large = np.array([[2**53 + 2, 0], [0, -(2**62)]])
    rows = rows_elsewhere(csr_array(large))
    assert rows is not None
    assert rows.take(np.arange(2)).toarray().tolist() == large.tolist()
    assert st.Classification(large, [0, 1]).features.tolist() == large.tolist()


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
        ([2**70 + 1, 2**70, 2**70 + 1], [2**70, 2**70 + 1]),
        ([2**63 + 2, -1, 2**63 + 3], [-1, 2**63 + 2, 2**63 + 3]),
        ([2**53 + 1, 0.5, 2**53], [0.5, 2**53, 2**53 + 1]),
        (["007", "7", "007"], ["007", "7"]),
    ],
)
def test_labels_of_any_dtype_are_mapped_and_kept(labels, classes):
    problem = st.Classification([[1.0], [2.0], [3.0]], labels)
    assert problem.classes.tolist() == classes
    assert problem.classes[problem.labels].tolist() == np.asarray(labels, dtype=object).ravel().tolist()
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
        ([["a"], ["b"]], [0, 1], r"X='<U1': give numbers; these are text or records"),
        ([["1"], ["2"]], [0, 1], r"X='<U1': give numbers; these are text or records"),
        ([[1.0], [2.0, 3.0]], [0, 1], r"X='list': give a rectangular array of real numbers"),
        (np.array([[1j], [2j]]), [0, 1], r"X='complex128': give real numbers; these are complex"),
        (np.array([[1j], [2]], dtype=object), [0, 1], r"X\[0, 0\]=1j: give real numbers, and nothing else"),
        (np.array([["1"], [2]], dtype=object), [0, 1], r"X\[0, 0\]='1': this is text: encode its column"),
        (np.array([[2], [None]], dtype=object), [0, 1], r"X\[1, 0\]=None: this value is missing: fill it"),
        (np.array([[2, date(2020, 1, 1)]], dtype=object), [0], r"X\[0, 1\]=.*: these are dates: subtract"),
        (np.array([[2, timedelta(1)]], dtype=object), [0], r"X\[0, 1\]=.*: these are durations: divide"),
        (np.array([[10**400], [2]], dtype=object), [0, 1], r"X='object': an integer lies beyond what"),
        (
            np.array([[0], [1]], "M8[D]"),
            [0, 1],
            r"X='datetime64\[D\]': these are dates: subtract one and divide",
        ),
        (np.array([[0], [1]], "m8[s]"), [0, 1], r"X='timedelta64\[s\]': these are durations: divide"),
        (
            [[1.0, 0], [1e308, 1e307]],
            [0, 1],
            r"X\[1, 0\]=1e\+308: sums of such features leave float64: divide",
        ),
        (csr_array([[1.0], [np.nan]]), [0, 1], r"X\[1, 0\]=nan: replace values that are not finite"),
        (csr_array([[1.0], [2j]]), [0, 1], r"X='complex128': give a sparse matrix of real numbers"),
        (np.ma.masked_equal([[1.0], [2.0]], 2), [0, 1], r"X='MaskedArray': 1 of 2 entries are masked"),
        ([[2**53 + 1], [0]], [0, 1], r"X=9007199254740993: float64 would round it: subtract an offset"),
        ([[2**53 + 1], [0.5]], [0, 1], r"X=9007199254740993: float64 would round it: subtract an offset"),
        (csr_array([[2**53 + 1], [0]]), [0, 1], r"X=9007199254740993: float64 would round it: subtract an"),
        (ONE_PLACE, [0, 1], r"X=9007199254740993: float64 would round it: subtract an offset"),
        ([np.ma.masked_equal([1.0], 1), [2.0]], [0, 1], r"X='MaskedArray': some entries are masked"),
        (np.array([[2**64 - 1], [0]], np.uint64), [0, 1], r"X=18446744073709551615: float64 would round it"),
        (np.ndarray, [0, 1], r"X=<class 'numpy.ndarray'>: this is a class: give an array"),
        (None, [0, 1], r"X=None: give real numbers, and nothing else"),
        ([[1.0], [2.0]], np.ma.masked_equal([0, 1], 1), r"y='MaskedArray': 1 of 2 entries are masked"),
        ([[1.0], [2.0]], csr_array([[0.0, 1.0]]), r"y='csr_array': this matrix is sparse"),
        ([[1.0], [2.0]], [0j, 1j], r"y='complex128': give labels that sort: numbers, booleans or text"),
        ([[1.0], [2.0]], ["7", 7], r"y=\['7', 7\]: give labels of one kind .*, not numbers and str"),
        ([[1.0], [2.0]], [True, 2], r"y=\[True, 2\]: give labels of one kind .*, not booleans and numbers"),
        ([[1.0], [2.0]], ["a", np.nan], r"y\[1\]=nan: give every sample a label \(1 missing\)"),
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


def test_what_is_no_plain_array_but_holds_every_number_is_taken():
    exact = [[2**60, 0.5], [Fraction(1, 4), Decimal(2)]]
    for X in (np.array(exact, dtype=object), np.ma.array(exact, dtype=float)):
        assert st.Classification(X, [0, 1]).features.tolist() == [[2.0**60, 0.5], [0.25, 2.0]]


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


@pytest.mark.lab
def test_data_frames_are_taken_and_their_missing_values_refused():
    import pandas as pd

    assert st.Classification(pd.DataFrame({"a": [1, 2]}), pd.Series(["u", "v"])).features.tolist() == [
        [1],
        [2],
    ]
    with pytest.raises(InvalidData, match=r"y\[1\]=.*: give every sample a label"):
        st.Classification([[1.0], [2.0]], pd.array(["a", None], dtype="string"))
    with pytest.raises(InvalidData, match=r"X\[1, 0\]=<NA>: this value is missing"):
        st.Classification(pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}, dtype=object), [0, 1])


@pytest.mark.torch
def test_tensors_without_values_are_refused():
    import torch

    with pytest.raises(InvalidData, match=r"X='Tensor': this tensor is on the device meta"):
        st.Classification(torch.zeros(2, 2, device="meta"), [0, 1])
    with pytest.raises(InvalidData, match=r"X='Tensor': this tensor is sparse: give tensor.to_dense\(\)"):
        st.Classification(torch.eye(2).to_sparse(), [0, 1])
    with pytest.raises(InvalidData, match=r"y='Tensor': this tensor is on the device meta"):
        st.Classification(np.eye(2), torch.zeros(2, device="meta"))


@pytest.mark.torch
def test_tensors_stay_tensors():
    import torch

    problem = st.Classification(torch.eye(2, dtype=torch.float32), torch.tensor([0, 1]))
    assert isinstance(problem.features, torch.Tensor)
    assert problem.features.dtype == torch.float64
    assert float(problem.margin(torch.eye(2))) == 1.0
    assert problem.fingerprint == st.Classification(np.eye(2), [0, 1]).fingerprint


def test_a_batch_may_lack_classes():
    problem = st.Classification([[1.0], [2.0], [3.0]], ["b", "d", "b"], classes=["d", "a", "b"])
    assert problem.classes.tolist() == ["a", "b", "d"]
    assert problem.labels.tolist() == [1, 2, 1]
    assert problem.margin(np.array([[0.0], [1.0], [2.0]])) == pytest.approx(-3.0)
    alone = st.Classification([[1.0]], [2], classes=[1, 2])
    assert (alone.n_classes, alone.labels.tolist()) == (2, [1])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([1, 2], r"y=3: give labels that are among classes=\[1, 2\]"),
        ([1, 4], r"y=3: give labels that are among classes=\[1, 4\]"),
        (["1", "3"], r"y=1: give labels that are among classes=\['1', '3'\]"),
        ([3], r"classes=\[3\]: give samples of at least two classes"),
        (3, r"classes=\(\): give labels as a sequence"),
        ([1, None], r"classes\[1\]=None: give every sample a label"),
        ([1, "a"], r"classes=\[1, 'a'\]: give labels of one kind"),
    ],
)
def test_classes_that_do_not_fit_are_refused(classes, message):
    with pytest.raises(InvalidData, match=message):
        st.Classification([[1.0], [2.0]], [1, 3], classes=classes)


def test_whole_numbers_of_long_doubles_and_of_columns_are_kept_or_refused():
    import pandas as pd

    large = np.array([[2.0**60], [1.0]], dtype=np.longdouble)
    assert st.Classification(large, [0, 1]).features[0, 0] == 2.0**60
    if np.finfo(np.longdouble).nmant > 52:
        with pytest.raises(InvalidData, match="float64 would round it"):
            st.Classification(large + 1, [0, 1])
    table = pd.DataFrame({"id": [2**60 + 1, 1], "share": [0.5, 1.5]})
    with pytest.raises(InvalidData, match="X=1152921504606846977: float64 would round it"):
        st.Classification(table, [0, 1])
    assert st.Classification(table.assign(id=[2**60, 1]), [0, 1]).features[0, 0] == 2.0**60
