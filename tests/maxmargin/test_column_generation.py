"""Column generation: the same max margins as from all features at once, from few of them."""

from __future__ import annotations

import numpy as np
import pytest

import steepest as st
from steepest.errors import MissingCapability
from steepest.maxmargin import Status


def wide(samples: int, features: int, classes: int, seed: int = 0) -> st.Classification:
    """Standardised normal features, many times as many as samples."""
    X = np.random.default_rng(seed).standard_normal((samples, features))
    return st.Classification((X - X.mean(axis=0)) / X.std(axis=0), np.arange(samples) % classes)


@pytest.mark.parametrize(("samples", "features", "classes"), [(12, 300, 2), (20, 400, 3), (10, 2000, 5)])
def test_it_finds_the_max_margin_of_all_features(samples, features, classes):
    problem = wide(samples, features, classes)
    columns = st.max_margin(problem, "sum", method="column-generation")
    whole = st.max_margin(problem, "sum", method="linear-program")
    assert columns.status is Status.SOLVED
    assert columns.margin <= whole.upper_bound
    assert whole.margin <= columns.upper_bound
    assert np.count_nonzero(columns.weights.any(axis=0)) <= 4 * samples


@pytest.mark.parametrize("seed", range(2))
def test_data_on_which_an_interior_point_broke_down_is_solved(seed):
    solution = st.max_margin(wide(50, 20_000, 3, seed), "sum", 1e-8)
    assert solution.relative_gap <= 1e-8
    assert solution.method == "column generation (HiGHS)"


def test_data_that_no_weights_separate_ends_with_its_evidence():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.standard_normal((3, 200)), 2, axis=0)
    solution = st.max_margin(st.Classification(X, [0, 1] * 3), "sum", method="column-generation")
    assert solution.status in (Status.NOT_SEPARABLE, Status.WEAKLY_SEPARABLE)


def test_norms_of_all_features_together_are_refused():
    with pytest.raises(MissingCapability, match="a dual norm of single features"):
        st.max_margin(wide(6, 60, 2), "spectral", method="column-generation")
