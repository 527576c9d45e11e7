import math
import os

import pytest

from steepest.errors import InvalidArgument
from steepest.experiments.spec.experiment import validated
from steepest.experiments.sweep import plan as plan_module
from steepest.experiments.sweep import timing
from steepest.experiments.sweep.plan import plan_experiment
from steepest.experiments.sweep.sweep import run_experiment

SMALL = {
    "name": "small",
    "data": [
        {"kind": "gaussian", "classes": 3, "samples_per_class": 4, "features": 15, "scale": 1.0},
        "mixture",
    ],
    "norm": ["max", "frobenius"],
    "batch_size": [5, "full"],
    "momentum": [0, 0.5, 0.9],
    "steps": 200,
    "records": 10,
    "seed": [0, 3],
}


def test_a_plan_counts_runs_batches_and_margins():
    plan = plan_experiment(validated(SMALL))
    assert (plan.cells, plan.stored, plan.runs, plan.margins) == (16, 0, 48, 8)
    assert plan.run_steps == 48 * 200
    assert [(b.data, b.norm, b.batch_size, b.cells, b.runs) for b in plan.batches[:2]] == [
        ("gaussian", "max", 5, 2, 6),
        ("gaussian", "max", 12, 2, 6),
    ]
    assert len(plan.batches) == 8
    for batch in plan.batches:
        # Measuring the records and writing the file take their time beside the steps.
        assert batch.seconds > 1200 / batch.run_steps_per_second
    assert math.isfinite(plan.seconds)
    assert plan.seconds > plan.margin_seconds > 0
    # The largest cell: three runs of ten records on 200 samples, 50 features, five classes.
    assert plan.memory_bytes == 3 * 10 * 5 * 50 * 8 * 2


def test_every_max_margin_that_runs_are_compared_with_is_counted():
    plan = plan_experiment(validated({**SMALL, "data": SMALL["data"][0], "reference": ["max", "spectral"]}))
    assert (plan.cells, plan.margins, plan.processes) == (8, 6, 0)


def test_a_long_sweep_is_planned_for_processes():
    experiment = validated({**SMALL, "data": SMALL["data"][0], "seed": 0, "norm": "max", "steps": 2_000_000})
    assert plan_experiment(experiment).processes == (2 if len(os.sched_getaffinity(0)) > 1 else 0)


def test_what_the_folder_holds_is_left_out(tmp_path):
    part = validated({**SMALL, "seed": 0, "data": "mixture"})
    run_experiment(part, tmp_path / "cells")
    plan = plan_experiment(validated({**SMALL, "data": "mixture"}), tmp_path)
    assert (plan.cells, plan.stored, plan.runs, plan.margins) == (8, 4, 12, 2)
    done = plan_experiment(part, tmp_path)
    assert (done.runs, done.margins, done.seconds, done.batches, done.memory_bytes) == (0, 0, 0.0, (), 0)
    assert len(list((tmp_path / "cells").glob("*.nc"))) == 4 + 2  # planning wrote nothing


def test_thousands_of_momenta_are_told_from_a_few(monkeypatch):
    """The cost of planning does not grow with the grid: a few runs stand for all."""
    measured = []
    original = timing.descend

    def counted(problem, methods, *arguments, **settings):
        measured.append(len(methods))
        return original(problem, methods, *arguments, **settings)

    monkeypatch.setattr(timing, "descend", counted)
    momenta = [place / 2000 for place in range(2000)]
    small = validated({**SMALL, "data": SMALL["data"][0], "norm": "max", "momentum": momenta, "seed": 0})
    plan = plan_experiment(small)
    assert plan.runs == 2 * 2000
    assert max(measured) <= 16
    assert all(batch.measured for batch in plan.batches)


def test_what_there_is_no_time_to_measure_is_estimated_and_said(monkeypatch):
    monkeypatch.setattr(plan_module, "_RUNS_SECONDS", 0.0)
    told = []
    plan = plan_experiment(validated(SMALL), tell=lambda what, done, total: told.append((done, total)))
    assert [batch.measured for batch in plan.batches].count(True) == 1
    assert all(batch.seconds > 0 for batch in plan.batches)
    assert (0, 8) in told
    (said,) = plan.warnings
    assert said.startswith("7 of 8 kinds of run were not timed, since there are many; they are estimated")


def test_a_cell_that_does_not_fit_is_said():
    experiment = validated({**SMALL, "records": 10_000_000, "steps": 10**9, "norm": "max", "batch_size": 5})
    plan = plan_experiment(experiment)
    assert plan.free_bytes is None or not plan.fits
    with pytest.raises(InvalidArgument, match="records=100000000000: give an integer of at most 10,000,000"):
        validated({**SMALL, "records": 100_000_000_000})
