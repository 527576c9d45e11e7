"""Small products get one thread, and what the user had set comes back, whoever ends last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from tests.problems import random_problem
from threadpoolctl import threadpool_info, threadpool_limits

import steepest as st
from steepest.maxmargin import methods
from steepest.threads import _let_any_thread_set_limits, _libraries, linear_algebra_threads

SMALL, LARGE = 1e6, 1e9


@pytest.fixture
def threads():
    """What libraries of linear algebra may use, asked whenever it is called; the user has set 3."""
    with threadpool_limits(3, user_api="blas"):
        _let_any_thread_set_limits()
        known = {each.filepath for each in _libraries().lib_controllers if each.user_api == "blas"}
        # Solvers that other tests load may bring a library of their own that knows one thread only.
        several = {each["filepath"] for each in threadpool_info() if each["num_threads"] == 3} & known
        assert several
        yield lambda: {each["num_threads"] for each in threadpool_info() if each["filepath"] in several}


@pytest.mark.parametrize(
    ("most", "multiplications", "inside"), [(None, SMALL, 1), (None, LARGE, 3), (2, SMALL, 1), (2, LARGE, 2)]
)
def test_threads_are_limited_by_the_size_and_come_back(threads, most, multiplications, inside):
    with linear_algebra_threads(most, multiplications):
        assert threads() == {inside}
    assert threads() == {3}


def test_threads_come_back_after_an_error(threads):
    with pytest.raises(KeyboardInterrupt), linear_algebra_threads(None, SMALL):
        raise KeyboardInterrupt
    assert threads() == {3}


def test_callers_side_by_side_share_the_limit_until_the_last_is_done(threads):
    both, one_left = Barrier(2), Barrier(2)

    def first():
        with linear_algebra_threads(None, SMALL):
            both.wait()
        one_left.wait()

    def second():
        with linear_algebra_threads(None, SMALL):
            both.wait()
            one_left.wait()
            return threads()

    with ThreadPoolExecutor(2) as pool:
        ended, inside = pool.submit(first), pool.submit(second)
        assert inside.result() == {1}
        ended.result()
    assert threads() == {3}


def test_max_margins_their_optima_and_runs_take_one_thread(threads, monkeypatch):
    seen = []

    def spied(function):
        def called(*arguments, **options):
            seen.append(threads())
            return function(*arguments, **options)

        return called

    monkeypatch.setattr(methods, "first_order", spied(methods.first_order))
    problem = random_problem()
    solution = st.max_margin(problem, "spectral", method="first-order")
    monkeypatch.setattr(type(solution.optima), "_to_cone", spied(type(solution.optima)._to_cone))
    solution.distance_to_optima(solution.weights)
    st.descend(problem, st.Method("spectral", 5), 50, progress=lambda done, total: seen.append(threads()))
    assert len(seen) >= 3
    assert all(each == {1} for each in seen)
    assert threads() == {3}


def test_results_do_not_depend_on_the_threads_that_the_user_has_set():
    problem = random_problem()
    solutions = []
    for count in (1, 3):
        with threadpool_limits(count, user_api="blas"):
            solutions.append(st.max_margin(problem, "nuclear", canonical=True))
    np.testing.assert_array_equal(solutions[0].weights, solutions[1].weights)
    np.testing.assert_array_equal(solutions[0].dual, solutions[1].dual)
