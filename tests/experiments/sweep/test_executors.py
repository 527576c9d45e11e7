"""A sweep comes out the same wherever it is computed, whoever dies or computes beside it."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import Any

import pytest
import xarray as xr

from steepest.errors import InvalidArgument, RunError, SteepestWarning
from steepest.experiments.spec.experiment import validated
from steepest.experiments.spec.resolved import resolve
from steepest.experiments.store.store import Store
from steepest.experiments.sweep import clusters, crew
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.sweep.mailbox import Mailboxes
from steepest.experiments.sweep.sweep import run_experiment

LONG = {
    "name": "long",
    "data": {"kind": "gaussian", "classes": 3, "samples_per_class": 4, "features": 15, "scale": 1.0},
    "norm": "frobenius",
    "batch_size": [2, 5, "full"],
    "momentum": [0, 0.5],
    "schedule": {"initial_times_margin": 0.05},
    "steps": 60_000,
    "records": 20,
    "seed": [0, 3],
}
SHORT = {**LONG, "steps": 2000}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What this process alone makes of the long sweep."""
    outcome = run_experiment(validated(LONG), tmp_path_factory.mktemp("alone"), executor=Executor("threads"))
    return outcome.dataset


def leftovers(directory):
    return sorted(path.name for path in (directory / "unfinished").iterdir())


def test_processes_give_the_same_results_and_leave_nothing_behind(alone, tmp_path):
    seen = []
    place = Executor("loky", 2)
    outcome = run_experiment(validated(LONG), tmp_path, lambda *told: seen.append(told), place)
    xr.testing.assert_identical(outcome.dataset, alone)
    assert (outcome.computed, outcome.reused, outcome.interrupted) == (6, 0, False)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][0].startswith("12 of 12 runs, ")
    assert leftovers(tmp_path) == []
    again = run_experiment(validated(LONG), tmp_path, executor=place)
    assert (again.computed, again.reused) == (0, 6)


def kill_a_worker_when(condition):
    """Return a progress callback that kills a worker when the condition holds, and the list of kills."""
    killed = []

    def progress(label, done, total):
        children = [
            each.pid
            for each in multiprocessing.active_children()
            if each.pid is not None and each.name.startswith("Loky")
        ]
        if condition(label, done, total, killed) and children:
            os.kill(children[0], signal.SIGKILL)
            killed.append(label)

    return progress, killed


def test_a_killed_worker_is_replaced_and_the_sweep_completes(alone, tmp_path):
    progress, killed = kill_a_worker_when(
        lambda label, done, total, killed: done > 0.1 * total and not killed
    )
    outcome = run_experiment(validated(LONG), tmp_path, progress, Executor("loky", 2))
    assert len(killed) == 1
    xr.testing.assert_identical(outcome.dataset, alone)
    assert leftovers(tmp_path) == []


def test_a_cell_whose_worker_always_dies_is_named_and_the_others_are_kept(tmp_path):
    progress, killed = kill_a_worker_when(lambda label, *_: label.endswith("seed 3, frobenius, b = 5"))
    with pytest.raises(RunError) as caught:
        run_experiment(validated(LONG), tmp_path, progress, Executor("loky", 1))
    assert str(caught.value).startswith(
        "gaussian, seed 3, frobenius, b = 5: the worker process died each of 3"
    )
    assert "\n" not in str(caught.value)
    assert len(killed) >= 3
    rest = run_experiment(validated(LONG), tmp_path)
    assert (rest.computed, rest.reused) == (1, 5)


SWEEP = """
import json, sys
from pathlib import Path
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.spec.experiment import validated
from steepest.experiments.sweep.sweep import run_experiment
outcome = run_experiment(
    validated(json.loads(sys.argv[1])), Path(sys.argv[2]), executor=Executor(sys.argv[3], int(sys.argv[4]))
)
print(outcome.computed, outcome.reused)
"""


def start(directory, backend="threads", workers=1):
    arguments = [json.dumps(LONG), str(directory), backend, str(workers)]
    return subprocess.Popen([sys.executable, "-c", SWEEP, *arguments], stdout=subprocess.PIPE, text=True)


def test_sweeps_of_their_own_in_one_folder_share_the_cells(alone, tmp_path):
    both = [start(tmp_path), start(tmp_path, "loky", 1)]
    counts = [process.communicate()[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(int(computed) for computed, _ in counts) == 6
    assert all(int(computed) + int(reused) == 6 for computed, reused in counts)
    xr.testing.assert_identical(run_experiment(validated(LONG), tmp_path).dataset, alone)


def test_a_claim_ends_with_its_process(tmp_path):
    (cell, *_) = resolve(validated(LONG)).cells
    store = Store(tmp_path)
    with start(tmp_path) as process:
        while not list(tmp_path.glob("unfinished/*/run-*.npz")):
            assert process.poll() is None
            time.sleep(0.005)
        with store.claimed(cell.description()) as ours:
            claimed = ours
        process.kill()
    assert claimed or list(tmp_path.glob("unfinished/*.lock"))
    waited = []
    with store.claimed(cell.description(), lambda: waited.append(True)) as ours:
        assert ours
    assert waited == []


def test_one_that_waits_is_told_and_gets_the_claim_when_it_is_free(tmp_path):
    store, description = Store(tmp_path), {"kind": "runs"}
    with store.claimed(description) as first:
        assert first
        with store.claimed(description) as second:
            assert not second

        def give_up():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), store.claimed(description, give_up):
            pass
    with store.claimed(description) as third:
        assert third


def test_workers_stop_when_their_sweep_ends_or_its_process_is_gone(tmp_path):
    boxes = Mailboxes.open(tmp_path, os.getppid())
    box = boxes.of("key")
    box(7)
    assert boxes.told("key") == 7
    assert boxes.told("other") == 0
    boxes.close()
    with pytest.raises(KeyboardInterrupt):
        boxes.of("key")(8)
    with pytest.raises(KeyboardInterrupt):
        Mailboxes.open(tmp_path, os.getpid()).of("key")(8)  # this process is not its own parent


def test_warnings_of_workers_reach_the_user_once(tmp_path):
    (tmp_path / "unfinished").mkdir()
    experiment = validated(SHORT)
    store = Store(tmp_path)
    for cell in resolve(experiment).cells[:2]:
        store.path(cell.description()).write_text("not ours", encoding="utf-8")
    with pytest.warns(SteepestWarning) as caught:
        run_experiment(experiment, tmp_path, executor=Executor("loky", 2))
    said = [str(each.message) for each in caught]
    assert len(said) == len(set(said)) == 2
    assert all("is no NetCDF file" in each or "truncated" in each for each in said)


def test_an_error_in_a_worker_is_that_of_the_user(tmp_path):
    file = tmp_path / "samples.csv"
    file.write_text("a,b,label\n1,0,x\n0,1,y\n", encoding="utf-8")
    data = {"kind": "file", "path": str(file), "name": "mine"}
    changed = validated({**SHORT, "data": data, "batch_size": 1})

    other = tmp_path / "other.csv"
    other.write_text("a,b,label\n2,0,x\n0,1,y\n", encoding="utf-8")

    def change(label, done, total):
        # At one stroke: a worker never finds the file half written.
        if other.exists():
            other.replace(file)

    with pytest.raises(RunError, match=r"mine, seed \d, .*: the samples differ from those"):
        run_experiment(changed, tmp_path / "out", change, Executor("loky", 2))


@pytest.mark.parametrize(
    ("place", "cells", "seconds", "backend"),
    [
        (Executor(workers=2), 6, 6.0, "threads"),
        (Executor(workers=2), 30, 26.0, "loky"),
        (Executor(workers=1), 30, 26.0, "threads"),
        (Executor("threads", 2), 30, 26.0, "threads"),
        (Executor("loky", 2), 6, 6.0, "loky"),
    ],
)
def test_processes_are_started_where_there_is_work_enough(place, cells, seconds, backend):
    assert place.settled(cells, seconds) == Executor(backend, place.workers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "slurm"}, "backend='slurm': give one of auto, threads, loky, dask, ray"),
        ({"workers": 0}, "workers=0: give an integer of at least 1"),
        ({"workers": 1.5}, "workers=1.5: give an integer of at least 1"),
        ({"scheduler": "tcp://host:1"}, "scheduler='tcp://host:1': only the backends dask and ray"),
    ],
)
def test_a_place_that_there_is_not_is_refused(arguments, message):
    with pytest.raises(InvalidArgument) as caught:
        Executor(**arguments)
    assert str(caught.value).startswith(message)


@contextmanager
def dask_cluster():
    """A local Dask cluster of two worker processes: its address, and a function that gives their ids."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        # Dask's types leave open whether a call waits.
        known: Any = cluster
        look: Any = client
        yield known.scheduler_address, lambda: set(look.run(os.getpid).values())


@pytest.mark.dask
def test_a_sweep_over_dask_completes_though_a_worker_is_killed(alone, tmp_path):
    with dask_cluster() as (address, processes):
        workers = processes()
        assert len(workers) == 2
        killed = []

        def progress(label, done, total):
            if done > 0.2 * total and not killed:
                killed.append(min(workers))
                os.kill(killed[0], signal.SIGKILL)

        place = Executor("dask", scheduler=address)
        outcome = run_experiment(validated(LONG), tmp_path, progress, place)
        assert killed
        assert killed[0] not in processes()
    xr.testing.assert_identical(outcome.dataset, alone)
    assert (outcome.computed + outcome.reused, outcome.interrupted) == (6, False)
    assert leftovers(tmp_path) == []


@pytest.mark.dask
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://127.0.0.1:9", "[Errno 111] Connection refused"),
        ("nonsense", "missing port number in address 'nonsense'"),
        ("tcp://no.such.host.invalid:8786", ""),
    ],
)
def test_an_address_where_nothing_listens_is_one_line(tmp_path, address, reason):
    with pytest.raises(RunError) as caught:
        run_experiment(validated(SHORT), tmp_path, executor=Executor("dask", scheduler=address))
    assert str(caught.value).startswith(f"scheduler={address}: no Dask scheduler answers there ({reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.dask
def test_something_that_listens_and_says_nothing_is_no_scheduler(tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "_ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RunError, match=rf"{address}: no Dask .* \(nothing within 0.3 seconds\)"):
            run_experiment(validated(SHORT), tmp_path, executor=Executor("dask", scheduler=address))


@pytest.mark.dask
def test_a_scheduler_without_workers_is_waited_for_and_given_up(tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(crew, "_WORKERS_SECONDS", 0.5)
    told = []
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        known: Any = cluster
        place = Executor("dask", scheduler=known.scheduler_address)
        with (
            pytest.warns(SteepestWarning, match=r"scheduler at tcp://.* has no workers; some are waited for"),
            pytest.raises(RunError, match=r"has had no workers for 0\.5 seconds; start some"),
        ):
            run_experiment(validated(SHORT), tmp_path, lambda label, *_: told.append(label), place)
    assert any("waiting for workers of the Dask scheduler at tcp://" in label for label in told)
    assert leftovers(tmp_path) == []


@pytest.mark.dask
def test_a_dask_without_an_address_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match=r"scheduler=None: give the address of a Dask scheduler"):
        run_experiment(validated(SHORT), tmp_path, executor=Executor("dask"))
