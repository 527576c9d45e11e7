"""Certified max margins of large data, each in a process of its own: seconds, processor seconds and memory.

Clusters are k unit vectors with noise; "text" is sparse counts; "zipf" and
"dense-text" are counts in arrays.
"""

from __future__ import annotations

import argparse
import atexit
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse

import steepest as st
from benchmarks.tables import machine, print_table

_BLOCK = 20_000


def clusters(samples: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 features around a unit vector for each class, and labels."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((classes, features))
    centres /= np.linalg.norm(centres, axis=1)[:, None]
    y = np.arange(samples) % classes
    return (2.0 * centres[y] + 0.1 * rng.standard_normal((samples, features))).astype(np.float32), y


def clouds(samples: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return standard normal features with labels that mean nothing."""
    y = np.arange(samples) % classes
    return np.random.default_rng(0).standard_normal((samples, features)), y


def counts(samples: int, features: int, classes: int) -> tuple[Any, np.ndarray]:
    """Return sparse counts, a hundred of each sample, of which a class has some words of its own."""
    rng = np.random.default_rng(0)
    y = np.arange(samples) % classes
    words = rng.integers(0, features, (samples, 100))
    own = rng.random((samples, 100)) < 0.3
    words = np.where(own, (words // classes) * classes + y[:, None], words) % features
    starts = np.arange(samples + 1) * 100
    values = rng.integers(1, 6, samples * 100).astype(float)
    return sparse.csr_array((values, words.ravel(), starts), shape=(samples, features)), y


def dense_counts(samples: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of :func:`counts` in an array with all of their zeros."""
    X, y = counts(samples, features, classes)
    return X.toarray(), y


def zipf(samples: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an array of Poisson counts of words as frequent as 1, 1/2, 1/3, ..., which classes change."""
    rng = np.random.default_rng(0)
    y = np.arange(samples) % classes
    frequency = rng.gamma(1.0, size=(classes, features)) / np.arange(1, features + 1)
    frequency /= frequency.sum(axis=1)[:, None]
    return rng.poisson(200.0 * frequency[y]).astype(float), y


def wide(samples: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised normal features, many times as many as samples."""
    X, y = clouds(samples, features, classes)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def mapped(samples: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return clusters as :func:`clusters` has them, mapped from a file that is made in blocks."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((classes, features))
    centres /= np.linalg.norm(centres, axis=1)[:, None]
    y = np.arange(samples) % classes
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "features.npy"
    file = np.lib.format.open_memmap(path, "w+", np.float32, (samples, features))
    for start in range(0, samples, _BLOCK):
        part = slice(start, start + _BLOCK)
        file[part] = 2.0 * centres[y[part]] + 0.1 * rng.standard_normal((len(y[part]), features))
    del file
    return np.load(path, mmap_mode="r"), y


DATA: dict[str, tuple[Callable[[int, int, int], tuple[Any, np.ndarray]], tuple[int, int, int]]] = {
    "clusters-5000x768x100": (clusters, (5_000, 768, 100)),
    "clouds-5000x768x100": (clouds, (5_000, 768, 100)),
    "classes-1000x50x1000": (clouds, (1_000, 50, 1_000)),
    "clusters-100000x256x50": (clusters, (100_000, 256, 50)),
    "mapped-1000000x512x100": (mapped, (1_000_000, 512, 100)),
    "wide-50x20000x3": (wide, (50, 20_000, 3)),
    "text-2000x5000x20": (counts, (2_000, 5_000, 20)),
    "dense-text-2000x5000x20": (dense_counts, (2_000, 5_000, 20)),
    "zipf-2000x5000x20": (zipf, (2_000, 5_000, 20)),
    "text-200000x50000x20": (counts, (200_000, 50_000, 20)),
}
LINES = (
    ("clusters-5000x768x100", "frobenius", 1e-6),
    ("clusters-5000x768x100", "spectral", 1e-4),
    ("clouds-5000x768x100", "frobenius", 1e-6),
    ("classes-1000x50x1000", "frobenius", 1e-6),
    ("clusters-100000x256x50", "frobenius", 1e-6),
    ("mapped-1000000x512x100", "frobenius", 1e-4),
    ("mapped-1000000x512x100", "spectral", 1e-4),
    ("wide-50x20000x3", "sum", 1e-8),
    ("text-2000x5000x20", "frobenius", 1e-4),
    ("classes-1000x50x1000", "max", 1e-4),
    ("dense-text-2000x5000x20", "max", 1e-4),
    ("zipf-2000x5000x20", "frobenius", 1e-4),
    ("zipf-2000x5000x20", "max", 1e-4),
    ("text-200000x50000x20", "frobenius", 1e-4),
)
"""Data, norm and gap."""


def measured(name: str, norm: str, gap: float, limit: float) -> dict[str, Any]:
    """Solve one line in this process."""
    make, sizes = DATA[name]
    problem = st.Classification(*make(*sizes))
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    solution = st.max_margin(problem, norm, gap, time_limit=limit)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "gap": solution.relative_gap,
        "seconds": seconds,
        "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "memory": after.ru_maxrss / 1e6,
        "method": solution.method,
    }


def run(arguments: list[str]) -> None:
    """Print the table; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks large", description=__doc__)
    parser.add_argument("data", nargs="*", help=f"of {', '.join(DATA)}; default: all")
    parser.add_argument("--norms", help="norms, with commas between them; default: those of the README")
    parser.add_argument("--gap", type=float, default=1e-4, help="with --norms (default 1e-4)")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a line (default 120)")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        name, norm, gap = options.one
        print(json.dumps(measured(name, norm, float(gap), options.limit)))
        return
    print(machine("numpy", "scipy", "numba"))
    chosen = options.data or list(DATA)
    lines = [line for line in LINES if line[0] in chosen]
    if options.norms:
        lines = [(name, norm, options.gap) for name in chosen for norm in options.norms.split(",")]
    rows = []
    for name, norm, gap in lines:
        command = [sys.executable, "-m", "benchmarks", "large", "--limit", str(options.limit)]
        done = subprocess.run(
            [*command, "--one", name, norm, str(gap)], capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(
            [
                name,
                norm,
                f"{gap:.0e}",
                f"{found['gap']:.0e}",
                f"{found['seconds']:.1f}",
                f"{found['processor']:.1f}",
                f"{found['memory']:.2f}",
                found["method"],
            ]
        )
    print_table(
        ["data", "norm", "asked", "gap", "seconds", "processor seconds", "GB at most", "method"], rows
    )
