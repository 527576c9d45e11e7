"""The two engines of the first-order method take the same iterations; a pace ends what is too slow."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from tests.contracts.norms import every_norm
from tests.problems import random_problem

import steepest as st
from steepest.maxmargin.first_order.halpern import _Compiled, _Generic, _Saddle, first_order
from steepest.maxmargin.first_order.projections import BALL_PROJECTION


def engines(problem, norm):
    X = np.asarray(problem.features) / np.abs(problem.features).max()
    hot = np.asarray(problem.one_hot)
    saddle = _Saddle.of(X, hot, norm)
    W, q = np.zeros((problem.n_classes, problem.dimension)), (~hot) / (~hot).sum()
    size = saddle.operator_norm()
    ball = BALL_PROJECTION.of(norm)
    assert ball is not None
    assert ball.code is not None
    return _Compiled(saddle, ball.code, W, q, size), _Generic(saddle, ball, W, q, size)


@every_norm
@pytest.mark.parametrize("size", [(4, 12, 20), (5, 25, 3), (2, 9, 1)])
def test_compiled_iterations_are_those_of_the_array_api(norm, size):
    classes, samples, features = size
    problem = random_problem(classes=classes, samples=samples, features=features)
    compiled, generic = engines(problem, norm)
    for steps in (1, 7, 60):
        compiled.advance(steps)
        generic.advance(steps)
        for ours, theirs in zip(compiled.now(), generic.now(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-9)


def test_inputs_are_not_written_to():
    problem = random_problem()
    X, hot = np.array(problem.features), np.array(problem.one_hot)
    W, q = np.zeros((problem.n_classes, problem.dimension)), (~hot) / (~hot).sum()
    for each in (X, hot, W, q):
        each.setflags(write=False)
    first_order(X, hot, st.norm("spectral"), 1e-3, start=(W, q))


def test_a_pace_ends_what_converges_too_slowly():
    problem = random_problem(classes=10, samples=60, features=70)
    *_, slow = first_order(problem.features, problem.one_hot, st.norm("max"), 1e-8, limit=4000)
    *_, ended = first_order(problem.features, problem.one_hot, st.norm("max"), 1e-8, limit=4000, pace=40)
    assert ended < slow


SOLVE = """
import steepest as st
problem = st.datasets.gaussian(classes=3, samples_per_class=4, features=15, scale=1.0, seed=3)
for norm in ("spectral", "frobenius", "entrywise-3"):
    solution = st.max_margin(problem, norm)
    print(norm, solution.method, solution.weights.tobytes().hex(), solution.dual.tobytes().hex())
"""


def test_code_compiled_now_and_code_from_the_cache_give_the_same_solution_to_the_last_bit(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    told = [
        subprocess.run([sys.executable, "-c", SOLVE], env=environment, capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert list(tmp_path.rglob("*.nbi"))
    assert told[0] == told[1]
