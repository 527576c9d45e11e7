"""Microseconds a step of signals and momentum in several norms, beside another checkout where one is given.

One run at a time in the compiled engine, on Gaussian data (k = 10 classes, n = 100 samples, d = 100
features), in processor time. Both versions take turns, each in a process of its own, and the best turn of
each counts, so that what else the machine does disturbs both alike.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from benchmarks.tables import machine, print_table

NORMS = ("frobenius", "max", "spectral", "row-2/inf", "column-2/inf", "entrywise-3", "schatten-4")
SIGNALS = ("minibatch", "svrg", "saga")
MOMENTA = ("none", "ema", "nesterov")
BATCH_SIZES = (1, 10, 100)

# A version that this file does not belong to runs this too: it may name only what both have.
_SERVER = """
import json, sys, time, warnings
import steepest as st
warnings.simplefilter("ignore")
problem = st.datasets.gaussian(seed=0)
for line in sys.stdin:
    norm, signal, momentum, batch_size, size, steps = json.loads(line)
    chosen = {} if signal == "minibatch" else {"signal": signal}
    if momentum != "none":
        chosen |= {"momentum": 0.9, "momentum_kind": momentum}
    method = st.Method(norm, batch_size, schedule=st.PolynomialDecay(size, 0.5), seed=1, **chosen)
    began = time.process_time()
    st.descend(problem, [method], steps, records=2, engine="compiled")
    print(json.dumps(time.process_time() - began), flush=True)
"""
_STEP_SIZES = {"frobenius": 1.0, "max": 0.03, "spectral": 0.3}


class Version:
    """One checkout in a process of its own, which answers how long steps take."""

    def __init__(self, checkout: Path, closing: ExitStack) -> None:
        elsewhere = closing.enter_context(tempfile.TemporaryDirectory())
        self._process = closing.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", _SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=elsewhere,
                env={**os.environ, "PYTHONPATH": str(checkout.resolve() / "src"), "OMP_NUM_THREADS": "1"},
            )
        )

    def seconds(self, case: tuple[str, str, str, int], steps: int) -> float:
        """Return the processor seconds of one run."""
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        questions.write(json.dumps([*case, _STEP_SIZES.get(case[0], 0.1), steps]) + "\n")
        questions.flush()
        line = answers.readline()
        if not line:
            raise SystemExit(f"the version that runs {' '.join(map(str, case))} ended; see above")
        return json.loads(line)


def best_times(
    versions: Sequence[Version], case: tuple[str, str, str, int], turns: int, budget: float
) -> list[float]:
    """Return the best of some turns of each version, seconds a step; a turn takes some ``budget`` seconds."""
    for each in versions:
        each.seconds(case, 4)
    steps = max(100, min(20_000, round(budget / (versions[0].seconds(case, 100) / 100))))
    best = [math.inf] * len(versions)
    for _ in range(turns):
        for place, each in enumerate(versions):
            best[place] = min(best[place], each.seconds(case, steps) / steps)
    return best


def run(arguments: list[str]) -> None:
    """Print the table; see ``--help`` for what to leave out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks averages", description=__doc__)
    parser.add_argument("--against", type=Path, help="root of a checkout of another version of steepest")
    parser.add_argument("--norms", nargs="+", default=list(NORMS))
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=list(SIGNALS))
    parser.add_argument("--momenta", nargs="+", choices=MOMENTA, default=list(MOMENTA))
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=list(BATCH_SIZES))
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.1, help="processor seconds of a turn (default .1)")
    chosen = parser.parse_args(arguments)
    print(f"{machine('numba', 'numpy')}; the best of {chosen.turns} turns, microseconds a step\n")
    columns = ["signal, momentum", "b", *chosen.norms]
    rows = []
    with ExitStack() as closing:
        here = Version(Path(__file__).parent.parent, closing)
        there = [] if chosen.against is None else [Version(chosen.against, closing)]
        for signal, momentum, b in product(chosen.signals, chosen.momenta, chosen.batch_sizes):
            cells = []
            for norm in chosen.norms:
                now, *before = best_times(
                    [here, *there], (norm, signal, momentum, b), chosen.turns, chosen.seconds
                )
                parts = [f"{each * 1e6:.2f}" for each in (*before, now)]
                cells.append(" → ".join(parts) + (f" ({before[0] / now:.2f})" if before else ""))
            rows.append([f"{signal}, {momentum}", str(b), *cells])
            print("done:", *rows[-1], file=sys.stderr, flush=True)
    print_table(columns, rows)
