"""SAGA's running mean: as good as one made afresh whatever the table went through, and seldom made afresh."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from tests.problems import random_problem, weights_with_margins

import steepest as st
from steepest.descent.engines.choice import engine_for
from steepest.descent.state import State

ENGINES = ["reference", "batched", "compiled"]


def exact_mean(problem, fields):
    """The mean of the table's gradients in mpmath, and the sum of the sizes of its terms over n."""
    rows, scales, X = fields["table"][0], fields["table_log_scale"][0], problem.features
    n, (k, d) = problem.samples, (problem.n_classes, problem.dimension)
    scaled = [[mpmath.exp(scales[i]) * mpmath.mpf(rows[i, c]) for c in range(k)] for i in range(n)]
    mean = [[mpmath.fsum(scaled[i][c] * X[i, j] for i in range(n)) / n for j in range(d)] for c in range(k)]
    sizes = mpmath.fsum(max(map(abs, row)) for row in scaled) * problem.largest_length / n
    return mean, sizes


@pytest.mark.parametrize("engine", ENGINES)
@given(
    margins=some.lists(some.sampled_from([1.0, 20.0, 40.0, 700.0, 2500.0]), min_size=2, max_size=4),
    batch_size=some.sampled_from([1, 3]),
)
@settings(max_examples=15)
@example(margins=[1.0, 40.0, 2500.0], batch_size=1)
def test_the_mean_is_that_of_the_table_whatever_the_losses_went_through(engine, margins, batch_size):
    """Losses fall to e^-2500 and rise again, for some epoch and a half each; the bound is that of saga.py."""
    problem = random_problem(classes=3, samples=7, features=9)
    apart = weights_with_margins(problem, 1.0 + 0.01 * np.arange(7))[None]
    method = st.Method("frobenius", batch_size, signal="saga", schedule=st.PolynomialDecay(1e-3, 0.5))
    state = State.start(problem, method, apart)
    with mpmath.workdps(40):
        for margin in margins:
            moved = State(state.step, margin * apart, state.fields, state.truncated)
            state = engine_for(problem, method, engine).advance(problem, [method], moved, state.step + 10)
            mean, terms = exact_mean(problem, state.fields)
            found, scale = state.fields["table_mean"].mantissa[0], state.fields["table_mean"].log_scale[0]
            scaled = mpmath.exp(scale) if np.isfinite(scale) else mpmath.mpf(0)
            error = max(abs(scaled * found[c, j] - mean[c][j]) for c in range(3) for j in range(9))
            largest = max(abs(entry) for row in mean for entry in row)
            afresh = mpmath.mpf(2) ** -53 * (7 + 34) * terms
            assert error <= max(mpmath.mpf("1e-12") * largest * (1 + mpmath.mpf("1e-9")), 8 * afresh)


@pytest.mark.parametrize("engine", ["batched", "compiled"])
def test_the_mean_is_made_afresh_about_once_an_epoch(engine):
    """Counted by the state: a mean that was just made afresh has rounded nothing since."""
    problem = st.datasets.gaussian(classes=4, samples_per_class=50, features=12, seed=1)
    method = st.Method("frobenius", 4, 0.9, signal="saga", schedule=st.PolynomialDecay(0.1, 0.5))
    chosen = engine_for(problem, method, engine)
    state, afresh = State.start(problem, method, np.zeros((1, 4, 12))), 0
    epochs = 6
    for step in range(50 * epochs):
        state = chosen.advance(problem, [method], state, step + 1)
        afresh += int(np.isinf(state.fields["mean_log_rounding"][0]))
    assert 1 <= afresh <= 2 * epochs


@pytest.mark.parametrize("engine", ENGINES)
def test_features_that_are_all_zero_leave_the_weights(engine):
    problem = st.Classification(np.zeros((4, 2)), [0, 1, 0, 1])
    run = st.descend(problem, st.Method(batch_size=1, signal="saga"), 9, engine=engine)
    assert not run.final_weights.any()
