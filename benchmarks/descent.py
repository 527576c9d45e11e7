"""Run-steps a second of `descend` against the loops that people write: PyTorch autograd and plain NumPy.

All do the same runs on the same data: k = 10 classes, n = 100 samples, d = 100 features, the same batches in
the same order. The peers run one run after the other, on one thread, which is their fastest at this size;
`descend` spreads the runs over the cores. Every peer's final weights are compared with ours.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import steepest as st
from benchmarks.tables import machine, print_table

BATCH_SIZES = (1, 10, 100)
STEP_SIZES = {"frobenius": 1.0, "max": 0.03, "spectral": 0.3}
TARGETS = {  # ratio to the autograd loop that the project set itself, for each batch size
    "frobenius": (60, 40, 10),
    "max": (60, 40, 10),
    "spectral": (15, 12, 6),
}


def numpy_direction(norm: str, gradient: np.ndarray) -> np.ndarray:
    """Return the steepest-descent direction as a researcher writes it in NumPy."""
    if norm == "max":
        return np.sign(gradient)
    if norm == "frobenius":
        return gradient / np.linalg.norm(gradient)
    U, s, Vt = np.linalg.svd(gradient, full_matrices=False)
    kept = s > 1e-13 * s[0]
    return U[:, kept] @ Vt[kept]


def torch_direction(norm: str, gradient: torch.Tensor) -> torch.Tensor:
    """Return the steepest-descent direction as a researcher writes it in PyTorch."""
    if norm == "max":
        return torch.sign(gradient)
    if norm == "frobenius":
        return gradient / torch.linalg.norm(gradient)
    U, s, Vt = torch.linalg.svd(gradient, full_matrices=False)
    kept = s > 1e-13 * s[0]
    return U[:, kept] @ Vt[kept]


def numpy_loop(problem: st.Classification, method: st.Method, orders: np.ndarray, steps: int) -> np.ndarray:
    """Run one method with the closed-form gradient, the true class's residual from the others."""
    X, y = problem.features, problem.labels
    b, m = method.reshuffling(problem).batch_size, method.reshuffling(problem).batches
    W = np.zeros((problem.n_classes, problem.dimension))
    norm = str(method.norm)
    sizes = method.schedule(np.arange(steps)).tolist()
    for t in range(steps):
        epoch, position = divmod(t, m)
        batch = orders[epoch, position * b : (position + 1) * b]
        x, labels = X[batch], y[batch]
        logits = x @ W.T
        logits -= logits.max(axis=1, keepdims=True)
        residual = np.exp(logits)
        residual /= residual.sum(axis=1, keepdims=True)
        rows = np.arange(len(batch))
        residual[rows, labels] = 0.0
        residual[rows, labels] = -residual.sum(axis=1)
        gradient = residual.T @ x / len(batch)
        W -= sizes[t] * numpy_direction(norm, gradient)
    return W


def autograd_loop(
    problem: st.Classification, method: st.Method, orders: np.ndarray, steps: int
) -> np.ndarray:
    """Run one method with torch's cross-entropy and autograd."""
    X, y = torch.tensor(problem.features), torch.tensor(problem.labels)
    order = torch.tensor(orders)
    b, m = method.reshuffling(problem).batch_size, method.reshuffling(problem).batches
    W = torch.zeros(problem.n_classes, problem.dimension, dtype=torch.float64, requires_grad=True)
    norm = str(method.norm)
    sizes = method.schedule(np.arange(steps)).tolist()
    for t in range(steps):
        epoch, position = divmod(t, m)
        batch = order[epoch, position * b : (position + 1) * b]
        loss = torch.nn.functional.cross_entropy(X[batch] @ W.T, y[batch])
        loss.backward()
        assert W.grad is not None
        with torch.no_grad():
            W -= sizes[t] * torch_direction(norm, W.grad)
        W.grad = None
    return W.detach().numpy()


def timed(function: Callable[[], list[np.ndarray]], repeats: int = 1) -> tuple[float, list[np.ndarray]]:
    """Return the mean time of some calls, in seconds, and the last result."""
    result: list[np.ndarray] = []
    began = time.perf_counter()
    for _ in range(repeats):
        result = function()
    return (time.perf_counter() - began) / repeats, result


def compare(norm: str, batch_size: int, runs: int, steps: int) -> list[str]:
    """Return one row of the table."""
    problem = st.datasets.gaussian(seed=0)
    methods = [
        st.Method(norm, batch_size, schedule=st.PolynomialDecay(STEP_SIZES[norm], 0.5), seed=seed)
        for seed in range(runs)
    ]
    m = methods[0].reshuffling(problem).batches
    orders = [each.reshuffling(problem).orders(0, -(-steps // m)) for each in methods]

    def loop(peer: Callable[..., np.ndarray]) -> Callable[[], list[np.ndarray]]:
        return lambda: [
            peer(problem, each, order, steps) for each, order in zip(methods, orders, strict=True)
        ]

    def ours() -> list[np.ndarray]:
        return [each.final_weights for each in st.descend(problem, methods, steps, records=2)]

    st.descend(problem, methods[:1], 2)  # compiled, or read from the cache, before the clock starts
    seconds, final = timed(ours, repeats=3)
    row = [norm, str(batch_size), f"{runs * steps / seconds:,.0f}"]
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for peer in (autograd_loop, numpy_loop):
            peer_seconds, peer_final = timed(loop(peer))
            deviation = max(
                float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(peer_final, final, strict=True)
            )
            row += [
                f"{runs * steps / peer_seconds:,.0f}",
                f"{peer_seconds / seconds:.0f}×",
                f"{deviation:.0e}",
            ]
    return [*row, f"{TARGETS[norm][BATCH_SIZES.index(batch_size)]}×"]


FIRST_RUN = """
import time, steepest as st
problem = st.datasets.gaussian(seed=0)
began = time.perf_counter()
st.descend(problem, st.Method("spectral", 10), 2)
print(time.perf_counter() - began)
"""


def first_run_seconds() -> tuple[float, float]:
    """Return the seconds of a first two-step run: with nothing compiled, and from the cache on disk."""
    with tempfile.TemporaryDirectory() as cache:
        seconds = [
            float(
                subprocess.run(
                    [sys.executable, "-c", FIRST_RUN],
                    env={**os.environ, "NUMBA_CACHE_DIR": cache},
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for _ in range(2)
        ]
    return seconds[0], seconds[1]


def run(arguments: list[str]) -> None:
    """Print the table; see ``--help`` for sizes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks descent", description=__doc__)
    parser.add_argument("--runs", type=int, default=64, help="runs of each method (default 64)")
    parser.add_argument("--steps", type=int, default=5000, help="steps of each run (default 5000)")
    parser.add_argument(
        "--norms", nargs="+", choices=STEP_SIZES, default=list(STEP_SIZES), help="default: all"
    )
    chosen = parser.parse_args(arguments)
    print(f"{chosen.runs} runs of {chosen.steps} steps each, in run-steps a second, on")
    print(f"{machine('numba', 'numpy', 'torch')}\n")
    columns = [
        *("norm", "batch size", "steepest", "PyTorch autograd", "ratio", "deviation"),
        *("NumPy loop", "ratio", "deviation", "goal against autograd"),
    ]
    rows = [compare(norm, b, chosen.runs, chosen.steps) for norm in chosen.norms for b in BATCH_SIZES]
    print_table(columns, rows)
    cold, cached = first_run_seconds()
    print(
        f"\nFirst run of two steps: {cold:.1f} s with nothing compiled, {cached:.2f} s from the disk cache."
    )
