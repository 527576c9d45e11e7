"""Nothing computed is lost: Ctrl-C, a killed process, a broken file, a disk that cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from tests.problems import random_problem

import steepest as st
from steepest.descent.engines.choice import engine_for
from steepest.descent.sweep import Run, Sweep
from steepest.errors import SteepestWarning
from steepest.signals import MOMENTUM_KINDS, SIGNALS

METHODS = [
    st.Method(norm, 5, beta, reduced, schedule=st.PolynomialDecay(0.02, 0.3), seed=2)
    for norm in ("frobenius", "spectral")
    for beta, reduced in ((0.0, False), (0.9, True))
]

LONG_RUN = textwrap.dedent(
    """
    import signal
    import sys
    import numpy as np
    import steepest as st
    from steepest.descent import sweep
    from tests.descent.test_checkpoint import METHODS
    from tests.problems import random_problem

    # Ignored where a shell started the tests in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sweep._CHECKPOINT_SECONDS = 0.02
    said = False

    def progress(done, total):
        global said
        if done > 2000 and not said:
            said = True
            print("running", flush=True)

    steps, engine, directory = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    for each in st.descend(
        random_problem(), METHODS, steps, engine=engine, progress=progress, checkpoint=directory or None
    ):
        print(each.completed, each.steps[-1], each.weights.shape[0], flush=True)
    """
)


def start(steps, engine, directory=""):
    return subprocess.Popen(
        [sys.executable, "-c", LONG_RUN, str(steps), engine, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
    )


@pytest.mark.parametrize("engine", ["compiled", "batched"])
def test_ctrl_c_returns_what_was_computed(engine):
    with start(10**9, engine) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        lines = process.stdout.read().splitlines()
    assert process.returncode == 0
    assert len(lines) == len(METHODS)
    assert all(line.startswith("False ") for line in lines)
    assert int(lines[0].split()[2]) > 10


@pytest.mark.parametrize("engine", ["compiled", "batched", "reference"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_run_goes_on_bit_for_bit(engine, how, tmp_path):
    steps = 60_000 if engine == "compiled" else 400
    with start(steps, engine, tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(how)
        process.stdout.read()
    saved = list(tmp_path.glob("run-*.npz"))
    resumed = st.descend(random_problem(), METHODS, steps, engine=engine, checkpoint=tmp_path)
    whole = st.descend(random_problem(), METHODS, steps, engine=engine)
    assert saved, "the run had written no checkpoint"
    for one, other in zip(resumed, whole, strict=True):
        assert one.completed
        if engine == "batched":
            # Runs that stood at different steps go on in other groups: equal to rounding.
            np.testing.assert_allclose(one.weights, other.weights, rtol=0, atol=1e-9)
        else:
            np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.truncated_directions, other.truncated_directions)


def test_a_finished_run_is_read_back(tmp_path):
    first = st.descend(random_problem(), METHODS, 100, checkpoint=tmp_path)
    seen = []
    again = st.descend(
        random_problem(), METHODS, 100, checkpoint=tmp_path, progress=lambda done, total: seen.append(done)
    )
    assert set(seen) == {400}
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)


def test_the_same_run_twice_shares_its_file_without_a_quarrel(tmp_path):
    twice = st.descend(random_problem(), [METHODS[0]] * 20, 300, checkpoint=tmp_path, workers=4)
    assert len(list(tmp_path.iterdir())) == 1
    for each in twice:
        np.testing.assert_array_equal(each.weights, twice[0].weights)


def test_another_run_does_not_take_the_file(tmp_path):
    st.descend(random_problem(), METHODS[0], 100, checkpoint=tmp_path)
    st.descend(random_problem(seed=1), METHODS[0], 100, checkpoint=tmp_path)
    st.descend(random_problem(), METHODS[0], 101, checkpoint=tmp_path)
    st.descend(random_problem(), METHODS[1], 100, checkpoint=tmp_path)
    assert len(list(tmp_path.glob("run-*.npz"))) == 4


@pytest.mark.parametrize("engine", ["compiled", "batched", "reference"])
@pytest.mark.parametrize("kind", MOMENTUM_KINDS)
@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_and_momentum_goes_on_bit_for_bit(name, kind, engine, tmp_path):
    method = st.Method("spectral", 5, 0.8, signal=name, momentum_kind=kind, seed=2)
    problem, steps = random_problem(), np.array([0, 10, 17, 30])
    whole = Run(problem, method, engine_for(problem, method, engine), steps, np.zeros((4, 20)), None)
    Sweep(problem, [whole]).finish(1, None)
    first = Run(problem, method, engine_for(problem, method, engine), steps, np.zeros((4, 20)), None)
    first.keep_in(tmp_path)
    first.record(first.start, 0)
    for stop in (10, 17, 23):
        first.state = first.engine.advance(problem, [method], first.state, stop)
        first.record(first.state.weights[0], int(first.state.truncated[0]))
    first.save()
    second = Run(problem, method, engine_for(problem, method, engine), steps, np.zeros((4, 20)), None)
    second.keep_in(tmp_path)
    assert second.state.step == 23
    Sweep(problem, [second]).finish(1, None)
    np.testing.assert_array_equal(np.stack(second.weights), np.stack(whole.weights))
    for key, array in whole.state.arrays().items():
        np.testing.assert_array_equal(second.state.arrays()[key], array)


def test_files_of_the_first_version_are_read(tmp_path):
    """They held a snapshot whether the signal had one or not, and were named by the same settings."""
    whole = [st.descend(random_problem(), each, 50, records=[20]) for each in METHODS]
    for method, expected in zip(METHODS, whole, strict=True):
        problem, steps = random_problem(), np.array([0, 20, 50])
        run = Run(problem, method, engine_for(problem, method), steps, np.zeros((4, 20)), None)
        state = run.engine.advance(problem, [method], run.state, 20)
        run.keep_in(tmp_path)
        zeros, none = np.zeros((1, 4, 20)), np.full(1, -np.inf)
        old = {"snapshot": zeros, "snapshot_gradient": zeros, "snapshot_gradient_log_scale": none}
        assert run.file is not None
        np.savez(
            run.file.path,
            recorded_weights=np.stack([zeros[0], state.weights[0]]),
            recorded_truncated=np.zeros(2, dtype=int),
            **{**old, **state.arrays()},
        )
        resumed = st.descend(problem, method, 50, records=[20], checkpoint=tmp_path)
        np.testing.assert_array_equal(resumed.weights, expected.weights)


@pytest.mark.parametrize("damage", [b"", b"not a file of ours", None])
def test_a_broken_file_is_said_and_the_run_starts_again(damage, tmp_path):
    whole = st.descend(random_problem(), METHODS[0], 50, checkpoint=tmp_path)
    (path,) = tmp_path.glob("run-*.npz")
    path.write_bytes(path.read_bytes()[:900] if damage is None else damage)
    with pytest.warns(SteepestWarning, match="cannot be read .*; its run starts again"):
        again = st.descend(random_problem(), METHODS[0], 50, checkpoint=tmp_path)
    np.testing.assert_array_equal(again.weights, whole.weights)


def test_a_place_that_cannot_be_written_is_a_warning_not_a_loss(tmp_path):
    (tmp_path / "taken").write_text("a file where the directory should be")
    with pytest.warns(SteepestWarning, match="cannot be written .*the run goes on without it"):
        trajectory = st.descend(random_problem(), METHODS[0], 50, checkpoint=tmp_path / "taken")
    assert trajectory.completed
