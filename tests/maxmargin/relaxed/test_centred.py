"""Products with features that free ones explain nothing of, without forming these."""

import numpy as np
import pytest
import scipy.sparse as sparse

import steepest as st
from steepest.maxmargin.first_order.scaled_projections import project_scaled_sum
from steepest.maxmargin.relaxed.band import Band
from steepest.maxmargin.relaxed.centred import Centred, explained_by_free
from steepest.maxmargin.scans import products
from steepest.maxmargin.scans.pair_products import PairProducts


def case(classes, seed=0):
    """A band of sparse features with two free ones, and pairs of samples in about a third of the classes."""
    rng = np.random.default_rng(seed)
    n, p = 30, 12
    X = rng.random((n, p)) * (rng.random((n, p)) < 0.4)
    free = np.stack([np.ones(n), rng.normal(size=n)], axis=1)
    y = np.arange(n) % classes
    both = sparse.csr_array(np.concatenate([X, free], axis=1))
    band = Band(both, y, classes, p, np.full(n, 0.1), np.zeros((classes, p + 2)))
    near = (rng.random((n, classes)) < 0.3) & (y[:, None] != np.arange(classes))
    samples, other = np.nonzero(near)
    starts = np.searchsorted(samples, np.arange(n + 1))
    return rng, X, free, band, samples, starts, other


@pytest.mark.parametrize("classes", [2, 3, 60])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_products_are_those_of_levelled_features(classes, precision):
    rng, X, free, band, samples, starts, other = case(classes)
    sizes = rng.uniform(0.5, 2.0, 14)
    pairs = PairProducts.of_pairs(band.features, band.labels, starts, other, classes, sizes, precision)
    T = explained_by_free(band)
    np.testing.assert_allclose(free.T @ (X - free @ T), 0.0, atol=1e-12)
    found = Centred(pairs, (T / sizes[:12] * sizes[12:, None]).astype(precision))
    level = np.concatenate([X - free @ T, free], axis=1) / sizes
    W, q = rng.normal(size=(classes, 14)).astype(precision), rng.random(len(other)).astype(precision)
    accuracy = 1e-4 if precision is np.float32 else 1e-12
    logits, y = level @ W.T, band.labels
    np.testing.assert_allclose(
        found.margins(W), logits[samples, y[samples]] - logits[samples, other], atol=accuracy
    )
    A = np.zeros((classes, 14))
    for i, c, weight in zip(samples, other, q, strict=True):
        A[y[i]] += weight * level[i]
        A[c] -= weight * level[i]
    np.testing.assert_allclose(found.pair_sum(q), A, atol=accuracy)
    # Both sides are adjoint, and the free part's norm is that of its own columns.
    assert float(np.vdot(found.margins(W), q)) == pytest.approx(float(np.vdot(W, A)), rel=100 * accuracy)
    rows = np.zeros((len(other), classes, 2))
    rows[np.arange(len(other)), y[samples]] = level[samples, 12:]
    rows[np.arange(len(other)), other] -= level[samples, 12:]
    exact = np.linalg.norm(rows.reshape(len(other), -1), 2)
    assert exact * 0.98 < found.norm_of(12, 14) < exact * 1.03


def test_sums_by_row_and_by_column_agree():
    rng, _, _, band, _, starts, other = case(5, seed=1)
    pairs = PairProducts.of_pairs(band.features, band.labels, starts, other, 5, np.ones(14), np.float64)
    q, by_row = rng.random(len(other)), np.zeros((14, 5))
    products.add_sparse_pairs(pairs.features, band.labels, starts, other, q, by_row)
    assert pairs.by_column is not None
    np.testing.assert_allclose(pairs.pair_sum(q), by_row.T, atol=1e-13)
    many = PairProducts.of_pairs(band.features, band.labels, starts, other, 500, np.ones(14), np.float64)
    assert many.by_column is None
    np.testing.assert_allclose(many.pair_sum(q)[:5], by_row.T, atol=1e-13)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.2, 2.0])
def test_guesses_of_thresholds_change_no_projection(share):
    rng = np.random.default_rng(2)
    V, sizes = rng.normal(size=(4, 9)) ** 3, rng.uniform(0.2, 2.0, 9)
    expected, threshold = project_scaled_sum(V, sizes, None)
    found, again = project_scaled_sum(V, sizes, share * threshold)
    assert again == pytest.approx(threshold, rel=1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize(("norm", "most"), [("max", 2800), ("sum", 5400)])
def test_words_that_are_rare_near_the_level_at_first_cost_no_steps(norm, most, monkeypatch):
    """Words as frequent as 1, 1/2, 1/3, ..., of which those of joining samples decide in the end."""
    monkeypatch.setattr("steepest.maxmargin.solve._SMALL", 0)
    rng = np.random.default_rng(0)
    n, d, k = 300, 1500, 3
    y = rng.integers(0, k, n)
    frequency = np.tile(1.0 / np.arange(1, d + 1), (k, 1))
    frequency *= np.where(rng.random((k, d)) < 0.1, rng.gamma(2.0, 2.0, (k, d)), 1.0)
    words = np.stack([rng.choice(d, 60, p=frequency[c] / frequency[c].sum()) for c in y])
    X = sparse.csr_array((np.ones(n * 60), words.ravel(), np.arange(n + 1) * 60), shape=(n, d))
    y = np.where(rng.random(n) < 0.05, (y + 1) % k, y)
    found = st.max_margin(st.Classification(X, y), norm, 1e-4, nu=0.2, intercept=True)
    assert found.relative_gap <= 1e-4
    assert found.iterations < most
