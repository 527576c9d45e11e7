"""Certified max margins of `max_margin` against public solvers: seconds, certified gap, memory, failures.

Every solver gets the same data, one thread and the same limit, each in a process of its own; seconds are
those of the processor, which other work on the machine does not change. The gap is recomputed for all of
them by `certificate` from the weights and dual weights that they return; one that returns no dual weights
(LinearSVC) is given the gap of its weights to our upper bound. A peer counts as one that solved the line
where its gap is at most 1e-6, even where ours is a hundred times smaller.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import steepest as st
from benchmarks.tables import machine, print_table

NORMS = ("frobenius", "spectral", "nuclear", "schatten-4", "entrywise-3", "max", "sum")
INSTANCES = ("5x50x50", "10x100x100", "10x200x400", "10x1000x1000", "digits", "clusters")
LARGE = ("clusters-50x100000x256", "clusters-100x5000x768", "100x5000x768", "1000x1000x50")
OURS = "steepest"
_SOLVED = 1e-6
_SHORT, _MOST_RUNS = 0.5, 25
"""Seconds and runs up to which a solver is run again: milliseconds are measured by the median of some."""
_DEFAULT: tuple[str, ...] = ("5x50x50", "10x100x100")

Answer = tuple[np.ndarray, np.ndarray | None]


def instance(name: str) -> st.Classification:
    """Return a named instance: the digits, 20 clusters, or classes x samples x features of Gaussian data.

    With "clusters-" before the three numbers they are of clusters in float32.
    """
    generator = np.random.default_rng(0)
    if name == "digits":
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        return st.Classification(X / 16, y, name)
    if name == "clusters":
        y = np.arange(20_000) % 20
        X = 3.0 * generator.normal(size=(20, 50))[y] + generator.normal(size=(20_000, 50))
        return st.Classification(X, y, name)
    if name.startswith("clusters-"):
        k, n, d = (int(part) for part in name.removeprefix("clusters-").split("x"))
        y = np.arange(n) % k
        centres = (3.0 * generator.normal(size=(k, d))).astype(np.float32)
        X = generator.standard_normal((n, d), dtype=np.float32)
        X += centres[y]
        return st.Classification(X, y, name)
    k, n, d = (int(part) for part in name.split("x"))
    return st.Classification(generator.normal(size=(n, d)), np.arange(n) % k, name)


def by_cvxpy(problem: st.Classification, norm: str, solver: str, limit: float) -> Answer:
    """Solve max γ with all margins ≥ γ and ‖W‖ ≤ 1 as CVXPY's users write it."""
    import cvxpy

    values: dict[str, Callable] = {
        "frobenius": lambda W: cvxpy.norm(W, "fro"),
        "spectral": cvxpy.sigma_max,
        "nuclear": cvxpy.normNuc,
        "entrywise-3": lambda W: cvxpy.pnorm(cvxpy.vec(W, order="C"), 3),
        "max": lambda W: cvxpy.max(cvxpy.abs(W)),
        "sum": lambda W: cvxpy.sum(cvxpy.abs(W)),
    }
    X, y = np.asarray(problem.features), problem.labels
    n, k = problem.samples, problem.n_classes
    hot = np.asarray(problem.one_hot, dtype=float)
    W: Any = cvxpy.Variable((k, problem.dimension))
    gamma: Any = cvxpy.Variable()
    logits: Any = X @ W.T
    true: Any = cvxpy.sum(cvxpy.multiply(hot, logits), axis=1, keepdims=True)
    # At the true class the margin is 0, so that the level is taken off there.
    limits: list[Any] = [true @ np.ones((1, k)) - logits >= gamma * (1.0 - hot)]
    if norm == "schatten-4":
        # ‖W‖_S4 ≤ 1 where R ⪰ WWᵀ and ‖R‖_F ≤ 1.
        R = cvxpy.Variable((k, k), symmetric=True)
        limits += [cvxpy.bmat([[R, W], [W.T, np.eye(problem.dimension)]]) >> 0, cvxpy.norm(R, "fro") <= 1]
    else:
        limits.append(values[norm](W) <= 1)
    options: dict = {"SCS": {"eps": 1e-8, "max_iters": 1_000_000, "time_limit_secs": limit}, "CLARABEL": {}}
    cvxpy.Problem(cvxpy.Maximize(gamma), limits).solve(solver=solver, **options.get(solver, {}))
    weights: Any = W.value
    if weights is None or limits[0].dual_value is None:
        return np.zeros((k, problem.dimension)), None
    q = np.asarray(limits[0].dual_value).reshape(n, k)
    q = np.where(np.arange(k) == y[:, None], 0.0, np.maximum(q, 0.0))
    return weights, q if q.any() else None


def by_osqp(problem: st.Classification, norm: str, _solver: str, limit: float) -> Answer:
    """Solve the Frobenius norm's quadratic program min ½‖W‖² with margins ≥ 1 by OSQP."""
    import osqp
    import scipy.sparse as sparse

    from steepest.maxmargin.forms.pairs import Pairs, all_pairs
    from steepest.maxmargin.forms.reduced import Reduced

    y, k = problem.labels, problem.n_classes
    pairs = all_pairs(y, k)
    whole = Reduced(np.asarray(problem.features), y, k, 1.0, None, None, st.norm(norm))
    A: Any = sparse.csc_matrix(Pairs(whole).matrix(pairs))
    model = osqp.OSQP()
    model.setup(
        P=sparse.csc_matrix(sparse.identity(A.shape[1])),
        q=np.zeros(A.shape[1]),
        A=A,
        l=np.ones(len(pairs)),
        u=np.full(len(pairs), np.inf),
        verbose=False,
        eps_abs=1e-9,
        eps_rel=1e-9,
        max_iter=1_000_000,
        time_limit=limit,
    )
    result = model.solve(raise_error=False)
    q = np.zeros((problem.samples, k))
    q[tuple(pairs.T)] = np.maximum(-result.y, 0.0)
    return result.x.reshape(k, -1), q if q.any() else None


def by_linear_svc(problem: st.Classification, _norm: str, _solver: str, _limit: float) -> Answer:
    """Fit scikit-learn's LinearSVC (crammer_singer, C = 1e6), which returns no dual weights.

    With a tolerance of 1e-8 it ends at gaps of some 4e-9; with 1e-10 it goes on for a thousand times as long.
    """
    from sklearn.svm import LinearSVC

    model = LinearSVC(
        multi_class="crammer_singer",
        C=1e6,
        tol=1e-8,
        max_iter=1_000_000,
        fit_intercept=False,
        random_state=0,
    ).fit(np.asarray(problem.features), problem.labels)
    W = model.coef_
    return (np.concatenate([-W, W]) / 2 if problem.n_classes == 2 else W), None


def by_max_margin(
    problem: st.Classification, norm: str, solver: str, limit: float, gap: float = 1e-8
) -> Answer:
    """Solve with this library."""
    solution = st.max_margin(problem, norm, gap, method=solver, time_limit=limit)
    return solution.weights, solution.dual


def peers(norm: str) -> dict[str, tuple[Callable[..., Answer], str]]:
    """Public solvers that can treat the norm."""
    solvers = {"Clarabel (CVXPY)": (by_cvxpy, "CLARABEL"), "SCS (CVXPY)": (by_cvxpy, "SCS")}
    if norm in ("max", "sum"):
        solvers = {"HiGHS (direct)": (by_max_margin, "linear-program"), **solvers}
    if norm == "frobenius":
        solvers |= {"OSQP (direct)": (by_osqp, ""), "LinearSVC": (by_linear_svc, "")}
    return solvers


def measure(name: str, norm: str, label: str, gap: float, limit: float) -> dict[str, float]:
    """Run one solver here, warm: processor seconds (median), bounds, peak memory in MiB beyond that then."""
    problem = instance(name)
    call, solver = (by_max_margin, "auto") if label == OURS else peers(norm)[label]
    call(instance("5x20x20"), norm, solver, limit)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asked: Any = (problem, norm, solver, limit, gap) if label == OURS else (problem, norm, solver, limit)
    started = time.process_time()
    W, q = call(*asked)
    runs = [time.process_time() - started]
    while sum(runs) < _SHORT and len(runs) < _MOST_RUNS:
        started = time.process_time()
        W, q = call(*asked)
        runs.append(time.process_time() - started)
    seconds = statistics.median(runs)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    uniform = np.ones((problem.samples, problem.n_classes))
    bounds = st.maxmargin.certificate(problem, norm, W, uniform if q is None else q)
    upper = math.inf if q is None else bounds.upper_bound
    return {"seconds": seconds, "lower": bounds.margin, "upper": upper, "memory": memory}


def in_process(name: str, norm: str, label: str, gap: float, limit: float) -> dict[str, float] | None:
    """Run ``measure`` in a process of its own, on one thread; None where it fails or exceeds the limit."""
    arguments = [name, "--norms", norm, "--one", label, "--gap", str(gap), "--limit", str(limit)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "benchmarks", "margin", *arguments],
            env=os.environ | threads,
            capture_output=True,
            timeout=limit + 30,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    return json.loads(done.stdout.splitlines()[-1])


Result = dict[str, float]


@dataclass(frozen=True)
class Line:
    """What every solver made of one instance in one norm; None where it came to nothing within the limit."""

    instance: str
    norm: str
    ours: Result | None
    theirs: dict[str, Result | None]

    @property
    def fastest(self) -> tuple[str, Result] | None:
        """The fastest peer that solved it, to a gap of 1e-6 or ours."""
        solved = {
            label: each
            for label, each in self.theirs.items()
            if each and self.ours and self.gap(each) <= max(_SOLVED, self.gap(self.ours))
        }
        return min(solved.items(), key=lambda item: item[1]["seconds"]) if solved else None

    def gap(self, result: Result) -> float:
        """Certified relative gap of a result; without dual weights of its own, to the best upper bound."""
        upper = result["upper"]
        if not math.isfinite(upper) and self.ours:
            upper = self.ours["upper"]
        return (upper - max(result["lower"], 0.0)) / upper


def lines(names: list[str], norms: list[str], gap: float, limit: float) -> list[Line]:
    """Measure every instance in every norm with every solver."""
    return [
        Line(
            name,
            norm,
            in_process(name, norm, OURS, gap, limit),
            {label: in_process(name, norm, label, gap, limit) for label in peers(norm)},
        )
        for name in names
        for norm in norms
    ]


def every_solver(measured: list[Line], limit: float) -> list[list[str]]:
    """One row for every solver of every line."""
    rows = []
    for line in measured:
        rows.append([line.instance, line.norm, OURS, *_cells(line, line.ours), ""])
        for label, result in line.theirs.items():
            ours = line.ours["seconds"] if line.ours else math.nan
            times = f"{result['seconds'] / ours:.1f}" if result else f"> {limit / ours:.0f}"
            rows.append(["", "", label, *_cells(line, result), times])
    return rows


def fastest_peers(measured: list[Line]) -> list[list[str]]:
    """One row for every line: our result and that of the fastest peer that solved it, with the means."""
    rows, times, memory = [], [], []
    for line in measured:
        if line.ours is None:
            continue
        row = [line.instance, line.norm, f"{line.ours['seconds']:.3f}", f"{line.gap(line.ours):.0e}"]
        if line.fastest is None:
            rows.append([*row, "none", "", "", ""])
            continue
        label, peer = line.fastest
        times.append(peer["seconds"] / line.ours["seconds"])
        memory.append(max(peer["memory"], 1.0) / max(line.ours["memory"], 1.0))
        rows.append([*row, label, f"{peer['seconds']:.3f}", f"{line.gap(peer):.0e}", f"{times[-1]:.1f}"])
    if times:
        mean, less = (math.exp(sum(map(math.log, each)) / len(each)) for each in (times, memory))
        rows.append(["geometric mean", "", "", "", f"{less:.1f} times our memory", "", "", f"{mean:.1f}"])
    return rows


def _cells(line: Line, result: Result | None) -> list[str]:
    if result is None:
        return ["none within the limit", "", ""]
    return [f"{result['seconds']:.3f}", f"{line.gap(result):.1e}", f"{result['memory']:.0f}"]


def run(argv: list[str]) -> None:
    """Print the tables of `python -m benchmarks margin`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks margin", description=__doc__)
    parser.add_argument(
        "instances",
        nargs="*",
        help=f"of {', '.join(INSTANCES + LARGE)}, KxNxD, or clusters-KxNxD; {_DEFAULT} if none",
    )
    parser.add_argument("--norms", nargs="+", default=list(NORMS), choices=NORMS)
    parser.add_argument("--gap", type=float, default=1e-8)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds a solver may take")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    names: list[str] = arguments.instances or [*_DEFAULT]
    if arguments.one:
        print(
            json.dumps(measure(names[0], arguments.norms[0], arguments.one, arguments.gap, arguments.limit))
        )
        return
    print(machine("numpy", "scipy", "clarabel", "scs", "osqp", "highspy", "scikit-learn", "cvxpy"))
    print(
        f"processor seconds, one thread each, {arguments.limit:g} s at most; gaps recomputed from the data; "
        f"asked of {OURS}: {arguments.gap:g}"
    )
    measured = lines(names, arguments.norms, arguments.gap, arguments.limit)
    columns = ("instance", "norm", "solver", "seconds", "gap", "MiB", "times ours")
    print_table(columns, every_solver(measured, arguments.limit))
    print()
    columns = ("instance", "norm", OURS, "gap", "fastest peer that solved it", "seconds", "gap", "times ours")
    print_table(columns, fastest_peers(measured))
