"""Sums of matrices of rank one at any grading: polar factors against mpmath, entries against fractions."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from steepest.descent.engines.graded import GradedSum, graded_entries, graded_polar_factor


@pytest.mark.parametrize("gap", [70.0, 700.0, 2000.0])
def test_polar_factors_are_exact_at_any_grading(gap):
    generator = np.random.default_rng(int(gap))
    lefts, features = np.eye(4)[[0, 1, 2, 0, 1]] - np.eye(4)[[3, 3, 3, 1, 2]], generator.normal(size=(3, 5))
    which = np.array([0, 0, 1, 2, 2])
    logs = -gap * generator.random(5)
    with mpmath.workdps(int(60 + gap)):
        S = mpmath.zeros(4, 5)
        for log, left, sample in zip(logs, lefts, which, strict=True):
            column, row = mpmath.matrix(left.tolist()), mpmath.matrix(features[sample].tolist()).T
            S += mpmath.exp(mpmath.mpf(float(log))) * column * row
        U, values, Vt = mpmath.svd_r(S)
        kept = [r for r in range(4) if values[r] > values[0] * mpmath.mpf(10) ** (-0.8 * mpmath.mp.dps)]
        expected = sum((U[:, r] * Vt[r, :] for r in kept), mpmath.zeros(4, 5))
        expected = np.array(expected.tolist(), dtype=float)
    found = graded_polar_factor(GradedSum(logs, lefts, which, features))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_what_cancels_leaves_the_word_to_the_next_terms():
    terms = GradedSum(
        np.array([0.0, 0.0, -80.0, -8000.0]),
        np.array([[1.0], [-1.0], [1.0], [-1.0]]),
        np.arange(4),
        np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 0.0], [1.0, 0.0, 0.0], [3.0, 1.0, 1.0]]),
    )
    signs, logs = graded_entries(terms)
    assert signs.tolist() == [[1.0, -1.0, -1.0]]
    np.testing.assert_allclose(logs, [[-80.0, -8000.0, -8000.0]])
