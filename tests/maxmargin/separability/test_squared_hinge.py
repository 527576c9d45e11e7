"""Sums of squared misses of margins, against programs and exact arithmetic."""

import numpy as np
import pytest
from hypothesis import given, strategies

from steepest import Classification, separability
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.separability import case
from steepest.maxmargin.separability.conditioned import condition
from steepest.maxmargin.separability.evidence import separates
from steepest.maxmargin.separability.many_null import many_null_weights
from steepest.maxmargin.separability.pair_squares import Blocks, PairSquares
from steepest.maxmargin.separability.squared_hinge import fit_squares, fits_of_parts


def _noisy(seed: int, n: int, d: int, k: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of low rank behind pixels that are 0 below a threshold, with some labels drawn anew."""
    generator = np.random.default_rng(seed)
    y = generator.integers(k, size=n)
    low = 2.0 * generator.normal(size=(k, 8))[y] + generator.normal(size=(n, 8))
    pixels = low @ generator.normal(size=(8, d)) + generator.normal(size=(n, d))
    anew = generator.random(n) < share
    return np.maximum(pixels - np.linspace(-2.0, 4.0, d), 0.0), np.where(
        anew, generator.integers(k, size=n), y
    )


@given(seed=strategies.integers(0, 10_000), k=strategies.integers(2, 5))
def test_the_product_is_that_of_the_sum_over_pairs(seed, k):
    generator = np.random.default_rng(seed)
    Z, y = generator.normal(size=(12, 3)), np.arange(12) % k
    weights = generator.random((12, k)) * (y[:, None] != np.arange(k)) * (generator.random((12, k)) < 0.5)
    squares, V = PairSquares.of(Z, y, weights), generator.normal(size=(k, 3))
    total = np.zeros((k, 3))
    for i, c in np.argwhere(weights > 0):
        a = np.zeros((k, 3))
        a[y[i]], a[c] = Z[i], -Z[i]
        total += weights[i, c] * np.vdot(a, V) * a
    assert np.allclose(squares.times(V), total, atol=1e-12)


@pytest.mark.parametrize("k", [2, 4])
def test_equations_are_solved_for_many_classes_and_few(k):
    X, y = _noisy(0, 400, 12, k, 0.3)
    weights = (y[:, None] != np.arange(k)).astype(float)
    squares = PairSquares.of(X, y, weights)
    right = squares.times(np.random.default_rng(1).normal(size=(k, 12)))
    for blocks in (Blocks.of(squares), _shared(squares)):
        V, steps = squares.solved(right, blocks, 1e-10, 500, Deadline(), grounded=True)
        assert not V[0].any()
        assert np.abs(squares.times(V) - right).max() <= 1e-7 * np.abs(right).max()
        assert steps < 500


def _shared(squares: PairSquares) -> Blocks:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steepest.maxmargin.separability.pair_squares._MOST_NUMBERS", 0)
        return Blocks.of(squares)


@pytest.mark.parametrize("seed", range(4))
def test_what_cannot_be_separated_has_dual_weights_of_no_sum(seed):
    X, y = _noisy(seed, 600, 30, 4, 0.2)
    conditioned = condition(X)
    found = fit_squares(conditioned.features, y, 4, Deadline())
    assert found is not None
    assert found.converged
    assert not found.separating
    null = many_null_weights(X, y, conditioned, found.dual, Deadline())
    assert null is not None
    q = null.dense((len(y), 4))
    assert (null.values > 0).all()
    assert not q[np.arange(len(y)), y].any()
    T = towards(q, y)
    assert (np.abs(T.T @ X) <= 1e-14 * (np.abs(T).T @ np.abs(X))).all()


@pytest.mark.parametrize("seed", range(4))
def test_weights_of_separable_data_separate(seed):
    X, y = _noisy(seed, 150, 60, 4, 0.2)
    conditioned = condition(X)
    found = fit_squares(conditioned.features, y, 4, Deadline())
    assert found is not None
    assert found.separating
    assert separates(X, y, conditioned.weights(found.weights))


def test_a_feature_of_one_sample_leaves_it_without_dual_weight():
    X, y = _noisy(0, 600, 20, 3, 0.3)
    X = np.column_stack([X, np.arange(len(X)) == 7])
    conditioned = condition(X)
    found = fit_squares(conditioned.features, y, 3, Deadline())
    assert found is not None
    null = many_null_weights(X, y, conditioned, found.dual, Deadline())
    assert null is not None
    assert 7 not in null.pairs[:, 0]


def test_parts_grow_to_the_whole_and_the_most_entangled_come_first():
    X, y = _noisy(1, 900, 4, 3, 0.0)
    guess = np.zeros((900, 3))
    guess[600:] = 1.0
    parts = [part for part, _ in fits_of_parts(X, y, 3, guess, Deadline())]
    assert [len(part) for part in parts] == [128, 384, 900]
    assert parts[0].min() >= 600


def test_nothing_is_found_out_of_time():
    X, y = _noisy(0, 600, 30, 4, 0.2)
    assert fit_squares(X, y, 4, Deadline.after(1e-9)) is None


@pytest.mark.parametrize(("samples", "verdict"), [(2400, "NOT_SEPARABLE"), (900, "SEPARABLE")])
def test_large_noisy_data_is_decided_without_a_program_over_all_pairs(samples, verdict):
    X, y = _noisy(0, samples, 250, 8, 0.3)
    found = separability(Classification(X.astype(np.float32), y))
    assert found.kind.name == verdict
    assert "linear program" not in found.tried
    if verdict == "NOT_SEPARABLE":
        assert "squares of margins" in found.tried
        assert found.residual <= 1e-14
        assert len(y) * 7 * 2 * 250 > case._LARGEST_PROGRAM
