"""Features in blocks: the same numbers wherever they are, and bad ones refused by their position."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

import steepest as st
from steepest.errors import InvalidData
from steepest.features import DenseRows, SparseRows, protocol


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(protocol, "_ENTRIES", 12)


def mapped(folder, array):
    path = folder / "features.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def several(seed=0, samples=9, features=4):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(samples, features)).astype(np.float32)
    return np.where(generator.random(X.shape) < 0.4, 0.0, X).astype(np.float32)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["mapped", "sparse"])
def test_margins_and_sums_are_those_of_the_array(kind, tmp_path):
    X, y = several(), np.arange(9) % 3
    elsewhere = mapped(tmp_path, X) if kind == "mapped" else sparse.csr_array(X)
    scanned, whole = st.Classification(elsewhere, y), st.Classification(X, y)
    generator = np.random.default_rng(1)
    W, q = generator.normal(size=(2, 3, 4)), generator.random((2, 9, 3))
    np.testing.assert_allclose(scanned.pair_margins(W), whole.pair_margins(W), rtol=1e-14)
    np.testing.assert_allclose(scanned.margin(W), whole.margin(W), rtol=1e-14)
    np.testing.assert_allclose(scanned.normalized_margin(W, "max"), whole.normalized_margin(W, "max"))
    np.testing.assert_allclose(scanned.pair_sum(q), whole.pair_sum(q), rtol=1e-12, atol=1e-14)
    assert not scanned.loaded
    assert (scanned.samples, scanned.dimension, scanned.n_classes) == (9, 4, 3)


def test_a_memory_map_is_read_when_all_of_it_is_needed(tmp_path):
    X = several()
    problem = st.Classification(mapped(tmp_path, X), np.arange(9) % 3)
    assert not problem.loaded
    assert problem.features.dtype == np.float64
    assert problem.loaded
    np.testing.assert_array_equal(problem.features, X)
    assert problem.fingerprint == st.Classification(X, np.arange(9) % 3).fingerprint


def test_sparse_features_are_kept_apart_from_the_callers():
    X = sparse.csr_array(several())
    before = X.toarray()
    problem = st.Classification(X, np.arange(9) % 3)
    X.data[:] = 7.0
    np.testing.assert_array_equal(problem.rows.take(np.arange(9)).toarray(), before)


@pytest.mark.parametrize("form", [sparse.csc_array, sparse.coo_array, sparse.csr_matrix])
def test_every_sparse_form_will_do(form):
    problem = st.Classification(form(several()), np.arange(9) % 3)
    np.testing.assert_array_equal(problem.rows.take(np.array([8, 0])).toarray(), several()[[8, 0]])


@pytest.mark.parametrize("needs_an_array", [lambda p: p.features, lambda p: p.fingerprint])
def test_what_takes_arrays_says_so_of_sparse_features(needs_an_array):
    problem = st.Classification(sparse.csr_array(several()), np.arange(9) % 3)
    with pytest.raises(InvalidData, match=r"X='csr_array': this needs an array: give X.toarray\(\)"):
        needs_an_array(problem)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["mapped", "sparse"])
@pytest.mark.parametrize(("value", "remedy"), [(np.nan, "replace values"), (1e307, "sums of such features")])
def test_values_that_cannot_be_used_are_named_by_their_place(kind, value, remedy, tmp_path):
    X = several().astype(np.float64)
    X[7, 2] = value
    elsewhere = mapped(tmp_path, X) if kind == "mapped" else sparse.csr_array(X)
    with pytest.raises(InvalidData, match=rf"X\[7, 2\]=.*{remedy}"):
        st.Classification(elsewhere, np.arange(9) % 3)


def test_a_block_is_as_large_as_what_is_made_of_it():
    X = np.ones((7, 2))
    for rows in (DenseRows(X), SparseRows(sparse.csr_array(X))):
        assert sum(rows.scan(lambda _, block: block.shape[0], 1)) == 7
        assert len(list(rows.scan(lambda start, _: start, 1 << 22))) == 7
