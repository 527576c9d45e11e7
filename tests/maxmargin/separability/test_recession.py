"""The split of pairs within what a likelihood fit leaves, against the program over all weights."""

import numpy as np
import pytest

from steepest import Classification, separability
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.conditioned import condition
from steepest.maxmargin.separability.likelihood import fit_likelihood
from steepest.maxmargin.separability.program import split_pairs
from steepest.maxmargin.separability.recession import split_by_likelihood


def _rare_features(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and features that are 0 but in a few samples: some of one class, some of several."""
    generator = np.random.default_rng(seed)
    y = np.arange(300) % 4
    rare = np.where(generator.random((300, 12)) < 0.02, generator.integers(1, 5, (300, 12)), 0)
    rare[:, 0] = np.where(y == 1, rare[:, 0], 0)
    return np.column_stack([generator.integers(0, 9, (300, 6)), rare]).astype(float), y


@pytest.mark.parametrize("seed", range(4))
def test_the_split_is_that_of_the_program_over_all_weights(seed):
    X, y = _rare_features(seed)
    Z = condition(X).features
    fit = fit_likelihood(Z, y, 4, Deadline())
    assert fit is not None
    found = split_by_likelihood(Z, y, fit, Deadline())
    expected = split_pairs(Z, y, 4, Deadline())
    assert found is not None
    assert expected is not None
    assert found.inseparable.tolist() == expected.inseparable.tolist()
    assert 0 < len(found.inseparable) < 3 * len(y)
    logits = Z @ found.weights.T
    margins = logits[np.arange(len(y)), y][:, None] - logits
    assert margins.min() >= -1e-8


def test_a_fit_of_no_time_gives_no_split():
    X, y = _rare_features(0)
    Z = condition(X).features
    fit = fit_likelihood(Z, y, 4, Deadline())
    assert fit is not None
    assert split_by_likelihood(Z, y, fit, Deadline.after(1e-9)) is None


@pytest.mark.sklearn
def test_digits_with_labels_drawn_anew_are_weakly_separable():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    noisy = generator.random(len(y)) < 0.05
    y = y.copy()
    y[noisy] = generator.integers(0, 10, noisy.sum())
    found = separability(Classification(X, y), intercept=True)
    assert found.kind.name == "WEAKLY_SEPARABLE"
    assert found.overlapped is not None
    assert found.coefficients is not None
    # A program over all 558 weights, which takes a minute or two, finds as many.
    assert len(found.overlapped) == 15280
    X = np.column_stack([X, np.ones(len(X))])
    logits = X @ np.array(found.exact_weights, dtype=float).T
    margins = logits[np.arange(len(y)), y][:, None] - logits
    apart = np.ones(margins.shape, dtype=bool)
    apart[tuple(found.overlapped.T)] = apart[np.arange(len(y)), y] = False
    assert (margins[apart] > 0).all()
    assert (np.abs(margins[tuple(found.overlapped.T)]) < 1e-9).all()
    assert found.dual.min() >= 0
    assert found.residual < 1e-13
    # A pixel that is 0 in all samples of a class and not in all others runs off.
    assert np.isinf(found.coefficients).any()
