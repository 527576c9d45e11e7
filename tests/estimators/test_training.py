"""Rows that estimators train on: equal ones joined, in an order of their own, with the weights of classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from steepest.errors import InvalidArgument, InvalidData
from steepest.estimators import MaxMarginClassifier, solving, training
from steepest.estimators.training import distinct, encoded_labels
from steepest.maxmargin import max_margin

CLASSES = np.arange(2)


def samples(seed, n=40):
    """Return rows of few values, zeros of both signs among them, with labels and whole weights."""
    rng = np.random.default_rng(seed)
    X = rng.choice([-1.0, -0.0, 0.0, 0.1], size=(n, 3))
    return X, rng.integers(0, 2, n), rng.integers(0, 4, n).astype(float)


def same(first, second):
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("features", "labels", "weights")
    )


@given(st.integers(0, 10**6))
def test_order_repetition_and_sparsity_change_nothing(seed):
    X, labels, weights = samples(seed)
    found = distinct(X, labels, CLASSES, weights)
    order = np.random.default_rng(seed).permutation(len(X))
    assert same(found, distinct(X[order], labels[order], CLASSES, weights[order]))
    counts = weights.astype(int)
    repeated = distinct(X.repeat(counts, axis=0), labels.repeat(counts), CLASSES, np.ones(counts.sum()))
    assert same(found, repeated)
    from_sparse = distinct(sparse.csr_array(X), labels, CLASSES, weights)
    assert np.array_equal(from_sparse.features.toarray(), found.features)
    assert np.array_equal(from_sparse.weights, found.weights)


@given(st.integers(0, 10**6))
def test_each_pair_of_row_and_class_comes_once_with_all_its_weight(seed):
    X, labels, weights = samples(seed)
    found = distinct(X, labels, CLASSES, weights)
    expected = np.unique(np.column_stack([X + 0.0, labels])[weights > 0], axis=0)
    assert np.array_equal(np.unique(np.column_stack([found.features + 0.0, found.labels]), axis=0), expected)
    assert len(found.labels) == len(expected)
    assert found.weights.sum() == weights.sum()
    # Shared among its samples again, each has its own.
    np.testing.assert_allclose(found.of_samples(found.weights), weights, rtol=1e-15)
    assert np.array_equal(found.rows < 0, weights == 0)


def test_rows_that_differ_in_the_last_bit_are_two():
    X = np.array([[0.1], [np.nextafter(0.1, 1.0)], [0.2]])
    assert len(distinct(X, np.array([0, 0, 1]), CLASSES, np.ones(3)).labels) == 3


def test_classes_weigh_as_much_as_their_samples_do():
    y = np.array(["a", "b", "b", "c", "c"])
    classes, labels, weights = encoded_labels(y, np.array([2.0, 1, 1, 0, 0]), "balanced")
    assert classes.tolist() == ["a", "b"]
    assert labels[:3].tolist() == [0, 1, 1]
    assert weights.tolist() == [2.0, 1.0, 1.0, 0.0, 0.0]
    _, _, weights = encoded_labels(y, np.ones(5), {"a": 3.0, "c": 0.5})
    assert weights.tolist() == [3.0, 1.0, 1.0, 0.5, 0.5]


def test_one_class_with_weight_is_refused_by_name():
    with pytest.raises(InvalidData, match=r"y=\['b'\]: give samples of at least two classes.*got 1 class"):
        encoded_labels(np.array(["a", "b"]), np.array([0.0, 1.0]), None)


def test_a_mapped_file_reaches_the_solver_as_it_is(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 120)
    X = np.memmap(tmp_path / "X", dtype=np.float32, mode="w+", shape=(120, 6))
    X[:] = generator.normal(size=X.shape) + 8 * (y[:, None] == np.arange(6))
    seen = []

    def watched(problem, *arguments, **settings):
        seen.append(problem)
        return max_margin(problem, *arguments, **settings)

    monkeypatch.setattr(solving, "_SMALL_ENTRIES", 0)
    monkeypatch.setattr(training, "_READ", 0)
    for limit in ("_READ", "_SMALL"):
        monkeypatch.setattr(f"steepest.maxmargin.solve.{limit}", 0)
    monkeypatch.setattr(solving, "max_margin", watched)
    mapped = MaxMarginClassifier().fit(X, y)
    (problem,) = seen
    assert not problem.loaded
    block = next(iter(problem.rows.scan(lambda start, rows: rows, 1)))
    assert np.may_share_memory(block, X)
    loaded = MaxMarginClassifier().fit(np.array(X), y)
    assert mapped.margin_ == pytest.approx(loaded.margin_, rel=1e-3)
    assert mapped.dual_coef_.shape == (len(mapped.support_), 3)
    assert mapped.dual_coef_.sum() == pytest.approx(1)
    assert (mapped.predict(X) == y).all()


def test_a_small_mapped_file_is_fitted_as_the_same_array_is(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 3))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    of_array, of_file = (MaxMarginClassifier(nu=0.7).fit(each, X[:, 0] > 0).coef_ for each in (X, mapped))
    assert np.array_equal(of_array, of_file)


def test_masked_entries_are_refused_and_one_number_weighs_all():
    X, y = np.arange(8.0)[:, None], np.arange(8) // 4
    masked = np.ma.masked_array(X, mask=X == 2.0)
    labels, weights = np.ma.masked_array(y, mask=y == 1), np.ma.masked_array(np.ones(len(y)), mask=y == 1)
    classifier = MaxMarginClassifier(nu=0.5)
    for name, arguments in (("X", (masked, y)), ("y", (X, labels)), ("sample_weight", (X, y, weights))):
        with pytest.raises(InvalidArgument, match=rf"{name}='MaskedArray': \d+ of \d+ entries are masked"):
            classifier.fit(*arguments)
    fitted = classifier.fit(np.ma.masked_array(X), y, 2.0)
    assert np.array_equal(fitted.coef_, MaxMarginClassifier(nu=0.5).fit(X, y).coef_)
    with pytest.raises(InvalidArgument, match="X='MaskedArray'"):
        fitted.predict(masked)
