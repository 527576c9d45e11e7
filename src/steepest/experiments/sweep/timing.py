"""How fast runs are here, and what their records and max margins take: measured on a few of them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from steepest.descent import descend
from steepest.errors import SteepestWarning
from steepest.experiments.spec.cells import Cell
from steepest.experiments.store.netcdf import encoded
from steepest.experiments.sweep.measure import cell_dataset
from steepest.maxmargin import MaxMarginSolution
from steepest.problem import Classification

__all__ = ["Cost", "measured_cost"]

_PROBE_SECONDS = 0.2
_RUNS_TIMED = 16
_RECORDS_TIMED = 50


@dataclass(frozen=True)
class Cost:
    """What a cell's runs take on this machine."""

    rate: float
    """Run-steps a second, with the runs of one cell side by side."""
    keeping: float
    """Seconds that measuring the records of a cell and making its file take beside its steps."""


def measured_cost(
    cell: Cell, problem: Classification, solutions: Mapping[str, MaxMarginSolution | None]
) -> Cost:
    """Time some runs of a cell, evenly chosen among its momenta, for a few steps and records.

    ``solutions`` are the max margins that are known, by norm; without them nothing is said of records.
    """
    part = replace(cell, momenta=_evenly(cell.momenta, max(1, _RUNS_TIMED // len(cell.signals))))
    known = {norm: solution for norm, solution in solutions.items() if solution is not None}
    with warnings.catch_warnings():
        # The margin may not be known yet, and then what descend would say of step sizes means nothing.
        warnings.simplefilter("ignore", SteepestWarning)
        rate = _rate(part, problem)
        if not all(margin.norm in known for margin in cell.margins):
            return Cost(rate, 0.0)
        return Cost(rate, _seconds_to_keep(part, problem, known, rate) * cell.runs / part.runs)


def _evenly(values: tuple[float, ...], most: int) -> tuple[float, ...]:
    places = np.unique(np.rint(np.linspace(0, len(values) - 1, min(most, len(values)))).astype(int))
    return tuple(values[place] for place in places)


def _rate(cell: Cell, problem: Classification) -> float:
    methods = cell.methods(margin=1.0)

    def timed(steps: int) -> float:
        started = time.perf_counter()
        descend(problem, methods, steps, records=2)
        return time.perf_counter() - started

    timed(1)  # loads the engine
    steps = 1
    # Twice as many each time, until they take long enough to be timed, and that not because what only later
    # steps need was compiled meanwhile.
    while True:
        seconds = timed(steps)
        if seconds >= _PROBE_SECONDS:
            seconds = min(seconds, timed(steps))
        if seconds >= _PROBE_SECONDS or steps == cell.steps:
            return len(methods) * steps / seconds
        steps = min(2 * steps, cell.steps)


def _seconds_to_keep(
    cell: Cell, problem: Classification, solutions: Mapping[str, MaxMarginSolution], rate: float
) -> float:
    def timed(steps: int) -> float:
        started = time.perf_counter()
        runs = descend(
            problem, cell.methods(1.0), steps, reference=solutions[cell.norm], records=range(steps + 1)
        )
        encoded(cell_dataset(cell, problem, solutions, runs))
        return time.perf_counter() - started

    steps = min(cell.kept_records, _RECORDS_TIMED) - 1
    timed(1)  # loads what measures
    beside = timed(steps) - cell.runs * steps / rate
    return max(0.0, beside) * cell.kept_records / (steps + 1)
