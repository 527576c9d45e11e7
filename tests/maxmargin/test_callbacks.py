"""Computations that are watched: told how far they are, stopped by their callback or by Ctrl-C."""

from __future__ import annotations

import math
import signal

import numpy as np
import pytest

import steepest as st
from steepest.maxmargin import Progress, Status
from steepest.maxmargin.forms.watch import Watch

CLOUDS = st.datasets.gaussian(classes=10, samples_per_class=20, features=60, seed=0)


@pytest.mark.parametrize(
    ("norm", "arguments"),
    [
        ("spectral", {}),
        ("frobenius", {}),
        ("sum", {}),
        ("spectral", {"method": "interior-point"}),
        ("spectral", {"method": "cutting-planes"}),
        ("max", {"nu": 0.2, "intercept": True}),
        ("frobenius", {"method": "scans"}),
        ("spectral", {"method": "scans"}),
    ],
)
def test_every_method_tells_and_is_stopped_with_bounds_that_hold(norm, arguments):
    known = st.max_margin(CLOUDS, norm, **{key: arguments[key] for key in arguments if key != "method"})
    told: list[Progress] = []

    def once(found: Progress) -> bool:
        told.append(found)
        return True

    stopped = st.max_margin(CLOUDS, norm, callback=once, **arguments)
    assert len(told) == 1
    assert 0 <= told[0].method_gap <= 1
    certified = 1 - told[0].margin / told[0].upper_bound
    assert told[0].relative_gap == pytest.approx(certified)  # 1 where the bounds are 0 and infinity
    assert stopped.status is Status.STOPPED
    assert stopped.margin <= known.upper_bound
    assert known.margin <= stopped.upper_bound


def test_what_is_told_goes_on_and_a_callback_changes_nothing():
    told: list[Progress] = []
    watched = st.max_margin(CLOUDS, "sum", callback=told.append)
    alone = st.max_margin(CLOUDS, "sum")
    assert watched.margin == alone.margin
    assert watched.status is Status.SOLVED
    np.testing.assert_array_equal(watched.dual, alone.dual)
    assert [each.seconds for each in told] == sorted(each.seconds for each in told)


def test_ctrl_c_ends_a_watched_computation_with_its_best_bounds():
    def interrupt(_found: Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    solution = st.max_margin(CLOUDS, "sum", 1e-12, callback=interrupt)
    assert solution.status is Status.STOPPED
    assert 0 <= solution.margin <= solution.upper_bound < math.inf
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # is again what it was


def test_the_time_left_is_that_of_a_gap_that_falls_as_it_did(monkeypatch):
    seen: list[Progress] = []
    watch = Watch(seen.append, 1e-8, started=0.0)
    for seconds, gap in ((1.0, 1e-1), (2.0, 1e-2), (3.0, 1e-3), (4.0, 1e-4)):
        monkeypatch.setattr("time.perf_counter", lambda seconds=seconds: seconds)
        watch.tell("first-order", int(100 * seconds), gap)
    assert seen[-1].remaining_seconds == pytest.approx(4.0)
    assert seen[-1].iterations_per_second == pytest.approx(100.0)
    assert seen[0].remaining_seconds == math.inf


def test_a_callback_is_a_function():
    with pytest.raises(st.errors.InvalidArgument, match="callback=3: give a function of a Progress, or None"):
        st.max_margin(CLOUDS, "max", callback=3)  # type: ignore[arg-type]
