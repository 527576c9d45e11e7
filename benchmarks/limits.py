"""Predicted margin errors beside those of long runs at equal R = Σ η, on fresh data sets."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from benchmarks.tables import machine, print_table
from steepest import Method, PolynomialDecay, descend, max_margin
from steepest.datasets import gaussian, mixture
from steepest.geometry import norm_label
from steepest.problem import Classification
from steepest.theory import limit_direction

_BATCH_SIZES = (2, 3, 5, 10)


def run(arguments: list[str]) -> None:
    """Run descent and its mean field on data sets of consecutive seeds and print both errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks limits", description=__doc__)
    parser.add_argument("--sets", type=int, default=20, help="data sets, of each norm")
    parser.add_argument("--first-seed", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--norms", nargs="+", default=["frobenius", "max"])
    parser.add_argument("--momentum", nargs="+", type=float, default=[0.0], help="in turn, of the data sets")
    given = parser.parse_args(arguments)
    print(f"{machine('numpy', 'numba', 'scipy')}, {given.steps} steps\n")
    rows = []
    for norm in given.norms:
        within = 0
        for number in range(given.sets):
            seed = given.first_seed + number
            momentum = given.momentum[number // 8 % len(given.momentum)]
            method = Method(norm, batch_size=_BATCH_SIZES[number // 2 % 4], momentum=momentum)
            row, holds = _compared(seed, method, given.steps)
            within += holds
            rows.append(row)
            print(" ".join(row), flush=True)
        print(f"{norm}: {within} of {given.sets} within twice the estimate\n", flush=True)
    columns = ["data", "seed", "norm", "b", "β", "predicted", "± estimate", "measured", "within 2", "seconds"]
    print_table(columns, rows)


def _compared(seed: int, method: Method, steps: int) -> tuple[list[str], bool]:
    start = time.process_time()
    problem = _problem(seed)
    solution = max_margin(problem, method.norm)
    schedule = PolynomialDecay(0.225 / solution.margin, 0.3)
    method = replace(method, schedule=schedule)
    R = float(np.sum(schedule(np.arange(steps))))
    found = limit_direction(problem, method, at=R, margin=solution)
    ran = descend(problem, method, steps, reference=solution, records=[steps])
    measured = 1.0 - float(ran.normalized_margin[-1]) / solution.margin
    holds = abs(found.relative_error - measured) <= 2.0 * found.error.total
    return [
        problem.name,
        str(seed),
        norm_label(method.norm),
        str(method.batch_size),
        f"{method.momentum:g}",
        f"{found.relative_error:.4f}",
        f"{found.error.total:.4f}",
        f"{measured:.4f}",
        "yes" if holds else "NO",
        f"{time.process_time() - start:.1f}",
    ], holds


def _problem(seed: int) -> Classification:
    """Return small data: a mixture at even seeds, Gaussian data at odd ones."""
    if seed % 2:
        return gaussian(4, 8, 32, seed=seed)
    return mixture(samples_per_class=12, seed=seed)
