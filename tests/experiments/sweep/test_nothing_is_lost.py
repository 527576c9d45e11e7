"""Killed twenty times, or out of disk: what was computed stays, the rest comes out bit for bit the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

from steepest.experiments.spec.experiment import validated
from steepest.experiments.store.results import open_results
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.sweep.sweep import run_experiment

LONG = {
    "name": "long",
    "data": {"kind": "gaussian", "classes": 3, "samples_per_class": 4, "features": 15, "scale": 1.0},
    "norm": "frobenius",
    "batch_size": [2],
    "momentum": [0, 0.5],
    "variance_reduction": [False, True],
    "schedule": {"initial_times_margin": 0.05},
    "steps": 300_000,
    "records": 50,
}

KILLED = """
import json, os, random, signal, sys, time
from multiprocessing import Pipe
from pathlib import Path

from steepest.descent import sweep
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.spec.experiment import validated
from steepest.experiments.sweep.sweep import run_experiment

long, directory, kills = validated(json.loads(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
here = Executor("threads", 1)
# The engine is loaded once, for all the lives to come.
run_experiment(long.replaced({"steps": 10}), directory.with_name("loaded"), executor=here)
sweep._CHECKPOINT_SECONDS = sweep._STRETCH_SECONDS = 0.01
sweep._POLL_SECONDS = 0.002
chance = random.Random(5)
begun = []
for _ in range(kills):
    ours, theirs = Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        run_experiment(long, directory, lambda label, done, total: theirs.send(done), here)
        os._exit(0)
    theirs.close()
    # Whatever a machine's speed, twenty lives of at most a fortieth leave something to do.
    while not (told := ours.recv()):
        pass
    begun.append(told)
    until = told + chance.random() * 4 * long.steps / 40
    while told <= until:
        told = ours.recv()
    time.sleep(0.02 * chance.random())
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
outcome = run_experiment(long, directory, executor=here)
print(json.dumps({"begun": begun, "computed": outcome.computed}))
"""


def test_killed_twenty_times_a_sweep_ends_bit_for_bit_the_same(tmp_path):
    arguments = [json.dumps(LONG), str(tmp_path / "killed"), "20"]
    run = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["computed"] == 1  # no life got to the end of the cell
    assert max(found["begun"]) > 4 * LONG["steps"] / 10  # later lives went on where earlier ones had come
    whole = run_experiment(validated(LONG), tmp_path / "whole", executor=Executor("threads", 2))
    xr.testing.assert_identical(open_results(tmp_path / "killed"), open_results(tmp_path / "whole"))
    assert whole.computed == 1


def written(folder, steps):
    """Write a small experiment, and return its file."""
    spec = folder / "mine.toml"
    spec.write_text(
        f'norm = "frobenius"\nmomentum = [0, 0.5]\nsteps = {steps}\nrecords = 100\nbatch_size = [2, 5]\n'
        'schedule = { initial_times_margin = 0.05 }\ndata = { kind = "gaussian", classes = 3, '
        "samples_per_class = 4, features = 15, scale = 1.0 }\n",
        encoding="utf-8",
    )
    return spec


def test_ctrl_c_stops_workers_that_keep_what_they_have(tmp_path):
    code = "import sys; from steepest.cli import main; sys.exit(main())"
    place = ["--backend", "loky", "--workers", "2", "--quiet"]
    arguments = ["run", str(written(tmp_path, steps=10**9)), "--output", str(tmp_path / "out"), *place]
    cells = tmp_path / "out" / "cells" / "unfinished"
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while len([file for file in cells.glob("sweep-*/*") if file.read_text(encoding="ascii") > "0"]) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert shown.endswith("\nmine: interrupted; the same command goes on where it stopped\n")
    assert (tmp_path / "out" / "mine-experiment.json").exists()
    assert said == ""
    assert len(list(cells.glob("*/run-*.npz"))) == 4
    assert not list(cells.glob("sweep-*"))


def workers_of(parent):
    """Return the processes that a process has started."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return [int(child) for child in found]


def is_there(process):
    """Whether a process is there, and not only waiting to be buried."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_workers_end_with_their_sweep_and_keep_what_they_have(tmp_path, sent, code):
    place = ["--backend", "loky", "--workers", "2", "--quiet"]
    arguments = ["run", str(written(tmp_path, steps=10**9)), "--output", str(tmp_path / "out"), *place]
    cells = tmp_path / "out" / "cells" / "unfinished"
    command = [sys.executable, "-m", "steepest", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(
            lambda: len([f for f in cells.glob("sweep-*/*") if f.read_text(encoding="ascii") > "0"]) == 2, 120
        )
        workers = workers_of(process.pid)
        assert len(workers) >= 2
        process.send_signal(sent)
        assert process.wait(timeout=60) == code
    wait_until(lambda: not any(map(is_there, workers)), 30)
    assert len(list(cells.glob("*/run-*.npz"))) == 4


FULL = """
import resource, sys
from steepest.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(["run", *sys.argv[2:]]))
"""


@pytest.mark.parametrize("backend", ["threads", "loky"])
def test_where_nothing_more_can_be_written_it_is_one_line_and_the_results_stay(tmp_path, backend):
    spec = written(tmp_path, steps=500)
    place = ["--backend", backend, "--workers", "1", "--quiet"]
    arguments = [str(spec), "--output", str(tmp_path / "out"), *place]
    # A max margin takes some 10 kB and a cell 50: the one can be written, the other cannot.
    run = subprocess.run(
        [sys.executable, "-c", FULL, "30000", *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 3, run.stderr
    (said,) = [line for line in run.stderr.splitlines() if not line.startswith("warning: checkpoint ")]
    assert said.startswith(f"error: {tmp_path / 'out' / 'cells'}/")
    assert said.endswith(".nc: cannot be written (File too large)")
    (margin,) = (tmp_path / "out" / "cells").glob("*.nc")
    kept = margin.stat().st_mtime_ns
    assert not list(tmp_path.glob("out/cells/.*.part"))
    run = subprocess.run(
        [sys.executable, "-c", FULL, "-1", *arguments], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert margin.stat().st_mtime_ns == kept
    assert open_results(tmp_path / "out").sizes["batch_size"] == 2
